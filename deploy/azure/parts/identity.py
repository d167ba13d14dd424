"""
The identity that the program has in Azure, and the roles it gets.

It is a resource of its own, not that of an app or a machine, so that its roles are there before the program starts:
the first thing that starts is already allowed to read its secrets.
"""

from deploy.azure.parts import arm
from deploy.azure.parts.arm import Json, resource, resource_id

IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
NAME = "variables('identityName')"
ID = resource_id(IDENTITIES, NAME)
PRINCIPAL = f"reference({ID}).principalId"
CLIENT_ID = f"reference({ID}).clientId"

VARIABLES = {"identityName": "[concat('id-', variables('prefix'))]"}


def resources() -> list[Json]:
    """
    Return the identity.
    """
    return [resource(IDENTITIES, f"[{NAME}]", location="[parameters('location')]")]


def worn() -> Json:
    """
    Return the ``identity`` of a resource that acts as it.
    """
    # the id is the name of a member here, hence the brackets
    return {"type": "UserAssigned", "userAssignedIdentities": {f"[{ID}]": {}}}


def role(name: str, kind: str, target: str) -> Json:
    """
    Return the assignment of a role on one resource of this template.

    Args:
        kind: Type of the resource.
        target: Its name, as an expression.
    """
    return arm.role_assignment(name, kind=kind, name=target, holder=ID, principal=PRINCIPAL, after=[ID])


def role_id(name: str, kind: str, target: str) -> str:
    """
    Return the id of such an assignment, to wait for it.
    """
    scope = resource_id(kind, target)
    assigned = f"guid({scope}, {ID}, '{arm.ROLES[name]}')"
    return f"extensionResourceId({scope}, 'Microsoft.Authorization/roleAssignments', {assigned})"
