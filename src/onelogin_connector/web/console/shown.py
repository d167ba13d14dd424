"""
How values look on a page: times, counts, sizes. Used by templates as filters.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape

NEVER = "never"
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
SIZES = ("B", "kB", "MB", "GB", "TB")


def moment(value: float | str | datetime | None) -> datetime | None:
    """
    Return a moment in UTC from Unix seconds, RFC 3339 text or a moment.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.fromtimestamp(value, UTC)


def absolute(value: float | str | datetime | None) -> str:
    """
    Return a moment as people read it, to the second.
    """
    found = moment(value)
    return f"{found.isoformat(' ', 'seconds')[:19]} UTC" if found else NEVER


def machine(value: float | str | datetime | None) -> str:
    """
    Return a moment as the ``datetime`` attribute takes it.
    """
    found = moment(value)
    return found.isoformat(timespec="seconds").replace("+00:00", "Z") if found else ""


def ago(value: float | str | datetime | None, now: float) -> str:
    """
    Return how long ago a moment was, or how far ahead it lies.
    """
    found = moment(value)
    if found is None:
        return NEVER
    seconds = now - found.timestamp()
    if abs(seconds) < 1:
        return "now"
    text = span(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def lasting(value: float | str | datetime | None, now: float) -> str:
    """
    Return for how long something has been so since a moment.
    """
    found = moment(value)
    if found is None:
        return NEVER
    seconds = now - found.timestamp()
    return f"for {span(seconds)}" if seconds >= 1 else "just now"


def span(seconds: float | None) -> str:
    """
    Return a length of time by its largest unit, with one more where it says something.
    """
    if seconds is None:
        return "–"
    for index, (size, unit) in enumerate(UNITS):
        if seconds >= size:
            whole = int(seconds // size)
            if whole < 10 and index + 1 < len(UNITS) and unit in {"d", "h"}:
                smaller, name = UNITS[index + 1]
                rest = int(seconds % size // smaller)
                if rest:
                    return f"{whole} {unit} {rest} {name}"
            return f"{whole} {unit}"
    return f"{seconds * 1_000:.0f} ms" if seconds > 0 else "0 s"


def count(value: float | None) -> str:
    """
    Return a count with thin spaces between its thousands; a dash where there is none.
    """
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def counted(number: int, one: str, many: str = "") -> str:
    """
    Return a count with its noun, of which there may be one: ``1 record``, ``2 000 records``.
    """
    return f"{count(number)} {one if number == 1 else many or f'{one}s'}"


def rate(value: float | None) -> str:
    """
    Return a rate per second in as many digits as say something.
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if value < 0.01:
        return "< 0.01"
    return f"{value:.2f}" if value < 10 else count(round(value))


def size(value: float | None) -> str:
    """
    Return a number of bytes.
    """
    if value is None:
        return "–"
    number = float(value)
    for unit in SIZES:
        if abs(number) < 1_000 or unit == SIZES[-1]:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1_000
    raise AssertionError  # the last unit takes everything


def points(values: Sequence[float], width: float, height: float) -> str:
    """
    Return values as the points of a line from left to right, the largest at the top of a box.
    """
    most = max(*values, 1e-9)
    step = (width - 2) / (len(values) - 1)
    return " ".join(
        f"{1 + at * step:.1f},{height - 1.5 - (height - 4) * value / most:.1f}"
        for at, value in enumerate(values)
    )


def coded(text: str) -> Markup:
    """
    Return a text as HTML whose names in backticks are code.
    """
    parts = [escape(part) for part in text.split("`")]
    marked = [Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts)]
    return Markup("").join(marked)


def share(value: float | None) -> str:
    """
    Return a share as per cent; never 100 % for what is not whole.
    """
    if value is None:
        return "–"
    if 0.999 <= value < 1:
        return "99.9 %"
    return f"{value * 100:.1f} %" if value < 1 else "100 %"
