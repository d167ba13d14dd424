"""
Application Insights, in the same workspace; what is written into it needs a role, not a key.
"""

from deploy.azure.parts.arm import Json, resource, resource_id

COMPONENTS = "Microsoft.Insights/components"
NAME = "variables('insightsName')"
ID = resource_id(COMPONENTS, NAME)
CONNECTION = f"reference({ID}).ConnectionString"
"""Where telemetry goes. It is no secret here, since ``DisableLocalAuth`` takes away the key's power."""

VARIABLES = {"insightsName": "[concat('appi-', variables('prefix'))]"}


def resources() -> list[Json]:
    """
    Return the component.
    """
    return [
        resource(
            COMPONENTS,
            f"[{NAME}]",
            location="[parameters('location')]",
            kind="web",
            properties={
                "Application_Type": "web",
                "WorkspaceResourceId": "[parameters('workspaceResourceId')]",
                "DisableLocalAuth": True,
            },
        )
    ]
