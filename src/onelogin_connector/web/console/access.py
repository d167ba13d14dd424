"""
Access: who may come in and do what, which programs, and who did what.
"""

import asyncio
from typing import Annotated, Any
from urllib.parse import urlencode

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.plural import counted
from onelogin_connector.state import Account, ApiToken, Deed
from onelogin_connector.web.access import Access, Role, caller_of
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.console.base import console_of, render, service_of
from onelogin_connector.web.console.health import quoted
from onelogin_connector.web.console.routes import Act, Done, Entry, View
from onelogin_connector.web.reading import LARGEST_ID, id_of, whole

ROLES = {
    "viewer": "looks at everything",
    "operator": "also tests, imports, replays, starts and stops",
    "admin": "also makes connectors, sinks, accounts and tokens",
}
LIVES = {"30": "30 days", "90": "90 days", "365": "a year", "": "never ends"}
ON_PAGE = 100
MOST = 1_000
LONGEST_LIFE_DAYS = 3_650


class People(Struct, frozen=True):
    """
    The accounts of this console.
    """

    accounts: list[Account]
    single_sign_on: str
    """The identity provider; empty where there is none."""


class Tokens(Struct, frozen=True):
    """
    The API tokens, without their values.
    """

    tokens: list[ApiToken]


class Audit(Struct, frozen=True):
    """
    Lines of the audit log.
    """

    deeds: list[Deed]
    """Newest first."""
    next: int | None
    """``before`` of the next page; None on the last."""


class OwnAccount(Struct, frozen=True):
    """
    Whose request it is.
    """

    name: str
    role: Role
    by_session: bool
    """Signed in with a browser; else by an API token or over the control socket."""
    account: Account | None
    """None for a program."""


class NewAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """
    An account to make.
    """

    user: str
    password: str
    role: Role = Role.VIEWER


class NewRole(Struct, frozen=True, forbid_unknown_fields=True):
    """
    What somebody may do from now on.
    """

    user: str
    role: Role


class Who(Struct, frozen=True, forbid_unknown_fields=True):
    """
    An account that is meant.
    """

    user: str


class Sure(Struct, frozen=True, forbid_unknown_fields=True):
    """
    What an act takes that asks first.
    """

    confirmed: bool = False


class SetPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A password that an administrator sets.
    """

    user: str
    password: str


class OwnPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A new password of one's own.
    """

    old: str = ""
    new: str = ""
    again: str = ""


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """
    An API token to make.
    """

    name: str = ""
    role: Role = Role.VIEWER
    days: Annotated[float, Meta(gt=0, le=LONGEST_LIFE_DAYS)] | None = None
    """After how many it ends; never, if absent."""


def _access(request: Request) -> Access:
    return console_of(request).access


async def people(request: Request) -> People:
    """
    Return the accounts, by name.
    """
    accounts = await asyncio.to_thread(_access(request).accounts)
    return People(accounts, service_of(request).settings.oidc.issuer or "")


async def tokens(request: Request) -> Tokens:
    """
    Return the API tokens, newest first.
    """
    return Tokens(await asyncio.to_thread(_access(request).tokens))


async def audit(request: Request) -> Audit:
    """
    Return who did what, newest first.
    """
    asked = request.query_params
    limit = whole(request, "limit", ON_PAGE, least=1, most=MOST)
    found = await asyncio.to_thread(
        _access(request).deeds,
        actor=asked.get("actor", ""),
        action=asked.get("action", ""),
        text=asked.get("q", ""),
        before=whole(request, "before", LARGEST_ID, least=1, most=LARGEST_ID),
        limit=limit + 1,
    )
    page = found[:limit]
    return Audit(page, page[-1].id if len(found) > limit else None)


async def own(request: Request) -> OwnAccount:
    """
    Return whose request it is.
    """
    caller = caller_of(request)
    accounts = await asyncio.to_thread(_access(request).accounts)
    found = next((each for each in accounts if each.name == caller.name), None) if caller.by_session else None
    return OwnAccount(caller.name, caller.role, caller.by_session, found)


def _audit_words(request: Request, view: Audit) -> dict[str, Any]:
    asked = {name: request.query_params.get(name, "") for name in ("actor", "action", "q")}
    older = urlencode({name: value for name, value in asked.items() if value} | {"before": view.next})
    kql = ["OneLoginConnectorAudit"]
    kql += [f"| where Actor == {quoted(asked['actor'])}"] if asked["actor"] else []
    kql += [f"| where Action == {quoted(asked['action'])}"] if asked["action"] else []
    return {
        "asked": asked,
        "older": older,
        "newest": "before" not in request.query_params,
        "kql": "\n".join([*kql, "| sort by TimeGenerated desc"]),
    }


def _role_words(_request: Request, _view: Any) -> dict[str, Any]:
    return {"roles": ROLES}


def _token_words(_request: Request, _view: Any) -> dict[str, Any]:
    return {"roles": ROLES, "lives": LIVES, "made": None}


def _not_oneself(request: Request, user: str) -> None:
    caller = caller_of(request)
    if caller.by_session and caller.name == user:
        raise HttpError(
            "conflict",
            "This is your own account.",
            action="Let another administrator do it, so that one stays.",
        )


