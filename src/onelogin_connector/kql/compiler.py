"""
KQL in, SQL out: what stays when the translator behind it is exchanged.

``compile`` refuses what is too large or too deep before it is parsed, lets the translator work, and turns
each of its complaints into one sentence with a place in the text. Whoever calls it brings the schema: the
tables a query may name, and their columns with KQL types.
"""

from onelogin_connector.errors import QueryError
from onelogin_connector.kql import text as kql_text
from onelogin_connector.kql.plan import Compiled, Schema

LONGEST_QUERY = 50_000
"""Characters. Translation is slow on long texts; the longest published detection has about 20,000."""
DEEPEST_NESTING = 40
"""Brackets within brackets. The translator recurses, and people do not write more than ten."""


def compile(text: str, schema: Schema) -> Compiled:
    """
    Translate one query.

    Raises:
        QueryError: It is no query, names what is not there, or uses what is not supported.
    """
    if not text.strip():
        raise QueryError("The query is empty.", action="Begin with a table, such as: OneLogin | take 10")
    if len(text) > LONGEST_QUERY:
        raise QueryError(
            f"The query has {len(text)} characters; at most {LONGEST_QUERY} are taken.",
            action="Long lists of values are better filtered in several queries.",
        )
    place = kql_text.too_deep(text, DEEPEST_NESTING)
    if place:
        raise QueryError(
            f"The query has more than {DEEPEST_NESTING} brackets within each other.",
            action="Name parts of it with let.",
            line=place.line,
            column=place.column,
        )
    # imported late: its grammar costs half a second and 30 MB, which a start without queries need not pay
    from onelogin_connector.kql.translator import translate

    try:
        return translate(text, schema)
    except RecursionError:
        raise QueryError(
            "The query is too deeply nested.",
            action="Name parts of it with let, or use in (…) for long or-chains.",
        ) from None
