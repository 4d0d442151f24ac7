"""Runs of zoo graphs that the tests of traces share, and an engine that lies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from graph_zoo import Case

from verifiable.crypto.tree import Tree
from verifiable.engines.protocol import Progress, Runner, Watcher
from verifiable.engines.reference import Reference
from verifiable.graph.ir import Array, Const, Graph, Index, Input, last_uses, operands
from verifiable.graph.tensors import tensor_tree
from verifiable.ops import evaluate
from verifiable.trace.commit import Trace, commit
from verifiable.trace.store import StoredTrace, store_run


def tensors_of(one: Case, runner: Runner | None = None) -> list[Array]:
    """Every tensor of a run, by instruction."""
    found: list[Array] = []
    runner = runner or Reference().prepare(one.graph, one.weights)
    runner.run(one.inputs, watch=lambda _, tensor: found.append(tensor.copy()))
    return found


@dataclass(frozen=True)
class Held:
    """A run in memory (``trace.walk.OwnRun``)."""

    graph: Graph
    trace: Trace
    tensors: list[Array]

    def tree(self, index: Index, /) -> Tree:
        return tensor_tree(self.tensors[index])

    def mapped(self, index: Index, /) -> Array:
        return self.tensors[index]


def held(one: Case) -> Held:
    return Held(one.graph, committed(one), tensors_of(one))


def committed(one: Case) -> Trace:
    return commit(one.graph, Reference().prepare(one.graph, one.weights), one.inputs)[0]


def stored(one: Case, path: Path) -> StoredTrace:
    runner = Reference().prepare(one.graph, one.weights)
    return store_run(path, one.graph, runner, one.inputs)[0]


def flipped(array: Array, element: int, mask: int = 1) -> Array:
    """A copy with some bits of one element turned over, made canonical again."""
    copy = array.copy()
    bits = copy.reshape(-1).view(f"u{copy.dtype.itemsize}")
    bits[element] ^= bits.dtype.type(mask)
    return copy


@dataclass(frozen=True, slots=True)
class Liar:
    """A runner that turns over a bit of one element and goes on with it."""

    case: Case
    instruction: Index
    element: int

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        watch: Watcher | None = None,
        progress: Progress | None = None,  # noqa: ARG002
    ) -> dict[str, Array]:
        graph = self.case.graph
        given = iter(inputs.values())
        tensors: list[Array] = []
        for i, (instruction, _) in enumerate(
            zip(graph.instructions, last_uses(graph), strict=True)
        ):
            match instruction:
                case Input():
                    tensor = np.asarray(next(given))
                case Const():
                    tensor = self.case.weights[Index(i)]
                case _:
                    tensor = evaluate(instruction, [tensors[j] for j in operands(instruction)])
            if i == self.instruction:
                tensor = flipped(tensor, self.element)
            tensors.append(tensor)
            if watch is not None:
                watch(Index(i), tensor)
        return {name: tensors[index] for name, index in graph.outputs}
