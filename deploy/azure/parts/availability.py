"""
Somebody outside who asks every five minutes whether webhooks would be taken, and an alert when they would not.
"""

from deploy.azure.parts import insights, network
from deploy.azure.parts.arm import Json, parameter, resource, resource_id

TESTS = "Microsoft.Insights/webtests"
ALERTS = "Microsoft.Insights/metricAlerts"
GROUPS = "Microsoft.Insights/actionGroups"

TEST = resource_id(TESTS, "variables('testName')")
GROUP = resource_id(GROUPS, "variables('alertName')")
IS_WANTED = "[not(empty(parameters('alertEmail')))]"

PARAMETERS = {
    "alertEmail": parameter(
        "string", "Address that is told when the machine takes no webhooks; empty for nobody.", default=""
    ),
    "testLocations": parameter(
        "array",
        "Where the test comes from, as Azure names these places; other clouds have others.",
        default=["emea-nl-ams-azr", "emea-gb-db3-azr", "us-va-ash-azr"],
    ),
}

VARIABLES = {
    "testName": "[concat('test-', variables('prefix'))]",
    "alertName": "[concat('alert-', variables('prefix'))]",
}


def resources() -> list[Json]:
    """
    Return the test, and the alert with whom it tells.
    """
    return [
        resource(
            TESTS,
            "[variables('testName')]",
            location="[parameters('location')]",
            kind="standard",
            tags={f"[concat('hidden-link:', {insights.ID})]": "Resource"},  # the portal finds it by this
            after=[insights.ID, network.ADDRESS],
            properties={
                "SyntheticMonitorId": "[variables('testName')]",
                "Name": "OneLogin webhooks are taken",
                "Enabled": True,
                "Frequency": 300,
                "Timeout": 30,
                "Kind": "standard",
                "RetryEnabled": True,
                "copy": [
                    {
                        "name": "Locations",
                        "count": "[length(parameters('testLocations'))]",
                        "input": {"Id": "[parameters('testLocations')[copyIndex('Locations')]]"},
                    }
                ],
                "Request": {
                    "RequestUrl": f"[concat('https://', {network.HOST}, '/healthz')]",
                    "HttpVerb": "GET",
                    "FollowRedirects": False,
                    "ParseDependentRequests": False,
                },
                "ValidationRules": {
                    "ExpectedHttpStatusCode": 200,
                    "SSLCheck": True,
                    "SSLCertRemainingLifetimeCheck": 7,
                },
            },
        ),
        resource(
            GROUPS,
            "[variables('alertName')]",
            location="global",
            condition=IS_WANTED,
            properties={
                "groupShortName": "onelogin",
                "enabled": True,
                "emailReceivers": [
                    {
                        "name": "on call",
                        "emailAddress": "[parameters('alertEmail')]",
                        "useCommonAlertSchema": True,
                    }
                ],
            },
        ),
        resource(
            ALERTS,
            "[variables('alertName')]",
            location="global",
            condition=IS_WANTED,
            after=[TEST, insights.ID, GROUP],
            properties={
                "description": "OneLogin's webhooks are not taken: the machine, its certificate or the program is down.",
                "severity": 1,
                "enabled": True,
                "scopes": [f"[{TEST}]", f"[{insights.ID}]"],
                "evaluationFrequency": "PT1M",
                "windowSize": "PT5M",
                "criteria": {
                    "odata.type": "Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria",
                    "webTestId": f"[{TEST}]",
                    "componentId": f"[{insights.ID}]",
                    "failedLocationCount": 2,
                },
                "actions": [{"actionGroupId": f"[{GROUP}]"}],
            },
        ),
    ]
