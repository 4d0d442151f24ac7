"""Roots over all tensors of a run.

::

    trace root   sha256(0x04 | input root (32) | body root (32) | output root (32))

Each of the three is the root of a tree (``crypto.merkle``) over the roots of its tensors, in the
order of the instructions; ``graph.commitment`` says which tensor stands where. One that has no
tensor is the constant `PAD`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from verifiable.crypto.merkle import Hasher, Tag, tagged, tree_root
from verifiable.engines.native_hash import best_hasher, hasher_for
from verifiable.engines.protocol import Progress, Runner
from verifiable.graph.check import input_types
from verifiable.graph.commitment import Section, model_root, output_places, trace_slots
from verifiable.graph.ir import Array, Const, Graph, Index
from verifiable.graph.layout import type_of
from verifiable.graph.tensors import Sink, root_of_nodes, tensor_nodes, tensor_root
from verifiable.types import Sha256


@dataclass(frozen=True, slots=True)
class Sections:
    """What the trace root is the digest of."""

    input: Sha256
    body: Sha256
    output: Sha256

    @property
    def roots(self) -> tuple[Sha256, Sha256, Sha256]:
        """All three, by the code of their section."""
        return self.input, self.body, self.output

    @property
    def root(self) -> Sha256:
        """The trace root."""
        return tagged(Tag.TRACE, *self.roots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Roots of the tensors of one run."""

    model: Sha256
    """Model root of the graph that was run."""
    roots: tuple[Sha256, ...]
    """Of each instruction's tensor; a Const's is the one that the graph names."""
    sections: Sections

    @property
    def root(self) -> Sha256:
        """The trace root."""
        return self.sections.root


def roots_of(graph: Graph, roots: Sequence[Sha256], section: Section) -> list[Sha256]:
    """Roots that stand in one section of a trace, in its order."""
    pairs = zip(trace_slots(graph), roots, strict=True)
    return [root for slot, root in pairs if slot.section is section]


def sections(graph: Graph, roots: Sequence[Sha256]) -> Sections:
    """Input, body and output root from the roots of all tensors."""
    parts: dict[Section, list[Sha256]] = {section: [] for section in Section}
    for slot, root in zip(trace_slots(graph), roots, strict=True):
        parts[slot.section].append(root)
    return Sections(*(tree_root(parts[Section(code)]) for code in range(3)))


def input_root(
    graph: Graph, inputs: Mapping[str, Array], *, hasher: Hasher | None = None
) -> Sha256:
    """Root over the inputs of a run, which a claim names.

    Parameters
    ----------
    graph : Graph
    inputs : mapping of str to array
        As ``engines.inputs.check_inputs`` passes them.
    hasher : Hasher, optional
        The fastest of this machine, if None.
    """
    hasher = hasher or best_hasher()
    return tree_root([tensor_root(inputs[name], hasher=hasher) for name in input_types(graph)])


def output_root(
    graph: Graph, outputs: Mapping[str, Array], *, hasher: Hasher | None = None
) -> Sha256:
    """Root over the outputs of a run, which a claim names; see `output_roots`."""
    return tree_root(output_roots(graph, outputs, hasher=hasher))


def output_roots(
    graph: Graph, outputs: Mapping[str, Array], *, hasher: Hasher | None = None
) -> list[Sha256]:
    """Roots of the output tensors, in the order of the trace.

    An output that is an Input or a Const is not among them: the input root or the model root
    binds it.

    Parameters
    ----------
    graph : Graph
    outputs : mapping of str to array
        As a `Runner` gives them.
    hasher : Hasher, optional
        The fastest of this machine, if None.
    """
    names, hasher = {index: name for name, index in graph.outputs}, hasher or best_hasher()
    # Not by the slots of all instructions: a claim should cost nothing beside a run.
    return [tensor_root(outputs[names[i]], hasher=hasher) for i in output_places(graph)]


class Recorder:
    """A `Watcher` that takes the root of each tensor, and can pass on its bytes.

    Parameters
    ----------
    graph : Graph
    hasher : Hasher, optional
        The fastest of this machine, if None.
    sink : callable, optional
        Is given the canonical bytes of every tensor but the Consts', end to end, in order.
    nodes : callable, optional
        Is given the nodes of their trees (``crypto.tree.Tree.rows``), likewise.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        hasher: Hasher | None = None,
        sink: Sink | None = None,
        nodes: Sink | None = None,
    ) -> None:
        self._graph = graph
        self._hasher = hasher or best_hasher()
        self._sink = sink
        self._nodes = nodes
        self._roots: list[Sha256] = []

    def __call__(self, index: Index, tensor: Array, /) -> None:
        """Take the next root; needs memory for its nodes, and for one block if there is a sink."""
        assert index == len(self._roots), "an engine skipped an instruction"
        instruction = self._graph.instructions[index]
        if isinstance(instruction, Const):
            self._roots.append(instruction.root)
            return
        assert type_of(tensor) == instruction.type, "an engine gave another type"
        if self._nodes is None:
            root = tensor_root(tensor, hasher=self._hasher, sink=self._sink)
        else:
            nodes = tensor_nodes(tensor, hasher=self._hasher, sink=self._sink)
            root = root_of_nodes(instruction.type, nodes)
            self._nodes(nodes.tobytes())
        self._roots.append(root)

    def trace(self) -> Trace:
        """The trace of a run that has ended."""
        roots = tuple(self._roots)
        return Trace(
            model=model_root(self._graph), roots=roots, sections=sections(self._graph, roots)
        )


def commit(
    graph: Graph,
    runner: Runner,
    inputs: Mapping[str, Array],
    *,
    hasher: Hasher | None = None,
    sink: Sink | None = None,
    nodes: Sink | None = None,
    progress: Progress | None = None,
) -> tuple[Trace, dict[str, Array]]:
    """Run a graph and take the root of every tensor, in bounded memory.

    Parameters
    ----------
    graph : Graph
    runner : Runner
        The graph with its weights, on any engine.
    inputs : mapping of str to array
    hasher : Hasher, optional
        The fastest of this machine, if None.
    sink, nodes : callable, optional
        See `Recorder`.
    progress : Progress, optional

    Returns
    -------
    Trace
    dict of str to array
        The outputs.

    Raises
    ------
    TensorError
        If the inputs are not what the graph asks for.
    """
    recorder = Recorder(graph, hasher=hasher or hasher_for(runner), sink=sink, nodes=nodes)
    outputs = runner.run(inputs, watch=recorder, progress=progress)
    return recorder.trace(), outputs
