"""
Names: one short word of the user's, and a hash that makes it unique in the world and the same at each deployment.
"""

from deploy.azure.parts.arm import parameter

LONGEST_PREFIX = 16
"""Characters of ``name``. With the hash of 13 a function app stays within 32, past which Azure Functions cuts host ids."""

PARAMETERS = {
    "name": parameter(
        "string",
        "What the names of all resources begin with: lower-case letters and digits, a letter first.",
        default="onelogin",
        minLength=2,
        maxLength=LONGEST_PREFIX,
    ),
    "location": parameter(
        "string",
        "Region of the resources; by default that of the group.",
        default="[resourceGroup().location]",
    ),
}

VARIABLES = {
    "unique": "[uniqueString(resourceGroup().id, toLower(parameters('name')))]",
    "prefix": "[concat(toLower(parameters('name')), '-', variables('unique'))]",
}
