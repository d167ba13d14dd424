"""
Find the file, lay environment and flags over it, and read the whole as settings.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from re import fullmatch
from typing import Any

from msgspec import Struct

from onelogin_connector.config.people import AlarmOptions, Oidc
from onelogin_connector.config.reading import Place, Reader
from onelogin_connector.config.settings import (
    Connector,
    JournalOptions,
    Legacy,
    Log,
    Settings,
    SinkOptions,
    SinkSettings,
    Top,
    Web,
)
from onelogin_connector.errors import ConfigError
from onelogin_connector.setting import UNRESOLVED, HttpUrl, Secret, is_loopback, settings_of
from onelogin_connector.sinks import registry

PREFIX = "ONELOGIN_CONNECTOR_"
FILE_NAME = "onelogin-connector.toml"
DEFAULT = "default"
"""Id of the connector that is there when none is configured, and that variables speak of."""

TABLES = ["web", "journal", "log", "alarms", "oidc", "connectors", "sinks"]
OF_CONNECTOR = {
    "WEBHOOK_TOKEN": "webhook_tokens",
    "DOMAIN": "domain",
    "CLIENT_ID": "client_id",
    "CLIENT_SECRET": "client_secret",
}
"""Variable → setting of the default connector, for containers that are set up by variables alone."""

LEGACY_SINK, LEGACY_KIND = "legacy", "data_collector"
"""Name and kind of the sink that the settings of Microsoft's function make."""
OF_FUNCTION = {
    "workspace_id": "WorkspaceID",
    "workspace_key": "WorkspaceKey",
    "endpoint": "logAnalyticsUri",
}
"""Setting of that sink → setting of the function."""


def load(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    data_dir: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    demo: bool = False,
    folder: Path | None = None,
    home: Path | None = None,
) -> Settings:
    """
    Read the settings.

    Args:
        path: The file; None takes the variable ``ONELOGIN_CONNECTOR_CONFIG``, else ``./onelogin-connector.toml``
            when present, else no file.
        environ: The environment.
        data_dir, host, port: What flags of the command line say.
        demo: Default to the demo's own data folder.
        folder: The working directory, where it is not the process's.
        home: The home directory, where it is not the user's.

    Raises:
        ConfigError: Naming the place and what to write there.
    """
    folder = folder or Path.cwd()
    path = _find(path, environ, folder)
    table = {} if path is None else _parse(path)
    origins: dict[Place, str] = {}
    _lay_environment(table, environ, origins)
    flags = {("web", "host"): host, ("web", "port"): port, ("data_dir",): str(data_dir) if data_dir else None}
    for place, value in flags.items():
        if value is not None:
            origins[place] = f"--{place[-1].replace('_', '-')}"
            _put(table, place, value)
    reader = Reader(str(path or "settings"), environ, path.parent if path else folder, origins)
    on_top = [setting.name for setting in settings_of(Top)]
    reader.refuse_unknown(table, on_top + TABLES, ())
    top = reader.read(Top, {key: table[key] for key in on_top if key in table}, ())
    web = reader.read(Web, table.get("web", {}), ("web",))
    legacy, sinks = _legacy(reader, environ), _sinks(reader, table)
    _add_legacy_sink(reader, sinks, legacy, origins)
    settings = Settings(
        data_dir=_data_dir(reader, top.data_dir, environ, folder, home or Path.home(), demo=demo),
        secret_key=top.secret_key,
        web=web,
        journal=reader.read(JournalOptions, table.get("journal", {}), ("journal",)),
        log=reader.read(Log, table.get("log", {}), ("log",)),
        alarms=reader.read(AlarmOptions, table.get("alarms", {}), ("alarms",)),
        oidc=reader.read(Oidc, table.get("oidc", {}), ("oidc",)),
        connectors=_connectors(reader, table),
        sinks=sinks,
        legacy=legacy,
        path=path,
        warnings=tuple(_warnings(web, table, environ)),
    )
    _check_web(reader, web)
    return settings


def variables() -> dict[str, Place]:
    """
    Return every environment variable that stands for a setting → its place in the file.
    """
    found: dict[str, Place] = {"DATA_DIR": ("data_dir",), "SECRET_KEY": ("secret_key",)}
    found |= {name: ("connectors", DEFAULT, key) for name, key in OF_CONNECTOR.items()}
    tables: tuple[tuple[str, str, type[Struct]], ...] = (
        ("", "web", Web),
        ("JOURNAL_", "journal", JournalOptions),
        ("LOG_", "log", Log),
        ("ALARMS_", "alarms", AlarmOptions),
        ("OIDC_", "oidc", Oidc),
    )
    for prefix, table, struct in tables:
        for setting in settings_of(struct):
            inner = settings_of(setting.table) if setting.table else []
            for part in inner:
                found[f"{prefix}{setting.name}_{part.name}".upper()] = (table, setting.name, part.name)
            if not inner:
                found[f"{prefix}{setting.name}".upper()] = (table, setting.name)
    return {PREFIX + name: place for name, place in found.items()}


