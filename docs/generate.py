"""
Write the generated parts of the documentation: settings, commands, problems, routes, failing checks.

They stand between ``<!-- generated: NAME -->`` and ``<!-- end -->``, and come from what the program itself
says of them. ``make docs`` writes them; ``make check`` fails when they are out of date.
"""

import re
import sys
from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterator
from pathlib import Path

from onelogin_connector.cli.arguments import parser
from onelogin_connector.config import reference
from onelogin_connector.service.explaining import EXPLANATIONS, STAGES, said
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
    from onelogin_connector.web.api import ENDPOINTS
    from onelogin_connector.web.app import ENTRIES
    from onelogin_connector.web.openapi import operations

    lines = ["| address | role | what it does |", "|---|---|---|"]
    for each in operations(ENDPOINTS, ENTRIES):
        lines.append(f"| `{each.method} {each.path}` | {each.role} | {' '.join(each.text.split())} |")
    return "\n".join(lines) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "checks": checks,
    "configuration": reference,
    "commands": commands,
    "problems": problems,
    "routes": routes,
}
"""Name of a generated part → what writes it."""


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
    return 0


if __name__ == "__main__":
    sys.exit(main())
