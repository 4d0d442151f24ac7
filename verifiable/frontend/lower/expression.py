"""Scalar programs written as Python expressions.

``trace(lambda x, y: (x - y).exp(), (F32, F32))`` runs the function once on symbols and writes
down what it does to them: a ``Program`` for a Map.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from verifiable.graph.ir import Literal, Program, Step
from verifiable.graph.vocabulary import CASTS, DType, Scalar, scalar_result

Number = int | float | bool
Operand = "Expression | Number"

_UNSIGNED: Final = {1: np.uint8, 4: np.uint32, 8: np.uint64}
_CANONICAL_NAN: Final = 0x7FC00000


def literal(value: Number | np.generic, dtype: DType) -> Literal:
    """Element of `dtype` nearest to `value`; integers wrap, a NaN is the canonical one.

    >>> hex(literal(1.0, DType.F32).bits)
    '0x3f800000'
    """
    if dtype is DType.F32:
        with np.errstate(over="ignore"):
            number = np.float32(value)
        if np.isnan(number):
            return Literal(dtype, _CANONICAL_NAN)
        return Literal(dtype, int(number.view(np.uint32)))
    if dtype is DType.BOOL:
        return Literal(dtype, int(bool(value)))
    return Literal(dtype, int(value) & ((1 << (8 * dtype.itemsize)) - 1))


class _Trace:
    """What was written down so far."""

    def __init__(self, operands: Sequence[DType]) -> None:
        self.dtypes: list[DType] = list(operands)
        self.keys: dict[object, int] = {}
        self.entries: list[Literal | tuple[Scalar, tuple[int, ...]] | None] = [None] * len(operands)

    def add(self, entry: Literal | tuple[Scalar, tuple[int, ...]], dtype: DType) -> int:
        if entry not in self.keys:
            self.keys[entry] = len(self.entries)
            self.entries.append(entry)
            self.dtypes.append(dtype)
        return self.keys[entry]

    def program(self, result: int) -> Program:
        """Write the program whose result is `result`, of what it needs alone."""
        needed, todo = set(), [result]
        while todo:
            place = todo.pop()
            entry = self.entries[place]
            if place not in needed and isinstance(entry, tuple):
                todo += entry[1]
            needed.add(place)
        kept = [i for i in range(len(self.entries)) if i in needed]
        operands = [i for i, entry in enumerate(self.entries) if entry is None]
        literals = [i for i in kept if isinstance(self.entries[i], Literal)]
        steps = [i for i in kept if isinstance(self.entries[i], tuple)]
        register = {place: r for r, place in enumerate([*operands, *literals, *steps])}
        return Program(
            literals=tuple(e for i in literals if isinstance(e := self.entries[i], Literal)),
            steps=tuple(
                Step(e[0], tuple(register[a] for a in e[1]))
                for i in steps
                if isinstance(e := self.entries[i], tuple)
            ),
        )


class Expression:
    """A scalar of a program that is being written.

    Python's operators are the machine's functions of the same name; ``//`` and ``%`` are DIV and
    REM of integers, which truncate. A Python number takes the dtype of the other operand.
    """

    __slots__ = ("_trace", "dtype", "place")

    def __init__(self, trace: _Trace, place: int) -> None:
        self._trace = trace
        self.place = place
        self.dtype = trace.dtypes[place]

    def apply(self, function: Scalar, *others: "Expression | Number") -> "Expression":
        """Apply `function` to this and `others`."""
        operands = [self, *(self.like(other) for other in others)]
        dtypes = tuple(o.dtype for o in operands)
        gives = scalar_result(function, dtypes)
        if gives is None:
            words = ", ".join(d.word for d in dtypes)
            raise TypeError(f"{function.name} does not take ({words})")
        entry = (function, tuple(o.place for o in operands))
        return Expression(self._trace, self._trace.add(entry, gives))

    def like(self, value: "Expression | Number") -> "Expression":
        """Turn a number into a literal of this dtype."""
        return value if isinstance(value, Expression) else self.literal(value, self.dtype)

    def literal(self, value: Number, dtype: DType) -> "Expression":
        """A literal of any dtype, in this program."""
        return Expression(self._trace, self._trace.add(literal(value, dtype), dtype))

    def to(self, dtype: DType) -> "Expression":
        """Cast; nothing if the dtype is the same."""
        return self if dtype is self.dtype else self.apply(CASTS[dtype])

    def where(self, yes: "Expression | Number", no: "Expression | Number") -> "Expression":
        """Select by this bool; at least one of the two is an Expression."""
        if isinstance(yes, Expression):
            no = yes.like(no)
        else:
            assert isinstance(no, Expression)
            yes = no.like(yes)
        return self.apply(Scalar.SELECT, yes, no)

    def __add__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.ADD, other)

    def __radd__(self, other: Number) -> "Expression":
        return self.like(other).apply(Scalar.ADD, self)

    def __sub__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.SUB, other)

    def __rsub__(self, other: Number) -> "Expression":
        return self.like(other).apply(Scalar.SUB, self)

    def __mul__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.MUL, other)

    def __rmul__(self, other: Number) -> "Expression":
        return self.like(other).apply(Scalar.MUL, self)

    def __truediv__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.DIV, other)

    def __rtruediv__(self, other: Number) -> "Expression":
        return self.like(other).apply(Scalar.DIV, self)

    __floordiv__ = __truediv__

    def __mod__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.REM, other)

    def __neg__(self) -> "Expression":
        return self.apply(Scalar.NEG)

    def __abs__(self) -> "Expression":
        return self.apply(Scalar.ABS)

    def __invert__(self) -> "Expression":
        return self.apply(Scalar.NOT)

    def __and__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.AND, other)

    def __or__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.OR, other)

    def __xor__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.XOR, other)

    def __lshift__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.SHL, other)

    def __rshift__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.SHR, other)

    def __lt__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.LT, other)

    def __le__(self, other: "Expression | Number") -> "Expression":
        return self.apply(Scalar.LE, other)

    def __gt__(self, other: "Expression | Number") -> "Expression":
        return self.like(other).apply(Scalar.LT, self)

    def __ge__(self, other: "Expression | Number") -> "Expression":
        return self.like(other).apply(Scalar.LE, self)

    def equals(self, other: "Expression | Number") -> "Expression":
        """Compare; ``==`` is left to Python."""
        return self.apply(Scalar.EQ, other)

    def minimum(self, other: "Expression | Number") -> "Expression":
        """The smaller; any NaN wins."""
        return self.apply(Scalar.MIN, other)

    def maximum(self, other: "Expression | Number") -> "Expression":
        """The larger; any NaN wins."""
        return self.apply(Scalar.MAX, other)

    def fma(self, factor: "Expression | Number", term: "Expression | Number") -> "Expression":
        """``self * factor + term``, rounded once."""
        return self.apply(Scalar.FMA, factor, term)

    def is_nan(self) -> "Expression":
        """Whether this float is a NaN."""
        return ~self.equals(self)

    def exp(self) -> "Expression":
        """Exponential."""
        return self.apply(Scalar.EXP)

    def log(self) -> "Expression":
        """Natural logarithm."""
        return self.apply(Scalar.LOG)

    def sqrt(self) -> "Expression":
        """Square root."""
        return self.apply(Scalar.SQRT)

    def tanh(self) -> "Expression":
        """Hyperbolic tangent."""
        return self.apply(Scalar.TANH)

    def erf(self) -> "Expression":
        """Error function."""
        return self.apply(Scalar.ERF)

    def sigmoid(self) -> "Expression":
        """Logistic function."""
        return self.apply(Scalar.SIGMOID)

    def sin(self) -> "Expression":
        """Sine."""
        return self.apply(Scalar.SIN)

    def cos(self) -> "Expression":
        """Cosine."""
        return self.apply(Scalar.COS)

    def floor(self) -> "Expression":
        """Round down."""
        return self.apply(Scalar.FLOOR)

    def ceil(self) -> "Expression":
        """Round up."""
        return -(-self).floor()

    def round(self) -> "Expression":
        """Round to nearest, halves to even."""
        return self.apply(Scalar.ROUND)


Function = Callable[..., Expression]
"""Takes an `Expression` for each operand."""


def trace(function: Function, operands: Sequence[DType]) -> Program | Literal | int:
    """Write down what `function` does.

    Returns
    -------
    Program, Literal or int
        A literal or the number of an operand where the function does nothing else.

    Examples
    --------
    >>> trace(lambda x: x * 2.0, [DType.F32]).steps
    (Step(function=<Scalar.MUL: 2>, registers=(0, 1)),)
    """
    written = _Trace(operands)
    result = function(*(Expression(written, i) for i in range(len(operands))))
    entry = written.entries[result.place]
    if entry is None:
        return result.place
    if isinstance(entry, Literal):
        return entry
    return written.program(result.place)
