"""
Write the solution for Microsoft Sentinel from its sources: ``package/`` from everything else in this folder.

A source is what a person reads and changes: queries are ``.kql`` files, pages are JSON that name queries. What Azure
Resource Manager wants is written once for all content of a kind. ``make docs`` runs it; a test fails where the package
is not what the sources make.

- ``parsers/NAME.kql`` becomes a function of the workspace; ``{{EVENT_TYPES}}`` in it becomes the catalogue's rows.
- ``connectors/page.json`` becomes the connector's page; a value ``kql:NAME`` becomes ``connectors/NAME.kql``.
- ``workbooks/layout.json`` becomes the workbook; a tab's ``query`` is ``workbooks/NAME.kql``.
- A line ``// include: NAME`` in a query becomes ``parts/NAME.kql``.
"""

import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from deploy.sentinel import arm, workbook
from onelogin_connector.onelogin import event_types

FOLDER = Path(__file__).parent
PACKAGE = FOLDER / "package"
INCLUDE = re.compile(r"^// include: (\w+)\n", re.MULTILINE)


def read(name: str) -> Any:
    """
    Return a JSON source.
    """
    return msgspec.json.decode((FOLDER / name).read_bytes())


def query(kind: str, name: str) -> str:
    """
    Return a query as it is deployed, with what it includes.
    """
    text = (FOLDER / kind / f"{name}.kql").read_text()
    return INCLUDE.sub(lambda found: (FOLDER / "parts" / f"{found[1]}.kql").read_text(), text).strip()


def queries() -> dict[str, str]:
    """
    Return every query of the solution apart from the parsers, by folder and name.
    """
    return {
        f"{kind}/{path.stem}": query(kind, path.stem)
        for kind in ("connectors", "workbooks")
        for path in sorted((FOLDER / kind).glob("*.kql"))
    }


def parser(name: str) -> str:
    """
    Return a parser as it is deployed.
    """
    rows = ",\n".join(f'    {each.id}, "{each.name}"' for each in event_types.known().values())
    return (FOLDER / "parsers" / f"{name}.kql").read_text().replace("{{EVENT_TYPES}}", rows)


def connector() -> dict[str, Any]:
    """
    Return the connector's page, with its queries.
    """
    page: dict[str, Any] = _filled(read("connectors/page.json"))
    return page


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part) for part in value]
    if isinstance(value, str) and value.startswith("kql:"):
        return query("connectors", value.removeprefix("kql:"))
    return value


def package() -> dict[Path, str]:
    """
    Return the files of the package with their texts.
    """
    solution = read("solution.json")
    parsers = {name: parser(name) for name in solution["parsers"]}
    layout = read("workbooks/layout.json")
    book = workbook.notebook(layout, {item: query("workbooks", item) for item in workbook.named(layout)})
    made: dict[str, Any] = {
        "mainTemplate.json": arm.main_template(solution, parsers, connector(), layout, book),
        "createUiDefinition.json": arm.form(solution, parsers, layout),
        "OneLogin.workbook.json": book,
    }
    return {PACKAGE / name: _written(content) for name, content in made.items()} | {
        PACKAGE / f"{name}.kql": text for name, text in parsers.items()
    }


def _written(content: Any) -> str:
    return f"{msgspec.json.format(msgspec.json.encode(content), indent=2).decode()}\n"


def main() -> int:
    """
    Write every file that is not what the sources make.
    """
    for path, text in package().items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            sys.stderr.write(f"{path.relative_to(FOLDER)} is written anew\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
