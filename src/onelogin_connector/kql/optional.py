"""
Columns that may be absent: ``column_ifexists`` is decided before a query becomes SQL.

Kusto knows a table's columns when it binds a query, and so does whoever compiles one here. So each call becomes
the column where the rows that reach it have one of that name, and the value given for its absence otherwise. In
a part that reads a table that is not there – a fuzzy union goes without it – nothing is known, and the value stands.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from onelogin_connector.kql.library import KqlSchemaError, KqlUnsupportedError, ir, output_columns

NAMES = frozenset({"column_ifexists", "columnifexists"})

Columns = Mapping[str, list[str]]
"""Table → its columns."""


def decided(query: ir.Query, tables: Columns) -> ir.Query:
    """
    Return a query in which no column is optional any more.

    Raises:
        KqlUnsupportedError: A call names its column in another way than as a text.
    """
    if not _asks(query):
        return query
    known = dict(tables)
    lets: list[tuple[str, Any]] = []
    for name, bound in query.lets:
        made = _replaced(bound, None, known)
        lets.append((name, made))
        if isinstance(made, ir.Query) and (columns := _columns(made, known)) is not None:
            known[name] = columns
    done = replace(query, source=_replaced(query.source, None, known), operators=[], lets=lets)
    for operator in query.operators:
        before = replace(done, operators=list(done.operators))
        done.operators.append(_replaced(operator, before, known) if _asks(operator) else operator)
    return done


def _asks(value: Any) -> bool:
    if isinstance(value, ir.FunctionCall) and value.name in NAMES:
        return True
    return any(map(_asks, _parts(value)))


def _parts(value: Any) -> list[Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in fields(value)]
    return list(value) if isinstance(value, list | tuple) else []


def _columns(query: ir.Query, tables: Columns) -> list[str] | None:
    try:
        return list(output_columns(query, dict(tables)))
    except KqlSchemaError:
        return None


def _replaced(value: Any, before: ir.Query | None, tables: Columns) -> Any:
    """
    Return a part of a query with its optional columns decided.

    Args:
        before: What gives the rows that reach the part; None where none do.
    """
    if isinstance(value, ir.Query):
        return decided(value, tables)
    if isinstance(value, ir.FunctionCall) and value.name in NAMES:
        return _choice(value, before, tables)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: _replaced(getattr(value, field.name), before, tables)
            for field in fields(value)
            if field.init
        }
        return replace(value, **changed)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_replaced(part, before, tables) for part in value)
    return value


def _choice(call: ir.FunctionCall, before: ir.Query | None, tables: Columns) -> Any:
    name = call.args[0] if call.args else None
    if len(call.args) != 2 or not isinstance(name, ir.Literal) or name.kind != "string":
        raise KqlUnsupportedError(
            f"function:{call.name}", hint="it takes a column's name as a text, and the value in its absence"
        )
    columns = _columns(before, tables) if before else None
    if columns is not None and name.value in columns:
        return ir.ColumnRef(str(name.value))
    return _replaced(call.args[1], before, tables)
