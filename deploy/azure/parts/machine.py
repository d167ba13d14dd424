"""
A virtual machine that runs the server with its journal and its store, behind Caddy.

The data disk is a resource of its own: deleting or replacing the machine leaves it, and the next machine takes it as it
is. What happens at the first boot stands in ``deploy/azure/machine``; all that the template hands over is one JSON
document of values that are no secrets. Those the machine asks the vault for, as the identity it wears.
"""

from deploy.azure.parts import arm, availability, identity, insights, names, network, sentinel, vault
from deploy.azure.parts.arm import Json, output, parameter, resource, resource_id

MACHINES = "Microsoft.Compute/virtualMachines"
DISKS = "Microsoft.Compute/disks"
DISK = resource_id(DISKS, "variables('diskName')")

PLACEHOLDER = "DEPLOYMENT_IN_BASE64"
"""What stands in ``cloud-init.yaml`` for the values of a deployment."""

PARAMETERS = {
    **names.PARAMETERS,
    **sentinel.PARAMETERS,
    "eventTable": parameter(
        "string",
        "Table that events go to: OneLogin_CL as Microsoft's webhook connector filled it, or OneLoginEventsV2_CL as "
        "its codeless connector does.",
        default=sentinel.EVENT_TABLES[0],
        allowed=list(sentinel.EVENT_TABLES),
    ),
    **vault.PARAMETERS,
    "packageUri": parameter(
        "string",
        "Address of the source archive (.tar.gz) of the release to install, which the machine can read without signing in.",
        minLength=12,
    ),
    "packageSha256": parameter(
        "string",
        "SHA-256 of that archive, in hexadecimal: anything else is not installed.",
        minLength=64,
        maxLength=64,
    ),
    "adminUsername": parameter("string", "Name of the account for SSH.", minLength=1, maxLength=32),
    "sshPublicKey": parameter(
        "string", "Public key of that account: ssh-ed25519 AAAA… or ssh-rsa AAAA…", minLength=64
    ),
    **network.PARAMETERS,
    "vmSize": parameter(
        "string",
        "Size of the machine: two cores and 4 GiB are enough for millions of events a day.",
        default="Standard_B2als_v2",
    ),
    "dataDiskSizeGB": parameter(
        "int", "Size of the disk for journal and store, in GiB.", default=64, minValue=16, maxValue=4095
    ),
    **availability.PARAMETERS,
}

VARIABLES = {
    **names.VARIABLES,
    **identity.VARIABLES,
    **sentinel.VARIABLES,
    **vault.VARIABLES,
    **insights.VARIABLES,
    **network.VARIABLES,
    **availability.VARIABLES,
    "machineName": "[concat('vm-', variables('prefix'))]",
    "diskName": "[concat('disk-', variables('prefix'), '-data')]",
}


def build(tables: dict[str, Json], cloud_init: str) -> Json:
    """
    Return the template.

    Args:
        cloud_init: The machine's instructions, in which a placeholder stands for the values.
    """
    return arm.template(
        parameters=PARAMETERS,
        variables={**VARIABLES, "cloudInit": cloud_init},
        resources=[
            *identity.resources(),
            *sentinel.resources(tables),
            *vault.resources(),
            identity.role("Key Vault Secrets User", vault.VAULTS, vault.NAME),
            *insights.resources(),
            *network.resources(),
            *_machine(),
            *availability.resources(),
        ],
        outputs={
            "webhookUrl": output(
                f"[concat('https://', {network.HOST}, '/webhook/default')]", "Listener URL for OneLogin."
            ),
            "consoleTunnel": output(
                f"[concat('ssh -L 8080:127.0.0.1:8080 ', parameters('adminUsername'), '@', {network.HOST})]",
                "Command that brings the console to http://127.0.0.1:8080.",
            ),
            "keyVaultName": output("[variables('vaultName')]", "Vault that holds the secrets."),
        },
    )


def _machine() -> list[Json]:
    return [
        resource(
            DISKS,
            "[variables('diskName')]",
            location="[parameters('location')]",
            sku={"name": "Premium_LRS"},  # every acknowledgement waits for a sync, so its latency counts
            properties={
                "creationData": {"createOption": "Empty"},
                "diskSizeGB": "[parameters('dataDiskSizeGB')]",
                "networkAccessPolicy": "DenyAll",
                "publicNetworkAccess": "Disabled",
            },
        ),
        resource(
            MACHINES,
            "[variables('machineName')]",
            location="[parameters('location')]",
            identity=identity.worn(),
            after=[
                DISK,
                identity.ID,
                network.INTERFACE,
                network.ADDRESS,
                vault.ID,
                identity.role_id("Key Vault Secrets User", vault.VAULTS, vault.NAME),
                sentinel.INGESTION_DONE,
                resource_id(vault.SECRETS, vault.NAME, "'webhook-token'"),
                resource_id(vault.SECRETS, vault.NAME, "'client-secret'"),
            ],
            properties={
                "hardwareProfile": {"vmSize": "[parameters('vmSize')]"},
                "securityProfile": {
                    "securityType": "TrustedLaunch",
                    "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
                },
                "storageProfile": _disks(),
                "osProfile": _system(),
                "networkProfile": {"networkInterfaces": [{"id": f"[{network.INTERFACE}]"}]},
                "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
            },
        ),
    ]


def _disks() -> Json:
    return {
        "imageReference": {
            "publisher": "Debian",
            "offer": "debian-12",
            "sku": "12-gen2",
            "version": "latest",
        },
        "osDisk": {
            "createOption": "FromImage",
            "deleteOption": "Delete",
            "managedDisk": {"storageAccountType": "StandardSSD_LRS"},
        },
        "dataDisks": [
            {
                "lun": 0,
                "createOption": "Attach",
                "deleteOption": "Detach",
                "caching": "None",  # a journal is written and hardly read
                "managedDisk": {"id": f"[{DISK}]"},
            }
        ],
    }


def _system() -> Json:
    values = ", ".join(f"'{name}', {value}" for name, value in handed_over().items())
    return {
        "computerName": "onelogin-connector",
        "adminUsername": "[parameters('adminUsername')]",
        "customData": f"[base64(replace(variables('cloudInit'), '{PLACEHOLDER}', "
        f"base64(string(createObject({values})))))]",
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {
                "publicKeys": [
                    {
                        "path": "[concat('/home', '/', parameters('adminUsername'), '/.ssh/authorized_keys')]",
                        "keyData": "[parameters('sshPublicKey')]",
                    }
                ]
            },
        },
    }


def handed_over() -> dict[str, str]:
    """
    Return what the machine is told, as ``deploy/azure/machine/configure.py`` reads it: name → expression.
    """
    return {
        "package_uri": "parameters('packageUri')",
        "package_sha256": "parameters('packageSha256')",
        "public_host": network.HOST,
        "vault_uri": f"reference({vault.ID}).vaultUri",
        "identity_client_id": identity.CLIENT_ID,
        "logs_endpoint": sentinel.ADDRESS,
        "logs_rule_id": sentinel.RULE_ID,
        "event_table": "parameters('eventTable')",
        "onelogin_domain": "if(variables('polls'), parameters('oneLoginDomain'), '')",
        "onelogin_client_id": "if(variables('polls'), parameters('oneLoginClientId'), '')",
    }
