"""Integers that are moved or added up say what the floats would have said."""

from typing import Any

import numpy as np
import pytest
from quantise_lab import both, drawn, lowered, node, small

from verifiable.frontend.quantize.find import biased, feeding, padding, weighted
from verifiable.frontend.quantize.rewrite import Rewriter
from verifiable.graph.ir import Array, Concat, Graph, Map, Reduce, View, places
from verifiable.graph.vocabulary import MAX_STEPS, DType, Fold

W = np.random.default_rng(1).standard_normal((6, 6)).astype(np.float32)
# A hidden tensor that is int8, for the Dot that gives `y` reads it.
HIDDEN = [
    node("MatMul", ["x", "w"], ["a"]),
    node("Relu", ["a"], ["h"]),
    node("MatMul", ["h", "w"], ["y"]),
]
ROW = np.array([1], np.int64)
LEAST = np.array(-np.inf, np.float32)


def differences(nodes: list[Any], constants: dict[str, Array], *names: str) -> dict[str, float]:
    """Largest difference of each output from the float graph's, over some samples."""
    made = lowered([*HIDDEN, *nodes], [3, 6], {"w": W} | constants, ["y", *names])
    samples = drawn(2, 8, 3, 6)
    int8 = small(made, samples)
    found = dict.fromkeys(names, 0.0)
    for sample in samples:
        true, got = both(made, int8, sample)
        for name in names:
            finite = np.isfinite(true[name])
            assert np.array_equal(finite, np.isfinite(got[name])), name
            assert np.array_equal(true[name][~finite], got[name][~finite]), name
            off = np.abs(true[name][finite] - got[name][finite]).max(initial=0.0)
            found[name] = max(found[name], float(off))
    return found


def test_padding_of_minus_infinity_is_that_for_who_reads_it_in_float() -> None:
    pads = np.array([0, 2, 0, 1], np.int64)
    nodes = [
        node("Pad", ["h", "pads", "least"], ["p"]),
        node("Softmax", ["p"], ["s"], axis=-1),
    ]
    found = differences(nodes, {"pads": pads, "least": LEAST}, "p", "s")
    assert found["p"] < 0.1
    assert found["s"] < 0.05


def test_a_window_of_nothing_but_padding_has_no_greatest_element() -> None:
    pads = np.array([0, 4, 0, 0], np.int64)
    shape = np.array([3, 5, 2], np.int64)
    nodes = [
        node("Pad", ["h", "pads", "least"], ["p"]),
        node("Reshape", ["p", "shape"], ["r"]),
        node("ReduceMax", ["r", "last"], ["m"], keepdims=0),
        node("ReduceMin", ["r", "last"], ["n"], keepdims=0),
        node("ReduceSum", ["r", "last"], ["t"], keepdims=0),
    ]
    constants: dict[str, Array] = {"pads": pads, "least": LEAST, "shape": shape, "last": -ROW}
    found = differences(nodes, constants, "m", "n", "t")
    assert max(found.values()) < 0.2


def test_padding_of_sums_is_below_every_sum() -> None:
    # Sums are i32: padding of -128 would be above many of them.
    minus = [node("Neg", ["h"], ["g"]), node("MatMul", ["g", "w"], ["z"])]
    nodes = [
        *minus,
        node("ReduceSum", ["g", "one"], ["s"]),
        node("Pad", ["s", "pads", "least"], ["p"]),
        node("ReduceMax", ["p", "one"], ["m"]),
    ]
    pads = np.array([0, 1, 0, 1], np.int64)
    found = differences(nodes, {"one": ROW, "pads": pads, "least": LEAST}, "z", "m")
    assert found["m"] < 0.3


def test_a_tensor_and_its_sums_are_joined() -> None:
    nodes = [
        node("ReduceSum", ["h", "one"], ["s"]),
        node("Concat", ["h", "s"], ["c"], axis=1),
    ]
    assert differences(nodes, {"one": ROW}, "c")["c"] < 0.3


