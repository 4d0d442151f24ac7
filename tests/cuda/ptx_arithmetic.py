"""Scalar arithmetic of PTX on NumPy arrays of lanes.

Values are unsigned integers of their register's width; each function looks at them as its type
says. A floating-point result that is NaN is 0x7fffffff, as PTX says, so that a kernel that forgets
to give the machine's own NaN is found out.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Lanes = NDArray[Any]
Function = Callable[..., Lanes]

PTX_NAN = np.uint32(0x7FFFFFFF)
NUMPY = {
    "pred": np.dtype(np.bool_),
    **{f"{kind}{bits}": np.dtype(f"u{bits // 8}") for kind in "bu" for bits in (8, 16, 32, 64)},
    **{f"s{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}


def seen_as(value: Lanes, kind: str) -> Lanes:
    """Low bits of `value`, taken as elements of a PTX type."""
    wanted = NUMPY[kind]
    if value.dtype == wanted:
        return value
    if value.dtype.itemsize == wanted.itemsize:
        return value.view(wanted)
    narrow = value.astype(f"u{wanted.itemsize}")
    return narrow.view(wanted)


def bits_of(value: Lanes) -> Lanes:
    """Unsigned integers of the same width; NaNs become PTX's one."""
    if value.dtype == np.float32:
        return np.where(np.isnan(value), PTX_NAN, value.view(np.uint32))
    if value.dtype.kind in "ub":
        return value
    return value.view(f"u{value.dtype.itemsize}")


