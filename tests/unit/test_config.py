"""
Settings: where a value comes from, what is refused and how, and that no secret shows.
"""

import copy
import pickle
import re
import tomllib
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelogin_connector import config
from onelogin_connector.config.people import AlarmOptions, Oidc
from onelogin_connector.config.reading import amount
from onelogin_connector.config.settings import Connector, JournalOptions, Log, Top, Web
from onelogin_connector.config.toml import toml_value
from onelogin_connector.errors import ConfigError
from onelogin_connector.setting import HttpUrl, Network, Secret, settings_of
from onelogin_connector.sinks import registry

TOKEN = "t" * 32
WORKSPACE = "00000000-1111-2222-3333-444444444444"
FUNCTION = {
    "WorkspaceID": WORKSPACE,
    "WorkspaceKey": "a2V5" * 16,
    "logAnalyticsUri": f"https://{WORKSPACE}.ods.opinsights.azure.com",
}
"""Settings of Microsoft's function."""
WHOLE = """
data_dir = "kept"
secret_key = { env = "STATE_KEY" }

[web]
host = "127.0.0.1"
port = 8080
webhook_port = 8443
public_url = "https://logs.example.com/"
trusted_proxies = ["10.0.0.0/8"]
metrics_token = { file = "metrics" }

[journal]
reserve = "2 GiB"
keep_delivered_hours = "2 days"

[connectors.acme]
name = "ACME \\"production\\" ü\\u0007"
domain = "https://acme.onelogin.com/"
client_id = "0123abc"
client_secret = { file = "secret" }
webhook_tokens = [{ env = "ACME_WEBHOOK_TOKEN" }, { env = "OLD_TOKEN" }]
poll_seconds = "2 min"
start = 2026-11-01T00:00:00Z

[sinks.store]
kind = "store"
retention_days = 30
backlog_limit = 5000
"""
ENVIRON = {"STATE_KEY": "k" * 40, "ACME_WEBHOOK_TOKEN": TOKEN, "OLD_TOKEN": "o" * 24}


@pytest.fixture
def load(tmp_path):
    """
    Give a function that writes a file and loads it, in a folder of its own.
    """
    (tmp_path / "secret").write_text("s3cret-value\n")
    (tmp_path / "metrics").write_text("metrics-value")

    def load_text(text=None, environ=None, **named):
        path = None
        if text is not None:
            path = tmp_path / "settings.toml"
            path.write_text(text, "utf-8")
        return config.load(path, environ or {}, folder=tmp_path, home=tmp_path / "home", **named)

    return load_text


def refusal(load, text, environ=None):
    """Return the message of a refused configuration."""
    with pytest.raises(ConfigError) as refused:
        load(text, environ)
    return str(refused.value)


def test_without_anything_there_is_a_connector_and_a_store(load, tmp_path):
    """
    The defaults run: loopback, port 8080, one connector, the local store.
    """
    found = load()
    assert list(found.connectors) == ["default"]
    assert found.connectors["default"].name == "default"
    assert [(name, sink.kind, sink.enabled) for name, sink in found.sinks.items()] == [
        ("store", "store", True)
    ]
    assert (found.web.host, found.web.port) == ("127.0.0.1", 8080)
    assert found.data_dir == tmp_path / "home/.local/share/onelogin-connector"
    assert (found.path, found.warnings, found.secret_key) == (None, (), None)


def test_a_whole_file_is_read(load, tmp_path):
    """
    Every kind of value arrives in the unit of its setting, secrets resolved.
    """
    found = load(WHOLE, ENVIRON)
    acme = found.connectors["acme"]
    assert found.data_dir == tmp_path / "kept"
    assert found.journal.reserve == 2 << 30
    assert found.journal.keep_delivered_hours == 48
    assert acme.poll_seconds == 120
    assert acme.domain == "acme.onelogin.com"
    assert acme.start == datetime(2026, 11, 1, tzinfo=UTC)
    assert acme.client_secret.reveal() == "s3cret-value"
    assert [token.reveal() for token in acme.webhook_tokens] == [TOKEN, "o" * 24]
    assert found.web.public_url == "https://logs.example.com"
    assert found.sinks["store"].backlog_limit == 5000
    assert found.sinks["store"].settings.retention_days == 30
    with pytest.raises(AttributeError):
        acme.name = "other"


