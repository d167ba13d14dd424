"""
Write the generated parts of the documentation: settings, commands, problems, routes, sinks, failing checks.

They stand between ``<!-- generated: NAME -->`` and ``<!-- end -->``, and come from what the program itself
says of them. Some files are generated whole: the bodies from which tables and rules are made in Azure. ``make docs``
writes all; ``make check`` fails when they are out of date.
"""

import re
import sys
from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from onelogin_connector.azure import data_collector, logs_ingestion
from onelogin_connector.azure.causes import Api
from onelogin_connector.cli.arguments import parser
from onelogin_connector.config import reference, reference_of
from onelogin_connector.errors import ConfigError, Refused, TooLarge, Unauthorized, Unavailable
from onelogin_connector.formats import onelogin_cl, onelogin_users
from onelogin_connector.formats.fields import NUMBERS
from onelogin_connector.service.explaining import EXPLANATIONS, STAGES, said
from onelogin_connector.sinks import registry
from onelogin_connector.sources.problems import KINDS

FOLDER = Path(__file__).parent
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> str:
    """
    Return every command with its arguments and flags.
    """
    return "\n".join(line for name, command in leaves(parser({})[0]) for line in _command(name, command))


def leaves(parent: ArgumentParser, above: str = "") -> Iterator[tuple[str, ArgumentParser]]:
    """
    Give the commands that do something, by their full names.
    """
    groups = [action for action in parent._actions if isinstance(action, _SubParsersAction)]
    if not groups:
        yield above, parent
    for group in groups:
        for name, child in group.choices.items():
            yield from leaves(child, f"{above} {name}".strip())


def _command(name: str, command: ArgumentParser) -> Iterator[str]:
    own = [
        action
        for action in command._actions
        if not {"--help", "--config", "--data-dir"} & set(action.option_strings)
    ]
    places = [f" {_place(action)}" for action in own if not action.option_strings]
    yield f"### `{name}{''.join(places)}`\n"
    yield f"{command.description}\n"
    told = [action for action in own if action.help and action.help != SUPPRESS]
    if told:
        yield "| | |"
        yield "|---|---|"
        yield from (f"| {_written(action)} | {_text(action)} |" for action in told)
        yield ""


def _place(action: Action) -> str:
    name = str(action.metavar or action.dest).upper() if action.metavar is None else str(action.metavar)
    return {"*": f"[{name}…]", "+": f"{name}…", "?": f"[{name}]"}.get(str(action.nargs), name)


def _written(action: Action) -> str:
    if not action.option_strings:
        return f"`{_place(action)}`".replace("|", "\\|")
    value = f" {action.metavar or '|'.join(map(str, action.choices or ()))}" if action.nargs != 0 else ""
    return f"`{action.option_strings[-1]}{value}`".replace("|", "\\|")


def _text(action: Action) -> str:
    text = re.sub(r" \[(ONELOGIN_CONNECTOR_\w+)\]$", r" · `\1`", str(action.help))
    return text.replace("|", "\\|")


def problems() -> str:
    """
    Return every kind of problem with what to do.
    """
    lines = ["| problem | status | what happened | what to do |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {kind.status} | {kind.title}. | {kind.action} |" for name, kind in KINDS.items()]
    return "\n".join(lines) + "\n"


def checks() -> str:
    """
    Return every cause by which a connection test fails, stage by stage.
    """
    lines = []
    for stage, codes in STAGES.items():
        lines.append("### In any stage" if stage == "any" else f"### {stage} stage")
        for code in codes:
            message, action = said(code)
            lines += [
                "",
                f"#### `{code}`",
                "",
                f"**{message}**",
                "",
                EXPLANATIONS[code],
                "",
                f"*What to do:* {action}",
            ]
        lines.append("")
    return "\n".join(lines)


def routes() -> str:
    """
    Return every address of the API with the role it needs.
    """
    from onelogin_connector.web.app import ENTRIES
    from onelogin_connector.web.endpoints import ENDPOINTS
    from onelogin_connector.web.openapi import operations

    lines = ["| address | role | what it does |", "|---|---|---|"]
    lines += [
        f"| `{each.method} {each.path}` | {each.role} | {' '.join(each.text.split())} |"
        for each in operations(ENDPOINTS, ENTRIES)
    ]
    return "\n".join(lines) + "\n"


THEN = {
    Unavailable: "waits, and sends the same again",
    Unauthorized: "pauses, and tries again every five minutes",
    ConfigError: "pauses, and tries again every five minutes",
    TooLarge: "sends smaller parts",
    Refused: "finds the record, which becomes a dead letter; the others go on",
}
"""Error → what the program does next."""


