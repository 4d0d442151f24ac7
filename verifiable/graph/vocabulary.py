"""The whole vocabulary of the canonical machine `canon/1`: dtypes, folds and scalar functions.

Facts about them stand here as tables; what they mean stands in ``verifiable.ops``. Codes are part
of the canonical encoding and never change within one semantics id.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

SEMANTICS: Final = "canon/1"
"""Name of the machine; any change of one bit of one result is another name."""

CHUNK: Final = 256
"""Elements of a row that are folded before partial results are added; one f32 leaf of 1 KiB."""

MAX_RANK: Final = 8
MAX_EXTENT: Final = 2**31 - 1
MAX_ELEMENTS: Final = 2**40
MAX_OPERANDS: Final = 3
"""Of a Map: what one element of its result is computed from."""
MAX_STEPS: Final = 64
"""Of a Map's program: bounds what a referee computes for one element."""
MAX_REGISTERS: Final = 128
MAX_PARTS: Final = 255
"""Of a Concat."""


class DType(Enum):
    """Element type of a tensor; the value is its code."""

    F32 = 0
    I8 = 1
    U8 = 2
    I32 = 3
    I64 = 4
    BOOL = 5

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return _ITEMSIZE[self]

    @property
    def word(self) -> str:
        """Name, as in ``f32``."""
        return self.name.lower()

    @property
    def numpy(self) -> str:
        """Name that NumPy knows, native byte order."""
        return _NUMPY[self]


_ITEMSIZE: Final = {
    DType.F32: 4,
    DType.I8: 1,
    DType.U8: 1,
    DType.I32: 4,
    DType.I64: 8,
    DType.BOOL: 1,
}
_NUMPY: Final = {
    DType.F32: "float32",
    DType.I8: "int8",
    DType.U8: "uint8",
    DType.I32: "int32",
    DType.I64: "int64",
    DType.BOOL: "bool",
}

INTEGERS: Final = frozenset({DType.I8, DType.U8, DType.I32, DType.I64})
ARITHMETIC: Final = frozenset({DType.F32, DType.I32, DType.I64})
"""What scalar arithmetic is defined on; narrower integers are cast first."""


class Fold(Enum):
    """What a Reduce does with a row."""

    SUM = 0
    MAX = 1
    MIN = 2
    ARGMAX = 3
    ARGMIN = 4


FOLDED: Final = {
    Fold.SUM: ARITHMETIC,
    Fold.MAX: frozenset(DType),
    Fold.MIN: frozenset(DType),
    Fold.ARGMAX: frozenset(DType),
    Fold.ARGMIN: frozenset(DType),
}
"""Dtypes that each fold takes. The result has the same, that of ARGMAX and ARGMIN is I64."""


