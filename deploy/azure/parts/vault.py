"""
A Key Vault for what OneLogin gives: the webhook's token and the API credential's secret.

Access is by role alone. Whoever deploys writes the secrets as part of the template, and needs no right to read them.
"""

from deploy.azure.parts import arm
from deploy.azure.parts.arm import Json, parameter, resource, resource_id

VAULTS = "Microsoft.KeyVault/vaults"
SECRETS = "Microsoft.KeyVault/vaults/secrets"
NAME = "variables('vaultName')"
ID = resource_id(VAULTS, NAME)

PARAMETERS = {
    "webhookToken": parameter(
        "secureString",
        "Bearer token that OneLogin's webhook sends, 24 characters or more. Make one: openssl rand -base64 32",
        minLength=24,
    ),
    "oneLoginDomain": parameter(
        "string",
        "Domain of the OneLogin account, such as acme.onelogin.com, if its Events API is to be polled too; else empty.",
        default="",
    ),
    "oneLoginClientId": parameter(
        "string",
        "Client id of an API credential with the scope Read All, for polling; else empty.",
        default="",
    ),
    "oneLoginClientSecret": parameter(
        "secureString", "Client secret of that credential; else empty.", default=""
    ),
}

VARIABLES = {
    "vaultName": "[concat('kv-', variables('unique'))]",
    "polls": "[and(not(empty(parameters('oneLoginDomain'))), not(empty(parameters('oneLoginClientId'))), "
    "not(empty(parameters('oneLoginClientSecret'))))]",
}


def resources() -> list[Json]:
    """
    Return the vault, its secrets, and the audit of who reads them.
    """
    return [
        resource(
            VAULTS,
            f"[{NAME}]",
            location="[parameters('location')]",
            properties={
                "tenantId": "[subscription().tenantId]",
                "sku": {"family": "A", "name": "standard"},
                "enableRbacAuthorization": True,
                "enableSoftDelete": True,
                "softDeleteRetentionInDays": 7,
                "enablePurgeProtection": True,
                # the app has no network of its own, and a vault without public access would not let it in
                "publicNetworkAccess": "Enabled",
            },
        ),
        _secret("webhook-token", "[parameters('webhookToken')]"),
        _secret("client-secret", "[parameters('oneLoginClientSecret')]", condition="[variables('polls')]"),
        arm.diagnostics(
            VAULTS,
            NAME,
            workspace="[parameters('workspaceResourceId')]",
            logs=[{"categoryGroup": "audit", "enabled": True}],
        ),
    ]


def _secret(name: str, value: str, **rest: str) -> Json:
    return resource(
        SECRETS,
        f"[concat({NAME}, '/{name}')]",
        **rest,
        after=[ID],
        properties={"value": value, "contentType": "text/plain"},
    )


def reference(name: str) -> str:
    """
    Return the application setting that App Service replaces by a secret, as an expression without brackets.

    It names no version, so that a changed secret is followed.
    """
    return f"concat('@Microsoft.KeyVault(VaultName=', {NAME}, ';SecretName={name})')"