def fma32(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """``a * b + c`` of float32, rounded once, to nearest even.

    The product is exact in binary64. The sum is rounded to odd there, which leaves the one
    rounding to float32 right, since binary64 has more than two bits to spare (Boldo and Melquiond,
    "Emulation of FMA and correctly rounded sums", IEEE Trans. Computers 57(4), 2008).
    """
    product = a.astype(np.float64) * b.astype(np.float64)
    addend = c.astype(np.float64)
    total = np.asarray(product + addend)
    back = total - product
    error = (product - (total - back)) + (addend - back)
    bits = total.view(np.int64)
    step = np.where((error > 0) == (total > 0), 1, -1)
    inexact = np.isfinite(total) & (error != 0) & (bits & 1 == 0)
    odd = np.where(inexact, bits + step, bits).view(np.float64)
    return odd.astype(np.float32)


def _divide(a: Lanes, b: Lanes) -> Lanes:
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    assert np.all(b != 0), "division by zero is undefined in PTX"
    floored = a // b
    # PTX truncates, NumPy floors.
    up = (floored * b != a) & ((a < 0) != (b < 0))
    return np.asarray(floored + up.astype(a.dtype))


def _remainder(a: Lanes, b: Lanes) -> Lanes:
    return np.asarray(a - _divide(a, b) * b)


def _shift(left: bool) -> Function:
    def shift(a: Lanes, by: Lanes) -> Lanes:
        # Amounts past the width leave nothing, or the sign.
        width = 8 * a.dtype.itemsize
        by = np.asarray(by, np.uint32)
        within = np.minimum(by, width - 1).astype(a.dtype)
        if left:
            return np.asarray(np.where(by >= width, a.dtype.type(0), a << within))
        past = a >> a.dtype.type(width - 1) if a.dtype.kind == "i" else a.dtype.type(0)
        return np.asarray(np.where(by >= width, past, a >> within))

    return shift


def _high(a: Lanes, b: Lanes) -> Lanes:
    width = 8 * a.dtype.itemsize
    if width == 32:
        wide = np.int64 if a.dtype.kind == "i" else np.uint64
        return ((a.astype(wide) * b.astype(wide)) >> wide(32)).astype(a.dtype)
    assert width == 64
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    x, y = np.broadcast_arrays(a.view(np.uint64), b.view(np.uint64))
    x0, x1, y0, y1 = x & low, x >> half, y & low, y >> half
    middle = x1 * y0 + ((x0 * y0) >> half)
    other = x0 * y1 + (middle & low)
    high = x1 * y1 + (middle >> half) + (other >> half)
    if a.dtype.kind == "i":
        zero = np.uint64(0)
        high = high - np.where(a < 0, y, zero) - np.where(b < 0, x, zero)
    return np.asarray(high.view(a.dtype))


def _extreme(function: Any, nan_from: bool) -> Function:
    def extreme(a: Lanes, b: Lanes) -> Lanes:
        if a.dtype.kind != "f":
            return np.asarray(function(a, b))
        # PTX: a NaN loses, unless `.NaN` says otherwise; -0 is below +0.
        found = function(a, b)
        signed = np.where(np.signbit(a) if function is np.minimum else ~np.signbit(a), a, b)
        found = np.where((a == 0) & (b == 0), signed, found)
        if not nan_from:
            found = np.where(np.isnan(a), b, np.where(np.isnan(b), a, found))
        return np.asarray(found, a.dtype)

    return extreme


BINARY: dict[str, Function] = {
    "add": lambda a, b: np.asarray(a + b),
    "sub": lambda a, b: np.asarray(a - b),
    "mul": lambda a, b: np.asarray(a * b),
    "mul.lo": lambda a, b: np.asarray(a * b),
    "mul.hi": _high,
    "div": _divide,
    "rem": _remainder,
    "and": lambda a, b: np.asarray(a & b),
    "or": lambda a, b: np.asarray(a | b),
    "xor": lambda a, b: np.asarray(a ^ b),
    "min": _extreme(np.minimum, nan_from=False),
    "max": _extreme(np.maximum, nan_from=False),
    "min.NaN": _extreme(np.minimum, nan_from=True),
    "max.NaN": _extreme(np.maximum, nan_from=True),
}
SHIFTS = {"shl": _shift(left=True), "shr": _shift(left=False)}
UNARY: dict[str, Function] = {
    "neg": lambda a: np.asarray(-a),
    "abs": lambda a: np.asarray(abs(a)),
    "sqrt": np.sqrt,
    "rcp": lambda a: np.asarray(a.dtype.type(1) / a),
    "cnot": lambda a: np.where(a == 0, a.dtype.type(1), a.dtype.type(0)),
    "not": lambda a: np.asarray(~a),
    "popc": lambda a: np.bitwise_count(a).astype(np.uint32),
    "clz": lambda a: (
        8 * a.dtype.itemsize - np.where(a == 0, 0, _length(a)).astype(np.int64)
    ).astype(np.uint32),
}


def _length(a: Lanes) -> Lanes:
    found = np.zeros(a.shape, np.int64)
    for bit in range(8 * a.dtype.itemsize):
        found = np.where((a >> a.dtype.type(bit)) & a.dtype.type(1) != 0, bit + 1, found)
    return found


def compare(how: str, a: Lanes, b: Lanes) -> Lanes:
    """One comparison of ``setp``."""
    if how in {"num", "nan"}:
        nan = np.isnan(a) | np.isnan(b)
        return np.asarray(nan if how == "nan" else ~nan)
    plain = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}.get(how, how)
    unordered = a.dtype.kind == "f" and plain.endswith("u") and plain != "equ"
    unordered = unordered or plain == "equ"
    name = plain[:2]
    found = {
        "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
        "gt": np.greater, "ge": np.greater_equal,
    }[name](a, b)  # fmt: skip
    if a.dtype.kind == "f":
        nan = np.isnan(a) | np.isnan(b)
        found = np.where(nan, unordered, found)
    return np.asarray(found, np.bool_)


def convert(modifiers: list[str], to: str, source: str, value: Lanes) -> Lanes:
    """One ``cvt``; `value` is already seen as `source`."""
    target = NUMPY[to]
    if value.dtype.kind == "f":
        rounded = value
        for modifier in modifiers:
            if modifier in _ROUND:
                rounded = _ROUND[modifier](value)
        if target.kind == "f":
            assert to == source == "f32", (to, source)
            return np.asarray(rounded, np.float32)
        return _saturate(rounded, target)
    if target.kind == "f":
        assert modifiers == ["rn"], modifiers
        return _nearest(value) if to == "f32" else value.astype(np.float64)
    if "sat" in modifiers:
        limits = np.iinfo(target)
        wide = value.astype(object).clip(limits.min, limits.max)
        return np.asarray(wide.astype(target))
    return np.asarray(value.astype(target))


