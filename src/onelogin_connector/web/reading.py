"""
What requests of the API hold, read and checked.
"""

import logging
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, TypeVar

from msgspec import DecodeError, Meta, Struct, ValidationError
from msgspec.json import Decoder
from starlette.requests import ClientDisconnect, Request

from onelogin_connector.loose import parse_time_us
from onelogin_connector.web.access import Role
from onelogin_connector.web.answers import HttpError

logger = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 1 << 20  # of a JSON request; queries and settings are far smaller
ROW_LIMIT = 30_000  # as Log Analytics has it

LARGEST_ID = (1 << 63) - 1
LONGEST_NUMBER = 19  # digits; has LARGEST_ID

Id = Annotated[int, Meta(ge=0, le=LARGEST_ID)]

T = TypeVar("T")


class Question(Struct, forbid_unknown_fields=True):
    """
    Body of a query.
    """

    kql: str
    all: bool = False
    """Every row instead of the first 30,000."""
    limit: int = ROW_LIMIT
    timeout_seconds: float = 60.0


class Names(Struct, forbid_unknown_fields=True):
    """
    Connectors and sinks to check; all when empty.
    """

    names: list[str] = []


class Range(Struct, forbid_unknown_fields=True):
    """
    A part of the past to read from the API.
    """

    since: Annotated[datetime, Meta(tz=True)]
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """Now, if absent."""
    accept_duplicates: bool = False


class Which(Struct, forbid_unknown_fields=True):
    """
    Dead letters that are meant.
    """

    ids: list[Id] = []
    all: bool = False


class NewPassword(Struct, forbid_unknown_fields=True):
    """
    A user's new password.
    """

    password: str
    user: str = "admin"


class NewToken(Struct, forbid_unknown_fields=True):
    """
    An API token to make.
    """

    name: str
    role: Role = Role.VIEWER


class Rotation(Struct, forbid_unknown_fields=True):
    """
    A webhook token to make.
    """

    revoke_old: bool = False


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """
    Give a request's body as it arrives.

    Raises:
        HttpError: The client left, so that nobody will read this.
    """
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        logger.debug("A client left before its request was complete", extra={"action": "client_left"})
        raise HttpError("invalid-input", "The request ended before its body did.") from error


async def body_of(request: Request, most_bytes: int = LARGEST_BODY_BYTES) -> bytes:
    """
    Return a request's body if it is small enough.

    Raises:
        HttpError: It is not.
    """
    parts, size = [], 0
    async for chunk in pieces(request):
        size += len(chunk)
        if size > most_bytes:
            raise HttpError(
                "too-large", f"The body has more than {most_bytes} bytes.", headers={"connection": "close"}
            )
        parts.append(chunk)
    return b"".join(parts)


async def read(request: Request, kind: type[T]) -> T:
    """
    Return the JSON body as a value of a type; an empty body is an empty object.

    Raises:
        HttpError: Saying at which place it does not fit.
    """
    body = await body_of(request)
    try:
        return Decoder(kind).decode(body or b"{}")
    except ValidationError as error:
        raise HttpError("invalid-input", f"The body does not fit: {error}.") from error
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError("invalid-input", f"The body is not JSON: {error}.") from error


def whole(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """
    Return a number of the query string.

    Raises:
        HttpError: It is none, or lies outside of its range.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else -1
    within(name, number, least, most)
    return number


def within(name: str, number: float, least: float, most: float) -> None:
    """
    Check that a number lies in its range.

    Raises:
        HttpError: It does not.
    """
    if not least <= number <= most:
        raise HttpError(
            "invalid-input", f"{name} has to be a number from {least} to {most}.", action=f"Correct {name}."
        )


def id_of(request: Request, what: str) -> int:
    """
    Return the number at the end of the path.

    Raises:
        HttpError: Nothing can have it.
    """
    text: str = request.path_params["id"]
    # int() refuses some thousand digits, and storage numbers of more than 64 bits
    if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER and int(text) <= LARGEST_ID:
        return int(text)
    raise HttpError("not-found", f"There is no {what} {text[:40]}.")


def moment_us(request: Request, name: str, default_us: int) -> int:
    """
    Return a moment of the query string as microseconds since 1970.

    Raises:
        HttpError: It is none.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default_us
    found = parse_time_us(text)
    if found is None:
        raise HttpError("invalid-input", f"{name} has to be a time such as 2026-11-01T00:00:00Z.")
    return found
