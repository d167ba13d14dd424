"""
What a person enters for a connector, checked field by field, and the id that is derived from its name.

The same struct is the console's form, the body of the API, and – without the secret – what the state keeps.
"""

import unicodedata
from collections.abc import Container, Mapping
from datetime import datetime
from math import isfinite
from re import fullmatch, sub
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct, convert, structs, to_builtins

from onelogin_connector.config import Connector, Domain, HttpUrl, Network, Secret
from onelogin_connector.errors import ConfigError
from onelogin_connector.reach import Reach

LONGEST_NAME = 80  # characters; it stands in tables and headings
LONGEST_DESCRIPTION = 500
LONGEST_ID = 40
LONGEST_CREDENTIAL = 1024

SHORTEST_POLL_SECONDS = 5.0
LONGEST_POLL_SECONDS = 86_400.0
SHORTEST_OVERLAP_MINUTES = 1.0
LONGEST_OVERLAP_MINUTES = 1_440.0
LONGEST_POLL_DELAY_SECONDS = 3_600.0
SMALLEST_BODY_BYTES = 1 << 16
LARGEST_BODY_BYTES = 1 << 30
LEAST_BUDGET_SHARE = 0.01
MOST_NETWORKS = 100


class FieldErrors(ConfigError):
    """
    Something that was entered cannot be used.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        """
        Name the fields.

        Args:
            fields: Name → what is wrong, as a sentence for whoever entered it.
        """
        self.fields = dict(fields)
        super().__init__(
            " ".join(f"{name}: {text}" for name, text in fields.items()),
            action="Correct it and send it again.",
        )


class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A connector as a person enters it.
    """

    name: str
    """Connector Name: any text."""
    description: str = ""
    domain: str = ""
    """OneLogin Domain: ``acme``, ``acme.onelogin.com``, or an address copied from the browser."""
    client_id: str = ""
    client_secret: str = ""
    """Write-only. Empty keeps the stored one, as long as the host stays the same."""
    api_url: str = ""
    """Another API host, with https; empty for the domain itself."""
    poll_seconds: float = 60.0
    overlap_minutes: float = 10.0
    start: datetime | None = None
    """Where the first run begins, with its time zone; 24 hours back if absent."""
    time_rule: Literal["floor", "round"] = "floor"
    poll_delay_seconds: float | None = None
    """How far behind the present the API is read; 30 with a webhook, else 0, if absent."""
    api_budget_share: float = 0.5
    """Share of the account's hourly API calls that may be used."""
    allowed_networks: list[str] = []
    """Networks that webhooks may come from; empty for all."""
    max_body: int = 32 << 20
    """Largest webhook request that is taken, after unpacking, in bytes."""

    def __repr__(self) -> str:
        return f"Wanted({self.name!r})"  # never the secret

    def kept(self) -> dict[str, Any]:
        """
        Return what the state keeps: everything but the secret.
        """
        found: dict[str, Any] = to_builtins(structs.replace(self, client_secret=""))
        del found["client_secret"]
        return found

    @property
    def has_credential(self) -> bool:
        """
        Tell whether the API is to be asked.
        """
        return bool(self.client_id)


def normal(wanted: Wanted, reach: Reach) -> Wanted:
    """
    Return what was entered in its normal form.

    Args:
        reach: Where the console may send anything.

    Raises:
        FieldErrors: Something cannot be used; every field is named.
    """
    wrong: dict[str, str] = {}
    changes: dict[str, Any] = {
        "name": _text(wanted.name, LONGEST_NAME, "name", wrong),
        "description": _text(wanted.description, LONGEST_DESCRIPTION, "description", wrong),
        "domain": _domain(wanted.domain, wrong),
        "api_url": _api_url(wanted.api_url, reach, wrong),
        "client_id": wanted.client_id.strip(),
        "client_secret": wanted.client_secret.strip(),
        "allowed_networks": _networks(wanted.allowed_networks, wrong),
    }
    if not changes["name"] and "name" not in wrong:
        wrong["name"] = "Give the connector a name."
    for field in ("client_id", "client_secret"):
        if changes[field] and not fullmatch(rf"[!-~]{{1,{LONGEST_CREDENTIAL}}}", changes[field]):
            wrong[field] = "It holds a blank or another character that none has: copy it anew from OneLogin."
    if changes["client_id"] and not (changes["domain"] or changes["api_url"]) and "domain" not in wrong:
        wrong["domain"] = "Enter the account's domain, such as acme.onelogin.com."
    if changes["client_secret"] and not changes["client_id"]:
        wrong["client_id"] = "Enter the client id that belongs to the secret."
    _within("poll_seconds", wanted.poll_seconds, SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS, wrong)
    _within(
        "overlap_minutes", wanted.overlap_minutes, SHORTEST_OVERLAP_MINUTES, LONGEST_OVERLAP_MINUTES, wrong
    )
    if wanted.poll_delay_seconds is not None:
        _within("poll_delay_seconds", wanted.poll_delay_seconds, 0, LONGEST_POLL_DELAY_SECONDS, wrong)
    _within("api_budget_share", wanted.api_budget_share, LEAST_BUDGET_SHARE, 1, wrong)
    _within("max_body", wanted.max_body, SMALLEST_BODY_BYTES, LARGEST_BODY_BYTES, wrong)
    if wanted.start is not None and wanted.start.tzinfo is None:
        wrong["start"] = "Say the time zone too, as in 2026-11-01T00:00:00Z."
    if wrong:
        raise FieldErrors(wrong)
    return structs.replace(wanted, **changes)


