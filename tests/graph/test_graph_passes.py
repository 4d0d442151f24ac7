"""Rewrites of graphs: the outputs keep every bit."""

from dataclasses import replace

from graph_zoo import Case, cases
from hypothesis import given

from verifiable.engines.reference import Reference
from verifiable.graph.check import check
from verifiable.graph.ir import Const, Graph, Index, Instruction, Weights, places
from verifiable.graph.passes import renumbered, without_twins


def doubled(one: Case) -> Case:
    """The same program with a second copy of every Const, which alone is read."""
    instructions: list[Instruction] = []
    place: dict[Index, Index] = {}
    weights = {}
    for i, instruction in enumerate(one.graph.instructions):
        instructions.append(renumbered(instruction, place))
        if isinstance(instruction, Const):
            instructions.append(instruction)
            weights[Index(len(instructions) - 2)] = one.weights[Index(i)]
            weights[Index(len(instructions) - 1)] = one.weights[Index(i)]
        place[Index(i)] = Index(len(instructions) - 1)
    outputs = tuple((name, place[index]) for name, index in one.graph.outputs)
    graph = Graph(instructions=tuple(instructions), inputs=one.graph.inputs, outputs=outputs)
    return replace(one, graph=graph, weights=weights)


def answers(graph: Graph, one: Case, weights: Weights) -> dict[str, bytes]:
    outputs = Reference().prepare(graph, weights).run(one.inputs)
    return {name: value.tobytes() for name, value in outputs.items()}


@given(cases())
def test_one_of_equal_constants_stays_and_no_output_changes(one: Case) -> None:
    twice = doubled(one)
    graph, moved = without_twins(twice.graph)
    check(graph)
    left = [graph.instructions[i] for i in places(graph, Const)]
    assert len(left) == len(set(left))
    weights = {moved[i]: array for i, array in twice.weights.items()}
    assert weights.keys() == set(places(graph, Const))
    assert answers(graph, one, weights) == answers(one.graph, one, one.weights)
