"""
What a filter amounts to, written as KQL that means the same here and in Microsoft Sentinel.

Values come from events, so from strangers. A text is written so that it can only be a text: what is not plainly
visible – control characters, marks that turn the direction of writing, characters without width – is written by its
number in JSON, which the query reads, so that nobody is shown a query that reads otherwise than it runs.
"""

from datetime import UTC, datetime
from unicodedata import category

from onelogin_connector.store.events import Filter

KQL_COLUMNS = {
    "type": "EventType",
    "user": "UserName",
    "actor": "ActorUserName",
    "app": "TargetAppName",
    "ip": "SrcIpAddr",
    "connector": "ConnectorId",
}
"""A filter's field → the column of ``OneLogin``."""

KQL_SEARCHED = (
    "EventType",
    "UserName",
    "ActorUserName",
    "TargetAppName",
    "SrcIpAddr",
    "Message",
    "CustomMessage",
    "HttpUserAgent",
)

NEWEST = "OneLogin | sort by TimeGenerated desc"
"""The documented query."""

UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
"""Categories of characters that do not show, or change what others look like."""


def kql_of(chosen: Filter, *, ago: str = "", limit: int) -> str:
    """
    Return the query that finds the newest events that a filter lets through.

    Args:
        ago: A span such as ``24h`` that takes the place of the filter's beginning.
    """
    lines = ["OneLogin"]
    bounds = [f"TimeGenerated >= ago({ago})"] if ago else []
    if chosen.since_us is not None and not ago:
        bounds.append(f"TimeGenerated >= {moment(chosen.since_us)}")
    if chosen.until_us is not None:
        bounds.append(f"TimeGenerated < {moment(chosen.until_us)}")
    if bounds:
        lines.append(f"where {' and '.join(bounds)}")
    for name, values in chosen.values.items():
        texts = [literal(value) for value in values]
        test = f"== {texts[0]}" if len(texts) == 1 else f"in ({', '.join(texts)})"
        lines.append(f"where {KQL_COLUMNS[name]} {test}")
    if chosen.text:
        text = literal(chosen.text)
        lines.append("where " + " or ".join(f"{column} contains {text}" for column in KQL_SEARCHED))
    lines += ["sort by TimeGenerated desc", f"take {limit}"]
    return "\n| ".join(lines)


def literal(text: str) -> str:
    """
    Return a text as an expression of KQL.
    """
    if any(category(character) in UNSEEN for character in text):
        as_json = "".join(_spelled(character) for character in text)
        return "tostring(parse_json(" + _quoted(f'"{as_json}"') + "))"
    return _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _spelled(character: str) -> str:
    if character in '\\"':
        return "\\" + character
    if category(character) not in UNSEEN:
        return character
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def moment(time_us: int) -> str:
    """
    Return microseconds since 1970 as an expression of KQL.
    """
    seconds, rest = divmod(time_us, 1_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"datetime({text}.{rest:06d}Z)" if rest else f"datetime({text}Z)"
