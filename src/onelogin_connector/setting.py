"""
The words in which a part declares its settings.

A part keeps its settings in a frozen ``msgspec.Struct``; each field is annotated with ``about(…)``, which
carries description, unit and example. From these come validation, the reference pages, the console's forms
and ``init``. Text that must have a certain form is a ``str`` subclass whose constructor checks it, and a
secret is a ``Secret``.
"""

from ast import AnnAssign, ClassDef, Constant, Expr, Name, parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from inspect import getsource
from ipaddress import ip_address, ip_network
from itertools import pairwise
from textwrap import dedent
from types import UnionType
from typing import Annotated, Any, NoReturn, Self, Union, get_args, get_origin
from urllib.parse import urlsplit

from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import fields

UNRESOLVED = "@Microsoft.KeyVault("
"""What an Azure app sees instead of a secret when its Key Vault reference could not be resolved."""

TAG = "kind"
"""The key by which a table says which of several it is."""

Reference = tuple[str, str]
"""
Where a secret comes from: ``env`` or ``file`` and its name there; ``literal`` for an id that stands as it is, ``demo`` for
what the demo brings along.
"""

OF_DEMO: Reference = ("demo", "")


class Secret:
    """
    A value that shows itself only to who asks by name.

    ``repr``, ``str`` and formatting give its origin instead; pickling and JSON encoding fail.
    """

    __slots__ = ("__value", "reference")

    def __init__(self, value: str, reference: Reference | None = None) -> None:
        """
        Wrap a value.

        Args:
            value: The secret itself.
            reference: Where it was read, so that an export can name the place.
        """
        self.__value = value
        self.reference = reference

    def reveal(self) -> str:
        """
        Return the value. Call this only where it is used, and keep the result nowhere.
        """
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({' '.join(self.reference) if self.reference else '…'})"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return format(repr(self), specification)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        return hash(self.__value)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret is not serialised.")

    def __getstate__(self) -> NoReturn:
        raise TypeError("A secret is not serialised.")


