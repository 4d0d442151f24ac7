"""The ort engine: Dots of constants through stock onnxruntime, the rest by another engine.

A check of speed, so that what onnxruntime is good at can be seen inside a whole run; no default.
What it computes is probed before (``ort_dot``), and a probe shows a difference but never its
absence: equality was measured for this processor, this release and these shapes, and is defined
nowhere. The cpu engine's bits follow from its own code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from verifiable.engines.inputs import check_inputs, check_weights
from verifiable.engines.ort_dot import (
    DotOfConstant,
    Multiplier,
    Shape,
    by_onnxruntime,
    gives_our_bits,
    shape_of,
)
from verifiable.engines.ort_parts import Part, cut, tensor_name
from verifiable.engines.protocol import Engine, Progress, Runner, Watcher
from verifiable.engines.reference import regions_done
from verifiable.graph.check import input_types
from verifiable.graph.ir import (
    Array,
    Const,
    Dot,
    Graph,
    Index,
    Input,
    Weights,
    last_uses,
    places,
)

HALF: Final = np.float32(0.5)


class Ort:
    """Stock onnxruntime where it equals the definition on this machine, one thread.

    Parameters
    ----------
    rest : Engine
        Computes all else; what onnxruntime gives is held against it.
    multiplier : callable
        Makes products by constants.

    Notes
    -----
    Before a Dot goes to onnxruntime, its shape is probed here, once per engine: adversarial
    operands, all elements equal to `rest`'s. One that differs, on a processor without FMA for
    instance, is computed by `rest`, as are all whose operands are both given with the run, whose
    constant has batches, and whose chunk is not 256.
    """

    name = "ort"

    def __init__(self, rest: Engine, *, multiplier: Multiplier = by_onnxruntime) -> None:
        self.rest = rest
        self.multiplier = multiplier
        self._probed: dict[Shape, bool] = {}

    def prepare(self, graph: Graph, weights: Weights) -> "OrtRunner":
        """Make a checked graph ready to run; probes the shapes that are new to this engine.

        Raises
        ------
        TensorError
            If the weights are not what the graph's Consts ask for; their roots are not computed.
        MissingDependencyError
            If onnxruntime is not installed.
        """
        checked = check_weights(graph, weights)
        products: dict[Index, DotOfConstant] = {}
        if keeps_subnormals():
            for place in places(graph, Dot):
                dot = graph.instructions[place]
                assert isinstance(dot, Dot)
                shape = shape_of(graph, dot)
                if shape is not None and self.equals(shape):
                    products[place] = self._product(dot, shape, checked)
        return OrtRunner(self.rest, graph, checked, products)

    def equals(self, shape: Shape) -> bool:
        """Whether products of a shape were seen to give the definition's bits on this machine."""
        if shape not in self._probed:
            self._probed[shape] = gives_our_bits(shape, self.multiplier, self.rest)
        return self._probed[shape]

    def _product(self, dot: Dot, shape: Shape, weights: Weights) -> DotOfConstant:
        constant, given = (dot.a, dot.b) if shape.first else (dot.b, dot.a)
        rows = np.dtype(shape.given.numpy)
        return DotOfConstant(
            given=given, type=dot.type, first=shape.first,
            product=self.multiplier(weights[constant][0].T, rows),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Step:
    """A part with its runner, or a Dot by onnxruntime."""

    last: Index
    """Instruction that it ends with."""
    part: Part | None = None
    runner: Runner | None = None
    dot: DotOfConstant | None = None


class OrtRunner:
    """One graph with its weights: parts of it by one engine, Dots between by onnxruntime.

    Parameters
    ----------
    rest : Engine
    graph : Graph
    weights : mapping of Index to array
    products : mapping of Index to DotOfConstant
    """

    def __init__(
        self,
        rest: Engine,
        graph: Graph,
        weights: Weights,
        products: Mapping[Index, DotOfConstant],
    ) -> None:
        self.rest, self.graph, self.weights = rest, graph, weights
        self.products = products
        """What onnxruntime computes."""
        self._steps = [
            _Step(max(piece.whole.values()), piece, rest.prepare(piece.graph, piece.weights))
            if isinstance(piece, Part)
            else _Step(piece, dot=products[piece])
            for piece in cut(graph, weights, products)
        ]

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        watch: Watcher | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Array]:
        """Compute the outputs, by name; see ``engines.protocol.Runner``.

        Raises
        ------
        TensorError
            If the inputs are not what the graph asks for.
        """
        if not keeps_subnormals():
            # Another library has set this thread to flush them, and onnxruntime would.
            runner = self.rest.prepare(self.graph, self.weights)
            return runner.run(inputs, watch=watch, progress=progress)
        given = check_inputs(input_types(self.graph), inputs)
        tensors = dict(zip(places(self.graph, Input), given.values(), strict=True))
        tensors.update(self.weights)
        teller = _Teller(self.graph, tensors, watch, progress)
        for step in self._steps:
            tensors.update(_computed(step, tensors, teller))
            teller.done(step.last)
        teller.done(Index(len(self.graph.instructions) - 1))
        return {name: tensors[index].copy() for name, index in self.graph.outputs}


def _computed(step: _Step, tensors: Mapping[Index, Array], teller: "_Teller") -> dict[Index, Array]:
    if step.dot is not None:
        found = step.dot(tensors[step.dot.given])
        teller.show(step.last, found)
        return {step.last: found}
    part = step.part
    assert part is not None
    assert step.runner is not None

    def show(index: Index, tensor: Array, /) -> None:
        if index in part.whole:
            teller.show(part.whole[index], tensor)

    outputs = step.runner.run(
        {tensor_name(i): tensors[i] for i in part.reads},
        watch=None if teller.watch is None else show,
    )
    return {i: outputs[tensor_name(i)] for i in part.gives}


class _Teller:
    """Shows tensors in the order of the instructions, tells of regions, lets go of the dead."""

    def __init__(
        self,
        graph: Graph,
        tensors: dict[Index, Array],
        watch: Watcher | None,
        progress: Progress | None,
    ) -> None:
        self.graph, self.tensors = graph, tensors
        self.watch, self.progress = watch, progress
        self._shown = self._done = 0
        self._dead, self._events = last_uses(graph), tuple(regions_done(graph))

    def show(self, index: Index, tensor: Array) -> None:
        """Show a tensor, after the Inputs and Consts that stand before it."""
        if self.watch is None:
            return
        self._show_given(index)
        self.watch(index, tensor)
        self._shown += 1

    def _show_given(self, before: int) -> None:
        assert self.watch is not None
        for place in range(self._shown, before):
            assert isinstance(self.graph.instructions[place], Input | Const)
            self.watch(Index(place), self.tensors[Index(place)])
            self._shown += 1

    def done(self, last: Index) -> None:
        """Take note that all instructions up to one are computed."""
        if self.watch is not None:
            self._show_given(last + 1)
        for place in range(self._done, last + 1):
            if self.progress is not None:
                for event in self._events[place]:
                    self.progress(event)
            for index in self._dead[place]:
                self.tensors.pop(index, None)
        self._done = max(self._done, last + 1)


def keeps_subnormals() -> bool:
    """Whether this thread computes with subnormals, as it does unless a library turned that off."""
    return bool(np.float32(1e-40) * HALF > 0)
