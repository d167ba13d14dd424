"""
The templates of "Deploy to Azure" are what their parts make, and what Azure would take.

Nothing here reaches a cloud. Every expression is evaluated, every resource held against the models of Microsoft's client
libraries, names against the limits of their services, and the rules of Microsoft's template test kit that apply are here
under our own words. The last test plants faults, so that the checks are seen to find them.
"""

import base64
import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.azure import build
from deploy.azure.parts import arm, function_app, machine
from onelogin_connector.config.function import NAMES as READ
from onelogin_connector.config.function import ByIdentity, load
from onelogin_connector.errors import ConfigError
from onelogin_connector.formats.onelogin_cl import LEGACY, V2
from onelogin_connector.formats.onelogin_users import USERS
from onelogin_connector.sinks import logs_ingestion
from unit.arm_expression import ExpressionError, calls, is_expression, parse
from unit.arm_shapes import ROOT, TEMPLATES, deployment, everything, faults
from unit.arm_template import DEPLOYMENTS, WORKSPACE, WORKSPACE_REGION, Deployed, Deployment

MOST_CUSTOM_DATA = 65_535  # bytes, before Base64
MOST_TEMPLATE = 4 * 1024 * 1024
TOKEN, SECRET = "a-token-that-must-not-be-seen-1", "a-secret-that-must-not-be-seen-2"

NAMES = {
    "Microsoft.Authorization/roleAssignments": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "Microsoft.Compute/disks": r"[a-zA-Z0-9_.-]{1,80}",
    "Microsoft.Compute/virtualMachines": r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,62}[a-zA-Z0-9])?",
    "Microsoft.Insights/actionGroups": r"[^:<>+/&%\\?|]{1,260}",
    "Microsoft.Insights/components": r"[^%&\\?/]{1,260}",
    "Microsoft.Insights/dataCollectionEndpoints": r"[a-zA-Z0-9][a-zA-Z0-9-]{1,42}[a-zA-Z0-9]",
    "Microsoft.Insights/dataCollectionRules": r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}[a-zA-Z0-9]",
    "Microsoft.Insights/diagnosticSettings": r"[^*<>%:&?+/\\]{1,260}",
    "Microsoft.Insights/metricAlerts": r"[^*#&+:<>?@%{}\\/]{1,260}",
    "Microsoft.Insights/webtests": r"[^%&\\?/]{1,260}",
    "Microsoft.KeyVault/vaults": r"(?!.*--)[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
    "Microsoft.KeyVault/vaults/secrets": r"[^/]+/[a-zA-Z0-9-]{1,127}",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "Microsoft.Network/networkInterfaces": r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,78}\w)?",
    "Microsoft.Network/networkSecurityGroups": r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,78}\w)?",
    "Microsoft.Network/publicIPAddresses": r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,78}\w)?",
    "Microsoft.Network/virtualNetworks": r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}\w",
    "Microsoft.OperationalInsights/workspaces/tables": r"[^/]+/[a-zA-Z]\w{0,44}_CL",
    "Microsoft.Resources/deployments": r"[a-zA-Z0-9()._-]{1,64}",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Storage/storageAccounts/blobServices": r"[^/]+/default",
    "Microsoft.Storage/storageAccounts/blobServices/containers": r"[^/]+/default/(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "Microsoft.Web/serverfarms": r"[a-zA-Z0-9-]{1,60}",
    "Microsoft.Web/sites": r"[a-zA-Z0-9][a-zA-Z0-9-]{0,30}[a-zA-Z0-9]",  # 60; past 32 host ids are cut
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": r"[^/]+/(ftp|scm)",
    "Microsoft.Web/sites/extensions": r"[^/]+/onedeploy",
}
"""Type → names that its service takes, after Microsoft's page of naming rules."""

both = pytest.mark.parametrize("name", TEMPLATES)


