"""
The form of an ARM template, and the names, versions and roles that several parts share.

A text in square brackets is an expression that Azure Resource Manager evaluates; everything else is literal. What
can be checked without a cloud – names, references, order, lengths, secrets – is checked in
``tests/unit/test_azure_templates.py``, which evaluates the expressions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
DEPLOYMENTS = "Microsoft.Resources/deployments"

VERSIONS = {
    DEPLOYMENTS: "2022-09-01",
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Compute/disks": "2023-10-02",
    "Microsoft.Compute/virtualMachines": "2024-07-01",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/dataCollectionEndpoints": "2023-03-11",
    "Microsoft.Insights/dataCollectionRules": "2023-03-11",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",  # no later version was ever made
    "Microsoft.Insights/metricAlerts": "2018-03-01",
    "Microsoft.Insights/webtests": "2022-06-15",
    "Microsoft.KeyVault/vaults": "2023-07-01",
    "Microsoft.KeyVault/vaults/secrets": "2023-07-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2023-01-31",
    "Microsoft.Network/networkInterfaces": "2024-05-01",
    "Microsoft.Network/networkSecurityGroups": "2024-05-01",
    "Microsoft.Network/publicIPAddresses": "2024-05-01",
    "Microsoft.Network/virtualNetworks": "2024-05-01",
    "Microsoft.OperationalInsights/workspaces": "2022-10-01",
    "Microsoft.OperationalInsights/workspaces/tables": "2022-10-01",
    "Microsoft.Storage/storageAccounts": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2023-05-01",
    "Microsoft.Web/serverfarms": "2024-04-01",
    "Microsoft.Web/sites": "2024-04-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2024-04-01",
    "Microsoft.Web/sites/extensions": "2022-09-01",  # the version for which `onedeploy` is documented
}
"""Type → the version of its interface that the templates speak. All but one are released, no preview."""

ROLES = {
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-005c390055eb",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
}
"""Built-in role → its id, the same in every tenant and cloud."""


def template(
    *, parameters: Json, variables: Json | None = None, resources: Sequence[Json], outputs: Json
) -> Json:
    """
    Return a whole template.
    """
    whole: Json = {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "parameters": parameters}
    if variables:
        whole["variables"] = variables
    return whole | {"resources": list(resources), "outputs": outputs}


def parameter(kind: str, description: str, **limits: Any) -> Json:
    """
    Return a parameter; ``default`` and ``allowed`` are written shorter here than in ARM.
    """
    names = {"default": "defaultValue", "allowed": "allowedValues"}
    return {
        "type": kind,
        **{names.get(name, name): value for name, value in limits.items()},
        "metadata": {"description": description},
    }


def output(value: str, description: str) -> Json:
    """
    Return an output, which anybody who may read the deployment sees: never a secret.
    """
    return {"type": "string", "value": value, "metadata": {"description": description}}


def resource(kind: str, name: str, /, *, after: Sequence[str] = (), **rest: Any) -> Json:
    """
    Return a resource of a type, in the version that the templates speak.

    Args:
        after: Ids, as expressions without brackets, of what must exist before it.
        rest: Everything else, as ARM calls it.
    """
    made: Json = {"type": kind, "apiVersion": VERSIONS[kind], "name": name, **rest}
    if after:
        made["dependsOn"] = [f"[{each}]" for each in after]
    return made


def resource_id(kind: str, *names: str) -> str:
    """
    Return the id of a resource of this template, as an expression without brackets.

    Args:
        names: One expression per part of the name.
    """
    return f"resourceId('{kind}', {', '.join(names)})"


def nested(
    name: str,
    inner: Json,
    values: Mapping[str, str],
    *,
    after: Sequence[str] = (),
    group: Mapping[str, str] | None = None,
) -> Json:
    """
    Return a template within the template, which sees only what it is handed.

    That is how a resource gets into another resource group, and how its location becomes something that only the
    running deployment knows.

    Args:
        values: Parameter of the inner template → expression of the outer one.
        group: ``subscriptionId`` and ``resourceGroup``, if it is not that of the deployment.
    """
    properties = {
        "mode": "Incremental",
        "expressionEvaluationOptions": {"scope": "inner"},
        "parameters": {key: {"value": value} for key, value in values.items()},
        "template": inner,
    }
    return resource(DEPLOYMENTS, name, after=after, **(group or {}), properties=properties)


def role_assignment(
    role: str, *, kind: str, name: str, holder: str, principal: str, after: Sequence[str] = ()
) -> Json:
    """
    Give an identity a role on one resource, and on nothing above it.

    Args:
        kind: Type of the resource.
        name: Its name, as an expression.
        holder: What the assignment's name is made of besides, as an expression that is known before the deployment
            begins, as every name must be: the id of the identity.
        principal: Object id of the identity, as an expression.
    """
    definition = f"subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{ROLES[role]}')"
    return resource(
        "Microsoft.Authorization/roleAssignments",
        f"[guid({resource_id(kind, name)}, {holder}, '{ROLES[role]}')]",
        scope=f"[{resource_id(kind, name)}]",
        after=[resource_id(kind, name), *after],
        properties={
            "roleDefinitionId": f"[{definition}]",
            "principalId": f"[{principal}]",
            "principalType": "ServicePrincipal",  # else a new identity is looked up before it is known everywhere
        },
    )


def diagnostics(kind: str, name: str, *, workspace: str, logs: Sequence[Json]) -> Json:
    """
    Send a resource's own logs to a workspace.
    """
    return resource(
        "Microsoft.Insights/diagnosticSettings",
        "onelogin-connector",
        scope=f"[{resource_id(kind, name)}]",
        after=[resource_id(kind, name)],
        properties={"workspaceId": workspace, "logs": list(logs)},
    )