def test_an_export_reads_back_the_same(load):
    """
    What is exported names secrets where they come from, holds none, and is the same configuration.
    """
    before = load(WHOLE, ENVIRON)
    text = config.export(before)
    for secret in (TOKEN, "s3cret-value", "metrics-value", "k" * 40):
        assert secret not in text
    after = load(text, ENVIRON)
    assert msgspec.structs.replace(after, path=before.path) == before
    assert config.export(after) == text


def test_a_secret_without_origin_is_exported_as_a_variable(load):
    """
    What was entered in the console is named, never written.
    """
    found = load(WHOLE, ENVIRON)
    acme = msgspec.structs.replace(
        found.connectors["acme"],
        client_secret=Secret("typed"),
        webhook_tokens=[Secret(TOKEN), Secret("o" * 30)],
    )
    text = config.export(msgspec.structs.replace(found, connectors={"acme-eu": acme}))
    assert 'client_secret = { env = "ACME_EU_CLIENT_SECRET" }' in text
    assert '{ env = "ACME_EU_WEBHOOK_TOKENS" }, { env = "ACME_EU_WEBHOOK_TOKENS_1" }' in text
    assert "typed" not in text
    with pytest.raises(TypeError):
        toml_value(Secret("typed"))


def test_flags_come_before_variables_and_variables_before_the_file(load):
    """
    The nearest to the person who starts the program wins.
    """
    text = "[web]\nport = 1\nhost = '127.0.0.2'\n"
    assert load(text).web.port == 1
    environ = {"ONELOGIN_CONNECTOR_PORT": "2", "ONELOGIN_CONNECTOR_HOST": "::1"}
    assert (load(text, environ).web.port, load(text, environ).web.host) == (2, "::1")
    assert load(text, environ, port=3).web.port == 3
    assert load(text, {"ONELOGIN_CONNECTOR_PORT": ""}).web.port == 1


def test_variables_reach_every_table(load, tmp_path):
    """
    Lists by commas, amounts with units, secrets by reference, and the default connector as a whole.
    """
    (tmp_path / "c").write_text("")
    environ = {
        "ONELOGIN_CONNECTOR_TRUSTED_PROXIES": "10.0.0.0/8, 192.168.1.1",
        "ONELOGIN_CONNECTOR_JOURNAL_RESERVE": "5 MB",
        "ONELOGIN_CONNECTOR_LOG_LEVEL": "debug",
        "ONELOGIN_CONNECTOR_TLS_CERT": "c",
        "ONELOGIN_CONNECTOR_TLS_KEY": "c",
        "ONELOGIN_CONNECTOR_WEBHOOK_TOKEN": TOKEN,
        "ONELOGIN_CONNECTOR_DOMAIN": "Acme",
        "ONELOGIN_CONNECTOR_CLIENT_ID": "id",
        "ONELOGIN_CONNECTOR_CLIENT_SECRET": "hidden",
        "ONELOGIN_CONNECTOR_ADMIN_PASSWORD": "a long password",
        "ONELOGIN_CONNECTOR_SECRET_KEY": "k" * 40,
        "ONELOGIN_CONNECTOR_DATA_DIR": "elsewhere",
    }
    found = load(None, environ)
    default = found.connectors["default"]
    assert found.web.trusted_proxies == ["10.0.0.0/8", "192.168.1.1/32"]
    assert found.web.tls.cert == "c"
    assert found.journal.reserve == 5_000_000
    assert found.log.level == "debug"
    assert (default.domain, default.client_id.reveal()) == ("acme.onelogin.com", "id")
    assert default.webhook_tokens == [Secret(TOKEN)]
    assert found.web.admin_password.reveal() == "a long password"
    assert found.secret_key.reveal() == "k" * 40
    assert found.data_dir == tmp_path / "elsewhere"
    assert found.warnings == ()
    assert "hidden" not in repr(found)


def test_every_variable_leads_to_a_setting():
    """
    The table of variables names only places that exist.
    """
    tables = {
        "web": Web,
        "journal": JournalOptions,
        "log": Log,
        "alarms": AlarmOptions,
        "oidc": Oidc,
        "connectors": Connector,
    }
    for name, place in config.variables().items():
        struct = Top if len(place) == 1 else tables[place[0]]
        last = place[1] if "tls" in place else place[-1]
        assert last in {setting.name for setting in settings_of(struct)}, name


