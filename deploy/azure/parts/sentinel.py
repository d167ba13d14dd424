"""
What Microsoft Sentinel needs to take events in: tables, a data collection endpoint, a rule, and the log of its errors.

The workspace exists already and may lie in another resource group, or subscription, and another region than the rest.
Tables are children of the workspace, so a nested deployment makes them there. Endpoint and rule must lie in the
workspace's region, which only the running deployment can look up, so they are nested too, with the role on the rule.

One rule takes all three tables, so that a change of table is a change of one setting.
"""

from deploy.azure.parts import arm, identity
from deploy.azure.parts.arm import Json, nested, parameter, resource, resource_id

WORKSPACES = "Microsoft.OperationalInsights/workspaces"
TABLES = "Microsoft.OperationalInsights/workspaces/tables"
ENDPOINTS = "Microsoft.Insights/dataCollectionEndpoints"
RULES = "Microsoft.Insights/dataCollectionRules"

EVENT_TABLES = ("OneLogin_CL", "OneLoginEventsV2_CL")
USERS_TABLE = "OneLoginUsersV2_CL"

PARAMETERS = {
    "workspaceResourceId": parameter(
        "string",
        "Resource id of the Log Analytics workspace with Microsoft Sentinel: /subscriptions/…/workspaces/NAME, "
        "from its JSON view.",
        minLength=60,
    ),
    "tablesToCreate": parameter(
        "array",
        "Tables to create, or to bring to these columns. Leave out what exists already with columns of its own: a "
        "classic table must be migrated first, and columns that are not named here would be removed.",
        default=[*EVENT_TABLES, USERS_TABLE],
    ),
}

VARIABLES = {
    "workspace": "[split(parameters('workspaceResourceId'), '/')]",
    "ruleName": "[concat('dcr-', variables('prefix'))]",
    "endpointName": "[concat('dce-', variables('prefix'))]",
    "tablesDeployment": "[concat('tables-', variables('prefix'))]",
    "ingestionDeployment": "[concat('ingestion-', variables('prefix'))]",
}

TABLES_DONE = f"resourceId(variables('workspace')[2], variables('workspace')[4], '{arm.DEPLOYMENTS}', variables('tablesDeployment'))"
INGESTION_DONE = resource_id(arm.DEPLOYMENTS, "variables('ingestionDeployment')")
ADDRESS = f"reference({INGESTION_DONE}).outputs.endpoint.value"
RULE_ID = f"reference({INGESTION_DONE}).outputs.ruleId.value"
"""The endpoint's address and the rule's id, which only exist once both do."""


def resources(bodies: dict[str, Json]) -> list[Json]:
    """
    Return the two nested deployments.

    Args:
        bodies: Table → the body that creates it, as ``docs/guides/sentinel`` has it.
    """
    workspace_location = (
        f"[reference(parameters('workspaceResourceId'), '{arm.VERSIONS[WORKSPACES]}', 'full').location]"
    )
    return [
        nested(
            "[variables('tablesDeployment')]",
            _tables(bodies),
            {
                "workspaceName": "[variables('workspace')[8]]",
                "tablesToCreate": "[parameters('tablesToCreate')]",
            },
            group={
                "subscriptionId": "[variables('workspace')[2]]",
                "resourceGroup": "[variables('workspace')[4]]",
            },
        ),
        nested(
            "[variables('ingestionDeployment')]",
            _ingestion(bodies),
            {
                "location": workspace_location,
                "workspaceResourceId": "[parameters('workspaceResourceId')]",
                "endpointName": "[variables('endpointName')]",
                "ruleName": "[variables('ruleName')]",
                "principalId": f"[{identity.PRINCIPAL}]",
            },
            after=[TABLES_DONE, identity.ID],
        ),
    ]


def _tables(bodies: dict[str, Json]) -> Json:
    made, before = [], ""
    for table, body in bodies.items():
        made.append(
            resource(
                TABLES,
                f"[concat(parameters('workspaceName'), '/{table}')]",
                condition=f"[contains(parameters('tablesToCreate'), '{table}')]",
                # a workspace refuses two changes of its tables at once
                after=[before] if before else [],
                properties={"plan": "Analytics", **body["properties"]},
            )
        )
        before = resource_id(TABLES, "parameters('workspaceName')", f"'{table}'")
    return arm.template(
        parameters={
            "workspaceName": parameter("string", "Name of the workspace."),
            "tablesToCreate": parameter("array", "Tables to create."),
        },
        resources=made,
        outputs={},
    )


def _ingestion(bodies: dict[str, Json]) -> Json:
    rule = resource_id(RULES, "parameters('ruleName')")
    endpoint = resource_id(ENDPOINTS, "parameters('endpointName')")
    return arm.template(
        parameters={
            "location": parameter("string", "Region of the workspace."),
            "workspaceResourceId": parameter("string", "Resource id of the workspace."),
            "endpointName": parameter("string", "Name of the data collection endpoint."),
            "ruleName": parameter("string", "Name of the data collection rule."),
            "principalId": parameter("string", "Object id of the identity that sends."),
        },
        resources=[
            resource(
                ENDPOINTS,
                "[parameters('endpointName')]",
                location="[parameters('location')]",
                properties={"networkAcls": {"publicNetworkAccess": "Enabled"}},
            ),
            resource(
                RULES,
                "[parameters('ruleName')]",
                location="[parameters('location')]",
                after=[endpoint],
                properties=_rule(bodies, endpoint),
            ),
            arm.role_assignment(
                "Monitoring Metrics Publisher",
                kind=RULES,
                name="parameters('ruleName')",
                holder="parameters('principalId')",
                principal="parameters('principalId')",
            ),
            # a success of the ingestion API does not mean that rows are stored: this log says which are not
            arm.diagnostics(
                RULES,
                "parameters('ruleName')",
                workspace="[parameters('workspaceResourceId')]",
                logs=[{"category": "LogErrors", "enabled": True}],
            ),
        ],
        outputs={
            "endpoint": arm.output(
                f"[reference({endpoint}).logsIngestion.endpoint]", "Address that events are sent to."
            ),
            "ruleId": arm.output(f"[reference({rule}).immutableId]", "Id of the rule in that address."),
        },
    )


def _rule(bodies: dict[str, Json], endpoint: str) -> Json:
    """
    Return a rule that hands rows through as they come: the streams have the columns of their tables.
    """
    destination = "workspace"
    columns = {
        f"Custom-{table}": [
            {"name": column["name"], "type": column["type"]}
            for column in body["properties"]["schema"]["columns"]
        ]
        for table, body in bodies.items()
    }
    return {
        "dataCollectionEndpointId": f"[{endpoint}]",
        "streamDeclarations": {stream: {"columns": listed} for stream, listed in columns.items()},
        "destinations": {
            "logAnalytics": [
                {"name": destination, "workspaceResourceId": "[parameters('workspaceResourceId')]"}
            ]
        },
        "dataFlows": [
            {
                "streams": [stream],
                "destinations": [destination],
                "transformKql": "source",
                "outputStream": stream,
            }
            for stream in columns
        ],
    }
