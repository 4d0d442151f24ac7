"""Scalar programs of Maps as words: registers, their bytes, literals, and steps joined to one.

``native/plan.cpp`` reads the words, ``native/map.cpp`` runs them. A step is one pass over a block
of elements, so steps that only pass on a result to the next are faster as one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from verifiable.graph.ir import Literal, Program
from verifiable.graph.vocabulary import DType, Scalar, scalar_result

BLOCK: Final = 1024
"""Elements that a step of a program is applied to at a time (MAP_BLOCK)."""
RAW: Final = 128
"""Added to the code of a function whose result may be any NaN (RAW_RESULT)."""
EXP_OF_DIFFERENCE: Final = 127
"""Code of a SUB and the EXP that alone reads it."""
QUANTISED: Final = 126
"""Code of a MUL, ROUND, MAX and MIN with literals, and the TO_I8 that ends them."""
WITH_RAW: Final = frozenset(
    {Scalar.ADD, Scalar.SUB, Scalar.MUL, Scalar.DIV, Scalar.FMA, Scalar.NEG, Scalar.SQRT}
)

Words = Iterator[int]


@dataclass(frozen=True, slots=True)
class Doing:
    """What native code does for a step, and the registers that it reads."""

    code: int
    reads: tuple[int, ...]


class _Chains:
    """Finds steps that may be joined with those before them.

    Registers of a program: operands, literals, results of the steps.
    """

    def __init__(self, program: Program, operands: int) -> None:
        self.steps = program.steps
        self.literals = range(operands, operands + len(program.literals))
        self.given = operands + len(program.literals)
        self._values = program.literals

    def before(self, number: int, function: Scalar) -> int | None:
        """The step of this function whose result step `number` alone reads, in first place."""
        register = self.steps[number].registers[0]
        source = register - self.given
        if source < 0 or self.steps[source].function is not function:
            return None
        return source if sum(s.registers.count(register) for s in self.steps) == 1 else None

    def doing(self, number: int) -> Doing:
        """What is to be done for a step: it alone, or with some before it."""
        step = self.steps[number]
        joined = None
        if step.function is Scalar.EXP:
            joined = self._exp_of_difference(number)
        elif step.function is Scalar.TO_I8:
            joined = self._quantised(number)
        if joined is not None:
            return joined
        code = step.function.value + (RAW if self._may_stay_raw(number) else 0)
        return Doing(code, step.registers)

    def _exp_of_difference(self, number: int) -> Doing | None:
        sub = self.before(number, Scalar.SUB)
        return None if sub is None else Doing(EXP_OF_DIFFERENCE, self.steps[sub].registers)

    def _quantised(self, number: int) -> Doing | None:
        """Of bounds that are integers of eight bits it does not matter which is applied first."""
        found = number
        bounds: list[int] = []
        for function in (Scalar.MIN, Scalar.MAX, Scalar.ROUND, Scalar.MUL):
            earlier = self.before(found, function)
            if earlier is None:
                return None
            found = earlier
            if function in {Scalar.MIN, Scalar.MAX}:
                bounds.insert(0, self.steps[found].registers[1])
        x, scale = self.steps[found].registers
        if any(r not in self.literals for r in (scale, *bounds)):
            return None
        low, high = (_float(self._values[r - self.literals.start]) for r in bounds)
        if not (-128 <= low <= high <= 127 and low.is_integer() and high.is_integer()):
            return None
        return Doing(QUANTISED, (x, scale, *bounds))

    def _may_stay_raw(self, number: int) -> bool:
        """Whether a step may leave NaNs as they come: only the last result and bits show them."""
        step, register = self.steps[number], self.given + number
        last = number == len(self.steps) - 1
        told = any(s.function is Scalar.BITS_OF_F32 and register in s.registers for s in self.steps)
        return step.function in WITH_RAW and not last and not told


def program_words(program: Program, operands: list[DType]) -> Words:
    """Registers, their bytes, literals and steps; no step that the result does not need."""
    dtypes = [*operands, *(literal.dtype for literal in program.literals)]
    given = len(dtypes)
    for step in program.steps:
        gives = scalar_result(step.function, tuple(dtypes[r] for r in step.registers))
        assert gives is not None
        dtypes.append(gives)
    chains = _Chains(program, len(operands))
    doings = [chains.doing(number) for number in range(len(program.steps))]
    last = {len(dtypes) - 1: len(program.steps)}
    needed: list[int] = []
    for number in reversed(range(len(program.steps))):
        if given + number in last:
            needed.insert(0, number)
            for r in doings[number].reads:
                last.setdefault(r, number)
    places: dict[int, int] = {}
    steps: list[int] = []
    for number in needed:
        doing = doings[number]
        # Not a register that this step reads: elements may differ in size.
        busy = {places[r] for r in places if last[r] >= number}
        target = next(t for t in range(len(busy) + 1) if t not in busy)
        places[given + number] = target
        taken = dtypes[doing.reads[-1]]
        code = doing.code if taken is DType.F32 else doing.code % RAW
        chooses = program.steps[number].function is Scalar.SELECT
        reads = [r if r < given else given + places[r] for r in doing.reads]
        steps += [code, taken.value, chooses, target, len(reads), *reads]
    wide = any(dtype is DType.I64 for dtype in dtypes)
    yield from (max(places.values()) + 1, BLOCK * (8 if wide else 4) + 64)
    yield len(program.literals)
    yield from (signed_bits(literal.bits) for literal in program.literals)
    yield len(needed)
    yield from steps


def signed_bits(bits: int) -> int:
    """The 64-bit integer with these bits."""
    return bits - (1 << 64) if bits >> 63 else bits


def _float(literal: Literal) -> float:
    return float(np.uint32(literal.bits).view(np.float32))