def address(wanted: Wanted) -> str:
    """
    Return where a connector's API is, which is what its secret is bound to; empty if nowhere.
    """
    return wanted.api_url or (f"https://{wanted.domain}" if wanted.domain else "")


def connector(wanted: Wanted, secret: Secret | None) -> Connector:
    """
    Return the settings of a connector that was made in the console.

    Args:
        secret: Of its API credential; None leaves the API alone.
    """
    return Connector(
        name=wanted.name,
        description=wanted.description,
        domain=Domain(wanted.domain) if wanted.domain else None,
        api_url=HttpUrl(wanted.api_url) if wanted.api_url else None,
        client_id=Secret(wanted.client_id, ("literal", "")) if secret and wanted.client_id else None,
        client_secret=secret if wanted.client_id else None,
        poll_seconds=wanted.poll_seconds,
        overlap_minutes=wanted.overlap_minutes,
        start=wanted.start,
        time_rule=wanted.time_rule,
        poll_delay_seconds=wanted.poll_delay_seconds,
        api_budget_share=wanted.api_budget_share,
        allowed_networks=[Network(network) for network in wanted.allowed_networks],
        max_body=wanted.max_body,
    )


def changed_fields(before: Wanted | None, after: Wanted) -> list[str]:
    """
    Return the names of what was entered anew, for the audit log, which holds no values.

    Args:
        before: As it was; None for a new one.
        after: As it was entered; an empty secret was not.
    """
    was = before or Wanted(name="")
    names = [name for name in after.__struct_fields__ if name != "client_secret"]
    changed = [name for name in names if getattr(was, name) != getattr(after, name)]
    return changed + (["client_secret"] if after.client_secret else [])


def stored(settings: Mapping[str, Any]) -> Wanted:
    """
    Return what the state keeps as it was entered.

    Raises:
        msgspec.ValidationError: A newer version wrote it.
    """
    return convert(dict(settings), Wanted)


def id_for(name: str, taken: Container[str]) -> str:
    """
    Derive a connector's id from its name: small letters, digits and hyphens.

    Args:
        taken: Ids that are in use.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:LONGEST_ID].strip("-") or "onelogin"
    found, number = base, 2
    while found in taken:
        ending = f"-{number}"
        found, number = base[: LONGEST_ID - len(ending)].rstrip("-") + ending, number + 1
    return found


def _text(text: str, longest: int, field: str, wrong: dict[str, str]) -> str:
    plain = " ".join(text.split())
    if len(plain) > longest:
        wrong[field] = f"At most {longest} characters."
    elif not plain.isprintable():
        wrong[field] = "It holds characters that cannot be shown."
    return plain


def _domain(text: str, wrong: dict[str, str]) -> str:
    if not text.strip():
        return ""
    try:
        return str(Domain(text))
    except ValueError as error:
        wrong["domain"] = _sentence(str(error))
        return ""


def _api_url(text: str, reach: Reach, wrong: dict[str, str]) -> str:
    if not text.strip():
        return ""
    try:
        url = HttpUrl(text)
    except ValueError as error:
        wrong["api_url"] = _sentence(str(error))
        return ""
    host = urlsplit(url).hostname or ""
    if reach.refuses(host):
        wrong["api_url"] = (
            "This host is not public. List it in allow_private_hosts under [web] if it is meant."
        )
    elif url.startswith("http:") and not reach.allows(host):
        wrong["api_url"] = "Use https."
    return str(url)


def _networks(texts: list[str], wrong: dict[str, str]) -> list[str]:
    found = []
    for text in texts:
        try:
            found.append(str(Network(text)))
        except ValueError:
            wrong["allowed_networks"] = f"{text[:60]!r} is not a network such as 203.0.113.0/24."
    if len(texts) > MOST_NETWORKS:
        wrong["allowed_networks"] = f"At most {MOST_NETWORKS} networks."
    return found


def _within(field: str, value: float, least: float, most: float, wrong: dict[str, str]) -> None:
    if not (isfinite(value) and least <= value <= most):
        wrong[field] = f"A number from {least:g} to {most:g}."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
