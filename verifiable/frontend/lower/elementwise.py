"""Operators that act on each element alone: arithmetic, logic, comparison, choice."""

from collections.abc import Callable, Sequence
from functools import reduce
from math import inf
from typing import Any, Final

from verifiable.frontend.facts import dtype_name
from verifiable.frontend.lower import formulas
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression, Function
from verifiable.frontend.lower.node import ELEMENTS, Node, lowers
from verifiable.frontend.lower.powers import MAX_CHAIN, power
from verifiable.graph.check import broadcast_shape
from verifiable.graph.vocabulary import ARITHMETIC, INTEGERS, DType, Scalar

NARROW: Final = frozenset({DType.I8, DType.U8})
NUMBERS: Final = ARITHMETIC | NARROW
_FLOAT: Final = frozenset({DType.F32})
_BOOL: Final = frozenset({DType.BOOL})
_ANY: Final = frozenset(DType)

_WIDTH: Final = {d: 8 * d.itemsize for d in DType}


def widely(function: Function) -> Function:
    """The function on i32 where operands are narrower, its result cast back: integers wrap."""

    def wide(*several: Expression) -> Expression:
        if several[0].dtype not in NARROW:
            return function(*several)
        result = function(*(e.to(DType.I32) for e in several))
        return result.to(several[0].dtype) if result.dtype is DType.I32 else result

    return wide


def operands_of(node: Node, places: Sequence[int], takes: frozenset[DType]) -> list[Value]:
    """Inputs of one dtype that can be broadcast.

    Raises
    ------
    UnsupportedError
        If they cannot, differ in dtype, or have one that is not taken.
    """
    several = [node.input(i) for i in places]
    words = ", ".join(str(v.type) for v in several)
    if any(v.dtype not in takes or v.dtype is not several[0].dtype for v in several):
        raise node.refuse(f"does not take ({words})")
    if broadcast_shape([v.shape for v in several]) is None:
        raise node.refuse(f"cannot broadcast ({words})")
    return several


def _floor_mod(x: Expression, y: Expression) -> Expression:
    cut = formulas.remainder(x, y) if x.dtype is DType.F32 else x % y
    return formulas.floored(cut, y)


def _trunc_mod(x: Expression, y: Expression) -> Expression:
    return formulas.remainder(x, y) if x.dtype is DType.F32 else x % y


_BINARY: Final[dict[str, tuple[Function, frozenset[DType]]]] = {
    "Add": (lambda x, y: x + y, NUMBERS),
    "Sub": (lambda x, y: x - y, NUMBERS),
    "Mul": (lambda x, y: x * y, NUMBERS),
    "Div": (lambda x, y: x / y, NUMBERS),
    "And": (lambda x, y: x & y, _BOOL),
    "Or": (lambda x, y: x | y, _BOOL),
    "Xor": (lambda x, y: x ^ y, _BOOL),
    "BitwiseAnd": (lambda x, y: x & y, INTEGERS),
    "BitwiseOr": (lambda x, y: x | y, INTEGERS),
    "BitwiseXor": (lambda x, y: x ^ y, INTEGERS),
    "PRelu": (lambda x, slope: (x < 0).where(x * slope, x), NUMBERS),
}


@lowers(*_BINARY)
def arithmetic(b: Builder, node: Node) -> Value:
    """Two operands, broadcast."""
    function, takes = _BINARY[node.op]
    return b.map(widely(function), *operands_of(node, (0, 1), takes))


_COMPARISONS: Final[dict[str, Function]] = {
    "Equal": Expression.equals,
    "Greater": Expression.__gt__,
    "GreaterOrEqual": Expression.__ge__,
    "Less": Expression.__lt__,
    "LessOrEqual": Expression.__le__,
}


@lowers(*_COMPARISONS)
def comparison(b: Builder, node: Node) -> Value:
    """Two operands to a bool."""
    return b.map(_COMPARISONS[node.op], *operands_of(node, (0, 1), _ANY))


@lowers("Mod")
def modulo(b: Builder, node: Node) -> Value:
    """Remainder with the divisor's sign, or with ``fmod`` the dividend's."""
    function = _trunc_mod if node.attribute("fmod", 0) else _floor_mod
    return b.map(widely(function), *operands_of(node, (0, 1), NUMBERS))


