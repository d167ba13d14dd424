"""
Cut what an account lists into pages.

A cursor of the Events API is a position, ``account_id:::N--##id:::M`` in base64 without padding: it carries no
filter and never ends. A page that is full has a next one, which may be empty. The Users API counts pages instead,
so that its rows can shift under the reader.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from itertools import islice
from re import fullmatch
from typing import Any

from onelogin_connector.loose import parse_time_us
from onelogin_connector.simulator.account import KEPT_US, Account
from onelogin_connector.simulator.answers import NO_PAGES
from onelogin_connector.simulator.listing import Listed
from onelogin_connector.simulator.people import USUAL_FIELDS

PAGE = 50
EVENT_PARAMETERS = {"since", "until", "limit", "after_cursor", "event_type_id", "user_id", "fields"}
USER_PARAMETERS = {"limit", "page", "cursor", "updated_since", "fields", "user_ids"}


class BadParameter(ValueError):
    """
    A parameter that OneLogin would refuse.
    """


def event_page(
    account: Account, query: Mapping[str, str], *, link: str, endless: bool = False, standing: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """
    Return the records and the pagination of one page of events.

    Args:
        link: Address of the first page, without parameters.
        endless: Let there always be another page.
        standing: Let the cursor lead to where it was.

    Raises:
        BadParameter: The query is not one that OneLogin takes.
    """
    unknown = set(query) - EVENT_PARAMETERS
    if unknown:
        raise BadParameter(f"{min(unknown)} is not a valid attribute for event model")
    now_us = account.now_us()
    until_us = _moment(query, "until", now_us + 1)
    since_us = max(_moment(query, "since", 0), now_us - KEPT_US)
    after = read_cursor(query["after_cursor"]) if "after_cursor" in query else 0
    limit = min(PAGE, _whole(query, "limit", PAGE))
    found = account.listing.after(after, since_us, until_us, now_us=now_us)
    page = list(islice(filter(_filter(query), found), limit))
    more = len(page) == limit or endless or standing
    last = after if standing else page[-1].id if page else after + endless
    pagination: dict[str, str | None] = dict(NO_PAGES)
    if more or after:
        pagination["after_cursor"] = cursor(account.id, last)
    if after and page:
        pagination["before_cursor"] = cursor(account.id, page[0].id)
    if more:
        pagination["next_link"] = f"{link}?after_cursor={pagination['after_cursor']}"
    return [_chosen(each.happening.to_api(), query) for each in page], pagination


def cursor(account: int, id: int) -> str:
    """
    Write the position behind an event.
    """
    return base64.b64encode(f"account_id:::{account}--##id:::{id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> int:
    """
    Return the id that a cursor stands behind.

    Raises:
        BadParameter: It is none.
    """
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadParameter("after_cursor is invalid") from error
    found = fullmatch(r"account_id:::\d+--##id:::(\d{1,18})", plain)
    if found is None:
        raise BadParameter("after_cursor is invalid")
    return int(found[1])


def user_page(account: Account, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """
    Return the users of one page, and the headers that say where it lies.

    Raises:
        BadParameter: The query is not one that OneLogin takes.
    """
    unknown = set(query) - USER_PARAMETERS
    if unknown:
        raise BadParameter(f"Invalid query parameter: {min(unknown)}")
    limit, number = min(PAGE, _whole(query, "limit", PAGE)), _whole(query, "page", 1)
    if "cursor" in query:
        limit, number = _read_user_cursor(query["cursor"])
    since_us = _moment(query, "updated_since", 0)
    wanted = {part for part in query.get("user_ids", "").split(",") if part}
    users = [
        user
        for user in account.users()
        if (parse_time_us(user["updated_at"]) or 0) >= since_us and (not wanted or str(user["id"]) in wanted)
    ]
    page = users[(number - 1) * limit : number * limit]
    pages = max(1, -(-len(users) // limit))
    headers = {
        "Current-Page": str(number),
        "Page-Items": str(len(page)),
        "Total-Pages": str(pages),
        "Total-Count": str(len(users)),
    }
    if number < pages:
        headers["After-Cursor"] = _user_cursor(limit, number + 1)
    if number > 1:
        headers["Before-Cursor"] = _user_cursor(limit, number - 1)
    fields = query.get("fields", ",".join(USUAL_FIELDS))
    return [_chosen(user, {"fields": fields}) for user in page], headers


def _user_cursor(limit: int, page: int) -> str:
    return base64.b64encode(f"limit={limit}&page={page}".encode()).decode().rstrip("=")


def _read_user_cursor(text: str) -> tuple[int, int]:
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadParameter("Invalid cursor") from error
    found = fullmatch(r"limit=(\d{1,9})&page=(\d{1,9})", plain)
    if found is None or not int(found[1]) or not int(found[2]):
        raise BadParameter("Invalid cursor")
    return min(PAGE, int(found[1])), int(found[2])


def _moment(query: Mapping[str, str], name: str, default: int) -> int:
    if name not in query:
        return default
    moment = parse_time_us(query[name])
    if moment is None:
        raise BadParameter(f"{name} has incorrect data type. It should be -> datetime")
    return moment


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and int(text[:19]) > 0):
        raise BadParameter(f"{name} has incorrect data type. It should be -> integer")
    if int(text[:19]) > 2_147_483_647:
        raise BadParameter("Integer value must be <= 2147483647")
    return int(text)


def _filter(query: Mapping[str, str]) -> Callable[[Listed], bool]:
    """
    Return what tells the events that a query asks for.
    """
    wanted = {
        name: {part.strip() for part in query[name].split(",")}
        for name in ("event_type_id", "user_id")
        if name in query
    }
    return lambda each: all(str(each.happening.fields.get(name)) in values for name, values in wanted.items())


def _chosen(record: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    if "fields" not in query:
        return record
    names = {part.strip() for part in query["fields"].split(",")} | {"id"}
    return {name: value for name, value in record.items() if name in names}
