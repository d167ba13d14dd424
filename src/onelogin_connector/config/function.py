"""
The settings of the function app, from the application settings that Azure hands it as environment variables.

Those of Microsoft's function (``OneLoginBearerToken``, ``WorkspaceID``, ``WorkspaceKey``, ``logAnalyticsUri``) mean what they meant
there, so that its package can be exchanged for ours. ``docs/azure/function-settings.md`` lists all of them.
"""

from collections.abc import Callable, Mapping
from re import fullmatch
from typing import TypeVar

from msgspec import Struct

from onelogin_connector.azure.credentials import ManagedIdentity
from onelogin_connector.azure.logs_ingestion import RuleId
from onelogin_connector.config.loading import DEFAULT, PREFIX
from onelogin_connector.config.settings import Domain
from onelogin_connector.errors import ConfigError
from onelogin_connector.setting import UNRESOLVED, HttpUrl, Secret
from onelogin_connector.sinks import data_collector, logs_ingestion

T = TypeVar("T")

TOKENS = ("OneLoginBearerToken", f"{PREFIX}WEBHOOK_TOKEN")
STORAGE = "AzureWebJobsStorage"
NAMES = (
    *TOKENS,
    "WorkspaceID",
    "WorkspaceKey",
    "logAnalyticsUri",
    STORAGE,
    f"{STORAGE}__blobServiceUri",
    f"{STORAGE}__accountName",
    f"{STORAGE}__credential",
    f"{STORAGE}__clientId",
    *(
        PREFIX + name
        for name in (
            "LOGS_ENDPOINT",
            "LOGS_RULE_ID",
            "LOGS_STREAM",
            "LOGS_CLIENT_ID",
            "SPOOL_CONTAINER",
            "POLL",
            "DOMAIN",
            "CLIENT_ID",
            "CLIENT_SECRET",
        )
    ),
)
"""Every setting that is read."""

CONTAINER = "onelogin-connector"
WORDS = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False, "": False}


class ByConnection(Struct, frozen=True):
    """
    A storage account by its connection string.
    """

    connection: Secret


class ByIdentity(Struct, frozen=True):
    """
    A storage account by a managed identity.
    """

    address: HttpUrl
    client_id: str = ""


class Api(Struct, frozen=True):
    """
    The Events API that is listed too.
    """

    url: HttpUrl
    client_id: Secret
    client_secret: Secret


class FunctionSettings(Struct, frozen=True, kw_only=True):
    """
    What a function app needs to know.
    """

    tokens: tuple[Secret, ...]
    storage: ByConnection | ByIdentity
    container: str
    sink: logs_ingestion.Settings | data_collector.Settings
    api: Api | None = None
    connector: str = DEFAULT


