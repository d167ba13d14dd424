"""
Our forms of SQL in the library's place: while this program translates, and at no other time.

The library has no seam for the SQL of a function, and without ours a query could take all memory (``bounds``) or
several times as long (``forms``). So its tables and three of its functions are changed, here and nowhere else, when
the first query is translated. What is put there looks who is translating: others who import the library in the
same process get from it what it gives everybody.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

from onelogin_connector.kql import bounds, forms
from onelogin_connector.kql.library import LIBRARY_FORMS, ir, term_match_sql, translate

T = TypeVar("T")

_ours: ContextVar[bool] = ContextVar("ours", default=False)
"""Whether it is this program that translates."""


@contextmanager
def in_force() -> Iterator[None]:
    """
    Let the library use our forms within.
    """
    _put_in()
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


@cache  # two threads at once may both do it: then one looks behind the other, and nothing else changes
def _put_in() -> None:
    own = {**bounds.FORMS, **forms.FORMS}
    # a form that the library does not have is declined for others, which it takes for having none
    translate._SPECIAL_FORMS.update(  # noqa: SLF001
        {name: _either(form, LIBRARY_FORMS.get(name, _declined)) for name, form in own.items()}
    )
    translate.render_range = _either(bounds.render_range, translate.render_range)
    setattr(  # noqa: B010 - it exports it to nobody
        translate, "term_match_sql", _either(forms.term_match, term_match_sql)
    )
    library_expression = translate.render_expr

    def render_expr(node: Any) -> str:
        # no `_either`: an expression nests as deep as people write, and each level would take one more frame
        sql = str(library_expression(node))
        if len(sql) > bounds.LARGEST_SQL and _ours.get():
            raise bounds.too_large()
        return sql

    translate.render_expr = render_expr


def _either(own: Callable[..., T], library: Callable[..., T]) -> Callable[..., T]:
    """
    Return what does as ours does while this program translates, and else as the library does.
    """

    def chosen(*args: Any, **named: Any) -> T:
        return (own if _ours.get() else library)(*args, **named)

    return chosen


def _declined(_node: ir.FunctionCall) -> None:
    return None
