"""The float graph, written again with integer Dots.

Each tensor of the float graph has up to two forms in the new one: float, or integers with an
exponent. A form is made when something asks for it, from the other if need be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from verifiable.errors import UnsupportedError
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression, Function
from verifiable.frontend.quantize.calibrate import LIMIT, weight_exponents
from verifiable.frontend.quantize.find import Biased, Weighted
from verifiable.graph.ir import (
    Array,
    Concat,
    Const,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Map,
    Program,
    Reduce,
    View,
    Weights,
    operands,
)
from verifiable.graph.vocabulary import DType, Fold, Scalar

_LEAST: Final = {-np.inf: -128, 0.0: 0}
"""Fill values of views that integers have, too."""
_MOST_BIAS: Final = 2**30


@dataclass(frozen=True, slots=True)
class Integers:
    """Real = `value` * 2**-`exponent`."""

    value: Value
    exponent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """What an integer Dot gave: i32, an exponent for each channel."""

    value: Value
    exponents: Array
    """int64, broadcast to the Dot's result."""
    most: int
    """Bound of any sum."""


class Rewriter:
    """Writes the new graph instruction by instruction.

    Parameters
    ----------
    graph, weights
        The float one.
    dots, biases
        As ``find`` says.
    exponents : mapping of Index to int
        Of every tensor that is to be int8; a biased Dot's is that of its sum with the bias.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Weights,
        *,
        dots: Mapping[Index, Weighted],
        biases: Mapping[Index, Biased],
        exponents: Mapping[Index, int],
        feeding: set[Index],
    ) -> None:
        self.builder = Builder()
        self.integers: dict[Index, Integers] = {}
        self._graph = graph
        self._weights = weights
        self._dots = dots
        self._biases = biases
        self._exponents = exponents
        self._feeding = feeding
        self._floats: dict[Index, Value] = {}
        self._sums: dict[Index, _Sums] = {}
        self._absorbed = {b.dot for b in biases.values()} | {
            operands(graph.instructions[b.map])[b.place] for b in biases.values()
        }
        self._keeps_float = self._float_readers()

    def run(self) -> None:
        """Write everything; outputs are asked for by `outputs`."""
        names = iter(self._graph.inputs)
        ends = {region.stop: region for region in self._graph.regions}
        start = 0
        for i, ins in enumerate(self._graph.instructions):
            index = Index(i)
            match ins:
                case Input():
                    self._floats[index] = self.builder.input(next(names), ins.type)
                case Const():
                    pass
                case _ if index in self._dots:
                    self._dot(self._dots[index])
                case Map() if index in self._biases:
                    self._biased(self._biases[index], ins)
                case Map():
                    self._map(index, ins, list(range(len(ins.operands))), ins.program)
                case View() | Gather() | Concat() | Reduce() if self._moved(index, ins):
                    pass
                case _ if index not in self._absorbed:
                    self._floats[index] = self.builder.again(ins, self._sources(ins))
            if i + 1 in ends:
                self.builder.region(ends[i + 1].label, start)
                start = len(self.builder)

    def outputs(self) -> list[tuple[str, Value]]:
        """The outputs, of their own dtypes."""
        return [(name, self.float(index)) for name, index in self._graph.outputs]

    def float(self, index: Index) -> Value:
        """The tensor in its own dtype."""
        if index not in self._floats:
            if index in self.integers:
                q = self.integers[index]
                made = self.builder.map(lambda x: dequantised(x, q.exponent), q.value)
            elif index in self._sums:
                s = self._sums[index]
                scale = self.builder.constant(np.exp2(-s.exponents), DType.F32)
                made = self.builder.map(lambda x, y: x.to(DType.F32) * y, s.value, scale)
            else:
                assert isinstance(self._graph.instructions[index], Const), index
                made = self.builder.constant(self._weights[index])
            self._floats[index] = made
        return self._floats[index]

    def small(self, index: Index) -> Integers:
        """The tensor as int8."""
        held = self.integers.get(index)
        if held is not None and held.value.dtype is DType.I8:
            return held
        exponent = self._exponents[index]
        if index in self._sums:
            made = self._requantised(self._sums[index], None, exponent)
        else:
            source = self.float(index)
            made = Integers(self.builder.map(lambda x: quantised(x, exponent), source), exponent)
        self.integers[index] = made
        return made

    def _float_readers(self) -> set[Index]:
        """Tensors read by something that computes in float and stays there."""
        found = {index for _, index in self._graph.outputs}
        for i, ins in enumerate(self._graph.instructions):
            if Index(i) in self._dots or Index(i) in self._feeding:
                continue
            found.update(operands(ins))
        return found

    def _sources(self, ins: Instruction) -> dict[Index, Value]:
        return {index: self.float(index) for index in operands(ins)}

    def _dot(self, dot: Weighted) -> None:
        b = self.builder
        x = self.small(dot.x)
        weight = self._weights[dot.weight]
        rows = weight.reshape(-1, weight.shape[-1])
        each = weight_exponents(rows)
        kept = np.clip(np.rint(rows * np.exp2(each)[:, None]), -LIMIT, LIMIT).astype(np.int8)
        small = b.constant(kept.reshape(weight.shape))
        made = b.dot(small, x.value) if dot.weight_first else b.dot(x.value, small)
        channels = each.reshape(weight.shape[0], -1)
        self._sums[dot.dot] = _Sums(
            value=made,
            exponents=x.exponent
            + (channels[:, :, None] if dot.weight_first else channels[:, None, :]),
            most=int(128 * np.abs(kept.astype(np.int64)).sum(1).max(initial=0)),
        )

    def _requantised(
        self, sums: _Sums, bias: Array | None, exponent: int, *, relu: bool = False
    ) -> Integers:
        """Sums, with a bias, as int8 at `exponent` or at the largest that a shift can reach."""
        b = self.builder
        exponent = min(exponent, int(sums.exponents.min()))
        shifts = np.minimum(sums.exponents - exponent, 31)
        several = [sums.value]
        most = sums.most
        if bias is not None:
            scaled = np.rint(bias.astype(np.float64) * np.exp2(sums.exponents))
            whole = np.clip(scaled, -_MOST_BIAS, _MOST_BIAS).astype(np.int32)
            most += int(np.abs(whole.astype(np.int64)).max(initial=0))
            several.append(b.constant(whole))
        if most >= 2**31:
            raise UnsupportedError(
                f"sums of up to {most} could overflow i32",
                hint="compile it without --int8, or cut its longest rows",
            )
        uniform = int(shifts.flat[0]) if np.all(shifts == shifts.flat[0]) else None
        if uniform is None:
            several.append(b.constant(shifts.astype(np.int32)))

        def program(acc: Expression, *others: Expression) -> Expression:
            given = list(others)
            total = acc + given.pop(0) if bias is not None else acc
            shift = acc.like(uniform) if uniform is not None else given.pop(0)
            made = total.apply(Scalar.REQUANTISE, 1, shift, 0)
            return made.maximum(0) if relu else made

        return Integers(b.map(program, *several), exponent)

    def _biased(self, found: Biased, ins: Map) -> None:
        read = [p for p in range(len(ins.operands)) if self._still(ins, p, found)]
        whole = found.map not in self._feeding or found.rest == "more"
        if whole and not read:
            self._sum_in_float(found, ins)
            return
        if found.map not in self._feeding:
            made = self._float_sum(found, ins, lambda x: x)
            self._floats[ins.operands[found.place]] = made
        else:
            sums = self._sums[found.dot]
            done = found.rest != "more"
            exponent = self._exponents[found.map if done else found.dot]
            held = self._requantised(sums, found.bias, exponent, relu=found.rest == "relu")
            shape = self._graph.instructions[ins.operands[found.place]].type.shape
            held = replace(held, value=self.builder.reshape(held.value, shape))
            if done:
                self.integers[found.map] = held
                return
            self.integers[ins.operands[found.place]] = held
        # What is left reads the sum where it read the step that added the bias.
        kept = sorted({found.place, *read})
        self._map(found.map, ins, kept, ins.program, skip=found)

    def _sum_in_float(self, found: Biased, ins: Map) -> None:
        """The whole Map on what the Dot gave, when it reads nothing else: one rounding fewer."""
        small = found.map in self._feeding and found.map not in self._keeps_float
        exponent = self._exponents[found.map] if small else 0

        def rest(x: Expression) -> Expression:
            plain = {found.place: x}
            result = interpreted(ins.program, len(ins.operands), plain, x, found)
            return quantised(result, exponent) if small else result

        made = self._float_sum(found, ins, rest)
        if small:
            self.integers[found.map] = Integers(made, exponent)
        else:
            self._floats[found.map] = made

    def _float_sum(self, found: Biased, ins: Map, then: Function) -> Value:
        """Sums of a Dot and their bias in float, and what `then` makes of them."""
        b, sums = self.builder, self._sums[found.dot]
        scale = b.constant(np.exp2(-sums.exponents), DType.F32)
        bias = b.constant(found.bias)

        def function(acc: Expression, factor: Expression, term: Expression) -> Expression:
            return then(acc.to(DType.F32).fma(factor, term))

        made = b.map(function, sums.value, scale, bias)
        return b.reshape(made, self._graph.instructions[ins.operands[found.place]].type.shape)

    @staticmethod
    def _still(ins: Map, place: int, found: Biased) -> bool:
        """Whether a step other than the one that adds the bias reads an operand."""
        return any(
            place in step.registers for n, step in enumerate(ins.program.steps) if n != found.step
        )

    def _map(
        self,
        index: Index,
        ins: Map,
        kept: Sequence[int],
        program: Program,
        skip: Biased | None = None,
    ) -> None:
        """A Map over whatever forms its operands have, its result int8 if a Dot reads it."""
        values, exponents = [], []
        for place in kept:
            held = self.integers.get(ins.operands[place])
            values.append(self.float(ins.operands[place]) if held is None else held.value)
            exponents.append(None if held is None else held.exponent)
        small = index in self._feeding and index not in self._keeps_float

        def function(*given: Expression) -> Expression:
            plain = {
                place: x if e is None else dequantised(x, e)
                for place, x, e in zip(kept, given, exponents, strict=True)
            }
            result = interpreted(program, len(ins.operands), plain, given[0], skip)
            return quantised(result, self._exponents[index]) if small else result

        made = self.builder.map(function, *values)
        made = self.builder.expand(made, ins.type.shape)
        if small:
            self.integers[index] = Integers(made, self._exponents[index])
        else:
            self._floats[index] = made

    def _moved(self, index: Index, ins: Instruction) -> bool:
        """Move integers where the operand has them; say whether it was done."""
        if index in self._absorbed:
            return True
        sources = [operands(ins)[0]] if isinstance(ins, Gather) else list(operands(ins))
        if isinstance(ins, Reduce) and ins.fold not in {Fold.MAX, Fold.MIN, Fold.SUM}:
            return False
        if index in self._feeding and index not in self._keeps_float:
            # Before the move: a patch holds an element many times.
            for source in sources:
                self.small(source)
        held = [self.integers.get(s) for s in sources]
        if any(h is None for h in held) or len({h.exponent for h in held if h}) != 1:
            return False
        first = held[0]
        assert first is not None
        dtype = first.value.dtype
        several = {s: h.value for s, h in zip(sources, held, strict=True) if h is not None}
        kind = replace(ins.type, dtype=dtype)
        new: Instruction = replace(ins, type=kind)
        if isinstance(ins, View):
            fill = _LEAST.get(_number(ins.fill))
            if fill is None:
                return False
            new = replace(ins, type=kind, fill=Literal(dtype, fill & (256**dtype.itemsize - 1)))
        elif isinstance(ins, Gather):
            several[ins.index] = self.float(ins.index)
        elif isinstance(ins, Reduce) and ins.fold is Fold.SUM:
            wide = {s: self.builder.cast(v, DType.I32) for s, v in several.items()}
            kind = replace(ins.type, dtype=DType.I32)
            made = self.builder.again(replace(ins, type=kind), wide)
            self.integers[index] = Integers(made, first.exponent)
            return True
        self.integers[index] = Integers(self.builder.again(new, several), first.exponent)
        return True


def dequantised(x: Expression, exponent: int) -> Expression:
    """Integer to float; exact, for the scale is a power of two."""
    return x.to(DType.F32) * 2.0**-exponent


def quantised(x: Expression, exponent: int) -> Expression:
    """Float to int8: nearest, halves to even, saturated."""
    return (x * 2.0**exponent).round().maximum(-LIMIT).minimum(LIMIT).to(DType.I8)


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
