"""Records of a dispute as JSON, field by field, by the types that the dataclasses declare.

Bytes are 0x and hex, amounts of money decimal strings, enumerations their numbers. A number has
the width of its Solidity twin, but at most 53 bits. Nothing may be missing, unknown or loose.
"""

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Final

from verifiable.crypto.hashing import Json
from verifiable.crypto.strict import (
    read_address,
    read_count,
    read_hex,
    read_list,
    read_object,
    read_text,
    shown,
    to_hex,
)
from verifiable.errors import EncodingError
from verifiable.types import Address, Bytes32, ClaimId, Sha256

MONEY: Final = frozenset({"bond", "challenge_bond", "price", "refuter_gas", "reveal_fee"})
BITS: Final[Mapping[str, int]] = {
    "zone": 8, "height": 8, "size": 16, "leaf_bytes": 16, "last_bytes": 16, "burnt_share": 16,
    "requester_share": 16, "challenge": 32, "instruction": 32, "instructions": 32, "place": 32,
    "position": 32, "tensors": 32,
}  # fmt: skip
"""Of numbers whose twins are narrower than 53 bits."""
WORDS: Final = frozenset({"extra", "membership"})
"""Plain bytes whose twins are 32 bytes long."""

_AMOUNT: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z")


def to_json(value: Any, name: str = "") -> Json:
    """Write a value.

    Parameters
    ----------
    value : dataclass, bytes, int, str, None or tuple of these
    name : str
        Of the field that holds it.
    """
    if is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name), f.name) for f in fields(value)}
    if isinstance(value, bytes):
        return to_hex(value)
    if isinstance(value, Enum):
        return int(value.value)
    if isinstance(value, tuple):
        return [to_json(item, name) for item in value]
    if name in MONEY:
        return str(value)
    assert value is None or isinstance(value, int | str), f"no JSON for {value!r}"
    return value


def from_json(
    kind: Any, value: Json, at: str, name: str = "", given: Mapping[str, Any] | None = None
) -> Any:
    """Read a value of a declared type; the inverse of `to_json`.

    Parameters
    ----------
    kind : type
    value : JSON
    at : str
        Where it stands in its document.
    name : str
        Of the field that holds it.
    given : mapping, optional
        Fields of a dataclass that do not stand in the document.

    Raises
    ------
    EncodingError
        If it is none; the message names the field.
    """
    if isinstance(kind, types.UnionType):
        inner = next(k for k in typing.get_args(kind) if k is not types.NoneType)
        return None if value is None else from_json(inner, value, at, name)
    if typing.get_origin(kind) is tuple:
        return _tuple(typing.get_args(kind), value, at, name)
    if is_dataclass(kind):
        return _fields(kind, value, at, given or {})
    if kind is Address:
        return read_address(value, at)
    if kind in (Sha256, Bytes32, ClaimId):
        return read_hex(value, at, width=32)
    plain = getattr(kind, "__supertype__", kind)
    if plain is bytes:
        return read_hex(value, at, width=32 if name in WORDS else None)
    if plain is str:
        return read_text(value, at)
    return _number(plain, value, at, name)


def _number(kind: Any, value: Json, at: str, name: str) -> Any:
    if name in MONEY:
        if not isinstance(value, str) or not _AMOUNT.match(value) or int(value) >> 256:
            raise EncodingError(f"{at} is no amount below 2**256 in decimal: {shown(value)}")
        return int(value)
    number = read_count(value, at)
    bits = BITS.get(name, 53)
    if number >> bits:
        raise EncodingError(f"{at} is {number}, wanted less than 2**{bits}")
    try:
        return kind(number)
    except ValueError as e:
        raise EncodingError(f"{at} is {number}, which names no {kind.__name__}") from e


def _tuple(kinds: tuple[Any, ...], value: Json, at: str, name: str) -> tuple[Any, ...]:
    items = read_list(value, at)
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(items)
    if len(kinds) != len(items):
        raise EncodingError(f"{at} has {len(items)} items, wanted {len(kinds)}")
    pairs = enumerate(zip(kinds, items, strict=True))
    return tuple(from_json(kind, item, f"{at}[{i}]", name) for i, (kind, item) in pairs)


def _fields(kind: Any, value: Json, at: str, given: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    wanted = [name for name in hints if name not in given]
    found = read_object(value, at, wanted)
    read = {name: from_json(hints[name], found[name], f"{at}.{name}", name) for name in wanted}
    return kind(**read, **{name: x for name, x in given.items() if name in hints})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def without(value: Any, names: frozenset[str]) -> Json:
    """A dataclass but for some fields, which its document gives elsewhere."""
    return {
        f.name: to_json(getattr(value, f.name), f.name)
        for f in fields(value)
        if f.name not in names
    }
