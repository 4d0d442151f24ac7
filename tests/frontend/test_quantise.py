"""int8 graphs: integer where they say so, near the float graph, and never overflowing."""

from typing import Any

import numpy as np
import onnx
import pytest
from architectures import architecture
from onnx import TensorProto, helper, numpy_helper

from circuits import recipe
from verifiable.engines.cpu import Cpu
from verifiable.engines.reference import Reference
from verifiable.errors import TensorError, UnsupportedError
from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower
from verifiable.frontend.quantize import OutputFidelity, quantise
from verifiable.frontend.quantize.calibrate import (
    EXPONENTS,
    exponent_for,
    squared_error,
    weight_exponents,
)
from verifiable.frontend.quantize.quantise import samples_of
from verifiable.graph.check import check, output_types
from verifiable.graph.ir import Dot, places
from verifiable.graph.vocabulary import DType

SEED = 20261122


def off(output: OutputFidelity) -> float:
    """Largest error as a share of the largest element."""
    assert output.largest_error is not None
    assert output.largest is not None
    return output.largest_error / output.largest


@pytest.mark.parametrize(
    ("name", "agreement"),
    [("digits_mlp", 0.97), ("digits_cnn", 0.97), ("lenet", 0.97), ("transformer_block", 0.97)],
)
def test_a_trained_model_keeps_its_answers(name: str, agreement: float) -> None:
    graph, weights = lower(parse_model(recipe.model(name)))
    samples = recipe.load(name).samples()
    calibration = samples_of(samples.calibration)[:64]
    test = samples_of(samples.test)[:100]
    made = quantise(graph, weights, calibration, Cpu(threads=1), test=test)
    print(name, made.fidelity)
    (output,) = made.fidelity.outputs
    assert output.same >= agreement * output.compared > 0
    assert off(output) < 0.1
    assert all(t.signal_to_noise > 20 for t in made.fidelity.tensors)
    assert output_types(made.graph) == output_types(graph)


def test_every_dot_with_weights_is_an_integer_dot() -> None:
    graph, weights = lower(parse_model(recipe.model("lenet")))
    samples = samples_of(recipe.load("lenet").samples().calibration)[:4]
    made = quantise(graph, weights, samples, Cpu(threads=1))
    kinds = [made.graph.instructions[i].type.dtype for i in places(made.graph, Dot)]
    assert kinds == [DType.I32] * made.dots
    assert len(places(graph, Dot)) == made.dots
    stored = sum(array.nbytes for array in made.weights.values())
    assert stored < 0.5 * sum(array.nbytes for array in weights.values())


def test_engines_agree_on_an_int8_graph() -> None:
    graph, weights = lower(parse_model(recipe.model("lenet")))
    samples = samples_of(recipe.load("lenet").samples().calibration)[:4]
    made = quantise(graph, weights, samples, Cpu(threads=1))
    check(made.graph)
    one = Reference().prepare(made.graph, made.weights).run(samples[0])
    other = Cpu(threads=2).prepare(made.graph, made.weights).run(samples[0])
    for name, value in one.items():
        assert value.tobytes() == other[name].tobytes()


def dense(weight: np.ndarray[Any, Any], bias: np.ndarray[Any, Any]) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, weight.shape[0]))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, weight.shape[1]))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "b"], ["y"]),
    ]
    constants = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_powers_of_two_lose_nothing() -> None:
    # Weights and inputs that int8 holds exactly: the int8 graph is the float one.
    rng = np.random.default_rng(SEED)
    weight = (rng.integers(-63, 64, (16, 8)) / 64).astype(np.float32)
    weight[0] = 63 / 64
    samples = [{"x": (rng.integers(-63, 64, (1, 16)) / 4).astype(np.float32)} for _ in range(8)]
    graph, weights = lower(dense(weight, np.ones(8, np.float32)))
    made = quantise(graph, weights, samples, Reference())
    assert made.fidelity.largest_error == 0
    assert made.dots == 1


def test_large_values_saturate_and_do_not_wrap() -> None:
    graph, weights = lower(dense(np.ones((4, 2), np.float32), np.zeros(2, np.float32)))
    small = [{"x": np.full((1, 4), 0.5, np.float32)}]
    made = quantise(graph, weights, small, Reference())
    runner = Reference().prepare(made.graph, made.weights)
    got = runner.run({"x": np.full((1, 4), 1e6, np.float32)})["y"]
    least = runner.run({"x": np.full((1, 4), -1e6, np.float32)})["y"]
    assert (got > 1).all()
    assert (least < -1).all()


@pytest.mark.parametrize("largest", [1e-45, 1e-9, 0.99, 1.0, 127.0, 127.1, 1e9, 3e38])
def test_an_exponent_fits_and_the_next_does_not(largest: float) -> None:
    e = exponent_for(largest)
    assert largest * 2.0**e <= 127 or e == EXPONENTS[0]
    assert largest * 2.0 ** (e + 1) > 127 or e == EXPONENTS[1]


def test_weight_exponents_lose_least_of_their_neighbours() -> None:
    rows = np.random.default_rng(SEED).standard_normal((16, 64)).astype(np.float32)
    for row, e in zip(rows, weight_exponents(rows), strict=True):
        assert squared_error(row, e) <= min(squared_error(row, e - 1), squared_error(row, e + 1))


def test_a_model_without_weights_is_refused() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (2,))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, (2,))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    lowered, weights = lower(model)
    with pytest.raises(UnsupportedError, match="no Dot"):
        quantise(lowered, weights, [{"x": np.ones(2, np.float32)}], Reference())


def test_a_convolutional_net_with_padded_maxima_stays_int8_between_its_dots() -> None:
    made = architecture("resnet18", small=True)
    graph, weights = lower(made.onnx())
    small = quantise(graph, weights, [made.inputs], Cpu(threads=1))
    reads = [small.graph.instructions[i] for i in places(small.graph, Dot)]
    assert len(reads) == small.dots == 21
    assert off(*small.fidelity.outputs) < 0.1


@pytest.mark.parametrize("values", [None, np.full((1, 4), np.inf, np.float32)])
def test_calibration_data_must_be_there_and_finite(values: Any) -> None:
    graph, weights = lower(dense(np.ones((4, 2), np.float32), np.zeros(2, np.float32)))
    samples = [] if values is None else [{"x": values}]
    with pytest.raises(TensorError, match="calibration data"):
        quantise(graph, weights, samples, Reference())
