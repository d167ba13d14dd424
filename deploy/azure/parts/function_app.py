"""
The function app on the Flex Consumption plan, its storage, and its settings.

Flex takes no ``WEBSITE_RUN_FROM_PACKAGE``: the package lies in a container of the storage account, where a deployment
through the management interface puts it. ``packageUri`` lets the template do that; without it ``docs/azure/templates.md``
says how it is done by hand. The settings are those of ``docs/azure/function-settings.md``.
"""

from deploy.azure.parts import arm, identity, insights, names, sentinel, vault
from deploy.azure.parts.arm import Json, output, parameter, resource, resource_id

PLANS = "Microsoft.Web/serverfarms"
SITES = "Microsoft.Web/sites"
POLICIES = "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
EXTENSIONS = "Microsoft.Web/sites/extensions"
ACCOUNTS = "Microsoft.Storage/storageAccounts"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices"
CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"

APP = resource_id(SITES, "variables('appName')")
PLAN = resource_id(PLANS, "variables('planName')")
ACCOUNT = resource_id(ACCOUNTS, "variables('storageName')")
BLOB_ADDRESS = f"reference({ACCOUNT}).primaryEndpoints.blob"

PACKAGES = "app-package"
SPOOL = "onelogin-connector"

PARAMETERS = {
    **names.PARAMETERS,
    **sentinel.PARAMETERS,
    **vault.PARAMETERS,
    "packageUri": parameter(
        "string",
        "Address of onelogin-connector-function.zip that Azure can read without signing in, such as a release's; empty "
        "to put the package there afterwards.",
        default="",
    ),
    "instanceMemoryMB": parameter(
        "int", "Memory of one instance, in MB; what it costs grows with it.", default=512, allowed=[512, 2048]
    ),
    "maximumInstanceCount": parameter(
        "int",
        "Most instances at a time. A burst of webhooks needs a few; the limit bounds the cost of a flood.",
        default=40,
        minValue=40,  # the least that the plan takes
        maxValue=1000,
    ),
}

VARIABLES = {
    **names.VARIABLES,
    **identity.VARIABLES,
    **sentinel.VARIABLES,
    **vault.VARIABLES,
    **insights.VARIABLES,
    "appName": "[variables('prefix')]",
    "planName": "[concat('plan-', variables('prefix'))]",
    # letters and digits, 24 at most, 13 of them the hash
    "storageName": "[concat(take(replace(toLower(parameters('name')), '-', ''), 11), variables('unique'))]",
}


def build(tables: dict[str, Json]) -> Json:
    """
    Return the template.
    """
    return arm.template(
        parameters=PARAMETERS,
        variables=VARIABLES,
        resources=[
            *identity.resources(),
            *sentinel.resources(tables),
            *vault.resources(),
            identity.role("Key Vault Secrets User", vault.VAULTS, vault.NAME),
            *insights.resources(),
            identity.role("Monitoring Metrics Publisher", insights.COMPONENTS, insights.NAME),
            *_storage(),
            identity.role("Storage Blob Data Owner", ACCOUNTS, "variables('storageName')"),
            *_app(),
        ],
        outputs={
            "functionAppName": output("[variables('appName')]", "Name of the function app."),
            "webhookUrl": output(
                f"[concat('https://', reference({APP}).defaultHostName, '/webhook/default')]",
                "Listener URL for OneLogin.",
            ),
            "keyVaultName": output("[variables('vaultName')]", "Vault that holds the secrets."),
        },
    )


def _storage() -> list[Json]:
    account = "variables('storageName')"
    blobs = resource_id(BLOBS, account, "'default'")
    return [
        resource(
            ACCOUNTS,
            f"[{account}]",
            location="[parameters('location')]",
            kind="StorageV2",
            sku={"name": "Standard_LRS"},
            properties={
                "accessTier": "Hot",
                "allowBlobPublicAccess": False,
                "allowCrossTenantReplication": False,
                "allowSharedKeyAccess": False,
                "defaultToOAuthAuthentication": True,
                "minimumTlsVersion": "TLS1_2",
                "supportsHttpsTrafficOnly": True,
            },
        ),
        resource(
            BLOBS,
            f"[concat({account}, '/default')]",
            after=[ACCOUNT],
            # what was delivered is deleted, and personal data that is deleted should be gone
            properties={"deleteRetentionPolicy": {"enabled": False}},
        ),
        *(
            resource(
                CONTAINERS,
                f"[concat({account}, '/default/{name}')]",
                after=[blobs],
                properties={"publicAccess": "None"},
            )
            for name in (PACKAGES, SPOOL)
        ),
    ]