def test_microsofts_settings_are_understood(load):
    """
    The function app's settings work as they are: the token becomes that of the default connector.
    """
    workspace = "00000000-1111-2222-3333-444444444444"
    environ = {
        "OneLoginBearerToken": TOKEN,
        "WorkspaceID": workspace,
        "WorkspaceKey": "a2V5",
        "logAnalyticsUri": f"https://{workspace}.ods.opinsights.azure.com",
    }
    found = load(None, environ)
    assert found.connectors["default"].webhook_tokens[0].reveal() == TOKEN
    assert found.legacy.workspace_id == workspace
    assert found.legacy.workspace_key.reveal() == "a2V5"
    assert found.legacy.log_analytics_uri == environ["logAnalyticsUri"]
    own = load(None, environ | {"ONELOGIN_CONNECTOR_WEBHOOK_TOKEN": "n" * 24})
    assert own.connectors["default"].webhook_tokens[0].reveal() == "n" * 24


def test_microsofts_workspace_becomes_a_sink(load):
    """
    Id and key make a sink of the older API by the name of legacy, beside the store; the address may be left out.
    """
    for environ in (FUNCTION, {key: value for key, value in FUNCTION.items() if key != "logAnalyticsUri"}):
        found = load(None, environ)
        sink = found.sinks["legacy"]
        assert sink.kind == "data_collector"
        assert set(found.sinks) == {"legacy", "store"}
        assert sink.settings.workspace_id == WORKSPACE
        assert sink.settings.workspace_key.reveal() == FUNCTION["WorkspaceKey"]
        assert sink.settings.origin == FUNCTION["logAnalyticsUri"]
        assert not sink.settings.include_backfill
        assert not found.warnings
    again = load(config.export(found), FUNCTION)
    assert again.sinks == found.sinks


def test_a_configured_sink_takes_the_place_of_microsofts_settings(load):
    """
    Where a sink of that kind is configured, the function's settings make no other.
    """
    text = f"""
    [sinks.mine]
    kind = "data_collector"
    workspace_id = "{WORKSPACE}"
    workspace_key = {{ env = "WorkspaceKey" }}
    """
    assert set(load(text, FUNCTION).sinks) == {"mine", "store"}
    said = refusal(load, '[sinks.legacy]\nkind = "store"', FUNCTION)
    assert "WorkspaceID" in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"WorkspaceID": "no-guid"}, "WorkspaceID"),
        ({"WorkspaceKey": "not base64!"}, "WorkspaceKey"),
        ({"logAnalyticsUri": "http://example.com"}, "logAnalyticsUri"),
    ],
)
def test_microsofts_settings_are_checked_under_their_names(load, changed, said):
    """
    What is wrong is named as the person knows it, and not repeated.
    """
    text = refusal(load, None, FUNCTION | changed)
    assert f"The environment variable {said}" in text
    assert next(iter(changed.values())) not in text


@pytest.mark.parametrize("name", ["WorkspaceID", "WorkspaceKey"])
def test_half_of_microsofts_settings_make_no_sink(load, name):
    """
    An id without a key, or the other way round, is said at the start.
    """
    found = load(None, {name: FUNCTION[name]})
    assert "legacy" not in found.sinks
    assert any("WorkspaceID and WorkspaceKey" in warning for warning in found.warnings)


