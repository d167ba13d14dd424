"""
A Sentinel solution as Azure Resource Manager takes it.

Each piece of content is there twice: as what works at once – the function, the connector's page, the workbook – and as
a *content template*, from which Content Hub lists it and makes it again. A *metadata* resource ties the first to the
solution. Types and their fields: Azure-Sentinel's published packages, and ``Azure/bicep-types-az`` for the named
versions (both MIT).
"""

from collections.abc import Mapping
from typing import Any

from msgspec.json import encode

INSIGHTS = "Microsoft.SecurityInsights"
PROVIDERS = "Microsoft.OperationalInsights/workspaces/providers"
TEMPLATE_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
FORM_SCHEMA = "https://schema.management.azure.com/schemas/0.1.2-preview/CreateUIDefinition.MultiVm.json#"
CONTENT_VERSION = "2023-04-01-preview"
METADATA_VERSION = "2022-01-01-preview"
DEFINITION_VERSION = "2022-09-01-preview"
SAVED_SEARCH_VERSION = "2025-02-01"
WORKBOOK_VERSION = "2021-08-01"
LOCATION = "[parameters('workspace-location')]"
WORKSPACE_ID = "resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspace'))"

Json = dict[str, Any]


def main_template(
    solution: Mapping[str, Any],
    parsers: Mapping[str, str],
    page: Mapping[str, Any],
    layout: Mapping[str, Any],
    book: Mapping[str, Any],
) -> Json:
    """
    Return the template that installs the solution into a workspace.

    Args:
        solution: What ``solution.json`` says.
        parsers: Name of a function → its query.
        page: The connector's page.
        layout: Of the workbook: its title and description.
        book: The workbook.
    """
    pieces = [_parser(name, text) for name, text in parsers.items()]
    pieces += [_connector(page), _workbook(layout, book)]
    resources = [_package(solution, pieces)]
    for piece in pieces:
        resources += [_template(solution, piece), piece["resource"], _metadata(solution, piece)]
    return {
        "$schema": TEMPLATE_SCHEMA,
        "contentVersion": f"{solution['version']}.0",
        "metadata": {"author": solution["author"]["name"], "comments": solution["description"]},
        "parameters": _parameters(),
        "resources": resources,
        "outputs": {},
    }


def _parameters() -> Json:
    return {
        "workspace": {
            "type": "string",
            "minLength": 1,
            "metadata": {"description": "Name of the Log Analytics workspace that has Microsoft Sentinel."},
        },
        "workspace-location": {
            "type": "string",
            "defaultValue": "[resourceGroup().location]",
            "metadata": {
                "description": "Region of the workspace, where it is not that of its resource group."
            },
        },
    }


def _parser(name: str, text: str) -> Json:
    """
    Return a function as a piece of content: what it is called, and the resource it is.
    """
    resource = {
        "type": "Microsoft.OperationalInsights/workspaces/savedSearches",
        "apiVersion": SAVED_SEARCH_VERSION,
        "name": f"[concat(parameters('workspace'), '/{name}')]",
        "etag": "*",  # takes the place of a function of the same name, such as that of Microsoft's solution
        "properties": {
            "category": "Microsoft Sentinel Parser",
            "displayName": name,
            "functionAlias": name,
            "functionParameters": "",
            "query": text,
            "version": 2,
        },
    }
    own_id = f"resourceId('Microsoft.OperationalInsights/workspaces/savedSearches', parameters('workspace'), '{name}')"
    return {
        "kind": "Parser",
        "id": f"{name}-Parser",
        "title": f"Parser {name}",
        "own_id": own_id,
        "resource": resource,
    }


def _connector(page: Mapping[str, Any]) -> Json:
    id = page["id"]
    resource = {
        "type": f"{PROVIDERS}/dataConnectorDefinitions",
        "apiVersion": DEFINITION_VERSION,
        "name": _in_workspace(id),
        "location": LOCATION,
        "kind": "Customizable",
        "properties": {"connectorUiConfig": page},
    }
    own_id = f"extensionResourceId({WORKSPACE_ID}, '{INSIGHTS}/dataConnectorDefinitions', '{id}')"
    return {"kind": "DataConnector", "id": id, "title": page["title"], "own_id": own_id, "resource": resource}


def _workbook(layout: Mapping[str, Any], book: Mapping[str, Any]) -> Json:
    id = f"{layout['title']}-Workbook"
    resource = {
        "type": "Microsoft.Insights/workbooks",
        "apiVersion": WORKBOOK_VERSION,
        "name": f"[guid({WORKSPACE_ID}, '{id}')]",
        "location": LOCATION,
        "kind": "shared",
        "properties": {
            "displayName": layout["title"],
            "description": layout["description"],
            "serializedData": encode(book).decode(),
            "version": "1.0",
            "sourceId": f"[{WORKSPACE_ID}]",
            "category": "sentinel",
        },
    }
    own_id = f"resourceId('Microsoft.Insights/workbooks', guid({WORKSPACE_ID}, '{id}'))"
    return {"kind": "Workbook", "id": id, "title": layout["title"], "own_id": own_id, "resource": resource}


def _in_workspace(name: str) -> str:
    return f"[concat(parameters('workspace'), '/{INSIGHTS}/{name}')]"


def _package_id(solution: Mapping[str, Any]) -> str:
    return f"extensionResourceId({WORKSPACE_ID}, '{INSIGHTS}/contentPackages', '{solution['id']}')"