def load(environ: Mapping[str, str]) -> FunctionSettings:
    """
    Read the settings.

    Raises:
        ConfigError: Naming the setting, and what to write there; never its value.
    """
    given = {name: environ.get(name, "").strip() for name in NAMES}
    for name, value in given.items():
        if value.startswith(UNRESOLVED):
            raise ConfigError(
                f"The setting {name} holds a Key Vault reference that Azure could not resolve, not the value.",
                action="Give the app's managed identity the role Key Vault Secrets User on the vault, check vault and secret "
                "name, and restart the app. Settings > Environment variables shows the reference's state.",
            )
    tokens = tuple(Secret(given[name], ("env", name)) for name in TOKENS if given[name])
    if not tokens:
        raise ConfigError(
            "The setting OneLoginBearerToken is missing, so no sender could be told from another.",
            action="Set it to the token that OneLogin's webhook sends as `Authorization: Bearer <token>`.",
        )
    container = given[f"{PREFIX}SPOOL_CONTAINER"] or CONTAINER
    if not fullmatch(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*", container):
        raise ConfigError(
            f"The setting {PREFIX}SPOOL_CONTAINER is no name of a container.",
            action="Use 3 to 63 small letters, digits and single dashes.",
        )
    return FunctionSettings(
        tokens=tokens, storage=_storage(given), container=container, sink=_sink(given), api=_api(given)
    )


def _storage(given: Mapping[str, str]) -> ByConnection | ByIdentity:
    if given[STORAGE]:
        return ByConnection(Secret(given[STORAGE], ("env", STORAGE)))
    address = given[f"{STORAGE}__blobServiceUri"]
    account = given[f"{STORAGE}__accountName"]
    if not address and account:
        address = f"https://{account}.blob.core.windows.net"
    if not address:
        raise ConfigError(
            f"Neither {STORAGE} nor {STORAGE}__blobServiceUri is set, so there is no place to keep what is received.",
            action="Set one of them to the function app's storage account.",
        )
    if given[f"{STORAGE}__credential"].lower() not in ("", "managedidentity"):
        raise ConfigError(
            f"The setting {STORAGE}__credential is neither empty nor managedidentity.",
            action="Use a managed identity, or a connection string.",
        )
    return ByIdentity(_as(HttpUrl, f"{STORAGE}__blobServiceUri", address), given[f"{STORAGE}__clientId"])


def _sink(given: Mapping[str, str]) -> logs_ingestion.Settings | data_collector.Settings:
    """
    Return the destination: a data collection rule where one is named, else the workspace.
    """
    names = [f"{PREFIX}LOGS_ENDPOINT", f"{PREFIX}LOGS_RULE_ID"]
    if any(given[name] for name in names):
        _require(given, names, "to send events to a data collection rule")
        stream = given[f"{PREFIX}LOGS_STREAM"]
        if not fullmatch(r"((Custom|Microsoft)-[A-Za-z0-9_-]{1,100})?", stream):
            raise ConfigError(
                f"The setting {PREFIX}LOGS_STREAM is no name of a stream.", action="Use Custom-OneLogin_CL."
            )
        endpoint = _as(HttpUrl, names[0], given[names[0]])
        rule_id = _as(RuleId, names[1], given[names[1]])
        identity = ManagedIdentity(client_id=given[f"{PREFIX}LOGS_CLIENT_ID"])
        return _made(
            lambda: logs_ingestion.Settings(
                endpoint=endpoint, rule_id=rule_id, credential=identity, stream=stream
            ),
            names[0],
        )
    names = ["WorkspaceID", "WorkspaceKey"]
    if not any(given[name] for name in names):
        raise ConfigError(
            "No destination is set.",
            action=f"Set {PREFIX}LOGS_ENDPOINT and {PREFIX}LOGS_RULE_ID, or WorkspaceID and WorkspaceKey.",
        )
    _require(given, names, "to send events to a workspace")
    uri = given["logAnalyticsUri"]
    address = _as(HttpUrl, "logAnalyticsUri", uri) if uri else None
    workspace = _as(data_collector.WorkspaceId, names[0], given[names[0]])
    key = Secret(given[names[1]], ("env", names[1]))
    return _made(
        lambda: data_collector.Settings(workspace_id=workspace, workspace_key=key, endpoint=address), names[1]
    )


def _api(given: Mapping[str, str]) -> Api | None:
    text = given[f"{PREFIX}POLL"].lower()
    if text not in WORDS:
        raise ConfigError(f"The setting {PREFIX}POLL is neither on nor off.", action="Use on or off.")
    if not WORDS[text]:
        return None
    names = [f"{PREFIX}DOMAIN", f"{PREFIX}CLIENT_ID", f"{PREFIX}CLIENT_SECRET"]
    _require(given, names, "to list the Events API")
    domain = _as(Domain, names[0], given[names[0]])
    identity, secret = (Secret(given[name], ("env", name)) for name in names[1:])
    return Api(HttpUrl(f"https://{domain}"), identity, secret)


def _require(given: Mapping[str, str], names: list[str], purpose: str) -> None:
    missing = [name for name in names if not given[name]]
    if missing:
        raise ConfigError(
            f"The setting {missing[0]} is missing.",
            action=f"{' and '.join(names)} are needed {purpose}.",
        )


def _as(kind: Callable[[str], T], name: str, value: str) -> T:
    return _made(lambda: kind(value), name)


def _made(make: Callable[[], T], name: str) -> T:
    try:
        return make()
    except ValueError as error:
        raise ConfigError(f"The setting {name}: {error}.") from error