def _app() -> list[Json]:
    container = resource_id(CONTAINERS, "variables('storageName')", "'default'", f"'{PACKAGES}'")
    may_store = identity.role_id("Storage Blob Data Owner", ACCOUNTS, "variables('storageName')")
    may_read = identity.role_id("Key Vault Secrets User", vault.VAULTS, vault.NAME)
    return [
        resource(
            PLANS,
            "[variables('planName')]",
            location="[parameters('location')]",
            kind="functionapp",
            sku={"name": "FC1", "tier": "FlexConsumption"},
            properties={"reserved": True},  # Linux, the one system on which Python runs there
        ),
        resource(
            SITES,
            "[variables('appName')]",
            location="[parameters('location')]",
            kind="functionapp,linux",
            identity=identity.worn(),
            after=[
                PLAN,
                container,
                may_store,
                may_read,
                identity.ID,
                insights.ID,
                sentinel.INGESTION_DONE,
                ACCOUNT,
                resource_id(vault.SECRETS, vault.NAME, "'webhook-token'"),
                resource_id(vault.SECRETS, vault.NAME, "'client-secret'"),
            ],
            properties={
                "serverFarmId": f"[{PLAN}]",
                "httpsOnly": True,
                "keyVaultReferenceIdentity": f"[{identity.ID}]",
                "functionAppConfig": _runtime(),
                "siteConfig": {
                    "minTlsVersion": "1.2",
                    "scmMinTlsVersion": "1.2",
                    "ftpsState": "Disabled",
                    "http20Enabled": True,
                    "appSettings": [{"name": name, "value": value} for name, value in settings().items()],
                },
            },
        ),
        *(
            # passwords for deployment, which are keys under another name
            resource(
                POLICIES,
                f"[concat(variables('appName'), '/{way}')]",
                after=[APP],
                properties={"allow": False},
            )
            for way in ("ftp", "scm")
        ),
        resource(
            EXTENSIONS,
            "[concat(variables('appName'), '/onedeploy')]",
            location="[parameters('location')]",
            condition="[not(empty(parameters('packageUri')))]",
            after=[APP],
            properties={"packageUri": "[parameters('packageUri')]", "remoteBuild": False},
        ),
    ]


def _runtime() -> Json:
    return {
        "deployment": {
            "storage": {
                "type": "blobContainer",
                "value": f"[concat({BLOB_ADDRESS}, '{PACKAGES}')]",
                "authentication": {
                    "type": "UserAssignedIdentity",
                    "userAssignedIdentityResourceId": f"[{identity.ID}]",
                },
            }
        },
        "runtime": {"name": "python", "version": "3.11"},  # the version that the package is built for
        "scaleAndConcurrency": {
            "instanceMemoryMB": "[parameters('instanceMemoryMB')]",
            "maximumInstanceCount": "[parameters('maximumInstanceCount')]",
        },
    }


def settings() -> dict[str, str]:
    """
    Return the application settings: name → value.
    """
    client = f"[{identity.CLIENT_ID}]"
    polled = "[if(variables('polls'), parameters('{0}'), '')]"
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"[{insights.CONNECTION}]",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"[concat('Authorization=AAD;ClientId=', {identity.CLIENT_ID})]",
        "AzureWebJobsStorage__blobServiceUri": f"[{BLOB_ADDRESS}]",
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": client,
        "OneLoginBearerToken": f"[{vault.reference('webhook-token')}]",
        "ONELOGIN_CONNECTOR_SPOOL_CONTAINER": SPOOL,
        "ONELOGIN_CONNECTOR_LOGS_ENDPOINT": f"[{sentinel.ADDRESS}]",
        "ONELOGIN_CONNECTOR_LOGS_RULE_ID": f"[{sentinel.RULE_ID}]",
        "ONELOGIN_CONNECTOR_LOGS_STREAM": "Custom-OneLogin_CL",
        "ONELOGIN_CONNECTOR_LOGS_CLIENT_ID": client,
        "ONELOGIN_CONNECTOR_POLL": "[if(variables('polls'), 'on', 'off')]",
        "ONELOGIN_CONNECTOR_DOMAIN": polled.format("oneLoginDomain"),
        "ONELOGIN_CONNECTOR_CLIENT_ID": polled.format("oneLoginClientId"),
        "ONELOGIN_CONNECTOR_CLIENT_SECRET": f"[if(variables('polls'), {vault.reference('client-secret')}, '')]",
    }
