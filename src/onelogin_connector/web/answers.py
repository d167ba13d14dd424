"""
What goes back to a client: JSON, and one problem shape for every refusal.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from msgspec import to_builtins
from msgspec.json import encode
from starlette.exceptions import HTTPException
from starlette.responses import Response

from onelogin_connector.errors import ConnectorError, QueryError, Unavailable
from onelogin_connector.sources import problems

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5

SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)

SEVERED = (b"cross-origin-opener-policy", b"same-origin")
"""
Takes the window from whoever opened it. The browser changes its process for that, once it has the answer, which takes some
50 ms; so only those get it who may have come by way of another site. Who types the address into a window that another site
opened does not: browsers that let it keep its opener then are not kept from it.
"""


class HttpError(ConnectorError):
    """
    The request cannot be answered as it was made.
    """

    def __init__(
        self, kind: str, message: str, *, action: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """
        Name the kind of problem.

        Args:
            kind: As ``sources.problems.KINDS`` names it; its status is the answer's.
            headers: Further headers of the answer.
        """
        super().__init__(message, action=action)
        self.kind = kind
        self.headers = dict(headers or {})


def json(content: Any, status: int = 200) -> Response:
    """
    Answer with JSON; times become RFC 3339 in UTC.
    """
    return Response(encode(content, enc_hook=plain), status, media_type="application/json")


def plain(value: Any) -> Any:
    """
    Return what has no JSON form of its own as something that has.
    """
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, (date, time, timedelta)):
        return str(value)
    return value.hex() if isinstance(value, (bytes, bytearray, memoryview)) else str(value)


def rfc3339(moment: datetime | float | None) -> str | None:
    """
    Return a moment as text in UTC; one without a zone is UTC already.
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")


def problem(error: ConnectorError) -> Response:
    """
    Answer with what went wrong.
    """
    headers = error.headers if isinstance(error, HttpError) else {}
    if isinstance(error, HttpError):
        found = problems.problem(error.kind, error.message, error.action)
    else:
        found = problems.of_error(error)
    if isinstance(error, Unavailable):
        headers = {"retry-after": str(round(error.after_seconds or RETRY_AFTER_SECONDS))}
    content = to_builtins(found)
    if isinstance(error, QueryError) and error.line:
        content |= {"line": error.line, "column": error.column}
    return Response(encode(content), found.status, headers, media_type=problems.CONTENT_TYPE)


def problem_of(error: Exception) -> Response:
    """
    Answer with whatever an endpoint raised; what nobody foresaw is logged, and not explained to strangers.
    """
    if isinstance(error, ConnectorError):
        return problem(error)
    if isinstance(error, HTTPException):  # of the router
        headers = dict(error.headers or {})
        if error.status_code == 405:
            return problem(
                HttpError("method-not-allowed", "This address does not take that method.", headers=headers)
            )
        if error.status_code == 404:
            return problem(HttpError("not-found", "There is nothing at this address.", headers=headers))
        return problem(
            HttpError("invalid-input", f"The request cannot be read: {error.detail}.", headers=headers)
        )
    logger.error(
        "A request failed in a way nobody foresaw", exc_info=error, extra={"action": "request_failed"}
    )
    return problem(HttpError("internal", "The program failed to answer this request."))
