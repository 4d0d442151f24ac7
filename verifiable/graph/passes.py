"""Rewrites of a graph that change no bit of any output."""

from collections.abc import Mapping
from dataclasses import replace

from verifiable.graph.ir import (
    Concat,
    Const,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Map,
    Program,
    Reduce,
    Step,
    View,
    operands,
)
from verifiable.graph.vocabulary import MAX_OPERANDS, MAX_STEPS


def renumbered(instruction: Instruction, place: dict[Index, Index]) -> Instruction:
    """The instruction with its operands at their new places."""
    match instruction:
        case Dot(a=a, b=b):
            return replace(instruction, a=place[a], b=place[b])
        case Map(operands=several):
            return replace(instruction, operands=tuple(place[i] for i in several))
        case Concat(parts=several):
            return replace(instruction, parts=tuple(place[i] for i in several))
        case Gather(x=x, index=index):
            return replace(instruction, x=place[x], index=place[index])
        case Reduce(x=x) | View(x=x):
            return replace(instruction, x=place[x])
        case _:
            return instruction


def without_dead(graph: Graph) -> tuple[Graph, dict[Index, Index]]:
    """Leave out what no output needs; Inputs stay.

    Returns
    -------
    Graph
    dict of Index to Index
        New place of each instruction that stays.
    """
    needed = {index for _, index in graph.outputs}
    for i in range(len(graph.instructions) - 1, -1, -1):
        instruction = graph.instructions[i]
        if isinstance(instruction, Input):
            needed.add(Index(i))
        elif Index(i) in needed:
            needed.update(operands(instruction))
    return _only(graph, needed)


def without_twins(graph: Graph) -> tuple[Graph, dict[Index, Index]]:
    """Keep the first of Consts that have one type and one root.

    Returns
    -------
    Graph
    dict of Index to Index
        New place of each instruction, of a Const left out that of the one which is kept.
    """
    first: dict[Const, Index] = {}
    twin_of: dict[Index, Index] = {}
    for i, instruction in enumerate(graph.instructions):
        if isinstance(instruction, Const) and first.setdefault(instruction, Index(i)) != i:
            twin_of[Index(i)] = first[instruction]
    stays = {Index(i) for i in range(len(graph.instructions))} - twin_of.keys()
    return _only(graph, stays, twin_of)


def _only(
    graph: Graph, stays: set[Index], twin_of: Mapping[Index, Index] | None = None
) -> tuple[Graph, dict[Index, Index]]:
    """The instructions of `stays`, reading twins for those of `twin_of`."""
    place: dict[Index, Index] = {}
    kept: list[Instruction] = []
    before = [0]
    for i, instruction in enumerate(graph.instructions):
        if Index(i) in stays:
            place[Index(i)] = Index(len(kept))
            kept.append(renumbered(instruction, place))
        elif twin_of and Index(i) in twin_of:
            place[Index(i)] = place[twin_of[Index(i)]]
        before.append(len(kept))
    regions = [replace(r, start=before[r.start], stop=before[r.stop]) for r in graph.regions]
    return (
        Graph(
            instructions=tuple(kept),
            inputs=graph.inputs,
            outputs=tuple((name, place[index]) for name, index in graph.outputs),
            regions=tuple(r for r in regions if r.start < r.stop),
        ),
        place,
    )


def with_fused_maps(graph: Graph) -> tuple[Graph, dict[Index, Index]]:
    """Put a Map into the one Map that reads it, where shapes agree and the program stays short.

    Fewer tensors make a smaller trace. Returns what `without_dead` returns.
    """
    instructions = list(graph.instructions)
    readers = [0] * len(instructions)
    for instruction in instructions:
        for index in set(operands(instruction)):
            readers[index] += 1
    for _, index in graph.outputs:
        readers[index] += 1
    for i, instruction in enumerate(instructions):
        if not isinstance(instruction, Map):
            continue
        merged = instruction
        place = 0
        while place < len(merged.operands):
            source = merged.operands[place]
            inner = instructions[source]
            if readers[source] == 1 and isinstance(inner, Map):
                joined = _joined(merged, place, inner)
                if joined is not None:
                    # The inner Map's operands now have this reader in place of that one.
                    for index in set(inner.operands) & set(merged.operands):
                        readers[index] -= 1
                    merged = joined
                    place = 0
                    continue
            place += 1
        instructions[i] = merged
    return without_dead(replace(graph, instructions=tuple(instructions)))


def _joined(outer: Map, place: int, inner: Map) -> Map | None:
    if inner.type.shape != outer.type.shape:
        return None
    kept: list[Index] = []
    for index in (*inner.operands, *(o for i, o in enumerate(outer.operands) if i != place)):
        if index not in kept:
            kept.append(index)
    steps = len(inner.program.steps) + len(outer.program.steps)
    if len(kept) > MAX_OPERANDS or steps > MAX_STEPS:
        return None
    literals = list(dict.fromkeys((*inner.program.literals, *outer.program.literals)))
    base = len(kept) + len(literals)

    def moved(map_: Map, first_step: int, replaced: int | None) -> tuple[Step, ...]:
        own, constants = len(map_.operands), map_.program.literals

        def register(r: int) -> int:
            if r < own:
                if r == replaced:
                    return base + len(inner.program.steps) - 1
                return kept.index(map_.operands[r])
            if r < own + len(constants):
                return len(kept) + literals.index(constants[r - own])
            return base + first_step + r - own - len(constants)

        return tuple(
            Step(s.function, tuple(map(register, s.registers))) for s in map_.program.steps
        )

    program = Program(
        literals=tuple(literals),
        steps=(*moved(inner, 0, None), *moved(outer, len(inner.program.steps), place)),
    )
    return replace(outer, operands=tuple(kept), program=program)