_ROUND: dict[str, Function] = {
    "rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil,
}  # fmt: skip


def _nearest(value: Lanes) -> Lanes:
    # NumPy's own casts of integers round once, to nearest even.
    return value.astype(np.float32)


def _saturate(value: Lanes, target: np.dtype[Any]) -> Lanes:
    limits = np.iinfo(target)
    wide = value.astype(np.float64)
    top = 2.0 ** (8 * target.itemsize - (target.kind == "i"))
    inside = np.where(np.isnan(wide) | (wide >= top) | (wide < limits.min), 0.0, wide)
    found = inside.astype(target)
    found = np.where(wide >= top, limits.max, found)
    found = np.where(wide < limits.min, limits.min, found)
    lost = limits.min if target.itemsize == 8 and target.kind == "i" else 0
    return np.where(np.isnan(wide), np.asarray(lost, target), found).astype(target)


def dp4a(a_kind: str, b_kind: str, a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """Four products of bytes, added to `c`."""
    total = c.astype(np.int64)
    for byte in range(4):
        shift = np.uint32(8 * byte)
        x = seen_as((a >> shift) & np.uint32(255), f"{a_kind[0]}8").astype(np.int64)
        y = seen_as((b >> shift) & np.uint32(255), f"{b_kind[0]}8").astype(np.int64)
        total = total + x * y
    return total.astype(np.uint32)


def permute(a: Lanes, b: Lanes, selector: Lanes) -> Lanes:
    """``prmt.b32``: each byte is one of eight, or its sign."""
    eight = a.astype(np.uint64) | (b.astype(np.uint64) << np.uint64(32))
    found = np.zeros(np.broadcast(a, b, selector).shape, np.uint32)
    for byte in range(4):
        nibble = (selector >> np.uint32(4 * byte)) & np.uint32(15)
        chosen = (eight >> (nibble & np.uint32(7)).astype(np.uint64) * np.uint64(8)) & np.uint64(
            255
        )
        sign = np.where(chosen >= 128, np.uint64(255), np.uint64(0))
        chosen = np.where(nibble >= 8, sign, chosen)
        found |= chosen.astype(np.uint32) << np.uint32(8 * byte)
    return found


def insert(a: Lanes, b: Lanes, position: Lanes, length: Lanes) -> Lanes:
    """``bfi``: the low `length` bits of `a` put into `b` at `position`."""
    kind = a.dtype.type
    width = 8 * a.dtype.itemsize
    position, length = position & np.uint32(255), length & np.uint32(255)
    ones = SHIFTS["shl"](np.full(length.shape, kind(1)), length) - kind(1)
    ones = np.where(length >= width, kind(2**width - 1), ones)
    mask = SHIFTS["shl"](ones.astype(a.dtype), position)
    return (b & ~mask) | (SHIFTS["shl"](a, position) & mask)


def extract(a: Lanes, position: Lanes, length: Lanes) -> Lanes:
    """``bfe`` of an unsigned or a signed value."""
    width = 8 * a.dtype.itemsize
    position, length = position & np.uint32(255), length & np.uint32(255)
    assert np.all(position + length <= width), "a field that leaves its word"
    up = np.uint32(width) - position - length
    moved = SHIFTS["shl"](a, up)
    return np.where(length == 0, a.dtype.type(0), SHIFTS["shr"](moved, np.uint32(width) - length))


def funnel(left: bool, wrap: bool, low: Lanes, high: Lanes, by: Lanes) -> Lanes:
    """``shf``: 32 bits of a shifted pair."""
    pair = low.astype(np.uint64) | (high.astype(np.uint64) << np.uint64(32))
    amount = (by & np.uint32(31) if wrap else np.minimum(by, np.uint32(32))).astype(np.uint64)
    if left:
        return ((pair << amount) >> np.uint64(32)).astype(np.uint32)
    return (pair >> amount).astype(np.uint32)


def lookup3(table: int, a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """``lop3``: any function of three bits."""
    found = np.zeros_like(a)
    for row in range(8):
        if table >> row & 1:
            found |= (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
    return found
