"""
The shapes in which OneLogin answers.

The v1 API wraps everything in an envelope, the v2 API nothing; before both stands an edge that speaks HTML.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.json import encode
from starlette.responses import Response

HTML_429 = b"<html><head><title>429</title></head><body>Too many requests. Please try again in a while.</body></html>\n"
HTML_502 = b"<html><head><title>502 Bad Gateway</title></head><body>The server is busy.</body></html>\n"
HTML_200 = b"<html><head><title>Maintenance</title></head><body>We will be back soon.</body></html>\n"
TYPES = {
    400: "bad request", 401: "Unauthorized", 403: "Forbidden", 404: "not found", 429: "too many requests",
    500: "Internal Server Error",
}  # fmt: skip
SUCCESS = {"error": False, "code": 200, "type": "success", "message": "Success"}
NO_PAGES: dict[str, str | None] = {
    "before_cursor": None,
    "after_cursor": None,
    "previous_link": None,
    "next_link": None,
}


def of_json(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """
    Answer in JSON.
    """
    return Response(
        encode(content), status, dict(headers or {}), media_type="application/json; charset=utf-8"
    )


def of_html(status: int, page: bytes) -> Response:
    """
    Answer as the edge does.
    """
    return Response(page, status, {"cache-control": "no-cache"}, media_type="text/html")


def listed(
    data: list[Any], pagination: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """
    Answer with a list, as v1 does.
    """
    content: dict[str, Any] = {"status": SUCCESS}
    if pagination is not None:
        content["pagination"] = pagination
    return of_json(200, content | {"data": data}, headers)


def refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """
    Refuse, as v1 does.
    """
    problem = {"error": True, "code": status, "type": TYPES[status], "message": message}
    return of_json(status, {"status": problem}, headers)


def refused_v2(status: int, name: str, message: str) -> Response:
    """
    Refuse, as v2 does.
    """
    return of_json(status, {"message": message, "statusCode": status, "name": name})


def unauthorized(path: str) -> Response:
    """
    Refuse a token.
    """
    if path.startswith("/api/2/"):
        return refused_v2(401, "UnauthorizedError", "Unauthorized")
    return refused(401, "Authentication Failure")