@lowers("BitShift")
def bit_shift(b: Builder, node: Node) -> Value:
    """Shift; by the width or more, or by a negative amount, leaves nothing but the sign."""
    x, y = operands_of(node, (0, 1), INTEGERS)
    width = _WIDTH[x.dtype]
    if node.attribute("direction") == "LEFT":
        return b.map(widely(lambda v, n: v << n), x, y)

    def right(v: Expression, n: Expression) -> Expression:
        within = (n >= 0) & (n < width)
        return v >> within.where(n, width - 1) if x.dtype is not DType.U8 else v >> n

    return b.map(widely(right), x, y)


@lowers("Pow")
def pow_(b: Builder, node: Node) -> Value:
    """Powers; the result has the dtype of the base."""
    x, y = node.input(0), node.input(1)
    takes = frozenset({DType.F32, DType.I32, DType.I64})
    if x.dtype not in takes or y.dtype not in takes | NARROW:
        raise node.refuse(f"does not take {x.type} to the power {y.type}")
    if broadcast_shape([x.shape, y.shape]) is None:
        raise node.refuse(f"cannot broadcast ({x.type}, {y.type})")
    exponent = b.known(y)
    if x.dtype is DType.F32 and exponent is not None and exponent.size == 1:
        number = float(exponent.reshape(()))
        if abs(number) <= MAX_CHAIN and number == int(number):
            return b.map(lambda v, _: power(v, number), x, y)

    def function(v: Expression, n: Expression) -> Expression:
        if DType.F32 in (v.dtype, n.dtype):
            return formulas.power(v.to(DType.F32), n.to(DType.F32)).to(v.dtype)
        return formulas.whole_power(v.to(DType.I64), n.to(DType.I64)).to(v.dtype)

    return b.map(function, x, y)


_VARIADIC: Final[dict[str, tuple[Function, frozenset[DType]]]] = {
    "Max": (Expression.maximum, NUMBERS),
    "Min": (Expression.minimum, NUMBERS),
    "Sum": (lambda x, y: x + y, _FLOAT),
    "Mean": (lambda x, y: x + y, _FLOAT),
}


@lowers(*_VARIADIC)
def variadic(b: Builder, node: Node) -> Value:
    """Any number of operands, broadcast."""
    function, takes = _VARIADIC[node.op]
    several = operands_of(node, range(len(node.inputs)), takes)
    total = reduce(lambda x, y: b.map(function, x, y), several)
    if node.op == "Mean" and len(several) > 1:
        return b.map(lambda x: x / float(len(several)), total)
    return total


@lowers("Where")
def where(b: Builder, node: Node) -> Value:
    """Choose by a bool."""
    chosen = operands_of(node, (1, 2), _ANY)
    condition = node.input(0)
    if condition.dtype is not DType.BOOL:
        raise node.refuse(f"the condition is {condition.type}, wanted bool")
    if broadcast_shape([condition.shape, *(v.shape for v in chosen)]) is None:
        raise node.refuse(f"cannot broadcast {condition.type} and {chosen[0].type}")
    return b.map(lambda c, x, y: c.where(x, y), condition, *chosen)


@lowers("Clip")
def clip(b: Builder, node: Node) -> Value:
    """Bounds, each of which may be left out; the upper one wins."""
    places = [i for i in range(3) if node.has(i)]
    x, *bounds = operands_of(node, places, NUMBERS)
    if node.has(1) and node.has(2):
        return b.map(lambda v, low, high: v.maximum(low).minimum(high), x, *bounds)
    if node.has(1):
        return b.map(Expression.maximum, x, *bounds)
    return b.map(Expression.minimum, x, *bounds) if bounds else x


def target(node: Node, element: int) -> DType:
    """The machine's dtype for an ONNX element type that a cast names.

    Raises
    ------
    UnsupportedError
        If the machine has not got it.
    """
    if element not in ELEMENTS:
        raise node.refuse(
            f"casts to {dtype_name(element)}, wanted one of "
            + ", ".join(dtype_name(e) for e in ELEMENTS),
            hint="export the module in float32 (module.float())",
        )
    return ELEMENTS[element]


@lowers("Cast")
def cast(b: Builder, node: Node) -> Value:
    """Change the dtype."""
    return b.cast(node.input(0), target(node, int(node.attribute("to", 0))))