def is_loopback(host: str) -> bool:
    """
    Tell whether a host name or address stays on this machine.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class HttpUrl(str):
    """
    An address with https, or with plain http on this machine.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """
        Check and shorten an address: no closing slash, no user, no query.

        Raises:
            ValueError: A sentence for the person who wrote it; it never repeats the address, which may
                hold a password.
        """
        try:
            parts = urlsplit(text.strip())
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError("this is not an address such as https://example.com") from error
        if parts.scheme not in ("https", "http") or not host:
            raise ValueError("an address starts with https:// and names a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("an address holds no user, password, query or fragment")
        if parts.scheme == "http" and not is_loopback(host):
            raise ValueError("plain http is accepted on this machine alone (127.0.0.1); use https")
        return super().__new__(cls, f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"))


class Network(str):
    """
    A range of IP addresses, or a single one, in its normal form (``10.0.0.0/8``).
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """
        Check a network.

        Raises:
            ValueError: It is none, or has bits set beyond its length.
        """
        try:
            return super().__new__(cls, str(ip_network(text.strip())))
        except ValueError as error:
            raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8: {error}") from error


def about(
    description: str,
    *,
    example: Any = None,
    unit: str = "",
    literal: bool = False,
    binds: bool = False,
    local: bool = False,
    chosen: bool = False,
    **bounds: Any,
) -> Meta:
    """
    Describe a setting, for use in ``Annotated``.

    Args:
        description: What it does, as sentences in Markdown.
        example: A value as it would stand in the file.
        unit: ``seconds``, ``minutes``, ``hours``, ``days`` and ``bytes`` also let the value be written as
            text with a unit (``"10 min"``, ``"1 GiB"``); any other word is only shown.
        literal: The setting is a ``Secret`` that may stand in the file as it is (an id rather than a key).
        binds: The secrets beside it belong to this value, as they do to every ``HttpUrl``: where another is entered
            in the console, they have to be entered anew.
        local: It names something of this machine, such as a file, so that only the settings file may set it.
        chosen: It has a default, but many choose another: a form shows it with what is required, and folds no other.
        bounds: ``ge``, ``le``, ``pattern``, ``max_length`` and the like, as msgspec has them. Those of an
            optional setting stand in a ``Meta`` within the option, which msgspec requires.
    """
    extra = {"unit": unit, "literal": literal, "binds": binds, "local": local, "chosen": chosen}
    return Meta(
        description=description, examples=[example] if example is not None else None, extra=extra, **bounds
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """
    One setting of a part, as declared.
    """

    name: str
    annotation: Any
    description: str
    unit: str
    example: Any
    default: Any
    """``None`` also where it is required; see there."""
    required: bool
    literal: bool
    table: type[Struct] | None
    """The struct, where the setting is a table of its own."""
    variants: Mapping[str, type[Struct]]
    """Kind → struct, where the setting is a table that says by ``kind`` which of several it is; else empty."""
    binds: bool
    """Its value says where, or as whom, the secrets beside it are used."""
    local: bool
    """Only the settings file may set it."""
    chosen: bool
    """Whether many choose something else than its default."""
    holds: type | None
    """The plain type within ``| None``; None where there are several."""


def settings_of(struct: type[Struct]) -> list[Setting]:
    """
    Return the settings that a struct declares, in its order.
    """
    texts: dict[str, str] | None = None
    found = []
    for entry in fields(struct):
        meta = next((part for part in _metas(entry.type) if part.description), None)
        if meta is None:
            texts = _texts_below(struct) if texts is None else texts
        extra = (meta.extra if meta else None) or {}
        default = entry.default
        if default is NODEFAULT and entry.default_factory is not NODEFAULT:
            default = entry.default_factory()
        holds = _plain(entry.type)
        found.append(
            Setting(
                name=entry.name,
                annotation=entry.type,
                description=(meta.description or "") if meta else (texts or {}).get(entry.name, ""),
                unit=extra.get("unit", ""),
                example=meta.examples[0] if meta and meta.examples else None,
                default=None if default is NODEFAULT else default,
                required=entry.required,
                literal=bool(extra.get("literal")),
                table=holds if isinstance(holds, type) and issubclass(holds, Struct) else None,
                variants=_variants(entry.type),
                binds=bool(extra.get("binds")) or holds is HttpUrl,
                local=bool(extra.get("local")),
                chosen=bool(extra.get("chosen")),
                holds=holds,
            )
        )
    return found


def _metas(annotation: Any) -> Iterable[Meta]:
    if get_origin(annotation) is Annotated:
        yield from (part for part in get_args(annotation)[1:] if isinstance(part, Meta))


def _plain(annotation: Any) -> type | None:
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        rest = [part for part in get_args(annotation) if part is not type(None)]
        return _plain(rest[0]) if len(rest) == 1 else None
    found: type = get_origin(annotation) or annotation
    return found


def _variants(annotation: Any) -> dict[str, type[Struct]]:
    if get_origin(annotation) is Annotated:
        return _variants(get_args(annotation)[0])
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    structs = [part for part in parts if isinstance(part, type) and issubclass(part, Struct)]
    tagged = [struct for struct in structs if struct.__struct_config__.tag_field == TAG]
    return {str(struct.__struct_config__.tag): struct for struct in tagged}


def _texts_below(struct: type[Struct]) -> dict[str, str]:
    """
    Read the texts that stand below fields, for structs described that way.
    """
    try:
        tree = parse(dedent(getsource(struct))).body[0]
    except (OSError, TypeError, SyntaxError):  # built without a source file
        return {}
    found = {}
    for field, text in pairwise(tree.body if isinstance(tree, ClassDef) else ()):
        if isinstance(field, AnnAssign) and isinstance(field.target, Name) and isinstance(text, Expr):
            value = text.value
            if isinstance(value, Constant) and isinstance(value.value, str):
                found[field.target.id] = " ".join(value.value.split())
    return found
