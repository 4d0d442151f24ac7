"""What the command line says of models that it does not take: status 2, a name and a hint."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cli_calls import called
from onnx import TensorProto, helper, numpy_helper
from zk_material import PYTHON, environment

from verifiable.cli.inspect import _model
from verifiable.frontend import facts


def written(
    path: Path,
    *nodes: onnx.NodeProto,
    shape: Any = (2, 3),
    element: int = TensorProto.FLOAT,
    **constants: Any,
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info("y", element, (None, None))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("c", 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    path.write_bytes(made.SerializeToString())
    return path


def relu(path: Path, **more: Any) -> Path:
    return written(path, helper.make_node("Relu", ["x"], ["y"]), **more)


def refused(*words: object) -> dict[str, Any]:
    done = called("--json", *words)
    assert (done.status, done.error["hint"] is None) == (2, False), done
    told: dict[str, Any] = done.error
    return told


def test_files_that_are_no_models_are_told_apart(tmp_path: Path) -> None:
    relu(tmp_path / "model.onnx")
    (tmp_path / "empty.onnx").touch()
    out = ("-o", tmp_path / "b")
    assert "did you mean model.onnx" in refused("compile", tmp_path / "modle.onnx", *out)["hint"]
    assert "cannot list" in refused("compile", tmp_path / "none" / "m.onnx", *out)["hint"]
    assert "such as empty.onnx" in refused("compile", tmp_path, *out)["hint"]
    assert "is empty" in refused("compile", tmp_path / "empty.onnx", *out)["message"]


def test_weights_in_a_file_that_was_cut_short_are_named(tmp_path: Path) -> None:
    path = written(
        tmp_path / "m.onnx", helper.make_node("Add", ["x", "w"], ["y"]), w=np.ones((2, 3), "f4")
    )
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").write_bytes(bytes(8))
    told = refused("compile", path, "-o", tmp_path / "b")
    assert "constant `w` is stored outside the model, in `w.bin`, which holds 8" in told["message"]
    assert "copy all of that file" in told["hint"]
    (tmp_path / "w.bin").unlink()
    assert "beside the model" in refused("compile", path, "-o", tmp_path / "b")["hint"]


def test_an_input_without_a_shape_is_named(tmp_path: Path) -> None:
    told = refused("compile", relu(tmp_path / "m.onnx", shape=None), "-o", tmp_path / "b")
    assert "input `x` has no shape" in told["message"]


def test_axes_are_sized_by_name_or_place_once_each(tmp_path: Path) -> None:
    path, out = relu(tmp_path / "m.onnx", shape=(None, "time")), ("-o", tmp_path / "b")
    told = refused("compile", path, *out, "--dim", "time=3")
    assert "--dim x:0=N" in told["hint"]
    told = refused("compile", path, *out, "--dim", "time=3", "--dim", "x:0=1", "--dim", "zzz=3")
    assert "`zzz`" in told["message"]
    assert "open are `x:0`, `time`" in told["hint"]
    told = refused("compile", path, *out, "--dim", "time=3", "--dim", "time=4", "--dim", "x:0=1")
    assert "`time` twice: 3 and 4" in told["message"]
    told = refused("compile", path, *out, "--dim", "time=" + "9" * 5000)
    assert "NAME=SIZE" in told["message"]
    assert called("compile", path, *out, "--dim", "time=3", "--dim", "x:0=1").status == 0


def test_what_takes_more_memory_than_there_is_cannot_be_checked_here(tmp_path: Path) -> None:
    path = written(
        tmp_path / "m.onnx",
        helper.make_node("Tile", ["x", "n"], ["long"]),
        helper.make_node("Exp", ["long"], ["y"]),
        n=np.array([2**28, 1]),
    )
    np.savez(tmp_path / "x.npz", x=np.ones((2, 3), np.float32))
    assert called("compile", path, "-o", tmp_path / "b").status == 0
    words = [tmp_path / "b", tmp_path / "x.npz", "-o", tmp_path / "c", "--device", "reference"]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "bash", PYTHON, "-m", "verifiable.cli",
         "run", *map(str, words)],
        env=environment(), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 4, done
    assert "cannot check here: `run` needed more memory" in done.stderr
    assert "hint: " in done.stderr


def inspected(path: Path) -> dict[str, Any]:
    done = called("--json", "inspect", path)
    assert done.status == 0, done
    report: dict[str, Any] = done.json
    return report


def test_every_operator_is_counted_for_itself(tmp_path: Path) -> None:
    report = inspected(
        written(
            tmp_path / "m.onnx",
            helper.make_node("Frob", ["x"], ["a"], domain="c", name="one"),
            helper.make_node("Frob2", ["a"], ["b"], domain="c", name="two"),
            helper.make_node("Relu", ["b"], ["y"]),
        )
    )
    assert report["covered"] == "0 of 3"
    assert report["unsupported"] == ["c.Frob", "c.Frob2"]
    assert report["operators"]["Relu"] == "1, 1 not reached"
    assert ["Frob2 `two`" in line and "hint: " in line for line in report["refused"]][1]


@pytest.mark.parametrize(
    ("shape", "element", "hint"),
    [(("batch", 3), TensorProto.FLOAT, "--dim batch=N"), ((2, 3), TensorProto.FLOAT16, "float32")],
)
def test_a_model_that_cannot_be_compiled_as_it_is_gets_a_report(
    shape: Any, element: int, hint: str, tmp_path: Path
) -> None:
    report = inspected(relu(tmp_path / "m.onnx", shape=shape, element=element))
    assert (report["canon"], report["covered"]) == (None, "1 of 1")
    assert len(report["refused"]) == 1
    assert hint in report["refused"][0]
    assert report["zk"]["refused"]


def test_coverage_is_shown_before_anything_is_said_about_proofs(tmp_path: Path) -> None:
    path = relu(tmp_path / "m.onnx")
    told = called("inspect", path)
    assert [line.split()[0] for line in told.out.splitlines()] == [
        "kind", "operators", "covered", "canon", "zk",
    ]  # fmt: skip
    assert callable(_model(path, dims=[])["zk"])


def test_shape_inference_is_given_no_weights(tmp_path: Path) -> None:
    path = written(
        tmp_path / "m.onnx",
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Reshape", ["h", "n"], ["y"]),
        w=np.ones((3, 4000), np.float32),
        n=np.array([4000, 2]),
    )
    inferred = facts.infer(onnx.load(path))
    assert len(inferred.SerializeToString()) < 1000
    known = facts.facts_of(onnx.load(path))
    assert (known.shape("h"), known.shape("y")) == ((2, 4000), (4000, 2))
    assert known.constants["w"].shape == (3, 4000)
