"""A fidelity report says what was compared, on which data, and no figure where nothing was."""

from math import inf

import numpy as np
import pytest
from quantise_lab import Made, Samples, both, drawn, lowered, node, small

from verifiable.errors import TensorError
from verifiable.frontend.quantize import Answers
from verifiable.graph.ir import Array

W = np.random.default_rng(1).standard_normal((16, 10)).astype(np.float32)
LOGITS = node("MatMul", ["x", "w"], ["l"])


def classifier() -> Made:
    nodes = [LOGITS, node("ArgMax", ["l"], ["y"], axis=-1, keepdims=0)]
    return lowered(nodes, [1, 16], {"w": W})


def far() -> Samples:
    """Samples that are far outside of what was calibrated on."""
    return [{"x": 1000 * sample["x"]} for sample in drawn(3, 40, 1, 16)]


def test_integer_outputs_are_compared_element_for_element() -> None:
    made, test = classifier(), far()
    int8 = small(made, drawn(2, 4, 1, 16), test)
    (output,) = int8.fidelity.outputs
    pairs = [both(made, int8, sample) for sample in test]
    same = sum(int(true["y"][0] == got["y"][0]) for true, got in pairs)
    assert 0 < same < len(test)
    assert (output.answers, output.same, output.compared) == (Answers.ELEMENTS, same, len(test))
    assert int8.fidelity.agreement == same / len(test)
    assert int8.fidelity.largest_error is None


def test_every_output_has_its_own_figure_and_the_worst_is_the_whole() -> None:
    nodes = [LOGITS, node("Less", ["l", "z"], ["b"])]
    made = lowered(nodes, [2, 16], {"w": W, "z": np.zeros((), np.float32)}, ["l", "b"])
    test = [{"x": 1000 * sample["x"]} for sample in drawn(3, 20, 2, 16)]
    int8 = small(made, drawn(2, 4, 2, 16), test)
    rows, bools = int8.fidelity.outputs
    assert (rows.name, rows.answers, rows.compared) == ("l", Answers.ROWS, 40)
    assert (bools.name, bools.answers, bools.compared) == ("b", Answers.ELEMENTS, 400)
    shares = [o.same / o.compared for o in (rows, bools)]
    assert int8.fidelity.agreement == min(shares) < 1
    assert int8.fidelity.largest_error == rows.largest_error


@pytest.mark.parametrize("keep", [0, 1])
def test_single_floats_have_an_error_and_no_agreement(keep: int) -> None:
    nodes = [LOGITS, node("ReduceSum", ["l"], ["y"], keepdims=keep)]
    int8 = small(lowered(nodes, [1, 16], {"w": W}), drawn(2, 4, 1, 16))
    (output,) = int8.fidelity.outputs
    assert (output.answers, output.compared, output.agreement) == (Answers.NONE, 0, None)
    assert output.largest_error is not None
    assert int8.fidelity.agreement is None


def test_what_is_not_finite_in_one_graph_alone_is_counted() -> None:
    test = drawn(3, 3, 1, 16)
    test[1]["x"][0, 0] = np.float32(np.inf)
    int8 = small(lowered([LOGITS], [1, 16], {"w": W}, ["l"]), drawn(2, 4, 1, 16), test)
    (output,) = int8.fidelity.outputs
    assert output.not_finite == 10
    assert output.largest_error is not None
    assert output.largest_error < inf
    assert int8.fidelity.tensors[0].largest_error == inf
    assert int8.fidelity.tensors[0].signal_to_noise == -inf


def test_a_row_with_a_nan_agrees_with_none() -> None:
    nodes = [LOGITS, node("Sqrt", ["l"], ["y"])]
    made = lowered(nodes, [1, 16], {"w": W})
    (output,) = small(made, drawn(2, 8, 1, 16)).fidelity.outputs
    assert (output.same, output.compared) == (0, 8)


def test_samples_that_calibration_saw_are_counted() -> None:
    made, several = classifier(), drawn(2, 6, 1, 16)
    copies = [{"x": sample["x"].copy()} for sample in several]
    assert small(made, several).fidelity.seen == 6
    assert small(made, several[:4], copies[4:]).fidelity.seen == 0
    assert small(made, several[:4], copies[2:]).fidelity.seen == 2
    assert small(made, several[:1], copies[:1]).fidelity.seen == 1


def test_a_report_on_no_data_is_refused() -> None:
    with pytest.raises(TensorError, match="measure fidelity on is empty"):
        small(classifier(), drawn(2, 2, 1, 16), [])


def test_a_tensor_of_zeros_with_an_error_is_not_exact() -> None:
    # Two thirds round to 85/128 and a third to 43/128: what is 0 in float becomes 32/128.
    third = np.float32(1 / 3)
    nodes = [LOGITS, node("MatMul", ["l", "v"], ["y"])]
    constants = {"w": np.array([[third], [2 * third]]), "v": np.ones((1, 1), np.float32)}
    calibration = [{"x": np.array([[127, -63]], np.float32)}]
    test = [{"x": np.array([[64, -32]], np.float32)}]
    hidden = small(lowered(nodes, [1, 2], constants), calibration, test).fidelity.tensors[-1]
    assert hidden.largest_error > 0
    assert hidden.signal_to_noise == -inf


def test_tensors_that_calibration_saw_nothing_of_are_named() -> None:
    nodes = [
        LOGITS,
        node("Add", ["l", "c"], ["a"]),
        node("Relu", ["a"], ["h"]),
        node("MatMul", ["h", "v"], ["y"], name="last"),
    ]
    constants: dict[str, Array] = {"w": W, "v": W.T.copy(), "c": np.full(10, -1e3, np.float32)}
    made = lowered(nodes, [1, 16], constants)
    zero = small(made, drawn(2, 4, 1, 16)).zero
    assert [label for label in zero if "Relu" in label]
    assert len(set(zero)) == len(zero)
    assert small(classifier(), drawn(2, 4, 1, 16)).zero == ()
    blank = [{"x": np.zeros((1, 16), np.float32)}]
    assert "input `x`" in small(classifier(), blank).zero


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_calibration_input_that_is_not_finite_is_named(value: float) -> None:
    samples = drawn(2, 3, 1, 16)
    samples[2]["x"][0, 5] = value
    with pytest.raises(TensorError, match=rf"input `x`\[0, 5\] in sample 2 .* is {value}, wanted"):
        small(classifier(), samples)


def test_an_overflow_in_the_graph_is_named_by_its_operator() -> None:
    nodes = [node("Mul", ["x", "x"], ["s"], name="square"), node("MatMul", ["s", "w"], ["y"])]
    samples = [{"x": np.full((1, 16), 1e30, np.float32)}]
    with pytest.raises(TensorError, match=r"`square`.* gives is not finite in sample 0"):
        small(lowered(nodes, [1, 16], {"w": W}), samples)


def test_minus_infinity_that_no_padding_made_is_no_padding() -> None:
    nodes = [node("Log", ["x"], ["s"], name="log"), node("MatMul", ["s", "w"], ["y"])]
    samples = [{"x": np.zeros((1, 16), np.float32)}]
    with pytest.raises(TensorError, match="`log`"):
        small(lowered(nodes, [1, 16], {"w": W}), samples)
