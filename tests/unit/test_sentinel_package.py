"""
The package of the Sentinel solution is what its sources make, and holds together as Azure reads it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.sentinel import build, workbook

FIXTURES = Path(__file__).parents[1] / "fixtures"
FIELDS = json.loads((FIXTURES / "sentinel" / "definition_fields.json").read_text())
FILES = build.package()
TEMPLATE = json.loads(FILES[build.PACKAGE / "mainTemplate.json"])
FORM = json.loads(FILES[build.PACKAGE / "createUiDefinition.json"])
RESOURCES = TEMPLATE["resources"]
LARGEST_TEMPLATE_BYTES = 4 << 20
NEVER_AN_EXPRESSION = re.compile(r"\[.*\]", re.DOTALL)


def of_type(ending: str) -> list[dict[str, Any]]:
    """
    Return the resources of a type.
    """
    return [each for each in RESOURCES if each["type"].endswith(ending)]


def texts(value: Any) -> Iterator[str]:
    """
    Give every text in a JSON value.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


def own_id(resource: dict[str, Any]) -> str:
    """
    Return the expression by which others name a resource.
    """
    kind, name = resource["type"], resource["name"]
    inside = re.fullmatch(
        r"\[concat\(parameters\('workspace'\), '/(?:Microsoft\.SecurityInsights/)?([\w.-]+)'\)\]", name
    )
    workspace = "resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspace'))"
    if "/providers/" in kind:
        assert inside
        return f"[extensionResourceId({workspace}, 'Microsoft.SecurityInsights/{kind.split('/')[-1]}', '{inside[1]}')]"
    if inside:
        return f"[resourceId('{kind}', parameters('workspace'), '{inside[1]}')]"
    return f"[resourceId('{kind}', {name[1:-1]})]"


def test_the_package_is_current():
    """
    What is committed is what the sources make, and nothing else lies there; `make docs` mends it.
    """
    for path, text in FILES.items():
        assert path.read_text() == text, f"{path.name}: run: make docs"
    assert set(build.PACKAGE.iterdir()) == set(FILES)


def test_every_source_is_used():
    """
    Each query stands in the page or the workbook, and each part in a query.
    """
    used = "\n".join(texts([build.connector(), build.read("workbooks/layout.json")]))
    page = (build.FOLDER / "connectors" / "page.json").read_text()
    for name in build.queries():
        kind, _, stem = name.partition("/")
        assert f"kql:{stem}" in page if kind == "connectors" else stem in used, name
    sources = "\n".join(path.read_text() for path in build.FOLDER.glob("workbooks/*.kql"))
    for path in (build.FOLDER / "parts").glob("*.kql"):
        assert f"// include: {path.stem}\n" in sources, path.name
    assert not [name for name, text in build.queries().items() if "include:" in text or "{{" in text]


def test_expressions_name_what_is_there():
    """
    Each expression is closed, and uses only parameters that the template has; no query is taken for one.
    """
    expressions = [text for text in texts(TEMPLATE) if text.startswith("[")]
    assert len(expressions) > 30
    for text in expressions:
        assert text.endswith("]"), text
        assert text.count("(") == text.count(")"), text
        assert text.count("'") % 2 == 0, text
        assert set(re.findall(r"parameters\('([^']+)'\)", text)) <= set(TEMPLATE["parameters"]), text
        assert "variables(" not in text
    queries = [
        *build.queries().values(),
        *(build.parser(name) for name in build.read("solution.json")["parsers"]),
    ]
    assert not [text for text in queries if NEVER_AN_EXPRESSION.fullmatch(text)]


def test_resources_depend_on_one_another_rightly():
    """
    Each dependency is a resource of this template, none waits for itself, and no two have one name.
    """
    known = [own_id(each) for each in RESOURCES]
    assert len(set(known)) == len(known) == 10
    for each in RESOURCES:
        wanted = each.get("dependsOn", [])
        assert set(wanted) <= set(known) - {own_id(each)}, each["name"]


