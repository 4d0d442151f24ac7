"""What each scalar function of the vocabulary means."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import Scalar
from verifiable.ops.scalar import casts, floats, integers, order, transcendental
from verifiable.ops.values import canonical

Function = Callable[..., Array]


def _by_dtype(of_floats: Function, of_integers: Function) -> Function:
    def function(*operands: Array) -> Array:
        chosen = of_floats if operands[0].dtype == np.float32 else of_integers
        return chosen(*operands)

    return function


FUNCTIONS: Final[dict[Scalar, Function]] = {
    Scalar.ADD: _by_dtype(floats.add, integers.add),
    Scalar.SUB: _by_dtype(floats.sub, integers.sub),
    Scalar.MUL: _by_dtype(floats.mul, integers.mul),
    Scalar.DIV: _by_dtype(floats.div, integers.div),
    Scalar.FMA: floats.fma,
    Scalar.REM: integers.rem,
    Scalar.NEG: _by_dtype(floats.neg, integers.neg),
    Scalar.ABS: _by_dtype(floats.magnitude, integers.magnitude),
    Scalar.MIN: order.least,
    Scalar.MAX: order.greatest,
    Scalar.SQRT: floats.sqrt,
    Scalar.EXP: transcendental.exp,
    Scalar.LOG: transcendental.log,
    Scalar.TANH: transcendental.tanh,
    Scalar.ERF: transcendental.erf,
    Scalar.SIGMOID: transcendental.sigmoid,
    Scalar.SIN: transcendental.sin,
    Scalar.COS: transcendental.cos,
    Scalar.FLOOR: floats.floor,
    Scalar.ROUND: floats.nearest,
    Scalar.LT: order.less,
    Scalar.LE: order.less_equal,
    Scalar.EQ: order.equal,
    Scalar.NOT: integers.invert,
    Scalar.AND: np.bitwise_and,
    Scalar.OR: np.bitwise_or,
    Scalar.XOR: np.bitwise_xor,
    Scalar.SHL: integers.shl,
    Scalar.SHR: integers.shr,
    Scalar.SELECT: order.select,
    Scalar.TO_F32: casts.to_f32,
    Scalar.TO_I8: casts.to_i8,
    Scalar.TO_U8: casts.to_u8,
    Scalar.TO_I32: casts.to_i32,
    Scalar.TO_I64: casts.to_i64,
    Scalar.TO_BOOL: casts.to_bool,
    Scalar.BITS_TO_F32: casts.bits_to_f32,
    Scalar.BITS_OF_F32: casts.bits_of_f32,
    Scalar.REQUANTISE: integers.requantise,
}


def apply(function: Scalar, operands: Sequence[Array]) -> Array:
    """Apply a scalar function to arrays, element by element.

    Every NaN that comes out is 0x7fc00000, whatever the function.

    Parameters
    ----------
    function : Scalar
    operands : sequence of arrays
        Of dtypes that the function's signature takes, and shapes that broadcast.

    Examples
    --------
    >>> apply(Scalar.MAX, [np.array([1, 5], np.int32), np.array([3, 4], np.int32)])
    array([3, 5], dtype=int32)
    """
    with np.errstate(all="ignore"):
        result: Any = FUNCTIONS[function](*operands)
        return canonical(np.asarray(result))