SENTINEL = """
[sinks.sentinel]
kind = "logs_ingestion"
endpoint = "https://x-ab12.westeurope-1.ingest.monitor.azure.com"
rule_id = "dcr-00000000000000000000000000000000"
"""
CREDENTIALS = [
    'credential = { kind = "managed_identity" }',
    'credential = { kind = "managed_identity", client_id = "2222" }',
    'credential = { kind = "workload_identity", token_file = "/run/token" }',
    'credential = { kind = "static_token", token = { env = "TOKEN" } }',
    'credential = { kind = "client_secret", tenant_id = "1111", client_id = "2222", client_secret = { file = "secret" } }',
    '[sinks.sentinel.credential]\nkind = "client_secret"\ntenant_id = "1"\nclient_id = "2"\nclient_secret = { env = "TOKEN" }',
]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_a_credential_says_what_it_is(load, credential):
    """
    A table with a kind becomes what that kind is, its secrets are resolved within, and an export reads back the same.
    """
    found = load(f"{SENTINEL}{credential}", {"TOKEN": "t0ken-value"})
    chosen = found.sinks["sentinel"].settings.credential
    assert f'"{chosen.__struct_config__.tag}"' in credential
    for secret in ("client_secret", "token"):
        if f"{secret} = {{" in credential:
            assert getattr(chosen, secret).reveal() in {"t0ken-value", "s3cret-value"}
    exported = config.export(found)
    assert "t0ken-value" not in exported
    assert "s3cret-value" not in exported
    assert load(exported, {"TOKEN": "t0ken-value"}).sinks == found.sinks


@pytest.mark.parametrize(
    ("credential", "said"),
    [
        ("", "[sinks.sentinel] credential: is missing"),
        ('credential = "secret-value"', "[sinks.sentinel] credential: expected a table"),
        ("credential = {}", "[sinks.sentinel.credential] kind: is missing"),
        (
            'credential = { kind = "certificate" }',
            "client_secret, managed_identity, workload_identity, static_token",
        ),
        ("credential = { kind = 5 }", "there is no such kind"),
        (
            'credential = { kind = "managed_identity", tenant_id = "1" }',
            "[sinks.sentinel.credential] tenant_id",
        ),
        (
            'credential = { kind = "client_secret", tenant_id = "1", client_id = "2" }',
            "client_secret: is missing",
        ),
        ('credential = { kind = "static_token", token = "secret-value" }', "CREDENTIAL_TOKEN"),
        ('credential = { kind = "static_token", token = { env = "NOWHERE" } }', "NOWHERE is not set"),
        (
            (
                'credential = { kind = "client_secret", tenant_id = "1", client_id = "2", client_secret = { env = "TOKEN" }, '
                'authority = "https://login.example.com" }'
            ),
            "[sinks.sentinel.credential] authority",
        ),
        ('endpoint = "x"', "Cannot overwrite"),
    ],
)
def test_a_wrong_credential_is_told_by_its_place(load, credential, said):
    """
    The message names the table within the sink, and never what stood there.
    """
    text = refusal(load, f"{SENTINEL}{credential}", {"TOKEN": "t0ken-value"})
    assert said in text
    assert "secret-value" not in text
    assert "t0ken-value" not in text


def test_the_kinds_of_a_credential_are_in_the_reference():
    """
    Each kind has a section with its settings.
    """
    text = config.reference()
    for kind in ("client_secret", "managed_identity", "workload_identity", "static_token"):
        assert f'`credential` with `kind = "{kind}"`' in text
    assert "| `token_file` |" in text


