"""The float graph, written again with integer Dots.

Each tensor of the float graph has up to two forms in the new one: float, or integers with an
exponent. A form is made when something asks for it, from the other if need be.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression, Function
from verifiable.frontend.quantize.find import Biased, Weighted
from verifiable.frontend.quantize.moves import Integers, moved
from verifiable.frontend.quantize.programs import dequantised, fits, interpreted, quantised
from verifiable.frontend.quantize.sums import Sums, Target, channels, requantised
from verifiable.graph.ir import (
    Concat,
    Const,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Map,
    Reduce,
    View,
    Weights,
    operands,
)
from verifiable.graph.vocabulary import DType, Fold


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
    feeding : set of Index
        What Dots read.
    padded : set of Index
        Tensors that may hold -inf as padding: integers do not say where.
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
        padded: AbstractSet[Index],
    ) -> None:
        self.builder = Builder()
        self.integers: dict[Index, Integers] = {}
        self._graph = graph
        self._weights = weights
        self._dots = dots
        self._biases = biases
        self._exponents = exponents
        self._feeding = feeding
        self._padded = padded
        self._floats: dict[Index, Value] = {}
        self._sums: dict[Index, Sums] = {}
        self._bias_of = {b.dot: b for b in biases.values()}
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
                    self._map(index, ins, range(len(ins.operands)))
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
            if index in self._padded:
                # Moved once more: of integers nobody could tell the least from -inf.
                ins = self._graph.instructions[index]
                made = self.builder.again(ins, self._sources(ins))
            elif index in self.integers:
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
        sums = self._sums.get(index)
        if sums is not None and sums.target is not None:
            made = requantised(self.builder, sums)
        else:
            source, exponent = self.float(index), self._exponents[index]
            value = self.builder.map(lambda x: quantised(x, exponent), source)
            made = Integers(value=value, exponent=exponent)
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
        chosen = channels(self._weights[dot.weight], x.exponent, self._target(dot.dot))
        small = b.constant(chosen.weights)
        self._sums[dot.dot] = Sums(
            value=b.dot(small, x.value) if dot.weight_first else b.dot(x.value, small),
            exponents=np.expand_dims(chosen.exponents, 2 if dot.weight_first else 1),
            target=chosen.target,
        )

    def _target(self, dot: Index) -> Target | None:
        """What the sums of a Dot are to become as int8, None if floats are wanted of them."""
        found = self._bias_of.get(dot)
        if found is None:
            return (
                Target(exponent=self._exponents[dot], bias=None) if dot in self._feeding else None
            )
        whole = found.rest != "more"
        if found.map not in self._feeding or not (whole or self._read(found)):
            return None
        return Target(exponent=self._exponents[found.map if whole else dot], bias=found.bias)

    def _biased(self, found: Biased, ins: Map) -> None:
        read, sums = self._read(found), self._sums[found.dot]
        operand = ins.operands[found.place]
        if sums.target is None:
            if not read and fits(ins, 1):
                self._sum_in_float(found, ins)
                return
            self._floats[operand] = self._float_sum(found, ins, lambda x: x)
        else:
            held = requantised(self.builder, sums, relu=found.rest == "relu")
            shape = self._graph.instructions[operand].type.shape
            held = replace(held, value=self.builder.reshape(held.value, shape))
            if found.rest != "more":
                self.integers[found.map] = held
                return
            self.integers[operand] = held
        # What is left reads the sum where it read the step that added the bias.
        self._map(found.map, ins, sorted({found.place, *read}), skip=found)

    def _read(self, found: Biased) -> list[int]:
        """Operands of a biased Map that a step other than the one that adds the bias reads."""
        ins = self._graph.instructions[found.map]
        assert isinstance(ins, Map)
        steps = [step for n, step in enumerate(ins.program.steps) if n != found.step]
        return [p for p in range(len(ins.operands)) if any(p in s.registers for s in steps)]

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
            self.integers[found.map] = Integers(value=made, exponent=exponent)
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

    def _map(self, index: Index, ins: Map, kept: Sequence[int], skip: Biased | None = None) -> None:
        """A Map over whatever forms its operands have, its result int8 if a Dot reads it."""
        held = {p: self._known(ins.operands[p]) for p in kept}
        small = index in self._feeding and index not in self._keeps_float
        if not fits(ins, sum(h is not None for h in held.values())):
            held, small = dict.fromkeys(kept), False
        values = [self.float(ins.operands[p]) if h is None else h.value for p, h in held.items()]

        def function(*given: Expression) -> Expression:
            plain = {
                p: x if h is None else dequantised(x, h.exponent)
                for (p, h), x in zip(held.items(), given, strict=True)
            }
            result = interpreted(ins.program, len(ins.operands), plain, given[0], skip)
            return quantised(result, self._exponents[index]) if small else result

        made = self.builder.map(function, *values)
        made = self.builder.expand(made, ins.type.shape)
        if small:
            self.integers[index] = Integers(value=made, exponent=self._exponents[index])
        else:
            self._floats[index] = made

    def _known(self, index: Index) -> Integers | None:
        """The integers of a tensor that a computation may read as floats."""
        return None if index in self._padded else self.integers.get(index)

    def _moved(self, index: Index, ins: View | Gather | Concat | Reduce) -> bool:
        """Move integers where the operand has them; say whether it was done."""
        if index in self._absorbed:
            return True
        sources = operands(ins)[:1] if isinstance(ins, Gather) else operands(ins)
        if index in self._feeding and index not in self._keeps_float:
            # Before the move: a patch holds an element many times.
            for source in sources:
                self.small(source)
        held = [self.integers[s] for s in sources if s in self.integers]
        if len(held) != len(sources):
            return False
        adds = isinstance(ins, Reduce) and ins.fold is Fold.SUM
        if adds and not self._padded.isdisjoint(sources):
            return False
        chosen = self.float(ins.index) if isinstance(ins, Gather) else None
        made = moved(self.builder, ins, held, chosen)
        if made is None:
            return False
        self.integers[index] = made
        return True
