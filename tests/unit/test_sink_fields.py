"""
The form of a sink is made of its settings: every kind of input, there and back, and hostile entries.
"""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, to_builtins

from onelogin_connector.reach import Reach
from onelogin_connector.service.sink_fields import (
    Input,
    entered_of,
    errors_of,
    fields_of,
    values_of,
    words_of,
)
from onelogin_connector.service.sink_wanted import bound_to, secrets_of, settings_from
from onelogin_connector.service.wanted import FieldErrors
from onelogin_connector.setting import HttpUrl, Network, Secret, about


class Basic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="basic"):
    """
    User and password.
    """

    user: Annotated[str, about("Who.", binds=True, pattern=r"^[a-z]+$")]
    password: Annotated[Secret, about("What only that one knows.")]


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="key"):
    """
    A key from a file.
    """

    file: Annotated[str, about("Path.", local=True)] = ""
    note: Annotated[str, about("Anything.")] = ""


class Retry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    How often it is tried.
    """

    times: Annotated[int, about("How often.", ge=0, le=10)] = 3
    wait: Annotated[float, about("How long.", unit="seconds", ge=0)] = 1.5


class Odd(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One setting of each form.
    """

    url: Annotated[HttpUrl, about("Where.", example="https://siem.example.com")]
    login: Annotated[Basic | Key, about("As whom.")]
    format: Annotated[Literal["json", "cef"], about("How.", chosen=True)] = "json"
    level: Annotated[Literal["low", "high"] | None, about("Optional.")] = None
    packed: Annotated[bool, about("Whether it is packed.")] = True
    size: Annotated[int, about("Largest.", unit="bytes", ge=1)] = 1 << 20
    since: Annotated[datetime | None, about("From when.")] = None
    networks: Annotated[list[Network], about("Where from.")] = []
    headers: Annotated[dict[str, str], about("More headers.")] = {}
    retry: Annotated[Retry, about("How often.")] = Retry()
    token: Annotated[Secret | None, about("If it wants one.")] = None


FIELDS = fields_of(Odd)
OPEN = Reach(["siem.corp"])
GOOD = {"url": "https://siem.corp/in", "login": {"kind": "basic", "user": "ann", "password": "s3cret"}}


def read(entered: dict[str, Any], **stored: str) -> Odd:
    """
    Read what was entered.
    """
    found = settings_from(Odd, entered, lambda path: Secret(stored[path]) if path in stored else None, OPEN)
    assert isinstance(found, Odd)
    return found


def wrong(entered: dict[str, Any]) -> dict[str, str]:
    """
    Return what is wrong with what was entered.
    """
    with pytest.raises(FieldErrors) as refused:
        read(entered)
    assert refused.value.fields
    return refused.value.fields


def test_each_setting_has_its_input():
    """
    Annotations decide; what only the file may set has no field.
    """
    assert {each.name: each.input for each in FIELDS} == {
        "url": Input.TEXT,
        "login": Input.VARIANTS,
        "format": Input.CHOICE,
        "level": Input.CHOICE,
        "packed": Input.FLAG,
        "size": Input.NUMBER,
        "since": Input.MOMENT,
        "networks": Input.LINES,
        "headers": Input.JSON,
        "retry": Input.GROUP,
        "token": Input.SECRET,
    }
    login = next(each for each in FIELDS if each.name == "login")
    assert [[each.name for each in part.fields] for part in login.variants] == [
        ["user", "password"],
        ["note"],
    ]
    assert [each.name for each in FIELDS if not each.folded] == ["url", "login", "format"]
    assert [[each.name for each in part.fields if each.folded] for part in login.variants] == [[], ["note"]]
    assert len({each.path for each in FIELDS}) == len(FIELDS)
    assert words_of("client_id") == "Client ID"


ENTERED = st.fixed_dictionaries(
    {
        "url": st.just("https://siem.corp/in"),
        "login": st.one_of(
            st.fixed_dictionaries(
                {"kind": st.just("basic"), "user": st.from_regex(r"[a-z]{1,9}", fullmatch=True)}
            ),
            st.fixed_dictionaries({"kind": st.just("key"), "note": st.sampled_from(["x", "a b", "ü"])}),
        ),
        "packed": st.booleans(),
    },
    optional={
        "format": st.sampled_from(["json", "cef"]),
        "level": st.sampled_from(["low", "high"]),
        "size": st.integers(1, 1 << 40),
        "since": st.sampled_from(["2026-11-01T10:00", "2026-11-01T10:00:05Z", "2026-11-01T10:00:05+02:00"]),
        "networks": st.lists(
            st.sampled_from(["10.0.0.0/8", "::1/128", "203.0.113.7/32"]), min_size=1, max_size=3
        ),
        "headers": st.dictionaries(
            st.text("ab-", min_size=1, max_size=5), st.text("xy", max_size=5), min_size=1
        ),
        "retry": st.fixed_dictionaries({"times": st.integers(0, 10), "wait": st.integers(0, 99).map(float)}),
    },
)