@pytest.mark.parametrize("name", ["OneLoginBearerToken", "WorkspaceID", "WorkspaceKey", "logAnalyticsUri"])
def test_an_unresolved_key_vault_reference_is_explained(load, name):
    """
    The literal reference is what an app sees when its identity may not read the vault.
    """
    text = refusal(load, None, {name: "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/x)"})
    assert name in text
    assert "Key Vault Secrets User" in text
    assert "vault.azure.net" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[web]\nprot = 1",
            r"settings\.toml, \[web\] prot: there is no such setting\. Did you mean 'port'\?",
        ),
        ("conectors = 1", r"conectors: there is no such setting\. Did you mean 'connectors'\?"),
        ("zzz = 1", r"zzz: there is no such setting\. Known here: data_dir,"),
        ("[web]\nport = 'x'", r"\[web\] port: expected a whole number, got text\. For example: port = 8080"),
        ("[web]\nport = 65536", r"\[web\] port: expected a whole number <= 65535"),
        ("[web]\nport = true", r"\[web\] port: expected a whole number, got true or false"),
        ("web = 5", r"web: expected a table"),
        ("connectors = 5", r"connectors: expected tables such as \[connectors\.default\]"),
        ("connectors.x = 5", r"\[connectors\] x: expected a table \[connectors\.x\]"),
        ("[connectors.Acme]", r"\[connectors\] Acme: a name has 1 to 40"),
        (f"[connectors.{'a' * 41}]", r"a name has 1 to 40"),
        ("[connectors.a]\nnmae = 'x'", r"\[connectors\.a\] nmae: .* Did you mean 'name'"),
        (
            "[connectors.a]\ndomain = 'acme.onelogin.com.evil.example'",
            r"\[connectors\.a\] domain: expected a OneL",
        ),
        ("[connectors.a]\ndomain = 7", r"domain: expected text"),
        ("[connectors.a]\nclient_secret = 'abc'", r"client_secret: a secret does not stand.*A_CLIENT_SECRET"),
        ("[connectors.a]\nclient_secret = { env = 'NO' }", r"the environment variable NO is not set"),
        (
            "[connectors.a]\nclient_secret = { file = 'no' }",
            r"the secret's file .*no cannot be read: No such",
        ),
        ("[connectors.a]\nclient_secret = { file = '.' }", r"cannot be read: Is a directory"),
        (
            "[connectors.a]\nclient_secret = { keyvault = 'https://x' }",
            r"a Key Vault is not read by this version",
        ),
        ("[connectors.a]\nclient_secret = { vault = 'x' }", r"a reference is one of env, file and keyvault"),
        ("[connectors.a]\nclient_secret = { env = 5 }", r"a reference is one of"),
        (
            "[connectors.a]\nclient_id = 'x'",
            r"\[connectors\.a\] client_secret: an API credential is a client_id",
        ),
        (
            "[connectors.a]\nwebhook_tokens = [{ env = 'SHORT' }]",
            r"webhook_tokens: a token has fewer than 24",
        ),
        ("[connectors.a]\nwebhook_tokens = ['x']", r"webhook_tokens: a secret does not stand"),
        ("[connectors.a]\nwebhook_tokens = [{env='A'},{env='A'},{env='A'}]", r"a list of length <= 2"),
        ("[connectors.a]\nstart = 2026-01-01T00:00:00", r"start: expected a time.*timezone"),
        ("[connectors.a]\nstart = 'yesterday'", r"start: .*For example: start = \"2026"),
        (
            "[connectors.a]\napi_url = 'http://api.example.com'",
            r"api_url: plain http is accepted on this machine",
        ),
        ("[connectors.a]\npoll_seconds = 1", r"poll_seconds: expected a number >= 5"),
        (
            "[connectors.a]\npoll_seconds = '5 GiB'",
            r"poll_seconds: expected an amount with one of the units ms, s",
        ),
        (
            "[connectors.a]\nallowed_networks = ['10.0.0.1/8']",
            r"allowed_networks: .* has host bits set \(in its",
        ),
        ("[connectors.a]\ntime_rule = 'ceil'", r"time_rule: invalid enum value 'ceil'"),
        ("[journal]\nreserve = '-1 GiB'", r"reserve: expected an amount in bytes"),
        ("[journal]\nreserve = '3 parsecs'", r"reserve: expected an amount with one of the units b,"),
        ("[sinks.x]", r"\[sinks\.x\] kind: is missing\. The kinds are .*store"),
        ("[sinks.x]\nkind = 'splunk'", r"\[sinks\.x\] kind: there is no such kind of sink\. The kinds are"),
        ("[sinks.x]\nkind = 5", r"\[sinks\.x\] kind: there is no such kind"),
        ("[sinks.store]\nretention_dys = 5", r"\[sinks\.store\] retention_dys: .*'retention_days'"),
        ("[sinks.store]\nenabled = 'yes'", r"\[sinks\.store\] enabled: expected true or false, got text"),
        (
            "[sinks.a]\nkind='store'\n[sinks.b]\nkind='store'",
            r"\[sinks\] b: there is one store, and \[sinks\.a\]",
        ),
        ("[web]\nport = 80\nwebhook_port = 80", r"webhook_port: 80 is the port of the console already"),
        ("[web]\ntls = { cert = 'a' }", r"\[web\.tls\] key: is missing"),
        ("[web]\ntls = { cert = 'no', key = 'no' }", r"\[web\.tls\] cert: .*no cannot be read: No such file"),
        ("[web]\npublic_url = 'https://u:p@x.example'", r"public_url: an address holds no user"),
        ("x = [", r"settings\.toml is not TOML: .*(line|end of document)"),
        ("data_dir = 5", r"data_dir: expected text, got a whole number"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(load, text, expected):
    """
    Each message names file, table and key, and says what was expected.
    """
    message = refusal(load, text, {"SHORT": "short-but-secret", "A": TOKEN})
    assert re.search(expected, message), message
    assert "settings.toml" in message
    assert "short-but-secret" not in message


def test_a_wrong_variable_or_flag_is_named_itself(load):
    """
    A message about a value from outside the file does not send the reader to the file.
    """
    message = refusal(load, "", {"ONELOGIN_CONNECTOR_PORT": "eighty"})
    assert message.startswith("The environment variable ONELOGIN_CONNECTOR_PORT: expected a whole number")
    message = refusal(load, "", {"ONELOGIN_CONNECTOR_WEBHOOK_TOKEN": "short"})
    assert message.startswith("The environment variable ONELOGIN_CONNECTOR_WEBHOOK_TOKEN: a token has fewer")
    with pytest.raises(ConfigError, match=r"^--port: expected a whole number <= 65535"):
        load("", port=70_000)


def test_missing_and_unreadable_files(tmp_path):
    """
    A named file must be there; the usual one may be missing; bytes that are no text are no TOML.
    """
    with pytest.raises(ConfigError, match=r"no settings file .*no\.toml.*init"):
        config.load(tmp_path / "no.toml", {})
    with pytest.raises(ConfigError, match="no settings file"):
        config.load(None, {"ONELOGIN_CONNECTOR_CONFIG": "no.toml"}, folder=tmp_path)
    (tmp_path / "onelogin-connector.toml").write_bytes(b"\xef\xbb\xbf[web]\nport = 7\n")
    assert config.load(None, {}, folder=tmp_path, home=tmp_path).web.port == 7
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        config.load(tmp_path / "bad.toml", {})


def test_the_data_folder(load, tmp_path):
    """
    A flag is relative to where it is typed, the file's value to the file; a checkout keeps its own.
    """
    xdg = {"XDG_DATA_HOME": str(tmp_path / "xdg")}
    assert load(None, xdg).data_dir == tmp_path / "xdg/onelogin-connector"
    assert load(None, xdg, demo=True).data_dir == tmp_path / "xdg/onelogin-connector-demo"
    assert (
        load(None, {"XDG_DATA_HOME": "relative"}).data_dir
        == tmp_path / "home/.local/share/onelogin-connector"
    )
    assert load('data_dir = "~/kept"').data_dir == tmp_path / "home/kept"
    (tmp_path / "Makefile").touch()
    assert load(None, xdg).data_dir == tmp_path / "xdg/onelogin-connector", "a Makefile alone is no checkout"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "onelogin-connector"\n')
    assert load(None, xdg).data_dir == tmp_path / "data"
    assert load(None, xdg, demo=True).data_dir == tmp_path / "data-demo"
    assert load(None, xdg, data_dir=tmp_path / "flag").data_dir == tmp_path / "flag"


def test_kubernetes_and_typing_mistakes_among_the_variables(load):
    """
    A service's injected address is no port; an unknown name is told, unless the file refers to it.
    """
    injected = {
        "ONELOGIN_CONNECTOR_PORT": "tcp://10.0.0.1:80",
        "ONELOGIN_CONNECTOR_PORT_80_TCP": "tcp://10.0.0.1:80",
    }
    assert load(None, injected).web.port == 8080
    assert load(None, injected).warnings == ()
    (warning,) = load(None, {"ONELOGIN_CONNECTOR_PROT": "x-value"}).warnings
    assert "ONELOGIN_CONNECTOR_PROT" in warning
    assert "x-value" not in warning
    own = {"ONELOGIN_CONNECTOR_ACME": TOKEN}
    assert load('[connectors.a]\nwebhook_tokens = [{ env = "ONELOGIN_CONNECTOR_ACME" }]', own).warnings == ()


def test_listening_in_the_clear_is_told(load):
    """
    Beyond this machine, without TLS and without a proxy, passwords cross the network readable.
    """
    assert "without TLS" in load('[web]\nhost = "0.0.0.0"').warnings[0]
    assert load('[web]\nhost = "0.0.0.0"\ntrusted_proxies = ["10.0.0.0/8"]').warnings == ()


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("acme", "acme.onelogin.com"),
        (" ACME.OneLogin.com ", "acme.onelogin.com"),
        ("https://acme.onelogin.com/", "acme.onelogin.com"),
        ("https://acme.onelogin.com:443/admin2?x=1", "acme.onelogin.com"),
        ("api.us.onelogin.com", "api.us.onelogin.com"),
        ("https://api.eu.onelogin.com", "api.eu.onelogin.com"),
        ("a-1", "a-1.onelogin.com"),
    ],
)
def test_domains_in_every_usual_form(text, host):
    """
    A subdomain, a host, and what the browser's address bar holds.
    """
    assert config.Domain(text) == host
    assert config.Domain(config.Domain(text)) == host


