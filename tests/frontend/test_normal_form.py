"""ONNX files of others: the same numbers, fixed shapes, stable bytes, typed errors."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx_zoo import ADMITTED, ints, model, node, number, one, weights

from verifiable.engines import ort
from verifiable.errors import ModelError
from verifiable.frontend.export import load_model, signature_of

REWRITTEN = {"Gelu", "Mish", "RMSNormalization"}
"""Written out as other operators, whose roundings differ in the last bit."""


def draw(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", sorted(ADMITTED))
def test_the_normal_form_computes_what_the_file_computes(name: str) -> None:
    data = ADMITTED[name]
    plain = load_model(data)
    inputs = {spec.name: draw(spec.shape) for spec in signature_of(plain).inputs}
    before, after = ort.run(data, inputs)["y"], ort.run(plain, inputs)["y"]
    if name in REWRITTEN:
        np.testing.assert_allclose(after, before, atol=1e-6)
    else:
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("name", sorted(ADMITTED))
def test_normal_forms_come_back_unchanged(name: str) -> None:
    plain = load_model(ADMITTED[name])
    assert load_model(plain) == plain


def test_documentation_and_producer_do_not_change_the_bytes() -> None:
    quiet = one("Add", more={"c": weights(1, 8)})
    loud = onnx.load_from_string(quiet)
    loud.producer_name, loud.producer_version, loud.doc_string = "someone", "1", "made today"
    loud.graph.name = "g2"
    loud.graph.doc_string = "about"
    loud.graph.node[0].name, loud.graph.node[0].doc_string = "add_17", "sum"
    loud.metadata_props.add(key="where", value="/home/someone")
    loud.graph.initializer.append(numpy_helper.from_array(weights(3), "unused"))
    assert load_model(loud.SerializeToString()) == load_model(quiet)


def test_open_axes_take_the_sizes_given() -> None:
    data = model([node("Relu", ["x"], ["y"])], ("batch", None))
    plain = load_model(data, dims={"batch": 2, "x:1": 3})
    assert signature_of(plain).inputs[0].shape == (2, 3)
    assert signature_of(plain).outputs[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ({}, r"input `x`: axis 0 \(`batch`\) is dynamic"),
        ({"batch": 0}, r"axis 0 \(`batch`\) is dynamic"),
        ({"batch": 1}, r"axis 1 \(`x:1`\) is dynamic"),
        ({"batch": 1, "x:1": 8, "bach": 1}, "no open axis of the model is called `bach`"),
    ],
)
def test_an_axis_without_size_is_named(dims: dict[str, int], message: str) -> None:
    data = model([node("Relu", ["x"], ["y"])], ("batch", None))
    with pytest.raises(ModelError, match=message):
        load_model(data, dims=dims)


def test_shapes_computed_at_run_time_become_constants() -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "axis"], ["ns"]),
        node("Concat", ["ns", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"]),
    ]
    constants = {"zero": np.array(0), "axis": ints(0), "rest": ints(-1)}
    plain = load_model(model(nodes, ("batch", 2, 4), constants), dims={"batch": 3})
    assert signature_of(plain).operators == (("Reshape", 1),)
    assert signature_of(plain).outputs[0].shape == (3, 8)


def test_slices_to_the_end_stay_within_the_axis() -> None:
    for name in ("Slice", "Slice, backward"):
        plain = onnx.load_from_string(load_model(ADMITTED[name]))
        values = [numpy_helper.to_array(t) for t in plain.graph.initializer]
        assert all(np.abs(v.astype(object)).max() <= 9 for v in values)


def test_local_functions_are_written_out() -> None:
    twice = helper.make_function(
        "mine",
        "Twice",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )
    graph = helper.make_graph(
        [node("Twice", ["x"], ["y"], domain="mine")],
        "g",
        [helper.make_tensor_value_info("x", 1, (1, 2))],
        [helper.make_tensor_value_info("y", 1, (1, 2))],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    made = helper.make_model(graph, functions=[twice], opset_imports=opsets, ir_version=10)
    assert signature_of(load_model(made.SerializeToString())).operators == (("Add", 1),)


def test_models_before_opset_13_are_converted() -> None:
    # Until opset 12, Softmax flattened to two axes: 8 elements share one sum.
    old = model([node("Softmax", ["x"], ["y"], axis=1)], (1, 2, 4), opset=11)
    result = ort.run(load_model(old), {"x": np.zeros((1, 2, 4), np.float32)})["y"]
    np.testing.assert_array_equal(result, np.full((1, 2, 4), 0.125, np.float32))


def outside(folder: Path) -> Path:
    made = onnx.load_from_string(one("MatMul", more={"w": weights(8, 400)}))
    path = folder / "model.onnx"
    onnx.save(made, path, save_as_external_data=True, location="model.data", size_threshold=0)
    return path


def test_weights_beside_the_file_are_read_in(tmp_path: Path) -> None:
    assert load_model(outside(tmp_path)) == load_model(one("MatMul", more={"w": weights(8, 400)}))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    path = outside(tmp_path)
    with pytest.raises(ModelError, match=r"`w` is stored outside.* only the model's bytes"):
        load_model(path.read_bytes())
    (tmp_path / "model.data").write_bytes(b"short")
    with pytest.raises(ModelError, match="`w`"):
        load_model(path)
    (tmp_path / "model.data").unlink()
    with pytest.raises(ModelError, match=r"`w` is stored outside the model, in `model.data`") as e:
        load_model(path)
    assert "external_data=False" in str(e.value.hint)


def test_weights_elsewhere_on_the_disk_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = outside(tmp_path / "in")
    (tmp_path / "in" / "model.data").rename(tmp_path / "model.data")
    made = onnx.load(path, load_external_data=False)
    for entry in made.graph.initializer[0].external_data:
        entry.value = "../model.data" if entry.key == "location" else entry.value
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="which cannot be read"):
        load_model(path)


def test_unreadable_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read `.*absent.onnx`: No such file"):
        load_model(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match="cannot read"):
        load_model(tmp_path)
    with pytest.raises(ModelError, match="not an ONNX") as caught:
        load_model(b"PK\x03\x04 a torch checkpoint")
    assert "export the module" in str(caught.value.hint)
    with pytest.raises(ModelError, match="the file is empty"):
        load_model(b"")
    with pytest.raises(ModelError, match="no operators"):
        load_model(onnx.ModelProto(ir_version=10).SerializeToString())


def test_shapes_that_contradict_each_other_are_an_input_error() -> None:
    wrong = onnx.load_from_string(one("MatMul", more={"w": weights(8, 4)}))
    wrong.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights(9, 4), "w"))
    with pytest.raises(ModelError, match="do not fit together"):
        load_model(wrong.SerializeToString())


CORPUS = [ADMITTED["Conv"], ADMITTED["LSTM"], ADMITTED["Where"], ADMITTED["Slice"]]


@given(st.data())
def test_damaged_files_never_cause_a_traceback(data: st.DataObject) -> None:
    original = data.draw(st.sampled_from(CORPUS))
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    try:
        plain = load_model(bytes(damaged))
    except ModelError:
        return
    assert load_model(plain) == plain


@given(st.binary(max_size=200))
def test_noise_is_no_model(noise: bytes) -> None:
    with pytest.raises(ModelError):
        load_model(noise)


@given(st.floats(width=32))
def test_a_weight_is_kept_bit_for_bit_or_refused(value: float) -> None:
    data = one("Add", more={"c": number(value)})
    if not np.isfinite(value) or abs(value) > 2**24:
        with pytest.raises(ModelError):
            load_model(data)
    else:
        kept = onnx.load_from_string(load_model(data)).graph.initializer[0]
        assert numpy_helper.to_array(kept).tobytes() == np.float32(value).tobytes()
