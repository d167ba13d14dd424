"""
A template as Azure Resource Manager would deploy it: every expression evaluated, every nested template unfolded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from unit.arm_expression import ExpressionError, Scope, guid, resource_id

DEPLOYMENTS = "Microsoft.Resources/deployments"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
OTHER_SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
WORKSPACE = f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/siem/providers/Microsoft.OperationalInsights/workspaces/main"
WORKSPACE_REGION = "northeurope"


@dataclass
class Deployed:
    """
    A resource as it would be sent.
    """

    kind: str
    name: str
    id: str
    body: dict[str, Any]
    depends: set[str]
    named: set[str]
    """Ids that its properties mention or ask the running deployment for."""
    is_wanted: bool


@dataclass
class Deployment:
    """
    A template with its parameters.
    """

    document: dict[str, Any]
    given: dict[str, Any]
    group: str = "onelogin"
    subscription: str = SUBSCRIPTION
    location: str = "westeurope"
    resources: list[Deployed] = field(default_factory=list)
    nested: dict[str, "Deployment"] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """
        Evaluate everything.
        """
        self.scope = self._scope({})
        self.scope.parameters = self._parameters()
        for raw in self.document["resources"]:
            self.resources.append(self._deployed(raw))
        for name, output in self.document["outputs"].items():
            scope = self._scope(self.scope.parameters)
            self.outputs[name] = {"value": scope.evaluated(output["value"])}
            self.used |= scope.used

    def all(self) -> Iterator[Deployed]:
        """
        Give every resource, those of nested deployments too.
        """
        yield from self.resources
        for inner in self.nested.values():
            yield from inner.all()

    def _scope(self, parameters: dict[str, Any]) -> Scope:
        return Scope(
            parameters,
            self.document.get("variables", {}),
            self.subscription,
            self.group,
            self.location,
            self._runtime,
        )

    def _parameters(self) -> dict[str, Any]:
        found = {}
        for name, told in self.document["parameters"].items():
            if name in self.given:
                found[name] = self.given[name]
            elif "defaultValue" in told:
                found[name] = self.scope.evaluated(told["defaultValue"])
            else:
                raise ExpressionError(f"the parameter {name} has no value")
        extra = set(self.given) - set(found)
        if extra:
            raise ExpressionError(f"no such parameters: {extra}")
        return found

    def _deployed(self, raw: dict[str, Any]) -> Deployed:
        parts = raw.get("properties", {})
        inner = parts.get("template")
        # what only a running deployment knows may stand in the properties and nowhere else
        early = self._scope(self.scope.parameters)
        head = {key: early.evaluated(value) for key, value in raw.items() if key != "properties"}
        if early.referenced:
            raise ExpressionError(f"{raw['name']}: only properties may ask the deployment")
        late = self._scope(self.scope.parameters)
        properties = late.evaluated({key: value for key, value in parts.items() if key != "template"})
        self.used |= early.used | late.used
        made = Deployed(
            head["type"],
            head["name"],
            self._id(head),
            {**head, "properties": properties},
            set(head.get("dependsOn", ())),
            late.referenced | late.named,
            head.get("condition", True),
        )
        if inner is not None:
            given = {key: value["value"] for key, value in properties["parameters"].items()}
            self.nested[made.id] = Deployment(
                inner,
                given,
                head.get("resourceGroup", self.group),
                head.get("subscriptionId", self.subscription),
                self.location,
            )
        return made

    def _id(self, head: dict[str, Any]) -> str:
        names = head["name"].split("/")
        if "scope" in head:
            return resource_id(head["type"], *names, before=head["scope"])
        subscription = head.get("subscriptionId", self.subscription)
        group = head.get("resourceGroup", self.group)
        return resource_id(
            head["type"], *names, before=f"/subscriptions/{subscription}/resourceGroups/{group}"
        )

    def _runtime(self, wanted: str, whole: bool) -> Any:
        """
        Answer as a finished resource would, made up but of the right form.
        """
        name = wanted.rpartition("/")[2]
        if wanted == WORKSPACE and whole:
            return {"location": WORKSPACE_REGION}
        found = next((each for each in self.resources if each.id == wanted), None)
        if found is None:
            raise ExpressionError(f"nothing before this has the id {wanted}")
        if found.kind == DEPLOYMENTS:
            return {"outputs": self.nested[wanted].outputs}
        answers: dict[str, Any] = {
            "Microsoft.ManagedIdentity/userAssignedIdentities": {
                "principalId": guid(wanted, "principal"),
                "clientId": guid(wanted, "client"),
            },
            "Microsoft.Insights/dataCollectionEndpoints": {
                "logsIngestion": {"endpoint": f"https://{name}-ab12.northeurope-1.ingest.monitor.azure.com"}
            },
            "Microsoft.Insights/dataCollectionRules": {"immutableId": "dcr-" + "0" * 32},
            "Microsoft.Insights/components": {
                "ConnectionString": "InstrumentationKey=x;IngestionEndpoint=https://y"
            },
            "Microsoft.Storage/storageAccounts": {
                "primaryEndpoints": {"blob": f"https://{name}.blob.core.windows.net/"}
            },
            "Microsoft.Web/sites": {"defaultHostName": f"{name}.azurewebsites.net"},
            "Microsoft.KeyVault/vaults": {"vaultUri": f"https://{name}.vault.azure.net/"},
            "Microsoft.Network/publicIPAddresses": {
                "dnsSettings": {
                    "fqdn": f"{found.body['properties'].get('dnsSettings', {}).get('domainNameLabel')}."
                    f"{self.location}.cloudapp.azure.com"
                }
            },
        }
        return answers[found.kind]
