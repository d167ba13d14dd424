"""
Columns that may be absent.
"""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector import kql
from onelogin_connector.errors import QueryError

NAMES = ("a", "b", "c")


@given(st.sets(st.sampled_from(NAMES), min_size=1), st.sampled_from(NAMES))
def test_the_column_or_its_default(present, asked):
    """
    The column's value where the table has it, and the default where it has not, also behind other operators.
    """
    with duckdb.connect() as connection:
        columns = ", ".join(f"{name} VARCHAR DEFAULT '{name}'" for name in sorted(present))
        connection.execute(f"CREATE TABLE T ({columns}); INSERT INTO T DEFAULT VALUES")
        schema = {"T": dict.fromkeys(sorted(present), "string")}
        compiled = kql.compile(
            f"T | where true | extend X = column_ifexists('{asked}', 'absent') | project X", schema
        )
        assert connection.execute(compiled.sql).fetchall() == [(asked if asked in present else "absent",)]


@pytest.mark.parametrize("call", ["column_ifexists(a, '')", "column_ifexists('a')", "column_ifexists(1, 2)"])
def test_a_column_is_named_by_a_text(call):
    """
    A call that does not say its column and its default is refused by name, with what it takes.
    """
    with pytest.raises(QueryError, match="column_ifexists cannot be used like this: it takes"):
        kql.compile(f"T | extend X = {call}", {"T": {"a": "string"}})
