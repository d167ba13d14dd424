"""
The one shape of every refusal over HTTP: a problem document as RFC 9457 describes it.

``type`` names the kind of problem and stays the same between versions, so that scripts can tell them apart;
``detail`` says what happened to this request and ``action`` what its sender should do. No problem repeats a
token or the content of an event.
"""

from types import MappingProxyType

from msgspec import Struct
from msgspec.json import encode

from onelogin_connector.errors import (
    BadRecord,
    BadRequest,
    Busy,
    ConfigError,
    ConnectorError,
    HourPruned,
    JournalFull,
    QueryError,
    Refused,
    TooLarge,
    Unauthorized,
    Unavailable,
)

CONTENT_TYPE = "application/problem+json"


class Problem(Struct, frozen=True, kw_only=True):
    """
    One refusal.
    """

    type: str
    """A path below ``/problems/``; the same for every problem of its kind."""
    title: str
    status: int
    detail: str
    action: str

    def encoded(self) -> bytes:
        """
        Return the document's bytes.
        """
        return encode(self)


class Kind(Struct, frozen=True):
    """
    What all problems of one kind have in common.
    """

    status: int
    title: str
    action: str


KINDS = MappingProxyType(
    {
        # the webhook
        "unknown-connector": Kind(
            404,
            "There is no such connector",
            "Compare the end of the webhook's URL with the connector's id, shown by `onelogin-connector status`.",
        ),
        "method-not-allowed": Kind(405, "This method is not taken here", "Use one of the methods in Allow."),
        "webhook-token": Kind(
            401,
            "The webhook token is missing or wrong",
            "In OneLogin under Developers > Webhooks set the custom header `Authorization: Bearer <token>`; "
            "`onelogin-connector token` makes a new token.",
        ),
        "source-network": Kind(
            403,
            "Requests from this address are not taken",
            "Add the sender's network to allowed_networks of this connector, or send from a listed one.",
        ),
        "too-large": Kind(413, "The request is too large", "Send fewer events per request."),
        "content-encoding": Kind(
            415, "This content encoding is not taken", "Send the body as it is, or with gzip or deflate."
        ),
        "too-many-requests": Kind(
            429, "Too many requests", "Send again after the seconds in Retry-After, in larger batches."
        ),
        "no-json": Kind(
            400, "The body cannot be read", "Send a JSON array of events, or one event per line (NDJSON)."
        ),
        "journal-full": Kind(
            503,
            "There is no room for events",
            "Free disk space where the data folder is, or repair the destination whose backlog fills it.",
        ),
        "unavailable": Kind(
            503, "This cannot be done at the moment", "Send it again after the seconds in Retry-After."
        ),
        # the rest of the program
        "not-signed-in": Kind(401, "Nobody is signed in", "Sign in, or send an API token as bearer."),
        "not-permitted": Kind(403, "This is not permitted", "Ask a person whose role permits it."),
        "unknown-host": Kind(
            421, "This host name is not served here", "Set public_url to the name by which people come."
        ),
        "not-found": Kind(404, "There is nothing here", "Compare the address with the documentation."),
        "invalid-input": Kind(422, "The input cannot be used", "Correct it and send it again."),
        "bad-query": Kind(400, "The query cannot be run", "Correct the query at the named place."),
        "conflict": Kind(409, "This does not fit the present state", "Look at the present state first."),
        "hour-pruned": Kind(
            409, "Repeats could not be recognised", "Repeat it with the consent that events may double."
        ),
        "busy": Kind(409, "Another process holds it", "Stop the other process, or use it."),
        "upstream": Kind(502, "The other side refused", "Look at the check of this part for the cause."),
        "internal": Kind(500, "Something went wrong here", "Look at the log for the cause, and report it."),
    }
)
"""Every kind of problem by the name in its type."""

_BY_ERROR: tuple[tuple[type[ConnectorError], str], ...] = (
    (JournalFull, "journal-full"),
    (Unavailable, "unavailable"),
    (QueryError, "bad-query"),
    (ConfigError, "invalid-input"),
    (Busy, "busy"),
    (TooLarge, "too-large"),
    (BadRecord, "invalid-input"),
    (BadRequest, "no-json"),
    (HourPruned, "hour-pruned"),
    (Refused, "upstream"),
    (Unauthorized, "upstream"),
    (ConnectorError, "internal"),
)


def problem(kind: str, detail: str, action: str = "") -> Problem:
    """
    Return a problem of a known kind.

    Args:
        kind: A name in ``KINDS``.
        detail: What happened to this request.
        action: What to do, where it differs from what the kind says.
    """
    known = KINDS[kind]
    return Problem(
        type=f"/problems/{kind}",
        title=known.title,
        status=known.status,
        # a path or a header may have brought half a character, which no JSON can carry
        detail=detail.encode(errors="replace").decode(),
        action=(action or known.action).encode(errors="replace").decode(),
    )


def of_error(error: ConnectorError) -> Problem:
    """
    Return an error of the program as a problem.
    """
    kind = next(kind for family, kind in _BY_ERROR if isinstance(error, family))
    return problem(kind, error.message, error.action)
