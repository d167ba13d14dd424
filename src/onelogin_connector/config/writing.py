"""
From settings to text: an export as TOML, the reference page, a first file to start from.
"""

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from onelogin_connector.config.loading import variables
from onelogin_connector.config.people import AlarmOptions, Oidc
from onelogin_connector.config.settings import Connector, JournalOptions, Log, Settings, SinkOptions, Top, Web
from onelogin_connector.config.toml import changed, key, toml_value
from onelogin_connector.setting import TAG, Secret, Setting, settings_of
from onelogin_connector.sinks import registry


def _table(table: str, values: dict[str, Any]) -> str:
    part = table.rpartition(".")[2]
    lines = [f"{key(name)} = {toml_value(_referred(value, part, name))}" for name, value in values.items()]
    return "\n".join([f"[{table}]", *lines] if table else lines)


def _referred(value: Any, *names: str) -> Any:
    """
    Name a variable for each secret that came from no file or variable, such as one entered in the console.
    """
    match value:
        case Secret(reference=None | ("demo", _)):
            return {"env": "_".join(filter(None, names)).upper().replace("-", "_")}
        case list():
            return [_referred(part, *names, str(i) if i else "") for i, part in enumerate(value)]
        case Struct():
            return {name: _referred(part, *names, name) for name, part in changed(value).items()}
        case dict():
            return {name: _referred(part, *names, name) for name, part in value.items()}
    return value


def export(settings: Settings, sinks: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """
    Return the settings as a file that reads back the same, with references in place of secrets.

    Args:
        sinks: Tables of further sinks, by name.
    """
    blocks = [_table("", changed(Top(data_dir=str(settings.data_dir), secret_key=settings.secret_key)))]
    for name in ("web", "journal", "log", "alarms", "oidc"):
        part = getattr(settings, name)
        if values := changed(part):
            blocks.append(_table(name, values))
    blocks += [_table(f"connectors.{name}", changed(part)) for name, part in settings.connectors.items()]
    for name, sink in settings.sinks.items():
        common = SinkOptions(
            **{setting.name: getattr(sink, setting.name) for setting in settings_of(SinkOptions)}
        )
        blocks.append(_table(f"sinks.{name}", changed(common) | changed(sink.settings)))
    blocks += [_table(f"sinks.{name}", dict(table)) for name, table in (sinks or {}).items()]
    return "\n\n".join(blocks) + "\n"


CONNECTORS = """A OneLogin account to collect from. Its id is fixed: 1 to 40 of `a-z`, `0-9` and `-`. Without any
there is one of the id `default`."""

TABLES: tuple[tuple[str, str, type[Struct]], ...] = (
    ("", "Before the first table of the file.", Top),
    ("web", "The web server: webhooks, console, API.", Web),
    ("journal", "The durable log of events on disk.", JournalOptions),
    ("log", "What the program writes about itself, on stderr.", Log),
    ("alarms", "When somebody is told that something is wrong, and where.", AlarmOptions),
    ("oidc", "Single sign-on by OpenID Connect; see docs/access.md.", Oidc),
    ("connectors.ID", " ".join(CONNECTORS.split()), Connector),
    (
        "sinks.NAME",
        "A destination. All kinds have these settings. The store is there by default.",
        SinkOptions,
    ),
)
"""Name of a table in the file, what it is, and its settings."""

SINK_KEYS = frozenset(setting.name for setting in settings_of(SinkOptions))


def reference() -> str:
    """
    Return the reference of all settings as Markdown: each table, each kind of sink, each variable.
    """
    sections = [_section(f"`[{name}]`" if name else "Top", text, struct) for name, text, struct in TABLES]
    sections += [section for kind in registry.kinds() for section in _kind(kind)]
    return "\n\n".join([*sections, _variables()]) + "\n"


def reference_of(kind: str) -> str:
    """
    Return the reference of one kind of sink as Markdown.
    """
    return "\n\n".join(_kind(kind)) + "\n"


def _kind(kind: str) -> list[str]:
    summary = (registry.module(kind).__doc__ or "").strip().split("\n\n")[0]
    struct, title = registry.settings_type(kind), f'`[sinks.NAME]` with `kind = "{kind}"`'
    sections = [_section(title, summary, struct, SINK_KEYS)]
    for setting in settings_of(struct):
        for name, variant in setting.variants.items():
            text = f"Within `{setting.name}` of a sink of kind `{kind}`. {(variant.__doc__ or '').strip()}"
            sections.append(_section(f'`{setting.name}` with `{TAG} = "{name}"`', text, variant))
    return sections


def _section(title: str, text: str, struct: type[Struct], hidden: Collection[str] = ()) -> str:
    lines = [
        f"## {title}",
        "",
        " ".join(text.split()),
        "",
        "| setting | default | what it does |",
        "|---|---|---|",
    ]
    lines += [_row(setting) for setting in settings_of(struct) if setting.name not in hidden]
    return "\n".join(lines)


def _row(setting: Setting) -> str:
    default = "–" if setting.default in (None, "", [], ()) else f"`{toml_value(setting.default)}`"
    unit = f" In {setting.unit}." if setting.unit else ""
    shown = "" if setting.example is None else f" Example: `{setting.name} = {toml_value(setting.example)}`"
    table = f" A table with a `{TAG}`, see below." if setting.variants else ""
    text = f"{setting.description}{table}{unit}{shown}".replace("|", "\\|")
    return f"| `{setting.name}` | {'required' if setting.required else default} | {text} |"


def _variables() -> str:
    lines = ["## Environment variables", "", "A variable comes before the file, and a flag before both.", ""]
    lines += ["| variable | setting |", "|---|---|"]
    for name, place in variables().items():
        table = f"`[{'.'.join(place[:-1])}]` " if place[1:] else ""
        lines.append(f"| `{name}` | {table}`{place[-1]}` |")
    return "\n".join(lines)


def starter() -> str:
    """
    Return a file to start from: every setting commented out, with what it does and an example.
    """
    parts = ["# Settings of OneLogin Connector. What is commented out shows an example, not the default."]
    for name, text, struct in TABLES:
        place = name.replace("ID", "default").replace("NAME", "store")
        lines = [f"# {text.replace('`', '')}", *([f"[{place}]"] if name else [])]
        lines += ['kind = "store"'] if struct is SinkOptions else []
        for setting in settings_of(struct):
            if setting.name != "kind":
                example = setting.default if setting.example is None else setting.example
                lines += [
                    f"# {setting.description.replace('`', '')}",
                    f"# {setting.name} = {toml_value(example)}",
                ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
