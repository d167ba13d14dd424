"""
The machine's way to the world: a public address with a name, and a firewall that lets in webhooks alone.

Port 80 is open for the certificate's challenge and the redirect to HTTPS; both end at Caddy. SSH is open only to the
addresses that are named. The console is not open to anybody: it is reached through SSH.
"""

from deploy.azure.parts.arm import Json, parameter, resource, resource_id

GROUPS = "Microsoft.Network/networkSecurityGroups"
NETWORKS = "Microsoft.Network/virtualNetworks"
ADDRESSES = "Microsoft.Network/publicIPAddresses"
INTERFACES = "Microsoft.Network/networkInterfaces"

FIREWALL = resource_id(GROUPS, "variables('firewallName')")
NETWORK = resource_id(NETWORKS, "variables('networkName')")
ADDRESS = resource_id(ADDRESSES, "variables('addressName')")
INTERFACE = resource_id(INTERFACES, "variables('interfaceName')")
SUBNET = "resourceId('Microsoft.Network/virtualNetworks/subnets', variables('networkName'), 'machine')"
HOST = f"reference({ADDRESS}).dnsSettings.fqdn"

PARAMETERS = {
    "sshSource": parameter(
        "string",
        "Address or network that may reach SSH, such as 203.0.113.7 or 203.0.113.0/24; empty for none: then use "
        "Azure Bastion or the serial console.",
        default="",
    ),
}

VARIABLES = {
    "firewallName": "[concat('nsg-', variables('prefix'))]",
    "networkName": "[concat('vnet-', variables('prefix'))]",
    "addressName": "[concat('pip-', variables('prefix'))]",
    "interfaceName": "[concat('nic-', variables('prefix'))]",
    "webRules": [
        {
            "name": name,
            "properties": {
                "priority": priority,
                "direction": "Inbound",
                "access": "Allow",
                "protocol": "Tcp",
                "sourceAddressPrefix": "Internet",
                "sourcePortRange": "*",
                "destinationAddressPrefix": "*",
                "destinationPortRange": port,
            },
        }
        for name, priority, port in (("https", 100, "443"), ("http", 110, "80"))
    ],
    "sshRules": [
        {
            "name": "ssh",
            "properties": {
                "priority": 120,
                "direction": "Inbound",
                "access": "Allow",
                "protocol": "Tcp",
                "sourceAddressPrefix": "[parameters('sshSource')]",
                "sourcePortRange": "*",
                "destinationAddressPrefix": "*",
                "destinationPortRange": "22",
            },
        }
    ],
}


def resources() -> list[Json]:
    """
    Return firewall, network, address and interface.
    """
    location = "[parameters('location')]"
    return [
        resource(
            GROUPS,
            "[variables('firewallName')]",
            location=location,
            properties={
                "securityRules": "[if(empty(parameters('sshSource')), variables('webRules'), "
                "concat(variables('webRules'), variables('sshRules')))]"
            },
        ),
        resource(
            NETWORKS,
            "[variables('networkName')]",
            location=location,
            after=[FIREWALL],
            properties={
                "addressSpace": {"addressPrefixes": ["10.77.0.0/28"]},
                "subnets": [
                    {
                        "name": "machine",
                        "properties": {
                            "addressPrefix": "10.77.0.0/28",
                            "networkSecurityGroup": {"id": f"[{FIREWALL}]"},
                        },
                    }
                ],
            },
        ),
        resource(
            ADDRESSES,
            "[variables('addressName')]",
            location=location,
            sku={"name": "Standard"},
            properties={
                "publicIPAllocationMethod": "Static",
                "publicIPAddressVersion": "IPv4",
                "dnsSettings": {"domainNameLabel": "[variables('prefix')]"},
            },
        ),
        resource(
            INTERFACES,
            "[variables('interfaceName')]",
            location=location,
            after=[NETWORK, ADDRESS],
            properties={
                "ipConfigurations": [
                    {
                        "name": "primary",
                        "properties": {
                            "privateIPAllocationMethod": "Dynamic",
                            "subnet": {"id": f"[{SUBNET}]"},
                            "publicIPAddress": {"id": f"[{ADDRESS}]"},
                        },
                    }
                ]
            },
        ),
    ]
