"""Scalar programs between floats and integers."""

from collections.abc import Mapping

import numpy as np

from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.quantize.calibrate import LIMIT
from verifiable.frontend.quantize.find import Biased
from verifiable.graph.ir import Literal, Map, Program
from verifiable.graph.vocabulary import MAX_REGISTERS, MAX_STEPS, DType


def dequantised(x: Expression, exponent: int) -> Expression:
    """Integer to float; exact for int8, for the scale is a power of two."""
    return x.to(DType.F32) * 2.0**-exponent


def quantised(x: Expression, exponent: int) -> Expression:
    """Float to int8: nearest, halves to even, saturated; a NaN, which int8 has not, gives 0."""
    return (x * 2.0**exponent).round().maximum(-LIMIT).minimum(LIMIT).to(DType.I8)


def fits(ins: Map, integers: int) -> bool:
    """Whether a Map's program has room to take `integers` operands as integers and give one.

    >>> from verifiable.graph.ir import Index, Step, TensorType
    >>> from verifiable.graph.vocabulary import Scalar
    >>> kind = TensorType(DType.F32, (2,))
    >>> steps = tuple(Step(Scalar.NEG, (i,)) for i in range(60))
    >>> fits(Map(type=kind, operands=(Index(0),), program=Program(steps=steps)), 1)
    False
    """
    # `dequantised` is two steps and a literal, `quantised` five steps and three literals.
    steps = len(ins.program.steps) + 2 * integers + 5
    registers = len(ins.operands) + len(ins.program.literals) + integers + 3 + steps
    return steps <= MAX_STEPS and registers <= MAX_REGISTERS


def interpreted(
    program: Program,
    taken: int,
    plain: Mapping[int, Expression],
    some: Expression,
    skip: Biased | None,
) -> Expression:
    """Write a program's steps over other operands.

    Parameters
    ----------
    program : Program
    taken : int
        Operands that it was written for.
    plain : mapping of int to Expression
        Those that are given.
    some : Expression
        Any of the program that is being written.
    skip : Biased, optional
        Its step is done already: its result is the operand.
    """
    registers: dict[int, Expression] = dict(plain)
    for number, item in enumerate(program.literals):
        registers[taken + number] = some.literal(_number(item), item.dtype)
    base = taken + len(program.literals)
    for number, step in enumerate(program.steps):
        if skip is not None and number == skip.step:
            registers[base + number] = plain[skip.place]
            continue
        first, *others = (registers[r] for r in step.registers)
        registers[base + number] = first.apply(step.function, *others)
    return registers[base + len(program.steps) - 1]


def _number(item: Literal) -> float:
    """The number that bits stand for."""
    raw = np.array([item.bits], f"u{item.dtype.itemsize}").view(item.dtype.numpy)[0]
    return float(raw) if item.dtype is DType.F32 else int(raw)