async def add(request: Request, new: NewAccount) -> Done:
    """
    Make a local account.
    """
    await _access(request).add_account(new.user, new.role, new.password)
    name = new.user.strip().lower()
    return Done(f"{name} can sign in as {new.role}.", target=f"{name} ({new.role})")


async def set_role(request: Request, new: NewRole) -> Done:
    """
    Change what somebody may do; it counts from the next request on.
    """
    await _access(request).set_role(new.user, new.role)
    return Done(f"{new.user} is {new.role} now.", target=f"{new.user} ({new.role})")


async def set_password(request: Request, new: SetPassword) -> Done:
    """
    Set somebody's password; the account's sessions end.
    """
    await _access(request).set_password(new.user, new.password)
    return Done(f"{new.user} has a new password, and is signed out everywhere.", target=new.user)


async def sign_out(request: Request, who: Who) -> Done:
    """
    Sign somebody out everywhere.
    """
    ended = await _access(request).end_sessions(who.user)
    return Done(f"{who.user} is signed out: {counted(ended, 'session')} ended.", target=who.user)


async def remove(request: Request, who: Who) -> Done:
    """
    Remove an account with its sessions.
    """
    _not_oneself(request, who.user)
    await _access(request).remove_account(who.user)
    return Done(f"The account {who.user} is removed.", target=who.user)


async def change_password(request: Request, new: OwnPassword) -> Done | Response:
    """
    Replace the own password; every session of the account ends, this one too.
    """
    caller = caller_of(request)
    if not caller.by_session:
        raise HttpError("conflict", "A program has no password.", action="Make it another API token.")
    if new.new != new.again:
        raise HttpError(
            "invalid-input", "The new password was not repeated as it was.", action="Type it twice."
        )
    await _access(request).change_password(caller.name, new.old, new.new, request.state.client)
    return Done("Your password is changed. Please sign in with it.", location="/login", target=caller.name)


async def new_token(request: Request, new: NewToken) -> Response:
    """
    Make an API token, and show it this once.
    """
    access, by = _access(request), caller_of(request).name
    token = await asyncio.to_thread(access.new_token, new.name, new.role, by=by, days=new.days)
    access.note(by, "api_token_made", f"{new.name} ({new.role})")
    shown = _token_words(request, None) | {"made": {"name": new.name, "role": new.role, "token": token}}
    return render(request, "access_tokens.html", view=await tokens(request), **shown)


async def revoke_token(request: Request, _sure: Sure) -> Done:
    """
    End an API token.
    """
    id = id_of(request, "API token")
    listed = await asyncio.to_thread(_access(request).tokens)
    found = next((each for each in listed if each.id == id), None)
    if found is None or not await asyncio.to_thread(_access(request).revoke_token, id):
        raise HttpError("not-found", f"There is no API token {id}.", action="It was revoked already.")
    return Done(f"The token {found.name} is worth nothing any more.", target=f"{id} ({found.name})")


AUDIT_ASKS = (
    ("actor", "What one did alone: a user, or token: and the name of an API token."),
    ("action", "Deeds of one kind."),
    ("q", "What a line holds somewhere."),
    ("before", "The id of the last line of the page before."),
    ("limit", f"How many lines, 1 to {MOST}."),
)

ENTRIES: tuple[Entry, ...] = (
    View(
        "/audit",
        "/audit",
        "access_audit.html",
        Audit,
        audit,
        also=_audit_words,
        asks=AUDIT_ASKS,
        title="Audit log",
        icon="list",
        group="System",
    ),
    View(
        "/access",
        "/access",
        "access.html",
        People,
        people,
        role=Role.ADMIN,
        also=_role_words,
        title="Access",
        icon="key",
        group="System",
    ),
    View("/access/tokens", "", "access_tokens.html", Tokens, tokens, role=Role.ADMIN, also=_token_words),
    View("/account", "/account", "access_account.html", OwnAccount, own, also=_role_words),
    Act("/access/add", "account_made", add, role=Role.ADMIN, takes=NewAccount, back="/access"),
    Act("/access/role", "role_changed", set_role, role=Role.ADMIN, takes=NewRole, back="/access"),
    Act(
        "/access/password",
        "password_set",
        set_password,
        role=Role.ADMIN,
        takes=SetPassword,
        twin=False,
        back="/access",
    ),
    Act("/access/sign-out", "sessions_ended", sign_out, role=Role.ADMIN, takes=Who, back="/access"),
    Act("/access/remove", "account_removed", remove, role=Role.ADMIN, takes=Who, back="/access"),
    Act(
        "/access/tokens",
        "api_token_made",
        new_token,
        role=Role.ADMIN,
        takes=NewToken,
        twin=False,
        back="/access/tokens",
    ),
    Act(
        "/access/tokens/{id}/revoke",
        "api_token_revoked",
        revoke_token,
        role=Role.ADMIN,
        takes=Sure,
        twin=False,
        back="/access/tokens",
    ),
    Act(
        "/account/password",
        "password_changed",
        change_password,
        role=Role.VIEWER,
        takes=OwnPassword,
        twin=False,
        back="/account",
    ),
)
