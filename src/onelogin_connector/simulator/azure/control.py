"""
What a person asks of the simulation: rows, losses, calls, and that something goes wrong.

``POST /v1/workspaces/{id}/query`` is Log Analytics' own, so that its clients can be pointed here.
"""

import re
from collections.abc import Iterable
from typing import Any

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, decode, encode

from onelogin_connector.errors import QueryError
from onelogin_connector.simulator.azure.exchange import Answer, Asked, of_json
from onelogin_connector.simulator.azure.subscription import Subscription
from onelogin_connector.simulator.azure.trouble import Fault

SHOWN_CALLS = 1_000

_TABLE = re.compile(r"/simulator/(?:(?P<workspace>[^/]+)/)?tables/(?P<table>[^/]+)")
_QUERY = re.compile(r"/v1/workspaces/([^/]+)/query")


class _Question(Struct):
    query: str


_question = Decoder(_Question).decode


def answer(subscription: Subscription, calls: Iterable[Any], accepted: int, asked: Asked) -> Answer | None:
    """
    Answer what is asked of the simulation; None for what is not its.

    Args:
        calls: The latest calls, oldest first.
        accepted: How many rows were accepted so far.
    """
    query = _QUERY.fullmatch(asked.path)
    if query and asked.method == "POST":
        return _query(subscription, query[1], asked.body)
    table = _TABLE.fullmatch(asked.path)
    if table and asked.method == "GET":
        return _rows(subscription, table["workspace"] or "sentinel", table["table"], asked)
    match asked.method, asked.path:
        case "GET", "/simulator/tables":
            return of_json(200, _summary(subscription))
        case "GET", "/simulator/errors":
            return of_json(200, [*subscription.rule.errors, *subscription.codeless.errors])
        case "GET", "/simulator/calls":
            return of_json(200, {"accepted": accepted, "calls": list(calls)[-SHOWN_CALLS:]})
        case "POST", "/simulator/faults":
            try:
                subscription.faults.add(decode(asked.body, type=Fault))
            except MsgspecError as error:
                return of_json(400, {"error": {"code": "InvalidFault", "message": str(error)}})
            return Answer(204)
        case "DELETE", "/simulator/faults":
            subscription.faults.clear()
            return Answer(204)
    return None


def _summary(subscription: Subscription) -> list[dict[str, object]]:
    """
    Say what there is, and what was lost in silence.
    """
    return [
        {
            "workspace": name,
            "table": table.name,
            "rows": table.accepted,
            "columns": table.columns,
            "lost": [
                {"column": lost.column, "why": lost.why, "count": count}
                for lost, count in workspace.lost.items()
                if lost.table == table.name
            ],
        }
        for name, workspace in subscription.workspaces.items()
        for table in workspace.tables.values()
    ]


def _rows(subscription: Subscription, name: str, table: str, asked: Asked) -> Answer:
    workspace = subscription.workspace(name)
    if workspace is None or table not in workspace.tables:
        return of_json(
            404, {"error": {"code": "NotFound", "message": f"There is no table {table} in {name}."}}
        )
    rows = workspace.rows(table)
    if "ndjson" in asked.headers.get("accept", "") or asked.query.get("format") == "ndjson":
        body = b"".join(encode(row) + b"\n" for row in rows)
        return Answer(200, body, {"content-type": "application/x-ndjson"})
    return of_json(200, rows)


def _query(subscription: Subscription, name: str, body: bytes) -> Answer:
    from onelogin_connector.simulator.azure.asking import ask

    workspace = subscription.workspace(name)
    if workspace is None:
        return of_json(
            404, {"error": {"code": "WorkspaceNotFoundError", "message": f"There is no workspace {name}."}}
        )
    try:
        found = ask(workspace, _question(body).query)
    except (MsgspecError, QueryError) as error:
        return of_json(400, {"error": {"code": "BadArgumentError", "message": str(error)}})
    shown = [{"name": column, "type": kind} for column, kind in found.columns]
    return of_json(200, {"tables": [{"name": "PrimaryResult", "columns": shown, "rows": found.rows}]})