def answers(api: Api) -> str:
    """
    Return what the answers of an API mean, and what follows.
    """
    lines = ["| answer | what it means | what the program does | what to do |", "|---|---|---|---|"]
    for answer, cause in api.causes.items():
        lines.append(f"| `{answer}` | {cause.meaning} | {THEN[cause.error]} | {cause.action} |")
    return "\n".join(lines) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "checks": checks,
    "configuration": reference,
    "commands": commands,
    "problems": problems,
    "routes": routes,
    "answers_data_collector": lambda: answers(data_collector.API),
    "answers_logs_ingestion": lambda: answers(logs_ingestion.API),
    **{f"settings_{kind}": partial(reference_of, kind) for kind in registry.kinds()},
}
"""Name of a generated part → what writes it."""

LEGACY = {
    "TimeGenerated": "time of the event",
    **{column: f"OneLogin's {field}" for column, field in onelogin_cl.LEGACY.items()},
    "event_id_s": "id in the Events API",
    "event_time_t": "time of the event, also where TimeGenerated is that of arrival",
    "Raw": "the record as OneLogin sent it",
}
V2 = {
    "TimeGenerated": "time of the event",
    **{column: f"OneLogin's {field}" for column, field in onelogin_cl.V2.items()},
}
USERS = {
    "TimeGenerated": "time of the listing",
    **{column: f"the user's {field}" for column, field in onelogin_users.USERS.items()},
}
TABLES = {
    onelogin_cl.LEGACY_TABLE: LEGACY,
    onelogin_cl.V2_TABLE: V2,
    onelogin_users.USERS_TABLE: USERS,
}
"""Table → column → what it holds."""
WHOLE_NUMBERS = {column for column, field in onelogin_cl.V2.items() if field in NUMBERS} | {
    "UserAttributesId"
}
WORKSPACE = "onelogin-workspace"
"""What the rules call their destination."""


def column_type(column: str) -> str:
    """
    Return the type that a column has in Microsoft's tables.
    """
    if column == "TimeGenerated" or column.endswith("_t"):
        return "datetime"
    if column == "Raw":
        return "dynamic"
    return "real" if column.endswith("_d") or column in WHOLE_NUMBERS else "string"


def table_body(table: str) -> dict[str, Any]:
    """
    Return the body from which a table is made.
    """
    columns = [
        {"name": name, "type": column_type(name), "description": text} for name, text in TABLES[table].items()
    ]
    return {"properties": {"schema": {"name": table, "columns": columns}}}


def rule_body(*tables: str) -> dict[str, Any]:
    """
    Return the body from which a rule for tables is made; LOCATION and WORKSPACE are to be replaced.
    """
    streams = {
        f"Custom-{table}": {"columns": [{"name": name, "type": column_type(name)} for name in TABLES[table]]}
        for table in tables
    }
    flows = [
        {
            "streams": [stream],
            "destinations": [WORKSPACE],
            "transformKql": "source",
            "outputStream": stream,
        }
        for stream in streams
    ]
    workspace = {"workspaceResourceId": "WORKSPACE", "name": WORKSPACE}
    return {
        "location": "LOCATION",
        "kind": "Direct",
        "properties": {
            "streamDeclarations": streams,
            "destinations": {"logAnalytics": [workspace]},
            "dataFlows": flows,
        },
    }


BODIES: dict[str, Callable[[], dict[str, Any]]] = {
    **{f"table-{table}": partial(table_body, table) for table in TABLES},
    **{
        f"rule-{table}": partial(rule_body, table, onelogin_users.USERS_TABLE)
        for table in (onelogin_cl.LEGACY_TABLE, onelogin_cl.V2_TABLE)
    },
}
"""Name of a file in ``guides/sentinel`` → its JSON."""


def bodies() -> dict[Path, str]:
    """
    Return the generated files with their texts.
    """
    folder = FOLDER / "guides" / "sentinel"
    return {folder / f"{name}.json": written(body()) for name, body in BODIES.items()}


def written(body: dict[str, Any]) -> str:
    """
    Write JSON for people, each column on a line of its own.
    """
    text = msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
    return (
        re.sub(
            r"\{\s+(\"name\": [^{}]*?)\s+\}",
            lambda found: "{ " + re.sub(r"\n\s+", " ", found[1]) + " }",
            text,
        )
        + "\n"
    )


def renewed(text: str) -> str:
    """
    Return a page with its generated parts written anew.
    """
    return BLOCK.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}", text)


def main() -> int:
    """
    Write every page that has generated parts.
    """
    for path in sorted(FOLDER.rglob("*.md")):
        before = path.read_text()
        after = renewed(before)
        if after != before:
            path.write_text(after)
            sys.stderr.write(f"{path.name} is written anew\n")
    for path, text in bodies().items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sys.stderr.write(f"{path.name} is written anew\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