@lowers("CastLike")
def cast_like(b: Builder, node: Node) -> Value:
    """Change the dtype to that of another tensor."""
    return b.cast(node.input(0), node.input(1).dtype)


@lowers("BitCast")
def bit_cast(b: Builder, node: Node) -> Value:
    """Read the same bits as another dtype."""
    x = node.input(0)
    wanted = target(node, int(node.attribute("to", 0)))
    match (x.dtype, wanted):
        case (DType.F32, DType.I32):
            return b.map(lambda v: v.apply(Scalar.BITS_OF_F32), x)
        case (DType.I32, DType.F32):
            return b.map(lambda v: v.apply(Scalar.BITS_TO_F32), x)
        case (DType.BOOL, DType.I8 | DType.U8) | (DType.I8, DType.U8) | (DType.U8, DType.I8):
            return b.cast(x, wanted)
        case (have, want) if have is want:
            return x
    raise node.refuse(f"has no meaning for {x.type} as {dtype_name(int(node.attribute('to')))}")


def _sign(x: Expression) -> Expression:
    one = x.literal(1, x.dtype)
    # What is neither above nor below zero is a zero or a NaN, and stays.
    return (x > 0).where(one, (x < 0).where(x.literal(-1, x.dtype), x))


_UNARY: Final[dict[str, tuple[Callable[[Expression], Expression], frozenset[DType]]]] = {
    "Abs": (abs, NUMBERS),
    "Neg": (Expression.__neg__, NUMBERS),
    "Sign": (_sign, NUMBERS),
    "Not": (Expression.__invert__, _BOOL),
    "BitwiseNot": (Expression.__invert__, INTEGERS),
    "IsNaN": (Expression.is_nan, _FLOAT),
    "Relu": (lambda x: x.maximum(0), NUMBERS),
    **{
        name: (function, _FLOAT)
        for name, function in {
            "Exp": Expression.exp,
            "Log": Expression.log,
            "Sqrt": Expression.sqrt,
            "Tanh": Expression.tanh,
            "Erf": Expression.erf,
            "Sigmoid": Expression.sigmoid,
            "Sin": Expression.sin,
            "Cos": Expression.cos,
            "Tan": lambda x: x.sin() / x.cos(),
            "Asin": formulas.asin,
            "Acos": formulas.acos,
            "Atan": formulas.atan,
            "Sinh": formulas.sinh,
            "Cosh": formulas.cosh,
            "Asinh": formulas.asinh,
            "Acosh": formulas.acosh,
            "Atanh": formulas.atanh,
            "Floor": Expression.floor,
            "Ceil": Expression.ceil,
            "Round": Expression.round,
            "Reciprocal": lambda x: 1.0 / x,
            "Softplus": formulas.softplus,
            "Softsign": lambda x: x / (abs(x) + 1.0),
            "Mish": lambda x: x * formulas.softplus(x).tanh(),
            "HardSwish": lambda x: x * (x * (1 / 6) + 0.5).maximum(0.0).minimum(1.0),
        }.items()
    },
}


@lowers(*_UNARY)
def unary(b: Builder, node: Node) -> Value:
    """One operand."""
    function, takes = _UNARY[node.op]
    return b.map(widely(function), *operands_of(node, (0,), takes))


@lowers("IsInf")
def is_inf(b: Builder, node: Node) -> Value:
    """Whether an element is infinite, of the signs asked for."""
    x = node.float_input(0)
    signs: list[Any] = [inf] * bool(node.attribute("detect_positive", 1))
    signs += [-inf] * bool(node.attribute("detect_negative", 1))
    if not signs:
        return b.map(lambda v: v.literal(False, DType.BOOL), x)
    if len(signs) == 2:
        return b.map(lambda v: abs(v).equals(inf), x)
    return b.map(lambda v: v.equals(signs[0]), x)


@lowers("Binarizer", domain="ai.onnx.ml")
def binarizer(b: Builder, node: Node) -> Value:
    """1 above a threshold, else 0."""
    (x,) = operands_of(node, (0,), _FLOAT)
    threshold = float(node.attribute("threshold", 0.0))
    return b.map(lambda v: (v > threshold).to(DType.F32), x)


__all__ = ["NARROW", "NUMBERS", "operands_of", "target", "widely"]
