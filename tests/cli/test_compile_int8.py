"""``compile --int8`` says what it compared, and on which data."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from cli_calls import Run, called
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def compiled(tmp_path: Path) -> "Compiled":
    return Compiled(tmp_path)


class Compiled:
    """Compiles a classifier of ten classes on some samples."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rng = np.random.default_rng(1)
        weight = rng.standard_normal((16, 10)).astype(np.float32)
        self.samples = rng.standard_normal((40, 1, 16)).astype(np.float32)
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["logits"]),
            helper.make_node("ArgMax", ["logits"], ["label"], axis=-1, keepdims=0),
            helper.make_node("ReduceMax", ["logits"], ["score"], keepdims=0),
        ]
        types = {"logits": (TensorProto.FLOAT, (1, 10)), "label": (TensorProto.INT64, (1,))}
        types["score"] = (TensorProto.FLOAT, ())
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 16))],
            [helper.make_tensor_value_info(name, *kind) for name, kind in types.items()],
            [numpy_helper.from_array(weight, "w")],
        )
        opsets = [helper.make_opsetid("", 20)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / "m.onnx")

    def run(self, count: int, *words: str) -> Run:
        # Odd places, which the report is measured on, lie far outside of what calibrates.
        samples = self.samples[:count] * np.where(np.arange(count) % 2, 1000, 1)[:, None, None]
        np.savez(self.folder / "data.npz", x=samples.astype(np.float32))
        folder = self.folder
        return called(
            *words, "compile", folder / "m.onnx", folder / "data.npz", "--int8",
            "-o", folder / f"bundle-{count}-{len(words)}",
        )  # fmt: skip


def test_each_output_is_told_with_what_its_figure_counts(compiled: Compiled) -> None:
    done = compiled.run(40)
    assert done.status == 0, done
    said = {line.split(":")[0]: line for line in done.err.splitlines()}
    assert "measured on 20 samples that calibration did not see" in done.err
    assert " of 20 rows with the same largest element (" in said["output `logits`"]
    assert " of 20 elements equal (" in said["output `label`"]
    assert "largest error" not in said["output `label`"]
    assert "largest error" in said["output `score`"]
    assert "%" not in said["output `score`"]
    assert "100.0%" not in done.err


def test_json_has_the_same_and_null_where_there_is_no_figure(compiled: Compiled) -> None:
    found = compiled.run(40, "--json").json["fidelity"]
    logits, label, score = found["outputs"]
    assert (found["samples"], found["samples_seen_by_calibration"]) == (20, 0)
    assert (logits["agreement_of"], logits["compared"]) == ("rows", 20)
    assert (label["agreement_of"], label["compared"]) == ("elements", 20)
    assert label["agreement"] == label["same"] / 20 < 1
    assert label["largest_error"] is None
    assert (score["agreement_of"], score["agreement"], score["compared"]) == ("nothing", None, 0)
    assert found["agreement"] == min(logits["agreement"], label["agreement"])
    assert found["largest_error"] == max(logits["largest_error"], score["largest_error"])
    assert {"operator", "exponent", "signal_to_noise", "largest_error"} <= set(found["tensors"][0])


def test_data_that_calibrated_is_said_to_have(compiled: Compiled) -> None:
    assert "measured on 1 samples; they were calibrated on too" in compiled.run(1).err
    assert compiled.run(1, "--json").json["fidelity"]["samples_seen_by_calibration"] == 1
