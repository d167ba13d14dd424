"""
Text to syntax tree, our check of what the tree reads, tree to SQL.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from onelogin_connector.errors import QueryError
from onelogin_connector.kql import bounds, messages, optional, own_forms
from onelogin_connector.kql.library import (
    CLOCK_SLOT,
    KqlError,
    KqlSchemaError,
    KqlSyntaxError,
    KqlUnsupportedError,
    clock,
    ir,
    lower,
    match_wildcard,
    output_columns,
    to_sql,
)
from onelogin_connector.kql.plan import Compiled, Schema
from onelogin_connector.kql.text import find_name, near

_BOUNDED = {"make_set": "set", "make_list": "list"}
"""Aggregates with a bound → what a result without a name of its own is called."""

SOURCES = (ir.DataTable, ir.PrintSource, ir.RangeSource)
"""Where rows may come from apart from tables: what the query itself writes down."""


@own_forms.in_force()
def translate(text: str, schema: Schema) -> Compiled:
    """
    Translate a query whose size is within bounds.

    Raises:
        QueryError: As ``compile``.
        RecursionError: The query is nested too deeply after all.
    """
    columns = {table: list(of_table) for table, of_table in schema.items()}
    messages.refuse_commands(text)
    messages.refuse_mistakes(text)
    try:
        lowered = lower(text)
        bounds.check_tree(lowered)
        tree = _bounded(optional.decided(lowered, columns))
        tables = frozenset(_tables(tree, text, columns))
        with clock(None) as active:
            calls = [node for node in _nodes(tree) if isinstance(node, ir.FunctionCall)]
            sql = bounds.within(str(to_sql(tree, columns)), calls)
            _check_case(tree, text, [name for table in tables for name in columns[table]])
            # one moment for the whole query, as Kusto has it
            parameters = {CLOCK_SLOT: active.moment} if active.used else {}
    except KqlError as error:
        raise _explained(error, text, schema) from error
    except (AttributeError, AssertionError, IndexError, KeyError, TypeError, ValueError) as error:
        raise QueryError(
            "The query uses a combination of constructs that is not supported.",
            action="Split it with let, or leave parts out until it runs; docs/kql.md lists what is supported.",
        ) from error
    return Compiled(sql, parameters, tables, _columns(tree, columns))


def _columns(tree: ir.Query, schema: dict[str, list[str]]) -> tuple[str, ...]:
    try:
        return tuple(output_columns(tree, schema))
    except (KqlError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        return ()


def _tables(tree: ir.Query, text: str, schema: dict[str, list[str]]) -> Iterator[str]:
    """
    Give the tables a query reads, refusing everything that is neither a table of the schema nor its own.
    """
    nodes = list(_nodes(tree))
    if any(isinstance(node, ir.Query) and node.parameters for node in nodes):
        raise _refusal(text, "declare", "Query parameters are not supported.", "Use let for values.")
    named = {name for node in nodes if isinstance(node, ir.Query) for name, _ in node.lets}
    if any(isinstance(node, ir.Union) and node.isfuzzy for node in nodes):
        # such a union goes without the tables that are not there; a name that stays is refused by its SQL
        named |= {node.name for node in nodes if isinstance(node, ir.TableRef)} - schema.keys()
    for node in nodes:
        if isinstance(node, ir.TableRef):
            yield from _table(node, text, schema, named)
        elif isinstance(node, ir.WildcardTableRef):
            if node.database is not None:
                raise _refusal(text, "database", "Other databases cannot be read.")
            yield from match_wildcard(node, schema)
        elif isinstance(node, ir.GraphSource):
            raise _refusal(text, "make-graph", "Graph operators are not supported.")
        elif isinstance(node, ir.Source) and not isinstance(node, SOURCES):
            raise QueryError("The query reads something that is neither a table nor written in it.")


def _table(node: ir.TableRef, text: str, schema: dict[str, list[str]], named: set[str]) -> Iterator[str]:
    if node.cluster is not None:
        raise _refusal(text, "cluster", "Other clusters cannot be read.", "Name the table alone.")
    if node.database is not None:
        raise _refusal(text, "database", "Other databases cannot be read.", "Name the table alone.")
    if node.name in named:
        return
    if node.name not in schema:
        raise _refusal(text, node.name, f"There is no table {node.name}.", near(node.name, schema))
    yield node.name


def _check_case(tree: ir.Query, text: str, known: list[str]) -> None:
    """
    Refuse a column that is spelled in another case, which DuckDB would take and Kusto would not.
    """
    nodes = list(_nodes(tree))
    given = {node.name for node in nodes if isinstance(node, ir.NamedExpr) and node.name}
    given |= {new for node in nodes if isinstance(node, ir.ProjectRename) for new, _ in node.renames}
    folded = {name.lower(): name for name in known}
    for node in nodes:
        if isinstance(node, ir.ColumnRef) and node.name not in known and node.name not in given:
            meant = folded.get(node.name.lower())
            if meant:
                raise _refusal(
                    text, node.name, f"There is no column {node.name} here.", near(node.name, known)
                )


def _nodes(value: Any) -> Iterator[ir.Node]:
    """
    Give every node of a syntax tree, in whatever field, list or pair it hangs.
    """
    if isinstance(value, ir.Node):
        yield value
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _nodes(getattr(value, field.name))
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _nodes(part)
    elif isinstance(value, dict):
        yield from _nodes(list(value.values()))


def _bounded(value: Any) -> Any:
    """
    Give ``make_set(x, n)`` and ``make_list(x, n)`` their bound, which the library passes over.
    """
    call = value.expr if isinstance(value, ir.NamedExpr) else None
    if isinstance(call, ir.FunctionCall) and call.name in _BOUNDED and len(call.args) == 2:
        return _sliced(value, call)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: _bounded(getattr(value, field.name)) for field in fields(value) if field.init}
        return replace(value, **changed)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_bounded(part) for part in value)
    return value


def _sliced(value: ir.NamedExpr, call: ir.FunctionCall) -> ir.NamedExpr:
    most = call.args[1]
    if not isinstance(most, ir.Literal) or not isinstance(most.value, int):
        raise KqlUnsupportedError(call.name, hint="its bound must be a number")
    first = call.args[0]
    name = value.name or f"{_BOUNDED[call.name]}_{first.name if isinstance(first, ir.ColumnRef) else ''}"
    whole = ir.FunctionCall(call.name, (first,))
    ends = (ir.Literal(0, "long"), ir.Literal(most.value - 1, "long"))
    return ir.NamedExpr(ir.FunctionCall("array_slice", (whole, *ends)), name)


def _refusal(text: str, name: str, message: str, action: str = "") -> QueryError:
    place = find_name(text, name)
    return QueryError(
        message, action=action, line=place.line if place else 0, column=place.column if place else 0
    )


def _explained(error: KqlError, text: str, schema: Schema) -> QueryError:
    if isinstance(error, KqlSyntaxError):
        first = error.diagnostics[0] if error.diagnostics else None
        line, column = (first.span.line, first.span.column + 1) if first else (0, 0)
        return messages.syntax(text, line, column, first.message if first else "")
    if isinstance(error, KqlUnsupportedError):
        span = error.span
        place = (span.line, span.column + 1) if span else (0, 0)
        return messages.unsupported(text, error.construct, error.hint or "", *place)
    if isinstance(error, KqlSchemaError):
        return messages.schema_error(text, error.name, error.hint or "", schema)
    return QueryError("The query cannot be translated.", action=messages.SEE_DOCS)
