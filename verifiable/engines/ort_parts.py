"""A graph cut at instructions that are computed elsewhere: what lies between, as graphs."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from verifiable.graph.ir import Const, Graph, Index, Input, Instruction, Weights, operands
from verifiable.graph.passes import renumbered


def tensor_name(index: Index) -> str:
    """Name in a part of a tensor of the whole graph."""
    return f"t{index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Neighbouring instructions as a graph of their own."""

    graph: Graph
    weights: Weights
    reads: tuple[Index, ...]
    """Tensors of the whole graph that its inputs are."""
    gives: tuple[Index, ...]
    """Tensors of the whole graph that its outputs are."""
    whole: dict[Index, Index]
    """Of each tensor that it computes, its place here and in the whole graph."""


def cut(graph: Graph, weights: Weights, elsewhere: Collection[Index]) -> Iterator[Part | Index]:
    """Parts and the instructions between them, in order.

    Parameters
    ----------
    graph : Graph
    weights : mapping of Index to array
    elsewhere : collection of Index
        Instructions that are computed otherwise.

    Yields
    ------
    Part or Index
        The index is one of `elsewhere`.
    """
    kept = {index for _, index in graph.outputs}
    last = {i: place for place, ins in enumerate(graph.instructions) for i in operands(ins)}
    some: list[Index] = []
    for place, instruction in enumerate(graph.instructions):
        index = Index(place)
        if index in elsewhere:
            if some:
                yield _part(graph, weights, some, kept, last)
                some = []
            yield index
        elif not isinstance(instruction, Input | Const):
            some.append(index)
    if some:
        yield _part(graph, weights, some, kept, last)


def _part(
    graph: Graph, weights: Weights, some: list[Index], kept: set[Index], last: dict[Index, int]
) -> Part:
    instructions: list[Instruction] = []
    here: dict[Index, Index] = {}
    reads: list[Index] = []
    own: dict[Index, Index] = {}
    for index in some:
        for read in operands(graph.instructions[index]):
            if read in here:
                continue
            here[read] = Index(len(instructions))
            source = graph.instructions[read]
            if isinstance(source, Const):
                own[here[read]] = read
                instructions.append(source)
            else:
                reads.append(read)
                instructions.append(Input(type=source.type))
        here[index] = Index(len(instructions))
        instructions.append(renumbered(graph.instructions[index], here))
    gives = [i for i in some if i in kept or last.get(i, -1) > some[-1]]
    # What nothing reads is computed too: a watcher sees it.
    gives = gives or some[-1:]
    return Part(
        graph=Graph(
            instructions=tuple(instructions),
            inputs=tuple(map(tensor_name, reads)),
            outputs=tuple((tensor_name(i), here[i]) for i in gives),
        ),
        weights={place: weights[read] for place, read in own.items()},
        reads=tuple(reads),
        gives=tuple(gives),
        whole={here[i]: i for i in some},
    )