@given(ENTERED)
def test_a_form_holds_what_was_entered(entered):
    """
    What a form shows of settings, sent back by a browser, is the same settings.
    """
    shown = values_of(FIELDS, entered)
    sent = {name: [text] for name, text in shown.items() if not (name == "settings.packed" and not text)}
    back = entered_of(FIELDS, sent)
    stored = {"login.password": "s3cret"}
    assert read(back, **stored) == read(entered, **stored)


def test_amounts_and_times_may_be_written_as_in_the_file():
    """
    A unit is understood, and a time without a zone is UTC, as its field says.
    """
    found = read(GOOD | {"size": "2 MiB", "since": "2026-11-01T10:00", "retry": {"wait": "2 min"}})
    assert (found.size, found.retry.wait) == (2 << 20, 120)
    assert found.since == datetime(2026, 11, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("entered", "path"),
    [
        ({"url": "https://10.0.0.1"}, "settings.url"),
        ({"url": "http://siem.example.com"}, "settings.url"),
        ({"url": 5}, "settings.url"),
        ({"url": ""}, "settings.url"),
        ({"login": None}, "settings.login"),
        ({"login": "basic"}, "settings.login.kind"),
        ({"login": {"kind": "nobody"}}, "settings.login.kind"),
        ({"login": {"kind": ["basic"]}}, "settings.login.kind"),
        ({"login": {"kind": "basic", "user": "ann"}}, "settings.login.password"),
        ({"login": {"kind": "basic", "user": "?", "password": "x"}}, "settings.login.user"),
        ({"login": {"kind": "basic", "user": "ann", "password": "two words"}}, "settings.login.password"),
        ({"login": {"kind": "basic", "user": "ann", "password": {"env": "HOME"}}}, "settings.login.password"),
        ({"login": {"kind": "key", "file": "/etc/passwd"}}, "settings.login.file"),
        ({"login": {"kind": "key", "odd": 1}}, "settings.login.odd"),
        ({"format": "xml"}, "settings.format"),
        ({"packed": "maybe"}, "settings.packed"),
        ({"size": "much"}, "settings.size"),
        ({"size": -1}, "settings.size"),
        ({"size": 1e999}, "settings.size"),
        ({"networks": ["anywhere"]}, "settings.networks"),
        ({"headers": "x: y"}, "settings.headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "settings.headers"),
        ({"retry": {"times": 11}}, "settings.retry.times"),
        ({"retry": []}, "settings.retry"),
        ({"since": "yesterday"}, "settings.since"),
        ({"url": "https://siem.corp/\u202e"}, "settings.url"),
        ({"nobody": 1}, "settings.nobody"),
    ],
)
def test_every_mistake_is_named(entered, path):
    """
    What cannot be used is said beside its field, in a sentence, and without its value where that may be a secret.
    """
    found = wrong(GOOD | entered)
    assert [*found] == [path]
    assert found[path].endswith(".")
    assert "two words" not in found[path]


def test_mistakes_are_named_all_at_once():
    """
    Nobody has to send a form five times; each stands at the field of the table that was chosen.
    """
    entered = {"login": {"kind": "basic", "user": "?"}, "size": "?", "retry": {"times": 99}}
    found = wrong(entered)
    assert {*found} == {
        "settings.url",
        "settings.login.user",
        "settings.login.password",
        "settings.size",
        "settings.retry.times",
    }
    assert {*errors_of(FIELDS, found, entered)} == {
        "settings.url",
        "settings.login.basic.user",
        "settings.login.basic.password",
        "settings.size",
        "settings.retry.times",
    }


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from([*GOOD, "size", "retry", "headers", "networks", "since", "token"]), JUNK)
)
def test_whatever_is_entered_is_read_or_refused(entered):
    """
    Any JSON is settings or ends in named mistakes, and nothing else.
    """
    found = None
    with suppress(FieldErrors):
        found = read(entered)
    if found is None:
        assert all(path.startswith("settings") and text for path, text in wrong(entered).items())


def test_secrets_belong_to_where_and_as_whom():
    """
    Every address, whatever is declared so, and which of several tables it is; nothing else.
    """
    one = read(GOOD)
    assert [path for path, _ in secrets_of(one)] == ["login.password"]
    for entered in (
        GOOD | {"url": "https://siem.corp/other"},
        GOOD | {"login": {"kind": "basic", "user": "bob", "password": "s3cret"}},
        GOOD | {"login": {"kind": "key"}},
    ):
        assert bound_to(read(entered)) != bound_to(one)
    assert bound_to(read(GOOD | {"size": 7, "login": GOOD["login"] | {"password": "other"}})) == bound_to(one)
    assert "s3cret" not in bound_to(one)


def test_a_browser_sends_no_box_that_is_not_ticked():
    """
    So a missing one is off, also where it is on by default; every other empty field is left out.
    """
    assert entered_of(FIELDS, {"settings.url": [" "], "settings.login.kind": [""]}) == {"packed": False}
    assert to_builtins(values_of(FIELDS, {}))["settings.packed"] == "true"