def _product_id(solution: Mapping[str, Any], short: str, kind: str, id: str) -> str:
    """
    Return the id that names this version of a piece among all products.
    """
    return f"[concat('{solution['id']}-{short}-', uniqueString('{solution['id']}-{kind}-{id}-{solution['version']}'))]"


def _origin(solution: Mapping[str, Any]) -> Json:
    return {
        "source": {"kind": "Solution", "name": solution["name"], "sourceId": solution["id"]},
        "author": solution["author"],
        "support": solution["support"],
    }


def _package(solution: Mapping[str, Any], pieces: list[Json]) -> Json:
    product = _product_id(solution, "sl", "Solution", solution["id"])
    return {
        "type": f"{PROVIDERS}/contentPackages",
        "apiVersion": CONTENT_VERSION,
        "name": _in_workspace(solution["id"]),
        "location": LOCATION,
        "properties": {
            "contentId": solution["id"],
            "contentKind": "Solution",
            "kind": "Solution",
            "contentProductId": product,
            "id": product,
            "parentId": solution["id"],
            "contentSchemaVersion": "3.0.0",
            "version": solution["version"],
            "displayName": solution["name"],
            "publisherDisplayName": solution["publisher"],
            "descriptionHtml": f"<p>{solution['description']}</p>",
            "firstPublishDate": solution["published"],
            "providers": ["OneLogin"],
            "categories": {"domains": solution["domains"]},
            "dependencies": {
                "operator": "AND",
                "criteria": [
                    {"kind": piece["kind"], "contentId": piece["id"], "version": solution["version"]}
                    for piece in pieces
                ],
            },
            **_origin(solution),
        },
    }


_SHORT = {"Parser": "pr", "DataConnector": "dc", "Workbook": "wb"}


def _template(solution: Mapping[str, Any], piece: Mapping[str, Any]) -> Json:
    """
    Return what Content Hub lists of a piece, and makes it from.
    """
    product = _product_id(solution, _SHORT[piece["kind"]], piece["kind"], piece["id"])
    return {
        "type": f"{PROVIDERS}/contentTemplates",
        "apiVersion": CONTENT_VERSION,
        "name": _in_workspace(f"{solution['id']}-{piece['id']}"),
        "location": LOCATION,
        "dependsOn": [f"[{_package_id(solution)}]"],
        "properties": {
            "contentId": piece["id"],
            "contentKind": piece["kind"],
            "contentProductId": product,
            "id": product,
            "contentSchemaVersion": "3.0.0",
            "displayName": piece["title"],
            "version": solution["version"],
            "packageId": solution["id"],
            "packageKind": "Solution",
            "packageName": solution["name"],
            "packageVersion": solution["version"],
            "mainTemplate": {
                "$schema": TEMPLATE_SCHEMA,
                "contentVersion": f"{solution['version']}.0",
                "resources": [piece["resource"], _metadata(solution, piece)],
            },
            **_origin(solution),
        },
    }


def _metadata(solution: Mapping[str, Any], piece: Mapping[str, Any]) -> Json:
    """
    Return what says that a piece came with the solution.
    """
    return {
        "type": f"{PROVIDERS}/metadata",
        "apiVersion": METADATA_VERSION,
        "name": _in_workspace(f"{piece['kind']}-{piece['id']}"),
        "location": LOCATION,
        "dependsOn": [f"[{piece['own_id']}]"],
        "properties": {
            "parentId": f"[{piece['own_id']}]",
            "contentId": piece["id"],
            "kind": piece["kind"],
            "version": solution["version"],
            **_origin(solution),
        },
    }


def form(solution: Mapping[str, Any], parsers: Mapping[str, str], layout: Mapping[str, Any]) -> Json:
    """
    Return the form that the portal shows before it installs.
    """
    listed = f"**Data connectors:** 1, **Parsers:** {len(parsers)}, **Workbooks:** 1 ({layout['title']})"
    workspaces = {
        "name": "getLAWorkspace",
        "type": "Microsoft.Solutions.ArmApiControl",
        "toolTip": "The workspaces of the chosen resource group",
        "condition": "[greater(length(resourceGroup().name), 0)]",
        "request": {
            "method": "GET",
            "path": (
                "[concat(subscription().id, '/resourceGroups/', resourceGroup().name, "
                "'/providers/Microsoft.OperationalInsights/workspaces?api-version=2022-10-01')]"
            ),
        },
    }
    choice = {
        "name": "workspace",
        "type": "Microsoft.Common.DropDown",
        "label": "Workspace",
        "placeholder": "Select a workspace",
        "toolTip": "A workspace of the chosen resource group that has Microsoft Sentinel",
        "constraints": {
            "allowedValues": (
                "[map(basics('getLAWorkspace').value, (item) => parse(concat('{\"label\":\"', item.name, "
                '\'","value":"\', item.name, \'"}\')))]'
            ),
            "required": True,
        },
        "visible": True,
    }
    return {
        "$schema": FORM_SCHEMA,
        "handler": "Microsoft.Azure.CreateUIDef",
        "version": "0.1.2-preview",
        "parameters": {
            "config": {
                "isWizard": False,
                "basics": {
                    "description": f"{solution['description']}\n\n{listed}",
                    "location": {
                        "metadata": {"hidden": "The region is that of the workspace"},
                        "visible": False,
                    },
                    "resourceGroup": {"allowExisting": True},
                },
            },
            "basics": [workspaces, choice],
            "steps": [],
            "outputs": {
                "workspace": "[basics('workspace')]",
                "workspace-location": (
                    "[first(map(filter(basics('getLAWorkspace').value, (item) => "
                    "equals(item.name, basics('workspace'))), (item) => item.location))]"
                ),
            },
        },
    }