def test_a_program_without_room_for_scales_is_given_floats() -> None:
    nodes = [
        node("Abs", ["h"], ["b"]),
        node("Pow", ["b", "e"], ["p"]),
        node("MatMul", ["p", "w"], ["z"]),
    ]
    exponents = np.linspace(0.5, 1.5, 6, dtype=np.float32)
    made = lowered([*HIDDEN, *nodes], [3, 6], {"w": W, "e": exponents}, ["y", "z"])
    maps = [ins for ins in made[0].instructions if isinstance(ins, Map)]
    assert any(len(ins.program.steps) > MAX_STEPS - 6 for ins in maps), "a program near the limit"
    samples = drawn(2, 8, 3, 6)
    for output in small(made, samples).fidelity.outputs:
        assert output.largest_error is not None
        assert output.largest is not None
        assert output.largest_error < 0.1 * output.largest


def rewritten(extent: int, *steps: int) -> Graph:
    """The int8 graph of a tensor that a Dot reads and that is added up, in one step or several."""
    shape = [extent // 64, 64]
    nodes = [node("MatMul", ["x", "w"], ["z"])]
    source = "x"
    constants: dict[str, Array] = {"w": np.ones((64, 1), np.float32), "last": -ROW}
    for number, step in enumerate(steps):
        constants[f"s{number}"] = np.array([-1, step], np.int64)
        nodes.append(node("Reshape", [source, f"s{number}"], [f"r{number}"]))
        nodes.append(node("ReduceSum", [f"r{number}", "last"], [f"t{number}"], keepdims=0))
        source = f"t{number}"
    graph, weights = lowered(nodes, shape, constants, ["z", source])
    dots = weighted(graph, weights)
    feeds = feeding(graph, dots)
    rewriter = Rewriter(
        graph,
        weights,
        dots=dots,
        biases=biased(graph, weights, dots),
        exponents=dict.fromkeys(feeds | set(dots), 6),
        feeding=feeds,
        padded=padding(graph, weights).keys(),
    )
    rewriter.run()
    return rewriter.builder.finish(rewriter.outputs())[0]


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [
        ((2**20,), [DType.I32]),
        ((2**12, 2**12 - 1), [DType.I32, DType.I32]),
        ((2**12, 2**12), [DType.I32, DType.F32]),
        ((2**8, 2**8, 2**8 - 1), [DType.I32, DType.I32, DType.I32]),
        ((2**8, 2**8, 2**8), [DType.I32, DType.I32, DType.F32]),
    ],
)
def test_integers_are_added_up_only_where_i32_holds_any_sum(
    steps: tuple[int, ...], kinds: list[DType]
) -> None:
    graph = rewritten(int(np.prod(steps)), *steps)
    sums = [graph.instructions[i] for i in places(graph, Reduce)]
    assert [s.type.dtype for s in sums if isinstance(s, Reduce) and s.fold is Fold.SUM] == kinds


def test_maxima_of_padded_windows_stay_integers() -> None:
    nodes = [
        node("Conv", ["x", "k"], ["a"]),
        node("Relu", ["a"], ["h"]),
        node("MaxPool", ["h"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", ["p", "k"], ["c"]),
        node("Concat", ["c", "p"], ["y"], axis=1),
    ]
    kernel = np.random.default_rng(3).standard_normal((2, 2, 1, 1)).astype(np.float32)
    made = lowered(nodes, [1, 2, 6, 6], {"k": kernel})
    samples = drawn(4, 4, 1, 2, 6, 6)
    int8 = small(made, samples)
    kinds = {
        ins.type.dtype
        for ins in int8.graph.instructions
        if isinstance(ins, Reduce | View) and len(ins.type.shape) > 4
    }
    assert kinds == {DType.I8}
    assert len(places(int8.graph, Concat)) == 1
    (output,) = int8.fidelity.outputs
    assert output.largest_error is not None
    assert output.largest is not None
    assert output.largest_error < 0.05 * output.largest
