"""
The quicker forms of SQL: each finds what the library's own form finds.
"""

import subprocess
import sys
from datetime import datetime, timedelta

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelogin_connector import kql
from onelogin_connector.kql import forms
from onelogin_connector.kql.library import LIBRARY_FORMS, KqlUnsupportedError, ir, term_match_sql, translate

SCHEMA = {"T": {"t": "datetime", "d": "timespan", "s": "string", "j": "dynamic"}}
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as the database has it
WIDTHS = {"1d": 86_400, "1h": 3_600, "10m": 600, "7d": 604_800, "90s": 90, "time(1.02:03:04)": 93_784}
LETTERS = st.text(st.sampled_from("paßwordkKKsSſİıiI -_.9é"), max_size=12)


@pytest.fixture(scope="module")
def database():
    """
    Give a table of one row.
    """
    with duckdb.connect() as connection:
        connection.execute(
            "SET TimeZone = 'UTC'; CREATE TABLE T (t TIMESTAMP, d INTERVAL, s VARCHAR, j JSON)"
        )
        yield connection


def asked(database, query, column, value):
    """
    Return what a query finds where one cell is filled.
    """
    database.execute("TRUNCATE T")
    database.execute(f"INSERT INTO T ({column}) VALUES (?)", [value])
    compiled = kql.compile(query, SCHEMA)
    return database.execute(compiled.sql, compiled.parameters).fetchall()


@given(
    moment=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
    width=st.sampled_from(list(WIDTHS)),
)
@example(moment=EPOCH - timedelta(microseconds=1), width="1d")
@example(moment=EPOCH, width="1h")
def test_a_time_is_rounded_down_to_its_bin(database, moment, width):
    """
    A bin begins at a whole number of widths since 1970, before 1970 too.
    """
    span = timedelta(seconds=WIDTHS[width])
    expected = EPOCH + (moment - EPOCH) // span * span
    assert asked(database, f"T | project b = bin(t, {width})", "t", moment) == [(expected,)]
    assert asked(database, f"T | project b = floor(t, {width})", "t", moment) == [(expected,)]


def test_small_bins_are_exact(database):
    """
    A millisecond is no fraction of a second that is only nearly right.
    """
    moment = datetime(2026, 3, 1, 12, 0, 0, 4_999)  # noqa: DTZ001
    found = asked(database, "T | project b = bin(t, 1ms), c = bin(t, 1microsecond)", "t", moment)
    assert found == [(moment.replace(microsecond=4_000), moment)]


def test_no_time_has_no_bin(database):
    """
    A missing time stays missing.
    """
    assert asked(database, "T | project b = bin(t, 1h)", "t", None) == [(None,)]


def test_a_span_in_a_column_is_taken_as_before(database):
    """
    What is not known to be a span is binned as the library does it.
    """
    found = asked(database, "T | project b = bin(d, 1h)", "d", timedelta(hours=3, minutes=5))
    library = LIBRARY_FORMS["bin"](_bin_of("d", "1h"))
    assert found == database.execute(f"SELECT {library} FROM T").fetchall()


def test_a_bin_of_no_width_is_left_to_the_library():
    """
    Nothing divides by zero that did not before.
    """
    node = _bin_of("t", "0s")
    assert forms._bin(node) == LIBRARY_FORMS["bin"](node)


@pytest.mark.parametrize("width", ["1tick", "15ticks", "-1h"])
def test_strange_widths_are_refused_by_the_library(width):
    """
    A width that is no whole number of microseconds, or none above zero, is still refused and not rounded.
    """
    with pytest.raises(KqlUnsupportedError):
        forms._bin(_bin_of("t", width))


def _bin_of(column, width):
    return ir.FunctionCall("bin", (ir.ColumnRef(column), ir.Literal(width, "timespan")))


@given(
    text=st.one_of(st.none(), LETTERS),
    word=LETTERS.filter(bool),
    operator=st.sampled_from(["has", "!has", "has_cs"]),
)
@example(text="the Paßword", word="paßword", operator="has")
@example(text="KELVIN", word="kelvin", operator="has")
@example(text="paſs", word="pass", operator="has")
@example(text="abİcd", word="abİcd", operator="has")
def test_a_word_is_found_where_the_library_finds_it(database, text, word, operator):
    """
    Letters are looked for first, and no text is missed for it, however its letters are folded.
    """
    quoted = word.replace("'", "\\'")
    found = asked(database, f"T | where s {operator} '{quoted}' | count", "s", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translate, "term_match_sql", term_match_sql)
        assert found == asked(database, f"T | where s {operator} '{quoted}' | count", "s", text)


def test_letters_are_looked_for_first(database):
    """
    The longest run that has one spelling only is what a text must hold; several words each have their own.
    """
    sql = kql.compile("T | where s has 'password' and s has_any ('expired', 'k s')", SCHEMA).sql
    assert "contains(lower(CAST(\"s\" AS VARCHAR)), 'word')" in sql
    assert "contains(lower(CAST(\"s\" AS VARCHAR)), 'expired')" in sql
    assert sql.count("contains(") == sql.count("contains(lower(CAST(\"s\" AS VARCHAR)), 'word')") + sql.count(
        "contains(lower(CAST(\"s\" AS VARCHAR)), 'expired')"
    )


def test_a_dynamic_column_is_searched_as_before(database):
    """
    A text within JSON is found by the word it holds.
    """
    assert asked(database, "T | where j has 'expired' | count", "j", '"Password EXPIRED"') == [(1,)]
    assert asked(database, "T | where j has 'expired' | count", "j", '"expiredx"') == [(0,)]


def test_others_get_the_library_as_it_is():
    """
    Before our first query, after it and beside it, what another asks of the library is the library's own SQL.
    """
    code = """
import threading
from duckdb_kql import lower, translate
text = "T | where s has 'password' | extend b = bin(t, 1h), c = strcat(s, 'x'), r = replace_string(s, 'a', 'bb')"
schema = {"T": ["t", "s"]}
def plain():
    return translate.to_sql(lower.lower(text), schema), translate.to_sql(lower.lower("range n from 1 to 9 step 1"), {})
before = plain()
from onelogin_connector import kql
from onelogin_connector.kql import own_forms
def ours():
    return kql.compile(text, {"T": {"t": "datetime", "s": "string"}}).sql
first = ours()
assert plain() == before, "after"
found = []
with own_forms.in_force():
    thread = threading.Thread(target=lambda: found.append(plain()))
    thread.start()
    thread.join()
    assert plain() != before, "within"
assert found == [before], "beside"
assert "contains(lower(" in first and "error(" in first and "time_bucket(to_microseconds" in first
assert not any(mark in sql for sql in before for mark in ("contains(lower(", "error(", "time_bucket(to_micro"))
assert ours() == first
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.stderr