@pytest.mark.parametrize(
    "text",
    ["", " ", ".", "-acme", "acme-", "evil.com", "acme.onelogin.com.evil.com", "onelogin.com", "a.b.onelogin.com",
     "acme@evil.com", "https://acme.onelogin.com@evil.com", "http://[", "acmé", "acme\n", "a_b", "api.de.onelogin.com",
     "evil.com/acme.onelogin.com", "evil.com#.onelogin.com", "evil.com?.onelogin.com", "x" * 64],
)  # fmt: skip
def test_no_look_alike_is_a_domain(text):
    """
    A token must go to OneLogin and nowhere else.
    """
    try:
        found = config.Domain(text)
    except ValueError:
        return
    assert re.fullmatch(r"[a-z0-9-]+\.onelogin\.com", found), found
    assert found == "acme.onelogin.com"


@given(st.text(max_size=80))
def test_any_text_is_a_domain_of_onelogin_or_refused(text):
    """
    Whatever is typed, no other host comes out.
    """
    try:
        found = config.Domain(text)
    except ValueError:
        return
    assert found.endswith(".onelogin.com")
    assert re.fullmatch(r"[a-z0-9.-]+", found)


def test_addresses():
    """
    Plain http stays on this machine, and an address is kept in one form.
    """
    for good in ("http://127.0.0.1:9001", "http://localhost", "http://[::1]:1", "https://a.example/p"):
        assert HttpUrl(f" {good}/ ") == good
    for bad in ("http://10.0.0.1", "http://localhost.evil.com", "ftp://x", "https://", "https://a/?q=1", "//x", "x",
                "https://a#f", "https://[", "https://a:99999", "http://127.0.0.1.evil.com"):  # fmt: skip
        with pytest.raises(ValueError, match=r"address|https|plain"):
            HttpUrl(bad)
    assert Network(" 10.0.0.1 ") == "10.0.0.1/32"


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("1 GiB", "bytes", 1 << 30),
        ("1.5kb", "bytes", 1_500),
        ("90 s", "seconds", 90),
        ("2 Minutes", "seconds", 120),
        ("36 h", "days", 1.5),
        ("7", "days", 7),
        ("250ms", "seconds", 0.25),
        ("1 week", "hours", 168),
    ],
)
def test_amounts_with_units(text, unit, number):
    """
    A unit is converted into the setting's own; a bare number is in it already.
    """
    assert amount(text, unit) == number


