"""
The expressions of ARM templates: read into a tree, and evaluated.

Only the functions that our templates use are there; any other is an error. Functions that only a running deployment
can answer get made-up answers of the right form, and what was asked is kept.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[()\[\],.]))"
)
LONGEST_EXPRESSION = 24_576
"""Characters; Azure Resource Manager refuses a longer one."""

Node = tuple[Any, ...]


class ExpressionError(Exception):
    """
    An expression that Azure Resource Manager would refuse.
    """


def is_expression(value: Any) -> bool:
    """
    Tell an expression from a literal; a literal that begins with a bracket begins with two.
    """
    return (
        isinstance(value, str)
        and value.startswith("[")
        and not value.startswith("[[")
        and value.endswith("]")
    )


def parse(text: str) -> Node:
    """
    Read an expression with its brackets.
    """
    if len(text) > LONGEST_EXPRESSION:
        raise ExpressionError(f"too long: {len(text)} characters")
    tokens = _tokens(text[1:-1])
    tokens.append(("end", ""))
    node, at = _value(tokens, 0)
    if tokens[at][0] != "end":
        raise ExpressionError(f"more after the end: {tokens[at][1]!r} in {text}")
    return node


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"cannot be read from {text[at : at + 20]!r}")
        found.append((str(match.lastgroup), match[match.lastgroup]))
        at = match.end()
    return found


def _value(tokens: list[tuple[str, str]], at: int) -> tuple[Node, int]:
    kind, text = tokens[at]
    if kind == "text":
        node: Node = ("literal", text[1:-1].replace("''", "'"))
        at += 1
    elif kind == "number":
        node, at = ("literal", int(text)), at + 1
    elif kind == "name":
        if tokens[at + 1] != ("sign", "("):
            raise ExpressionError(f"{text} is no call")
        arguments, at = _arguments(tokens, at + 2)
        node = ("call", text, arguments)
    else:
        raise ExpressionError(f"unexpected {text!r}")
    return _members(tokens, at, node)


def _arguments(tokens: list[tuple[str, str]], at: int) -> tuple[list[Node], int]:
    found: list[Node] = []
    while tokens[at] != ("sign", ")"):
        if found:
            if tokens[at] != ("sign", ","):
                raise ExpressionError(f"a comma or bracket is missing before {tokens[at][1]!r}")
            at += 1
        node, at = _value(tokens, at)
        found.append(node)
    return found, at + 1


def _members(tokens: list[tuple[str, str]], at: int, node: Node) -> tuple[Node, int]:
    while tokens[at] in {("sign", "."), ("sign", "[")}:
        if tokens[at][1] == ".":
            if tokens[at + 1][0] != "name":
                raise ExpressionError("a name is missing behind a dot")
            node, at = ("member", node, ("literal", tokens[at + 1][1])), at + 2
        else:
            inner, at = _value(tokens, at + 1)
            if tokens[at] != ("sign", "]"):
                raise ExpressionError("a bracket is not closed")
            node, at = ("member", node, inner), at + 1
    return node, at


def calls(node: Node) -> Iterator[tuple[str, list[Node]]]:
    """
    Give every call in a tree: name, arguments.
    """
    if node[0] == "call":
        yield node[1], node[2]
        for each in node[2]:
            yield from calls(each)
    elif node[0] == "member":
        yield from calls(node[1])
        yield from calls(node[2])


def hashed(*words: str) -> str:
    """
    Return 13 letters and digits, as ``uniqueString`` does, though not the same.
    """
    return base64.b32encode(hashlib.sha256("|".join(words).encode()).digest()).decode().lower()[:13]


def guid(*words: str) -> str:
    """
    Return a GUID of texts, as ``guid`` does, though not the same.
    """
    found = hashlib.sha256("|".join(words).encode()).hexdigest()
    return "-".join((found[:8], found[8:12], found[12:16], found[16:20], found[20:32]))


def resource_id(kind: str, *names: str, before: str) -> str:
    """
    Put types and names of a resource's id together.
    """
    space, *types = kind.split("/")
    if len(types) != len(names):
        raise ExpressionError(f"{kind} needs {len(types)} names, not {len(names)}: {names}")
    return f"{before}/providers/{space}" + "".join(f"/{a}/{b}" for a, b in zip(types, names, strict=True))


@dataclass
class Scope:
    """
    What an expression can see.
    """

    parameters: dict[str, Any]
    variables: dict[str, Any]
    subscription: str
    group: str
    location: str
    runtime: Callable[[str, bool], Any]
    """Answers ``reference``: id of a resource, whether the whole of it is asked for."""
    copied: dict[str, int] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)
    referenced: set[str] = field(default_factory=set)
    """Ids that the running deployment was asked for."""
    named: set[str] = field(default_factory=set)
    """Ids that were put together."""

    def evaluated(self, value: Any) -> Any:
        """
        Evaluate every expression within a value, property copies included.
        """
        if isinstance(value, dict):
            made = {self.evaluated(key): self.evaluated(each) for key, each in value.items() if key != "copy"}
            for loop in value.get("copy", ()):
                made[loop["name"]] = []
                for index in range(self.evaluated(loop["count"])):
                    self.copied[loop["name"]] = index
                    made[loop["name"]].append(self.evaluated(loop["input"]))
            return made
        if isinstance(value, list):
            return [self.evaluated(each) for each in value]
        if is_expression(value):
            return self._of(parse(value))
        return value[1:] if isinstance(value, str) and value.startswith("[[") else value

    def _of(self, node: Node) -> Any:
        if node[0] == "literal":
            return node[1]
        if node[0] == "member":
            owner, name = self._of(node[1]), self._of(node[2])
            try:
                return owner[name]
            except (KeyError, IndexError, TypeError) as error:
                raise ExpressionError(f"{owner!r} has no {name!r}") from error
        if node[1] == "if":
            # the branch that is not taken is not evaluated, as in Azure
            return self._of(node[2][1] if self._of(node[2][0]) else node[2][2])
        function = getattr(self, f"_{node[1]}", None)
        if function is None:
            raise ExpressionError(f"no such function: {node[1]}")
        return function(*(self._of(each) for each in node[2]))

    def _parameters(self, name: str) -> Any:
        self.used.add(("parameter", name))
        if name not in self.parameters:
            raise ExpressionError(f"no such parameter: {name}")
        return self.parameters[name]

    def _variables(self, name: str) -> Any:
        self.used.add(("variable", name))
        if name not in self.variables:
            raise ExpressionError(f"no such variable: {name}")
        return self.evaluated(self.variables[name])

    def _reference(self, wanted: str, version: str = "", whole: str = "") -> Any:
        self.referenced.add(wanted)
        return self.runtime(wanted, whole.lower() == "full")

    def _resourceId(self, *words: str) -> str:  # noqa: N802 - the names of ARM
        found = list(words)
        group, subscription = self.group, self.subscription
        if "/" not in found[0]:
            first = found.pop(0)
            if "/" not in found[0]:
                subscription, group = first, found.pop(0)
            else:
                group = first
        made = resource_id(
            found[0], *found[1:], before=f"/subscriptions/{subscription}/resourceGroups/{group}"
        )
        self.named.add(made)
        return made

    def _subscriptionResourceId(self, kind: str, *names: str) -> str:  # noqa: N802
        return resource_id(kind, *names, before=f"/subscriptions/{self.subscription}")

    def _extensionResourceId(self, owner: str, kind: str, *names: str) -> str:  # noqa: N802
        return resource_id(kind, *names, before=owner)

    def _resourceGroup(self) -> Any:  # noqa: N802
        return {
            "id": f"/subscriptions/{self.subscription}/resourceGroups/{self.group}",
            "location": self.location,
        }

    def _subscription(self) -> Any:
        return {"subscriptionId": self.subscription, "tenantId": guid("tenant")}

    def _copyIndex(self, name: str) -> int:  # noqa: N802
        return self.copied[name]

    def _concat(self, *parts: Any) -> Any:
        if isinstance(parts[0], list):
            return [item for part in parts for item in part]
        if not all(isinstance(part, str | int) for part in parts):
            raise ExpressionError(f"concat of {parts}")
        return "".join(map(str, parts))

    def _createObject(self, *words: Any) -> Any:  # noqa: N802
        return dict(zip(words[::2], words[1::2], strict=True))

    def _toLower(self, text: str) -> str:  # noqa: N802
        return text.lower()

    def _uniqueString(self, *words: str) -> str:  # noqa: N802
        return hashed(*words)

    def _string(self, value: Any) -> str:
        return (
            value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        )

    _and = staticmethod(lambda *values: all(values))
    _or = staticmethod(lambda *values: any(values))
    _not = staticmethod(lambda value: not value)
    _empty = staticmethod(lambda value: not value)
    _equals = staticmethod(lambda one, other: one == other)
    _contains = staticmethod(lambda whole, part: part in whole)
    _length = staticmethod(len)
    _split = staticmethod(lambda text, by: text.split(by))
    _take = staticmethod(lambda text, number: text[:number])
    _replace = staticmethod(str.replace)
    _guid = staticmethod(guid)
    _base64 = staticmethod(lambda text: base64.b64encode(text.encode()).decode())
