"""
The API as OpenAPI 3.1, made from what the program itself uses: its tables of routes, and the structs of its answers.

Nothing is written twice, so nothing can differ: an address is here because it answers, a field because it is sent.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import cleandoc
from typing import Any, NamedTuple

from msgspec.json import schema_components

from onelogin_connector import __version__
from onelogin_connector.service.connecting import CheckShown, ConnectorShown
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.service.wanted import Wanted
from onelogin_connector.sources.problems import CONTENT_TYPE, Problem
from onelogin_connector.web import reading, shapes, sink_schemas
from onelogin_connector.web.access import Role
from onelogin_connector.web.console.routes import Act, Acted, Entry, View
from onelogin_connector.web.console.sinks import SinkView
from onelogin_connector.web.endpoints import Endpoint

PATH = "/api/v1/openapi.json"

REFERENCE = "#/components/schemas/{name}"

BODIES: dict[str, type] = {
    "backfill": reading.Range,
    "check": reading.Names,
    "discard": reading.Which,
    "make_connector": Wanted,
    "make_sink": WantedSink,
    "new_token": reading.NewToken,
    "password": reading.NewPassword,
    "query": reading.Question,
    "replace_connector": Wanted,
    "replace_sink": WantedSink,
    "replay": reading.Which,
    "try_connector": Wanted,
    "try_sink": WantedSink,
    "webhook_token": reading.Rotation,
}
"""Name of an endpoint's function → what its body holds."""

ANSWERS: dict[str, Any] = {
    "check": list[shapes.Checked],
    "check_one": shapes.Checked,
    "completeness": shapes.Hours,
    "connector": ConnectorShown,
    "connectors": list[ConnectorShown],
    "dead_letter": shapes.WholeLetter,
    "dead_letters": shapes.LetterPage,
    "discard": shapes.Discarded,
    "make_connector": ConnectorShown,
    "make_sink": SinkView,
    "new_token": shapes.NewSecret,
    "password": shapes.PasswordSet,
    "query": shapes.QueryResult,
    "remove_connector": shapes.DeletedConnector,
    "remove_sink": shapes.DeletedSink,
    "replace_connector": ConnectorShown,
    "replace_sink": SinkView,
    "replay": shapes.Replayed,
    "revoke_token": shapes.Revoked,
    "status": shapes.ServiceStatus,
    "tokens": list[shapes.TokenListed],
    "try_connector": CheckShown,
    "try_sink": CheckShown,
    "webhook_token": shapes.NewSecret,
}
"""Name of an endpoint's function → what it answers; the others answer no JSON, see ``MEDIA``."""

QUERIES: dict[str, tuple[tuple[str, str], ...]] = {
    "completeness": (
        ("connector", "One connector alone."),
        ("since", "RFC 3339; 48 hours before the end by default."),
        ("until", "RFC 3339; now by default."),
    ),
    "dead_letters": (
        ("after", "The last id of the page before."),
        ("limit", "How many, 1 to 1000."),
    ),
    "try_connector": (("connector", "The connector whose stored secret may be used, for its own host."),),
    "remove_sink": (("confirmed", "true, if entries wait for it that will not be sent."),),
    "try_sink": (("sink", "The sink whose stored secrets may be used, where they were entered for."),),
    "imports": (
        ("connector", "Whose events they are."),
        ("accept_duplicates", "Take hours whose repeats cannot be recognised any more: true or false."),
    ),
}
"""Name of an endpoint's function → what its query string may hold."""

MEDIA: dict[str, str] = {
    "backfill": "application/x-ndjson",
    "backup": "application/x-tar",
    "imports": "application/x-ndjson",
}
"""Answers that are no JSON."""

CREATED = frozenset({"make_connector", "make_sink", "new_token", "webhook_token"})


class Operation(NamedTuple):
    """
    One method of one address.
    """

    method: str
    path: str
    name: str
    role: Role
    text: str
    body: type | None = None
    answer: type | None = None
    media: str = "application/json"
    queries: tuple[tuple[str, str], ...] = ()
    status: int = 200


def operations(endpoints: Iterable[Endpoint], entries: Iterable[Entry]) -> Iterator[Operation]:
    """
    Give everything that the API answers.
    """
    for endpoint in endpoints:
        name = endpoint.call.__name__
        yield Operation(
            endpoint.method,
            endpoint.path.replace(":int", ""),
            name,
            endpoint.role,
            _text(endpoint.call),
            body=BODIES.get(name),
            answer=ANSWERS.get(name),
            media=MEDIA.get(name, "application/json"),
            queries=QUERIES.get(name, ()),
            status=201 if name in CREATED else 200,
        )
    for entry in entries:
        if isinstance(entry, View) and entry.twin:
            yield Operation(
                "GET",
                f"/api/v1{entry.twin}",
                entry.data.__name__,
                entry.role,
                _text(entry.data),
                answer=entry.shows,
                queries=entry.asks,
            )
        elif isinstance(entry, Act) and entry.twin:
            yield Operation(
                "POST",
                f"/api/v1{entry.path}",
                entry.call.__name__,
                entry.role,
                _text(entry.call),
                body=entry.takes,
                answer=Acted,
            )


def document(endpoints: Iterable[Endpoint], entries: Iterable[Entry]) -> dict[str, Any]:
    """
    Return the whole description.
    """
    found = list(operations(endpoints, entries))
    types = list(dict.fromkeys(kind for each in found for kind in (each.body, each.answer) if kind))
    kinds = sink_schemas.structs_of_kinds()
    types = [Problem, *types, *kinds.values()]
    schemas, components = schema_components(
        types, ref_template=REFERENCE, schema_hook=sink_schemas.plain_schema
    )
    of_type = dict(zip(types, schemas, strict=True))
    sink_schemas.adapt(components, {kind: of_type[struct] for kind, struct in kinds.items()})
    paths: dict[str, dict[str, Any]] = {}
    for each in found:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, of_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OneLogin Connector",
            "version": __version__,
            "description": "What the console shows and does, for programs. Times are RFC 3339 in UTC.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token."}
            },
        },
        "security": [{"token": []}],
    }


def _operation(each: Operation, of_type: dict[type, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": _identifier(each),
        "summary": each.text.partition("\n")[0],
        "description": f"{each.text}\n\nNeeds the role {each.role}.",
        "responses": {
            str(each.status): {
                "description": "Done.",
                "content": {each.media: {"schema": of_type[each.answer] if each.answer else {}}},
            },
            "default": {
                "description": "Refused.",
                "content": {CONTENT_TYPE: {"schema": of_type[Problem]}},
            },
        },
    }
    parameters = [*_of_path(each.path), *_of_query(each.queries)]
    if parameters:
        shown["parameters"] = parameters
    if each.body is not None:
        shown["requestBody"] = {"content": {"application/json": {"schema": of_type[each.body]}}}
    return shown


def _of_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _of_query(queries: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in queries
    ]


def _identifier(each: Operation) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", each.path.removeprefix("/api/v1/").lower()).strip("_")
    return f"{each.method.lower()}_{words}"


def _text(function: Callable[..., Any]) -> str:
    return cleandoc(function.__doc__ or "").partition("\n\nArgs:")[0].partition("\n\nRaises:")[0]
