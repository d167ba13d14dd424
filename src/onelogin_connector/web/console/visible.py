"""
Text of strangers, so that a person sees what it is.

Escaping keeps it from being markup; this keeps it from lying. Characters that do not show, or that turn the direction
of what follows, stand there by their number, and each text keeps its direction to itself.
"""

import re
from unicodedata import name

from markupsafe import Markup, escape

ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Control characters but for tab and newline, marks of direction, characters without width."""

LONGEST_CELL = 500  # characters


def visible(value: object, most: int = LONGEST_CELL) -> Markup:
    """
    Return a value as HTML of its own direction, cut at some length.

    Args:
        most: Characters; 0 shows all.
    """
    text = str(value)
    if (not most or len(text) <= most) and not ODD.search(text):  # nearly all of thousands of cells
        return Markup(f"<bdi>{escape(text)!s}</bdi>")  # noqa: S704 - what is within is escaped
    kept = text if not most or len(text) <= most else text[:most]
    parts: list[Markup] = []
    place = 0
    for found in ODD.finditer(kept):
        parts += [escape(kept[place : found.start()]), _named(found.group())]
        place = found.end()
    parts.append(escape(kept[place:]))
    rest = Markup("")
    if len(kept) < len(text):
        rest = Markup('<span class="cut" title="{} characters in all">…</span>').format(len(text))
    return Markup("<bdi>{}</bdi>{}").format(Markup("").join(parts), rest)


def _named(character: str) -> Markup:
    number = f"U+{ord(character):04X}"
    return Markup('<span class="odd" title="{}">{}</span>').format(
        name(character, "control character"), number
    )