def test_a_secret_shows_itself_to_nobody():
    """
    Neither printing nor formatting nor copying to another process gives it away.
    """
    secret = Secret("hunter2-value", ("env", "NAME"))
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        repr([secret]),
        ascii(secret),
    ]
    shown.append(repr(Connector(client_id=secret, client_secret=secret)))
    assert not any("hunter2" in text for text in shown)
    assert repr(secret) == "Secret(env NAME)"
    assert repr(Secret("hunter2")) == "Secret(…)"
    for attempt in (
        lambda: pickle.dumps(secret),
        lambda: msgspec.json.encode(secret),
        lambda: msgspec.json.encode(Connector(client_id=secret, client_secret=secret)),
        lambda: msgspec.to_builtins(secret),
        secret.__getstate__,
        lambda: vars(secret),
    ):
        with pytest.raises(TypeError) as refused:
            attempt()
        assert "hunter2" not in str(refused.value)
    assert copy.deepcopy(secret) is secret
    assert secret == Secret("hunter2-value")
    assert secret != Secret("other")
    assert secret != "hunter2-value"


def test_secrets_with_surprises_are_refused(load, tmp_path):
    """
    An empty file, two lines, and bytes that are no text would fail later and far away.
    """
    for content, expected in ((b"\n", "is empty"), (b"a\nb", "line breaks"), (b"\xff", "not text in UTF-8")):
        (tmp_path / "odd").write_bytes(content)
        assert expected in refusal(load, "secret_key = { file = 'odd' }")


