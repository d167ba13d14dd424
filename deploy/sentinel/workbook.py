"""
A workbook of Azure Monitor, in the JSON that its editor shows.

Its form is known from Microsoft's published workbooks; the numbers are their kinds of items. Ids are derived from names,
so that building again changes nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

TEXT, QUERY, PARAMETERS, LINKS, GROUP = 1, 3, 9, 11, 12
TIME_RANGE, LOGS = 4, 0
WORKSPACES = "microsoft.operationalinsights/workspaces"
HOUR_MS = 3_600_000
CHOICES_MS = [HOUR_MS * hours for hours in (1, 4, 12, 24, 48, 7 * 24, 30 * 24, 90 * 24)]
CHOSEN_MS = HOUR_MS * 24
MOST_TABLE_ROWS = 500


def named(layout: Mapping[str, Any]) -> list[str]:
    """
    Return the names of the queries that a layout shows, in order.
    """
    return [item["query"] for tab in layout["tabs"] for item in tab["items"]]


def notebook(layout: Mapping[str, Any], queries: Mapping[str, str]) -> dict[str, Any]:
    """
    Return the workbook.

    Args:
        layout: Title, introduction and tabs.
        queries: Name → text.
    """
    return {
        "version": "Notebook/1.0",
        "items": [
            _text(f"## {layout['title']}\n{layout['introduction']}"),
            _time_range(),
            _tabs(layout["tabs"]),
            *(_group(tab, queries) for tab in layout["tabs"]),
        ],
        "fallbackResourceIds": [],
        "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
    }


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"onelogin-connector/workbook/{name}"))


def _slug(label: str) -> str:
    return label.lower().replace(" ", "-")


def _text(markdown: str) -> dict[str, Any]:
    return {"type": TEXT, "content": {"json": markdown}, "name": "introduction"}


def _time_range() -> dict[str, Any]:
    parameter = {
        "id": _id("TimeRange"),
        "version": "KqlParameterItem/1.0",
        "name": "TimeRange",
        "label": "Time",
        "type": TIME_RANGE,
        "isRequired": True,
        "value": {"durationMs": CHOSEN_MS},
        "typeSettings": {
            "selectableValues": [{"durationMs": choice} for choice in CHOICES_MS],
            "allowCustom": True,
        },
    }
    content = {
        "version": "KqlParameterItem/1.0",
        "parameters": [parameter],
        "style": "pills",
        "queryType": LOGS,
        "resourceType": WORKSPACES,
    }
    return {"type": PARAMETERS, "content": content, "name": "parameters"}


def _tabs(tabs: list[dict[str, Any]]) -> dict[str, Any]:
    links = [
        {
            "id": _id(tab["label"]),
            "cellValue": "Tab",
            "linkTarget": "parameter",
            "linkLabel": tab["label"],
            "subTarget": _slug(tab["label"]),
            "style": "link",
        }
        for tab in tabs
    ]
    return {
        "type": LINKS,
        "content": {"version": "LinkItem/1.0", "style": "tabs", "links": links},
        "name": "tabs",
    }


def _group(tab: Mapping[str, Any], queries: Mapping[str, str]) -> dict[str, Any]:
    items = list(_items(tab["items"], queries))
    return {
        "type": GROUP,
        "content": {"version": "NotebookGroup/1.0", "groupType": "editable", "items": items},
        "conditionalVisibility": {
            "parameterName": "Tab",
            "comparison": "isEqualTo",
            "value": _slug(tab["label"]),
        },
        "name": _slug(tab["label"]),
    }


def _items(items: list[dict[str, Any]], queries: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for item in items:
        content = {
            "version": "KqlItem/1.0",
            "query": queries[item["query"]],
            "size": 0,
            "title": item["title"],
            "timeContextFromParameter": "TimeRange",
            "queryType": LOGS,
            "resourceType": WORKSPACES,
            "visualization": item["as"],
        }
        if "empty" in item:
            content["noDataMessage"] = item["empty"]
        if item["as"] == "table":
            content["gridSettings"] = {"rowLimit": MOST_TABLE_ROWS, "filter": True}
        made = {"type": QUERY, "content": content, "name": item["query"]}
        yield made | ({"customWidth": str(item["width"])} if "width" in item else {})
