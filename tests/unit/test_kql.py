"""
Compiling: sizes, places, and text that nobody would write.
"""

import sys
from pathlib import Path
from re import findall

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector import kql
from onelogin_connector.errors import QueryError
from onelogin_connector.kql.text import find_name, near, place_of, tokens, too_deep, unclosed

SCHEMA = {
    "OneLogin": {"TimeGenerated": "datetime", "UserName": "string", "UserId": "long", "Raw": "dynamic"},
    "Other": {"UserId": "long", "Note": "string"},
}
PIECES = st.sampled_from(
    [
        "OneLogin",
        "Other",
        "|",
        "where",
        "summarize",
        "by",
        "project",
        "extend",
        "count()",
        "take",
        "5",
        "==",
        "!=",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        ",",
        ";",
        "let",
        "=",
        "join",
        "on",
        "kind=inner",
        "UserName",
        "UserId",
        "Raw.x",
        "1h",
        "ago(1d)",
        "datetime(2026-01-01)",
        "has",
        "contains",
        "in",
        "between",
        "..",
        "//",
        "\n",
        "@",
        "$left",
        ".",
        "-",
        "+",
        "*",
        "/",
        "bin",
        "has_any",
    ]
)


def test_importing_costs_no_grammar():
    """
    A start without queries does not load the translator.
    """
    import subprocess

    lines = "import sys, onelogin_connector.kql, onelogin_connector.store; print('duckdb_kql' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@given(st.lists(PIECES, max_size=25).map(" ".join))
def test_any_text_compiles_or_is_refused(text):
    """
    Nothing that is typed makes the compiler fail in another way than by refusing.
    """
    try:
        compiled = kql.compile(text, SCHEMA)
    except QueryError:
        return
    assert compiled.sql
    assert compiled.tables <= set(SCHEMA)


@given(st.text(max_size=60))
def test_places_are_within_the_text(text):
    """
    Every token is where it says, and places count from one.
    """
    for token in tokens(text):
        assert text[token.start :].startswith(token.text)
        place = place_of(text, token.start)
        assert text.split("\n")[place.line - 1][place.column - 1 :].startswith(token.text.split("\n")[0])


def test_names_are_found_outside_of_strings_and_comments():
    """
    The first real mention counts.
    """
    text = "// Foo\nT | where 'Foo' == \"Foo\" // Foo\n  and Foo == 1"
    assert find_name("T | where Bar == 1", "Foo") is None
    assert find_name(text.replace("'Foo'", "'x'").replace('"Foo"', '"y"'), "Foo") == (3, 7)


def test_brackets_in_strings_do_not_count():
    """
    Depth and balance are those of the query, not of its texts.
    """
    assert too_deep("print '((((('", 3) is None
    assert too_deep("print ((((1))))", 3) == (1, 10)
    assert unclosed("print '(' // (") is None
    assert unclosed("print (1").text == "("
    assert unclosed("print 'a").text == "'"


def test_suggestions():
    """
    Another case, a typing slip, or the whole of a short choice.
    """
    assert "UserName" in near("username", SCHEMA["OneLogin"])
    assert "UserName" in near("UsrName", SCHEMA["OneLogin"])
    assert "Other" in near("zzz", SCHEMA)
    assert not near("zzz", [f"column{n}" for n in range(50)])


@pytest.mark.parametrize("depth", [10, 39])
def test_nesting_within_bounds_compiles(depth):
    """
    What a person might nest is translated.
    """
    assert kql.compile(f"print {'(' * depth}1{')' * depth}", {}).sql


def test_a_bound_of_make_set_is_kept():
    """
    ``make_set(x, n)`` gives at most n values under the name it has in Kusto, also within a let.
    """
    compiled = kql.compile(
        "OneLogin | summarize make_set(UserName, 5), make_list(UserId, 2) by UserId", SCHEMA
    )
    assert compiled.columns == ("UserId", "set_UserName", "list_UserId")
    assert compiled.sql.count("list_slice") == 2
    inner = kql.compile("let t = OneLogin | summarize s = make_set(UserName, 5); t | take 1", SCHEMA)
    assert "list_slice" in inner.sql


PAGE = (Path(__file__).parents[2] / "docs" / "kql.md").read_text("utf-8")


def named_after(heading, end):
    """Return the names in backticks between two places of the page."""
    part = PAGE.split(heading, 1)[1].split(end, 1)[0]
    return [
        name for name in findall(r"`([a-z][a-z0-9_-]*)`", part) if name not in {"let", "invoke", "declare"}
    ]


def refused(name, query):
    """Tell whether a query is refused because of a name, rather than for its arguments."""
    try:
        kql.compile(query, SCHEMA)
    except QueryError as error:
        return f"{name} is not supported" in error.message
    return False


def test_the_page_says_what_is_supported():
    """
    Each function and aggregate that the page lists is known, and each that it calls refused is refused.
    """
    functions = named_after("**Functions**:", "**Aggregates**")
    aggregates = named_after("**Aggregates**:", "**Values in JSON**")
    assert len(functions) > 80
    assert len(aggregates) > 20
    assert not [name for name in functions if refused(name, f"print {name}(1)")]
    assert not [name for name in aggregates if refused(name, f"OneLogin | summarize {name}(UserId)")]
    no_functions = named_after("**Functions refused**", "**Aggregates refused**")
    no_aggregates = named_after("**Aggregates refused**", "Also refused")
    assert not [name for name in no_functions if not refused(name, f"print {name}(1)")]
    assert not [name for name in no_aggregates if not refused(name, f"OneLogin | summarize {name}(UserId)")]


@pytest.mark.parametrize("name", named_after("**Operators refused**:", "; also"))
def test_the_page_says_which_operators_are_refused(name):
    """
    An operator that is not supported is refused by its name, whatever stands behind it.
    """
    with pytest.raises(QueryError) as caught:
        kql.compile(f"OneLogin | {name} UserId", SCHEMA)
    assert name in caught.value.message
