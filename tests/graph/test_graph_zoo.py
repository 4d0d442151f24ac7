"""The zoo holds what it says, and is the same everywhere."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from graph_zoo import LONG, Case, case

from verifiable.graph.encoding import encode
from verifiable.graph.ir import Const, Map, Reduce, View
from verifiable.graph.vocabulary import FOLDED, SIGNATURES, DType, Fold, Scalar
from verifiable.ops import value_problem


@cache
def many() -> tuple[Case, ...]:
    return tuple(case(seed) for seed in range(500))


def test_all_kinds_occur() -> None:
    kinds = Counter(type(ins).__name__ for one in many() for ins in one.graph.instructions)
    assert set(kinds) == {
        "Input", "Const", "Dot", "Reduce", "Map", "View", "Gather", "Concat",
    }  # fmt: skip
    assert min(kinds.values()) > 200


def test_all_scalar_functions_occur_on_all_their_dtypes() -> None:
    seen: set[tuple[Scalar, DType]] = set()
    for one in many():
        for ins in one.graph.instructions:
            if isinstance(ins, Map):
                types = [one.graph.instructions[i].type.dtype for i in ins.operands]
                types += [literal.dtype for literal in ins.program.literals]
                for step in ins.program.steps:
                    read = types[step.registers[-1]]
                    seen.add((step.function, read))
                    types.append(SIGNATURES[step.function].gives or read)
    wanted = {(f, dtype) for f, signature in SIGNATURES.items() for dtype in signature.takes}
    assert seen == wanted


def test_all_folds_occur_on_all_their_dtypes() -> None:
    seen = {
        (ins.fold, one.graph.instructions[ins.x].type.dtype)
        for one in many()
        for ins in one.graph.instructions
        if isinstance(ins, Reduce)
    }
    assert seen == {(fold, dtype) for fold in Fold for dtype in FOLDED[fold]}


def test_odd_shapes_and_views_occur() -> None:
    instructions = [ins for one in many() for ins in one.graph.instructions]
    assert {len(ins.type.shape) for ins in instructions} >= {0, 1, 2, 3, 4, 8}
    assert any(0 in ins.type.shape for ins in instructions)
    views = [ins for ins in instructions if isinstance(ins, View)]
    assert any(ins.is_reshape for ins in views)
    assert any(stride < 0 for ins in views for stride in ins.strides)
    assert any(any(ins.low) and ins.type.size for ins in views)
    kinds = {type(one.graph.instructions[i]) for one in many() for _, i in one.graph.outputs}
    assert Const in kinds


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x807FFFFF])
def test_odd_bits_occur_and_all_are_canonical(bits: int) -> None:
    arrays = [x for one in many() for x in (*one.inputs.values(), *one.weights.values())]
    floats = [x for x in arrays if x.dtype == np.float32]
    assert any((x.view(np.uint32) == bits).any() for x in floats)
    assert {value_problem(x) for x in arrays} == {None}


def test_a_seed_gives_one_case() -> None:
    for seed in (0, 7):
        one, other = case(seed, extents=LONG), case(seed, extents=LONG)
        assert encode(one.graph) == encode(other.graph)
        assert [x.tobytes() for x in one.inputs.values()] == [
            x.tobytes() for x in other.inputs.values()
        ]