def test_every_setting_is_described_with_a_unit_or_its_name():
    """
    Description, example, and a unit wherever an amount is meant.
    """
    for struct in (Top, Web, JournalOptions, Log, Connector, *map(registry.settings_type, registry.kinds())):
        for setting in settings_of(struct):
            assert setting.description.endswith("."), setting.name
            for unit in ("seconds", "minutes", "hours", "days"):
                if setting.name.endswith(f"_{unit}"):
                    assert setting.unit == unit, setting.name


def test_every_example_can_be_written(load, tmp_path):
    """
    The examples of the reference page, put into a file, are accepted.
    """
    (tmp_path / "tls").write_text("")
    lines = []
    for name, struct in (
        ("", Top),
        ("web", Web),
        ("journal", JournalOptions),
        ("log", Log),
        ("connectors.a", Connector),
    ):
        lines += [f"[{name}]"] if name else []
        for setting in settings_of(struct):
            assert setting.example is not None, setting.name
            lines.append(f"{setting.name} = {toml_value(setting.example)}")
    text = "\n".join(lines)
    text = re.sub(r'file = "[^"]*"', 'file = "secret"', text)
    text = re.sub(r'(cert|key) = "/[^"]*"', r'\1 = "tls"', text)
    names = re.findall(r'env = "(\w+)"', text)
    found = load(text, dict.fromkeys(names, TOKEN))
    assert found.connectors["a"].name == "ACME production"


def test_the_starter_is_the_default_and_shows_every_setting(load):
    """
    As written it changes nothing, and every line that can be uncommented is TOML.
    """
    text = config.starter()
    assert load(text).connectors == load().connectors
    assert load(text).web == load().web
    for setting in settings_of(Connector):
        assert f"# {setting.name} = " in text
    uncommented = [line[2:] for line in text.splitlines() if re.match(r"# \w+ = ", line)]
    for line in uncommented:
        tomllib.loads(line)


def test_the_reference_names_everything():
    """
    Every setting, kind of sink and variable has its line.
    """
    text = config.reference()
    for struct in (Top, Web, JournalOptions, Log, Connector, *map(registry.settings_type, registry.kinds())):
        for setting in settings_of(struct):
            assert f"| `{setting.name}` |" in text
    for name in config.variables():
        assert f"`{name}`" in text
    for kind in registry.kinds():
        assert f'kind = "{kind}"' in text


def test_the_registry_finds_files_by_name_and_explains_the_rest():
    """
    The kind is the file's name; the protocol's own modules are none; an unknown one is told.
    """
    assert "store" in registry.kinds()
    assert not {"base", "registry"} & set(registry.kinds())
    assert registry.sink_type("store").kind == "store"
    with pytest.raises(ConfigError, match=r"no sink of kind 'base'\. The kinds are"):
        registry.settings_type("base")


TEXT = st.text(max_size=30)
VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_reads_back(value):
    """
    Every value comes back from its TOML form as it was.
    """
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.sampled_from(["", "web", "journal", "log", "connectors", "connectors.a", "sinks", "sinks.store"]),
    st.one_of(
        TEXT,
        st.sampled_from([s.name for t in (Top, Web, JournalOptions, Log, Connector) for s in settings_of(t)]),
    ),
    VALUES,
)
def test_any_file_is_read_or_refused_with_a_sentence(load, table, name, value):
    """
    No value in any place ends in another exception than a configuration error that can be read.
    """
    key = toml_value(name)
    text = f"[{table}]\n{key} = {toml_value(value)}\n" if table else f"{key} = {toml_value(value)}\n"
    with suppress(ConfigError):
        load(text)
