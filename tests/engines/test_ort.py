"""onnxruntime behind our errors: float answers, or a typed refusal."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from verifiable.engines import ort
from verifiable.errors import ModelError, TensorError


def doubled() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 2))],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(made.SerializeToString())


def test_outputs_come_by_name() -> None:
    outputs = ort.run(doubled(), {"x": np.array([[1, 2]], np.float32)})
    assert list(outputs) == ["y"]
    np.testing.assert_array_equal(outputs["y"], [[2, 4]])


def test_samples_are_run_one_by_one() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 1, 2)
    np.testing.assert_array_equal(ort.run_samples(doubled(), {"x": x})["y"], 2 * x)


@pytest.mark.parametrize("data", [b"", b"noise", doubled()[:-5]])
def test_what_is_no_model_is_an_input_error(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match="onnxruntime cannot load the model"):
        ort.Session(data)
    assert capfd.readouterr() == ("", "")


def test_inputs_that_do_not_fit_are_an_input_error() -> None:
    for inputs in ({}, {"x": np.zeros((1, 3), np.float32)}, {"z": np.zeros((1, 2), np.float32)}):
        with pytest.raises(TensorError, match="onnxruntime cannot run the model"):
            ort.run(doubled(), inputs)
    with pytest.raises(TensorError, match="empty"):
        ort.run_samples(doubled(), {"x": np.zeros((0, 1, 2), np.float32)})