def test_each_piece_is_there_as_template_and_at_work():
    """
    The package lists three pieces; Content Hub makes each of the very resource that works at once, and ties it to the solution.
    """
    [package] = of_type("/contentPackages")
    listed = {(each["kind"], each["contentId"]) for each in package["properties"]["dependencies"]["criteria"]}
    assert listed == {
        ("Parser", "OneLogin-Parser"),
        ("DataConnector", "OneLoginConnector"),
        ("Workbook", "OneLogin-Workbook"),
    }
    templates = of_type("/contentTemplates")
    assert {
        (each["properties"]["contentKind"], each["properties"]["contentId"]) for each in templates
    } == listed
    for template in templates:
        resource, metadata = template["properties"]["mainTemplate"]["resources"]
        assert resource in RESOURCES
        assert metadata in RESOURCES
        assert metadata["properties"]["parentId"] == own_id(resource)
        assert template["properties"]["packageId"] == package["properties"]["contentId"]
    versions = {
        text
        for each in RESOURCES
        for text in [each["properties"].get("version")]
        if each["type"].endswith("s/metadata")
    }
    assert versions == {build.read("solution.json")["version"]}


def test_the_function_takes_the_place_of_microsofts():
    """
    The parser has the name and alias of the official one, and overwrites it instead of standing beside it.
    """
    [search] = of_type("/savedSearches")
    assert search["name"] == "[concat(parameters('workspace'), '/OneLogin')]"
    assert search["etag"] == "*"
    assert search["properties"]["functionAlias"] == "OneLogin"
    assert search["properties"]["query"] == (build.PACKAGE / "OneLogin.kql").read_text()


def test_the_template_is_not_too_large():
    """
    Azure takes templates of 4 MB.
    """
    assert len(FILES[build.PACKAGE / "mainTemplate.json"].encode()) < LARGEST_TEMPLATE_BYTES


def test_the_form_gives_what_the_template_takes():
    """
    The portal's form fills each parameter of the template, from fields that it has.
    """
    outputs = FORM["parameters"]["outputs"]
    assert set(outputs) == set(TEMPLATE["parameters"])
    fields = {each["name"] for each in FORM["parameters"]["basics"]}
    assert set(re.findall(r"basics\('(\w+)'\)", json.dumps(FORM))) <= fields


def checked(value: dict[str, Any], kind: str) -> None:
    """
    Hold a part of the connector's page against the published fields of its kind.
    """
    fields = FIELDS[kind]
    assert set(fields["required"]) <= set(value), kind
    assert set(value) <= set(fields["required"]) | set(fields["optional"]), kind
    for name, part in value.items():
        if name in FIELDS:
            for each in part if isinstance(part, list) else [part]:
                checked(each, name)


def test_the_page_has_the_published_fields():
    """
    The connector's page has every field that Azure requires, and none that it does not know.
    """
    page = build.connector()
    checked(page, "connectorUiConfig")
    assert not [text for text in texts(page) if text.startswith("kql:")]
    titles = [step["title"] for step in page["instructionSteps"]]
    assert [title.split(".")[0] for title in titles] == [str(number) for number in range(1, len(titles) + 1)]
    with pytest.raises(AssertionError):
        checked({**page, "unknown": 1}, "connectorUiConfig")


def test_the_workbook_shows_every_query():
    """
    Each tab has its group, each item its query, and all follow the chosen time.
    """
    layout = build.read("workbooks/layout.json")
    book = json.loads(FILES[build.PACKAGE / "OneLogin.workbook.json"])
    [deployed] = of_type("Insights/workbooks")
    assert json.loads(deployed["properties"]["serializedData"]) == book
    [links] = [item for item in book["items"] if item["type"] == workbook.LINKS]
    groups = [item for item in book["items"] if item["type"] == workbook.GROUP]
    targets = [link["subTarget"] for link in links["content"]["links"]]
    assert targets == [group["conditionalVisibility"]["value"] for group in groups]
    assert len(set(targets)) == len(layout["tabs"]) == 7
    items = [item for group in groups for item in group["content"]["items"]]
    assert [item["name"] for item in items] == workbook.named(layout)
    for item in items:
        assert item["content"]["timeContextFromParameter"] == "TimeRange"
        assert item["content"]["query"] == build.query("workbooks", item["name"])
    names = re.findall(r"\{(\w+):\w+\}", json.dumps(items))
    assert set(names) == {"TimeRange"}