def texts(value: Any) -> Iterator[str]:
    """
    Give every text of a value, names of members too, but not those of a nested template.
    """
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            if key != "template":
                yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def nested_in(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """
    Give a template and those within it.
    """
    yield document
    for resource in document["resources"]:
        inner = resource.get("properties", {}).get("template")
        if inner:
            yield from nested_in(inner)


def read(name: str) -> dict[str, Any]:
    """
    Return a committed template.
    """
    found: dict[str, Any] = json.loads(TEMPLATES[name].read_text())
    return found


def only(deployed: Deployment, kind: str) -> Deployed:
    """
    Return the one resource of a type.
    """
    (found,) = [each for each in deployed.all() if each.kind == kind]
    return found


def unsound(document: dict[str, Any]) -> list[str]:
    """
    Return what is wrong with the words of a template: names that are not defined, or not used.
    """
    found = []
    for each in nested_in(document):
        used: dict[str, set[str]] = {"parameters": set(), "variables": set()}
        parts = {key: value for key, value in each.items() if key != "parameters"}
        defaults = [told.get("defaultValue") for told in each["parameters"].values()]
        for text in texts([parts, defaults]):
            if not is_expression(text):
                continue
            for function, arguments in calls(parse(text)):
                if function in used:
                    used[function].add(arguments[0][1])
        for kind, names in used.items():
            defined = set(each.get(kind, {}))
            found += [f"{kind}: {name} is not defined" for name in names - defined]
            found += [f"{kind}: {name} is not used" for name in defined - names]
    return found


def disordered(deployed: Deployment) -> list[str]:
    """
    Return what a resource mentions without waiting for it, and what it waits for that does not exist.
    """
    ids = {each.id: each for each in deployed.resources}
    found = []
    for each in deployed.resources:
        found += [f"{each.id} waits for {one}, which is not there" for one in each.depends - set(ids)]
        before, todo = set(), [*each.depends]
        while todo:
            one = todo.pop()
            if one not in before and one in ids:
                before.add(one)
                todo += ids[one].depends
        if each.id in before:
            found.append(f"{each.id} waits for itself")
        for one in each.named - {each.id}:
            owner = next((id_ for id_ in ids if one == id_ or one.startswith(id_ + "/")), None)
            if owner is not None and owner not in before and owner != each.id:
                found.append(f"{each.id} mentions {one} and does not wait for it")
            if owner is None and one.startswith(
                f"/subscriptions/{deployed.subscription}/resourceGroups/{deployed.group}/"
            ):
                found.append(f"{each.id} mentions {one}, which is not there")
    for inner in deployed.nested.values():
        found += disordered(inner)
    return found


def leaks(deployed: Deployment, *secrets: str) -> list[str]:
    """
    Return where secrets stand outside the vault, also where they would be packed in Base64.
    """
    found = []
    for resource in deployed.all():
        for text in texts(resource.body):
            unpacked = _unpacked(text)
            if any(secret in text or secret in unpacked for secret in secrets) and (
                resource.kind != "Microsoft.KeyVault/vaults/secrets"
            ):
                found.append(resource.id)
    if any(secret in str(deployed.outputs) for secret in secrets):
        found.append("outputs")
    return found


def _unpacked(text: str) -> str:
    try:
        once = base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
    return once + "".join(_unpacked(word) for word in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", once))


def too_long(deployed: Deployment) -> list[str]:
    """
    Return names that their service would not take.
    """
    return [
        f"{each.kind}: {each.name}"
        for each in deployed.all()
        if not re.fullmatch(NAMES[each.kind], each.name)
    ]


def shapeless(deployed: Deployment) -> list[str]:
    """
    Return what resources have that their interfaces do not take.
    """
    return [fault for each in deployed.all() for fault in faults(each.kind, each.body)]


@pytest.mark.parametrize("file", sorted(build.templates()))
def test_committed_templates_are_what_their_parts_make(file):
    """
    ``make docs`` was run after the last change.
    """
    assert (ROOT / "deploy" / "azure" / file).read_text() == build.templates()[file]


def test_no_template_is_made_by_hand():
    """
    Every committed template has its parts.
    """
    assert {path.name for path in TEMPLATES.values()} == set(build.templates())


@both
def test_words_are_defined_and_used(name):
    """
    Each parameter and variable is there and has a reader.
    """
    assert unsound(read(name)) == []


@both
def test_form(name):
    """
    Schema, versions and sizes are what Azure Resource Manager asks for, and nothing is in a preview that need not be.
    """
    document = read(name)
    assert len(TEMPLATES[name].read_bytes()) < MOST_TEMPLATE
    for each in nested_in(document):
        assert each["$schema"] == arm.SCHEMA
        assert each["contentVersion"] == "1.0.0.0"
        assert len(each["parameters"]) <= 256
        for told in each["parameters"].values():
            assert told["metadata"]["description"]
        for resource in each["resources"]:
            assert resource["apiVersion"] == arm.VERSIONS[resource["type"]]
    previews = {kind for kind, version in arm.VERSIONS.items() if "preview" in version}
    assert previews == {"Microsoft.Insights/diagnosticSettings"}


@both
@pytest.mark.parametrize("deployed", [deployment, everything])
def test_resources_have_the_shape_their_interfaces_take(name, deployed):
    """
    No property is misspelt, misplaced or of another type, as Microsoft's client libraries know them.
    """
    assert shapeless(deployed(name)) == []


@both
@pytest.mark.parametrize("deployed", [deployment, everything])
def test_order(name, deployed):
    """
    Whatever a resource mentions exists, and is waited for.
    """
    assert disordered(deployed(name)) == []


@both
@given(st.from_regex(r"[A-Za-z][A-Za-z0-9]{1,15}", fullmatch=True))
def test_names_fit_their_services(name, prefix):
    """
    Whatever prefix the parameter takes, every name keeps to its service's letters and length.
    """
    assert too_long(deployment(name, name=prefix)) == []


@both
def test_two_prefixes_share_no_name(name):
    """
    A second deployment into the same group, under another prefix, touches nothing of the first.
    """
    one, two = deployment(name, name="one"), deployment(name, name="two")
    shared = {each.id for each in one.all()} & {each.id for each in two.all()}
    assert all("/workspaces/main/tables/" in each for each in shared)


@both
def test_secrets_stay_in_the_vault(name):
    """
    What is secret is a secure parameter without default, and stands in the vault's secrets and nowhere else.
    """
    parameters = read(name)["parameters"]
    secure = {key for key, told in parameters.items() if told["type"] == "secureString"}
    assert secure == {"webhookToken", "oneLoginClientSecret"}
    assert {parameters[key].get("defaultValue", "") for key in secure} == {""}
    polled = {"oneLoginDomain": "acme", "oneLoginClientId": "0f", "oneLoginClientSecret": SECRET}
    assert leaks(deployment(name, webhookToken=TOKEN, **polled), TOKEN, SECRET) == []


@both
def test_vault(name):
    """
    The vault knows roles and no access policies, keeps what was deleted, and its reads are logged.
    """
    deployed = deployment(name)
    vault = only(deployed, "Microsoft.KeyVault/vaults")
    properties = vault.body["properties"]
    assert properties["enableRbacAuthorization"] is True
    assert properties["enablePurgeProtection"] is True
    assert "accessPolicies" not in properties
    (log,) = [
        each
        for each in deployed.all()
        if each.kind.endswith("diagnosticSettings") and each.body["scope"] == vault.id
    ]
    assert log.body["properties"]["logs"] == [{"categoryGroup": "audit", "enabled": True}]


@both
def test_roles_are_narrow(name):
    """
    Each role is given on one resource of this deployment, to its one identity.
    """
    deployed = deployment(name)
    ids = {each.id for each in deployed.all()}
    given = [each.body for each in deployed.all() if each.kind.endswith("roleAssignments")]
    principals = {body["properties"]["principalId"] for body in given}
    assert len(principals) == 1
    assert all(body["scope"] in ids for body in given)
    assert all(body["properties"]["principalType"] == "ServicePrincipal" for body in given)
    roles = {
        (body["properties"]["roleDefinitionId"].rpartition("/")[2], body["scope"].split("/")[-2])
        for body in given
    }
    wanted = {("Monitoring Metrics Publisher", "dataCollectionRules"), ("Key Vault Secrets User", "vaults")}
    if name == "function-app":
        wanted |= {
            ("Storage Blob Data Owner", "storageAccounts"),
            ("Monitoring Metrics Publisher", "components"),
        }
    assert roles == {(arm.ROLES[role], kind) for role, kind in wanted}


@both
def test_tables_and_streams_have_the_columns_that_the_program_fills(name):
    """
    Tables are created in the workspace's own group, the rule in its region, and both have the program's columns.
    """
    deployed = deployment(name)
    tables = {each.name.rpartition("/")[2]: each for each in deployed.all() if each.kind.endswith("/tables")}
    rule = only(deployed, "Microsoft.Insights/dataCollectionRules")
    ours = {"event_id_s", "event_time_t", "Raw"}
    wanted = {
        "OneLogin_CL": {"TimeGenerated", *LEGACY, *ours},
        "OneLoginEventsV2_CL": {"TimeGenerated", *V2},
        "OneLoginUsersV2_CL": {"TimeGenerated", *USERS},
    }
    assert len(LEGACY) == 29
    assert set(tables) == set(wanted)
    assert rule.body["location"] == WORKSPACE_REGION
    for table, columns in wanted.items():
        assert tables[table].id.startswith(f"{WORKSPACE}/tables/")
        made = tables[table].body["properties"]["schema"]["columns"]
        assert {column["name"] for column in made} == columns
        declared = rule.body["properties"]["streamDeclarations"][f"Custom-{table}"]["columns"]
        assert declared == [{"name": column["name"], "type": column["type"]} for column in made]
    assert (
        rule.body["properties"]["dataCollectionEndpointId"]
        == only(deployed, "Microsoft.Insights/dataCollectionEndpoints").id
    )


@both
def test_what_the_rule_loses_is_logged(name):
    """
    The rule's own errors go to the workspace, since a success of the ingestion API does not mean that rows are stored.
    """
    deployed = deployment(name)
    rule = only(deployed, "Microsoft.Insights/dataCollectionRules").id
    (log,) = [
        each
        for each in deployed.all()
        if each.body.get("scope") == rule and "logs" in each.body["properties"]
    ]
    assert log.body["properties"] == {
        "workspaceId": WORKSPACE,
        "logs": [{"category": "LogErrors", "enabled": True}],
    }


@both
def test_tables_that_exist_can_be_left_alone(name):
    """
    A table that is not named is not touched; the rule takes its rows all the same.
    """
    deployed = deployment(name, tablesToCreate=["OneLoginUsersV2_CL"])
    tables = {each.name: each.is_wanted for each in deployed.all() if each.kind.endswith("/tables")}
    assert [table for table, wanted in tables.items() if wanted] == ["main/OneLoginUsersV2_CL"]


def test_storage_takes_no_keys():
    """
    The function app's storage knows identities alone, speaks TLS 1.2 and HTTPS, and shows nothing to the public.
    """
    deployed = deployment("function-app")
    account = only(deployed, "Microsoft.Storage/storageAccounts").body["properties"]
    assert account["allowSharedKeyAccess"] is False
    assert account["allowBlobPublicAccess"] is False
    assert account["supportsHttpsTrafficOnly"] is True
    assert account["minimumTlsVersion"] == "TLS1_2"
    written = json.dumps([each.body for each in deployed.all()])
    assert "AccountKey" not in written
    assert "SharedAccess" not in written


def test_function_app_is_closed_but_for_https():
    """
    HTTPS and TLS 1.2 alone, no FTP, and no passwords for deployment.
    """
    deployed = deployment("function-app")
    site = only(deployed, "Microsoft.Web/sites").body
    assert site["properties"]["httpsOnly"] is True
    assert site["properties"]["siteConfig"]["minTlsVersion"] == "1.2"
    assert site["properties"]["siteConfig"]["ftpsState"] == "Disabled"
    policies = [each for each in deployed.all() if each.kind.endswith("CredentialsPolicies")]
    assert {each.name.rpartition("/")[2] for each in policies} == {"ftp", "scm"}
    assert all(each.body["properties"] == {"allow": False} for each in policies)
    assert only(deployed, "Microsoft.Web/serverfarms").body["sku"] == {
        "name": "FC1",
        "tier": "FlexConsumption",
    }


def app_settings(deployed: Deployment) -> dict[str, str]:
    """
    Return the settings that the function app would have.
    """
    listed = only(deployed, "Microsoft.Web/sites").body["properties"]["siteConfig"]["appSettings"]
    return {each["name"]: each["value"] for each in listed}


def test_function_settings():
    """
    The app is told where to send, as whom, and where its secrets are; nothing that the plan does not take.
    """
    deployed = deployment("function-app")
    settings = app_settings(deployed)
    vault = only(deployed, "Microsoft.KeyVault/vaults").name
    client = settings["AzureWebJobsStorage__clientId"]
    assert (
        settings["OneLoginBearerToken"] == f"@Microsoft.KeyVault(VaultName={vault};SecretName=webhook-token)"
    )
    assert settings["ONELOGIN_CONNECTOR_LOGS_RULE_ID"] == "dcr-" + "0" * 32
    assert settings["ONELOGIN_CONNECTOR_LOGS_ENDPOINT"].endswith(".ingest.monitor.azure.com")
    assert settings["ONELOGIN_CONNECTOR_LOGS_CLIENT_ID"] == client
    assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == f"Authorization=AAD;ClientId={client}"
    assert settings["ONELOGIN_CONNECTOR_POLL"] == "off"
    assert settings["ONELOGIN_CONNECTOR_CLIENT_SECRET"] == ""
    refused = {"WEBSITE_RUN_FROM_PACKAGE", "FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_EXTENSION_VERSION"}
    assert not refused & set(settings)
    assert (
        only(deployed, "Microsoft.Web/sites").body["properties"]["keyVaultReferenceIdentity"]
        in (only(deployed, "Microsoft.Web/sites").body["identity"]["userAssignedIdentities"])
    )


def test_function_settings_are_those_the_app_reads():
    """
    Each setting of ours stands in the page that the function app keeps.
    """
    page = ROOT / "docs" / "azure" / "function-settings.md"
    documented = set(re.findall(r"^\| `(\w+)` \|", page.read_text(), re.MULTILINE))
    assert {
        name for name in function_app.settings() if not name.startswith("APPLICATIONINSIGHTS")
    } <= documented


@pytest.mark.parametrize("polls", [False, True])
def test_the_app_starts_with_what_the_template_tells_it(polls):
    """
    The settings, with their secrets resolved, are read as a rule, a storage account by identity, and an API or none.
    """
    polled = {"oneLoginDomain": "acme", "oneLoginClientId": "0f3c", "oneLoginClientSecret": SECRET}
    settings = app_settings(deployment("function-app", **(polled if polls else {})))
    platforms = {name for name in settings if name.startswith("APPLICATIONINSIGHTS")}
    assert set(settings) - platforms <= set(READ)
    # of another destination, of keys, of a rotation; the rest of what the app reads is told
    assert set(READ) - set(settings) == {
        *("WorkspaceID", "WorkspaceKey", "logAnalyticsUri", "ONELOGIN_CONNECTOR_WEBHOOK_TOKEN"),
        *("AzureWebJobsStorage", "AzureWebJobsStorage__accountName"),
    }
    resolved = {name: "resolved" if "@Microsoft" in value else value for name, value in settings.items()}
    read = load(resolved)
    assert isinstance(read.sink, logs_ingestion.Settings)
    assert isinstance(read.storage, ByIdentity)
    assert read.container == function_app.SPOOL
    assert bool(read.api) is polls
    with pytest.raises(ConfigError, match="OneLoginBearerToken"):
        load(settings)


@pytest.mark.parametrize("missing", ["oneLoginDomain", "oneLoginClientId", "oneLoginClientSecret"])
@both
def test_polling_needs_all_of_its_parameters(name, missing):
    """
    With all three the API is polled; with two it is not, and no half a credential is set anywhere.
    """
    polled = {"oneLoginDomain": "acme", "oneLoginClientId": "0f3c", "oneLoginClientSecret": SECRET}
    for given_, wanted in ((polled, True), (polled | {missing: ""}, False)):
        deployed = deployment(name, **given_)
        (secret,) = [each for each in deployed.all() if each.name.endswith("/client-secret")]
        assert secret.is_wanted is wanted
        if name == "function-app":
            settings = app_settings(deployed)
            assert settings["ONELOGIN_CONNECTOR_POLL"] == ("on" if wanted else "off")
            assert bool(settings["ONELOGIN_CONNECTOR_CLIENT_SECRET"]) is wanted
            assert settings["ONELOGIN_CONNECTOR_DOMAIN"] == ("acme" if wanted else "")
        else:
            assert told(deployed)["onelogin_domain"] == ("acme" if wanted else "")


def test_package_is_put_there_only_if_it_is_named():
    """
    Without an address the app stays empty, for a package that is put there by hand.
    """
    assert not only(deployment("function-app"), "Microsoft.Web/sites/extensions").is_wanted
    named = only(everything("function-app"), "Microsoft.Web/sites/extensions")
    assert named.is_wanted
    assert named.body["properties"] == {"packageUri": "https://example.com/package.zip", "remoteBuild": False}


def custom_data(deployed: Deployment) -> str:
    """
    Return what cloud-init would be given.
    """
    packed = only(deployed, "Microsoft.Compute/virtualMachines").body["properties"]["osProfile"]["customData"]
    return base64.b64decode(packed).decode()


def told(deployed: Deployment) -> dict[str, str]:
    """
    Return the values that the machine would find.
    """
    for file in yaml.safe_load(custom_data(deployed))["write_files"]:
        if file["path"].endswith("deployment.json"):
            found: dict[str, str] = json.loads(base64.b64decode(file["content"]))
            return found
    raise AssertionError


@given(st.text(min_size=1), st.text(min_size=1))
def test_machine_is_told_its_values_whatever_is_in_them(domain, client):
    """
    Quotes, brackets, line breaks and other scripts reach the machine as they are: nothing is pasted into a program.
    """
    given_ = {"oneLoginDomain": domain, "oneLoginClientId": client, "oneLoginClientSecret": "x"}
    values = told(deployment("virtual-machine", **given_))
    assert set(values) == set(machine.handed_over())
    assert values["onelogin_domain"] == domain
    assert values["onelogin_client_id"] == client
    assert values["public_host"].endswith(".westeurope.cloudapp.azure.com")
    assert values["vault_uri"].startswith("https://kv-")


def test_machine_is_told_little_enough():
    """
    The instructions begin as cloud-init wants them, fit, and hold the very script that the repository holds.
    """
    text = custom_data(deployment("virtual-machine"))
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) < MOST_CUSTOM_DATA
    scripts = {
        file["path"]: base64.b64decode(file["content"]) for file in yaml.safe_load(text)["write_files"]
    }
    committed = ROOT / "deploy" / "azure" / "machine" / "first_boot.py"
    assert scripts["/opt/onelogin-connector/first_boot.py"] == committed.read_bytes()


def test_machine_lets_in_webhooks_alone():
    """
    From the internet 443 and 80; SSH from nowhere, or from the address that was named; sign-in by key alone.
    """
    for source, ports in (("", {"443", "80"}), ("203.0.113.7", {"443", "80", "22"})):
        deployed = deployment("virtual-machine", sshSource=source)
        rules = only(deployed, "Microsoft.Network/networkSecurityGroups").body["properties"]["securityRules"]
        allowed = [rule["properties"] for rule in rules]
        assert {rule["destinationPortRange"] for rule in allowed} == ports
        assert len({rule["priority"] for rule in allowed}) == len(allowed)
        for rule in allowed:
            assert (rule["sourceAddressPrefix"] == "Internet") is (rule["destinationPortRange"] != "22")
        (subnet,) = only(deployed, "Microsoft.Network/virtualNetworks").body["properties"]["subnets"]
        assert subnet["properties"]["networkSecurityGroup"]["id"] in {each.id for each in deployed.all()}
    linux = only(deployed, "Microsoft.Compute/virtualMachines").body["properties"]["osProfile"][
        "linuxConfiguration"
    ]
    assert linux["disablePasswordAuthentication"] is True


def test_data_outlives_the_machine():
    """
    The data disk is a resource of its own, is let go of with the machine, and is mounted by what cloud-init made.
    """
    deployed = deployment("virtual-machine")
    (disk,) = only(deployed, "Microsoft.Compute/virtualMachines").body["properties"]["storageProfile"][
        "dataDisks"
    ]
    assert disk["createOption"] == "Attach"
    assert disk["deleteOption"] == "Detach"
    assert disk["managedDisk"]["id"] == only(deployed, "Microsoft.Compute/disks").id
    told_ = yaml.safe_load(custom_data(deployed))
    (system,) = told_["fs_setup"]
    (mount,) = told_["mounts"]
    assert not system["overwrite"]
    assert system["partition"] == "auto"  # with a number, cloud-init formats what it does not know
    assert not told_["disk_setup"][system["device"]]["overwrite"]
    assert system["device"].endswith(f"lun{disk['lun']}")
    assert mount[:2] == [f"LABEL={system['label']}", "/var/lib/onelogin-connector"]


def test_somebody_outside_asks_whether_webhooks_are_taken():
    """
    The test asks the public name by HTTPS; the alert is there when there is somebody to tell.
    """
    deployed = everything("virtual-machine")
    test = only(deployed, "Microsoft.Insights/webtests").body["properties"]
    host = told(deployed)["public_host"]
    assert test["Request"]["RequestUrl"] == f"https://{host}/healthz"
    assert [place["Id"] for place in test["Locations"]]
    alert = only(deployed, "Microsoft.Insights/metricAlerts")
    assert alert.is_wanted
    assert alert.body["properties"]["criteria"]["failedLocationCount"] <= len(test["Locations"])
    assert not only(deployment("virtual-machine"), "Microsoft.Insights/metricAlerts").is_wanted


@both
def test_outputs_help_and_hide(name):
    """
    Whoever deployed finds the address that OneLogin is to be given.
    """
    outputs = {key: value["value"] for key, value in deployment(name).outputs.items()}
    assert re.fullmatch(r"https://[a-z0-9.-]+/webhook/default", outputs["webhookUrl"])


def _resource(document: dict[str, Any], kind: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [each for one in nested_in(document) for each in one["resources"]]
    return next(each for each in found if each["type"] == kind)


PLANTED: dict[str, tuple[Callable[[dict[str, Any]], Any], Callable[[Deployment], list[str]]]] = {
    "a property that is misspelt": (
        lambda d: _resource(d, "Microsoft.Storage/storageAccounts")["properties"].update(
            allowSharedKeysAccess=False
        ),
        shapeless,
    ),
    "a property one level too high": (
        lambda d: _resource(d, "Microsoft.KeyVault/vaults").update(enableSoftDelete=True),
        shapeless,
    ),
    "a text where a number belongs": (
        lambda d: _resource(d, "Microsoft.KeyVault/vaults")["properties"].update(
            softDeleteRetentionInDays="7"
        ),
        shapeless,
    ),
    "a value that the service does not know": (
        lambda d: _resource(d, "Microsoft.Storage/storageAccounts")["sku"].update(name="Standard_XYZ"),
        shapeless,
    ),
    "a dependency that is forgotten": (
        lambda d: _resource(d, "Microsoft.Web/sites")["dependsOn"].pop(0),
        disordered,
    ),
    "a dependency on what is not there": (
        lambda d: _resource(d, "Microsoft.Web/sites")["dependsOn"].append(
            "[resourceId('Microsoft.Web/sites', 'x')]"
        ),
        disordered,
    ),
    "a name that is too long": (
        lambda d: d["variables"].update(vaultName="[concat('key-vault-', variables('prefix'))]"),
        too_long,
    ),
    "a secret in a setting": (
        lambda d: _resource(d, "Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"].append(
            {"name": "x", "value": "[parameters('webhookToken')]"}
        ),
        lambda deployed: leaks(deployed, "a token that is"),
    ),
    "a secret in an output": (
        lambda d: d["outputs"].update(x={"type": "string", "value": "[parameters('webhookToken')]"}),
        lambda deployed: leaks(deployed, "a token that is"),
    ),
    "a secret in Base64": (
        lambda d: _resource(d, "Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"].append(
            {"name": "x", "value": "[base64(concat('token=', base64(parameters('webhookToken'))))]"}
        ),
        lambda deployed: leaks(deployed, "a token that is"),
    ),
    "a parameter that nobody reads": (
        lambda d: d["parameters"].update(idle={"type": "string", "defaultValue": ""}),
        lambda deployed: unsound(deployed.document),
    ),
}

REFUSED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a function that does not exist": lambda d: d["variables"].update(vaultName="[concatenate('kv', 'x')]"),
    "a key that is asked for": lambda d: d["outputs"].update(
        x={"type": "string", "value": "[listKeys('x', '2023-01-01').keys[0]]"}
    ),
    "a bracket that is not closed": lambda d: d["variables"].update(
        vaultName="[concat('kv-', variables('unique')]"
    ),
    "a parameter that does not exist": lambda d: d["variables"].update(vaultName="[parameters('vault')]"),
    "a location that only the deployment knows": lambda d: _resource(d, "Microsoft.Web/sites").update(
        location="[reference(parameters('workspaceResourceId'), '2022-10-01', 'full').location]"
    ),
    "a name too few in an id": lambda d: _resource(d, "Microsoft.Web/sites")["dependsOn"].append(
        "[resourceId('Microsoft.KeyVault/vaults/secrets', variables('vaultName'))]"
    ),
}


def planted(spoil: Callable[[dict[str, Any]], Any]) -> Deployment:
    """
    Evaluate the function app's template with a fault in it.
    """
    document = copy.deepcopy(read("function-app"))
    spoil(document)
    return Deployment(
        document, {"workspaceResourceId": WORKSPACE, "webhookToken": "a token that is at least long"}
    )


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_found(fault):
    """
    Each check finds the fault it is there for, and finds nothing in a template without it.
    """
    spoil, check = PLANTED[fault]
    assert check(planted(lambda document: None)) == []
    assert check(planted(spoil)), fault


@pytest.mark.parametrize("fault", REFUSED)
def test_planted_mistakes_in_expressions_are_refused(fault):
    """
    The evaluator refuses what Azure Resource Manager would refuse.
    """
    with pytest.raises(ExpressionError):
        planted(REFUSED[fault])


def test_nested_templates_see_only_what_they_are_handed():
    """
    Inner scope: without it, names of the outer template would silently be used inside.
    """
    for name in TEMPLATES:
        for resource in read(name)["resources"]:
            if resource["type"] == DEPLOYMENTS:
                assert resource["properties"]["expressionEvaluationOptions"] == {"scope": "inner"}