def _find(path: Path | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    named = path or environ.get(f"{PREFIX}CONFIG") or None
    found = folder / (named or FILE_NAME)
    if found.is_file():
        return found
    if named is None:
        return None
    raise ConfigError(
        f"There is no settings file {found}.",
        action="Check the path given with --config or ONELOGIN_CONNECTOR_CONFIG, or write one with: "
        "onelogin-connector init",
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            f"The settings file {path} cannot be read: {error.strerror}.", action="Check its owner and mode."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The settings file {path} is not TOML: {error}.", action="Correct the place it names."
        ) from error


def _put(table: dict[str, Any], place: Place, value: Any) -> None:
    for part in place[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # the reader refuses it with a message of its own
        table = inner
    table[place[-1]] = value


def _lay_environment(table: dict[str, Any], environ: Mapping[str, str], origins: dict[Place, str]) -> None:
    for name, place in variables().items():
        text = environ.get(name, "")
        if not text or _is_of_kubernetes(text):
            continue
        origins[place] = f"The environment variable {name}"
        _put(table, place, _from_text(name, place, text))
    token = environ.get("OneLoginBearerToken", "")
    if token and f"{PREFIX}WEBHOOK_TOKEN" not in environ:
        place = ("connectors", DEFAULT, "webhook_tokens")
        origins[place] = "The environment variable OneLoginBearerToken"
        _put(table, place, [{"env": "OneLoginBearerToken"}])


def _from_text(name: str, place: Place, text: str) -> Any:
    """
    Return what a file would hold in place of a variable's text.
    """
    structs: dict[str, type[Struct]] = {
        "web": Web,
        "journal": JournalOptions,
        "log": Log,
        "alarms": AlarmOptions,
        "oidc": Oidc,
        "connectors": Connector,
    }
    if "tls" in place:
        return text
    struct = structs.get(place[0], Top)
    setting = next(setting for setting in settings_of(struct) if setting.name == place[-1])
    if setting.name == "webhook_tokens":
        return [{"env": name}]
    if setting.holds is Secret:
        return {"env": name}
    return [part.strip() for part in text.split(",")] if setting.holds is list else text


def _is_of_kubernetes(text: str) -> bool:
    # a Kubernetes service named onelogin-connector puts ONELOGIN_CONNECTOR_PORT=tcp://10.0.0.1:80 into every pod
    return text.startswith(("tcp://", "udp://"))


def _data_dir(
    reader: Reader, named: str | None, environ: Mapping[str, str], folder: Path, home: Path, *, demo: bool
) -> Path:
    if named:
        start = folder if ("data_dir",) in reader.origins else reader.folder
        expanded = home / named.removeprefix("~/") if named.startswith("~/") else Path(named)
        return (start / expanded).resolve()
    ending = "-demo" if demo else ""
    if _is_checkout(folder):
        return (folder / f"data{ending}").resolve()
    base = environ.get("XDG_DATA_HOME", "")
    # the specification says that a relative path is to be ignored
    start = Path(base) if base.startswith("/") else home / ".local" / "share"
    return start / f"onelogin-connector{ending}"


def _is_checkout(folder: Path) -> bool:
    try:
        text = (folder / "pyproject.toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return (folder / "Makefile").is_file() and 'name = "onelogin-connector"' in text


def _named_tables(
    reader: Reader, table: Mapping[str, Any], key: str, names: str
) -> dict[str, dict[str, Any]]:
    parts = table.get(key, {})
    if not isinstance(parts, dict):
        raise reader.error((key,), f"expected tables such as [{key}.{DEFAULT}]")
    for name, part in parts.items():
        if not fullmatch(f"[{names}]{{1,40}}", name):
            raise reader.error((key, name), f"a name has 1 to 40 of the characters {names}")
        if not isinstance(part, dict):
            raise reader.error((key, name), f"expected a table [{key}.{name}]")
    return parts


def _connectors(reader: Reader, table: Mapping[str, Any]) -> dict[str, Connector]:
    parts = _named_tables(reader, table, "connectors", "a-z0-9-") or {DEFAULT: {}}
    return {
        name: reader.read(Connector, {"name": name} | part, ("connectors", name))
        for name, part in parts.items()
    }


def _sinks(reader: Reader, table: Mapping[str, Any]) -> dict[str, SinkSettings]:
    parts = _named_tables(reader, table, "sinks", "a-z0-9_-")
    found = {name: _sink(reader, name, part) for name, part in parts.items()}
    stores = [name for name, sink in found.items() if sink.kind == "store"]
    if len(stores) > 1:
        raise reader.error(("sinks", stores[1]), f"there is one store, and [sinks.{stores[0]}] is it")
    if not stores:
        if "store" in found:
            raise reader.error(
                ("sinks", "store"), "this name belongs to the sink of kind store", "Rename the sink."
            )
        found["store"] = _sink(reader, "store", {})
    return found


def _sink(reader: Reader, name: str, part: dict[str, Any]) -> SinkSettings:
    place = ("sinks", name)
    kinds = registry.kinds()
    kind = part.get("kind", name if name in kinds else None)
    if kind is None:
        raise reader.error((*place, "kind"), "is missing", f"The kinds are {', '.join(kinds)}.")
    if kind not in kinds:
        raise reader.error(
            (*place, "kind"), "there is no such kind of sink", f"The kinds are {', '.join(kinds)}."
        )
    struct = registry.settings_type(kind)
    common = [setting.name for setting in settings_of(SinkOptions)]
    own = [setting.name for setting in settings_of(struct)]
    reader.refuse_unknown(part, own + [key for key in common if key not in own], place)
    options = reader.read(
        SinkOptions, {"kind": kind} | {key: value for key, value in part.items() if key in common}, place
    )
    settings = reader.read(struct, {key: value for key, value in part.items() if key in own}, place)
    return SinkSettings(**{key: getattr(options, key) for key in common}, settings=settings)


def _legacy(reader: Reader, environ: Mapping[str, str]) -> Legacy:
    for name in ("WorkspaceID", "logAnalyticsUri"):
        if environ.get(name, "").startswith(UNRESOLVED):
            reader.secret({"env": name}, (name,))  # raises, with the explanation
    address = environ.get("logAnalyticsUri", "").strip()
    try:
        uri = HttpUrl(address) if address else None
    except ValueError as error:
        raise ConfigError(f"The environment variable logAnalyticsUri: {error}.") from error
    key = environ.get("WorkspaceKey")
    return Legacy(
        workspace_id=environ.get("WorkspaceID", "").strip() or None,
        workspace_key=reader.secret({"env": "WorkspaceKey"}, ("WorkspaceKey",)) if key else None,
        log_analytics_uri=uri,
    )


def _add_legacy_sink(
    reader: Reader, sinks: dict[str, SinkSettings], legacy: Legacy, origins: dict[Place, str]
) -> None:
    """
    Make the sink that the settings of Microsoft's function mean, unless one of its kind is configured.
    """
    if not (legacy.workspace_id and legacy.workspace_key):
        return
    if any(sink.kind == LEGACY_KIND for sink in sinks.values()):
        return
    if LEGACY_SINK in sinks:
        raise reader.error(
            ("sinks", LEGACY_SINK),
            "this name belongs to the sink that WorkspaceID and WorkspaceKey make",
            "Rename the sink, or unset these variables.",
        )
    part: dict[str, Any] = {
        "kind": LEGACY_KIND,
        "workspace_id": legacy.workspace_id,
        "workspace_key": {"env": "WorkspaceKey"},
    }
    if legacy.log_analytics_uri:
        part["endpoint"] = str(legacy.log_analytics_uri)
    for key, name in OF_FUNCTION.items():
        origins["sinks", LEGACY_SINK, key] = f"The environment variable {name}"
    sinks[LEGACY_SINK] = _sink(reader, LEGACY_SINK, part)


def _check_web(reader: Reader, web: Web) -> None:
    if web.webhook_port and web.webhook_port == web.port:
        raise reader.error(("web", "webhook_port"), f"{web.port} is the port of the console already")
    for key in ("cert", "key") if web.tls else ():
        place = reader.folder / getattr(web.tls, key)
        try:
            place.open("rb").close()
        except OSError as error:
            raise reader.error(("web", "tls", key), f"{place} cannot be read: {error.strerror}") from error


def _warnings(web: Web, table: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    found = []
    if bool(environ.get("WorkspaceID")) != bool(environ.get("WorkspaceKey")):
        found.append("Of WorkspaceID and WorkspaceKey only one is set, so no sink is made of them.")
    referred = str(table)
    known = {*variables(), f"{PREFIX}CONFIG"}
    for name, text in environ.items():
        if (
            name.startswith(PREFIX)
            and name not in known
            and name not in referred
            and not _is_of_kubernetes(text)
        ):
            found.append(f"The environment variable {name} stands for no setting and is ignored.")
    if not is_loopback(web.host) and web.tls is None and not web.trusted_proxies:
        found.append(
            f"The server listens on {web.host} without TLS, so passwords and tokens cross the network in the clear. "
            "Set [web] tls, or name the reverse proxy in [web] trusted_proxies."
        )
    return found