class Scalar(Enum):
    """A scalar function; the value is its code."""

    ADD = 0
    SUB = 1
    MUL = 2
    DIV = 3
    FMA = 4
    REM = 5
    NEG = 6
    ABS = 7
    MIN = 8
    MAX = 9
    SQRT = 16
    EXP = 17
    LOG = 18
    TANH = 19
    ERF = 20
    SIGMOID = 21
    SIN = 22
    COS = 23
    FLOOR = 24
    ROUND = 25
    LT = 32
    LE = 33
    EQ = 34
    NOT = 40
    AND = 41
    OR = 42
    XOR = 43
    SHL = 44
    SHR = 45
    SELECT = 48
    TO_F32 = 56
    TO_I8 = 57
    TO_U8 = 58
    TO_I32 = 59
    TO_I64 = 60
    TO_BOOL = 61
    BITS_TO_F32 = 62
    BITS_OF_F32 = 63
    REQUANTISE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a scalar function takes and gives.

    All operands have one dtype of `takes`, but for the first of SELECT, which is BOOL.
    """

    arity: int
    takes: frozenset[DType]
    gives: DType | None = None
    """None: the dtype of the operands."""


_FLOAT: Final = frozenset({DType.F32})
_LOGIC: Final = frozenset({DType.BOOL, DType.I32, DType.I64})
_SHIFT: Final = frozenset({DType.I32, DType.I64})
_ANY: Final = frozenset(DType)
_UNARY_FLOAT: Final = (
    Scalar.SQRT, Scalar.EXP, Scalar.LOG, Scalar.TANH, Scalar.ERF, Scalar.SIGMOID, Scalar.SIN,
    Scalar.COS, Scalar.FLOOR, Scalar.ROUND,
)  # fmt: skip

SIGNATURES: Final[dict[Scalar, Signature]] = {
    **{f: Signature(arity=1, takes=_FLOAT) for f in _UNARY_FLOAT},
    **{
        f: Signature(arity=2, takes=ARITHMETIC)
        for f in (Scalar.ADD, Scalar.SUB, Scalar.MUL, Scalar.DIV)
    },
    Scalar.FMA: Signature(arity=3, takes=_FLOAT),
    Scalar.REM: Signature(arity=2, takes=_SHIFT),
    Scalar.NEG: Signature(arity=1, takes=ARITHMETIC),
    Scalar.ABS: Signature(arity=1, takes=ARITHMETIC),
    Scalar.MIN: Signature(arity=2, takes=_ANY),
    Scalar.MAX: Signature(arity=2, takes=_ANY),
    **{
        f: Signature(arity=2, takes=_ANY, gives=DType.BOOL)
        for f in (Scalar.LT, Scalar.LE, Scalar.EQ)
    },
    Scalar.NOT: Signature(arity=1, takes=_LOGIC),
    **{f: Signature(arity=2, takes=_LOGIC) for f in (Scalar.AND, Scalar.OR, Scalar.XOR)},
    **{f: Signature(arity=2, takes=_SHIFT) for f in (Scalar.SHL, Scalar.SHR)},
    Scalar.SELECT: Signature(arity=3, takes=_ANY),
    Scalar.TO_F32: Signature(arity=1, takes=_ANY, gives=DType.F32),
    Scalar.TO_I8: Signature(arity=1, takes=_ANY, gives=DType.I8),
    Scalar.TO_U8: Signature(arity=1, takes=_ANY, gives=DType.U8),
    Scalar.TO_I32: Signature(arity=1, takes=_ANY, gives=DType.I32),
    Scalar.TO_I64: Signature(arity=1, takes=_ANY, gives=DType.I64),
    Scalar.TO_BOOL: Signature(arity=1, takes=_ANY, gives=DType.BOOL),
    Scalar.BITS_TO_F32: Signature(arity=1, takes=frozenset({DType.I32}), gives=DType.F32),
    Scalar.BITS_OF_F32: Signature(arity=1, takes=_FLOAT, gives=DType.I32),
    Scalar.REQUANTISE: Signature(arity=4, takes=frozenset({DType.I32}), gives=DType.I8),
}

CASTS: Final = {
    DType.F32: Scalar.TO_F32,
    DType.I8: Scalar.TO_I8,
    DType.U8: Scalar.TO_U8,
    DType.I32: Scalar.TO_I32,
    DType.I64: Scalar.TO_I64,
    DType.BOOL: Scalar.TO_BOOL,
}
"""The function that casts to a dtype."""


def scalar_result(function: Scalar, operands: tuple[DType, ...]) -> DType | None:
    """Dtype that `function` gives for operands of these dtypes, None if it does not take them.

    >>> scalar_result(Scalar.LT, (DType.I64, DType.I64))
    <DType.BOOL: 5>
    >>> scalar_result(Scalar.SQRT, (DType.I64,)) is None
    True
    """
    signature = SIGNATURES[function]
    if len(operands) != signature.arity:
        return None
    if function is Scalar.SELECT:
        if operands[0] is not DType.BOOL:
            return None
        operands = operands[1:]
    if any(dtype is not operands[0] for dtype in operands):
        return None
    if operands[0] not in signature.takes:
        return None
    return signature.gives or operands[0]


def fold_result(fold: Fold, operand: DType) -> DType | None:
    """Dtype that `fold` gives for rows of a dtype, None if it does not take them."""
    if operand not in FOLDED[fold]:
        return None
    return DType.I64 if fold in {Fold.ARGMAX, Fold.ARGMIN} else operand


DOTS: Final = {
    (DType.F32, DType.F32): DType.F32,
    (DType.I8, DType.I8): DType.I32,
    (DType.U8, DType.I8): DType.I32,
}
"""Dtypes of a Dot's operands, and of what it gives."""

DOT_BOUND: Final = {DType.I8: 128 * 128, DType.U8: 255 * 128}
"""Largest magnitude of one product of an integer Dot, by the dtype of its first operand."""
