"""compile, run, replay and inspect of canonical models, from the command line."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from cli_runs import Run, called, signing_key
from onnx import TensorProto, helper, numpy_helper

from circuits import recipe
from verifiable.engines.protocol import Progress, Runner, Watcher
from verifiable.graph.ir import Array, Index

__all__ = ["signing_key"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled classifier of digits, one input, its claim and its trace."""
    home = tmp_path_factory.mktemp("canonical")
    (home / "model.onnx").write_bytes(recipe.model("digits_cnn"))
    images = recipe.load("digits_cnn").samples().test["image"]
    np.savez(home / "input.npz", image=images[0])
    np.savez(home / "other.npz", image=images[1])
    assert called("compile", home / "model.onnx", "-o", home / "bundle").status == 0
    words = ("-o", home / "claim", "--trace", home / "trace", "--outputs", home / "out.npz")
    assert called("run", home / "bundle", home / "input.npz", *words).status == 0
    return home


def replayed(folder: Path, *words: object, claim: str = "claim", given: str = "input.npz") -> Run:
    return called("--json", "replay", folder / claim, folder / "bundle", folder / given, *words)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_an_honest_claim_is_upheld_on_every_engine(folder: Path, device: str) -> None:
    done = replayed(folder, "--device", device, "--trace", folder / "trace")
    assert (done.status, done.json["verdict"]) == (0, "upheld")


def test_two_runs_make_claims_that_differ_in_their_nonce_alone(folder: Path) -> None:
    done = called("--json", "run", folder / "bundle", folder / "input.npz", "-o", folder / "again")
    assert done.status == 0
    one, other = (json.loads((folder / name).read_bytes()) for name in ("claim", "again"))
    assert one["subject"] == other["subject"]
    assert one["header"]["nonce"] != other["header"]["nonce"]


def test_the_outputs_are_those_of_the_float_model(folder: Path) -> None:
    from verifiable.engines.ort import run

    model = recipe.model("digits_cnn")
    with np.load(folder / "input.npz") as given, np.load(folder / "out.npz") as got:
        wanted = run(model, {"image": given["image"]})
        assert np.allclose(got["logits"], wanted["logits"], rtol=1e-4, atol=1e-5)


def test_a_forged_output_is_refuted(folder: Path) -> None:
    claim = json.loads((folder / "claim").read_bytes())
    claim["subject"]["output"] = "0x" + "ab" * 32
    (folder / "forged").write_text(json.dumps(claim, sort_keys=True, separators=(",", ":")))
    done = replayed(folder, claim="forged")
    assert (done.status, done.json["verdict"]) == (3, "refuted")
    assert "ab" * 32 in done.json["reason"]


class Liar:
    """Runs a graph, and says the last element of one tensor has another last bit."""

    def __init__(self, runner: Runner, place: int) -> None:
        self._runner, self._place = runner, place

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        watch: Watcher | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Array]:
        assert watch is not None

        def lie(index: Index, tensor: Array, /) -> None:
            if index == self._place:
                tensor = tensor.copy()
                tensor.reshape(-1).view(np.uint8)[-tensor.itemsize] ^= 1
            watch(index, tensor)

        return self._runner.run(inputs, watch=lie, progress=progress)


def test_a_changed_weight_is_named(folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder / "bundle", tmp_path / "bundle")
    weights = tmp_path / "bundle" / "canon" / "weights.bin"
    raw = bytearray(weights.read_bytes())
    raw[7] ^= 1
    weights.write_bytes(bytes(raw))
    done = called("--json", "replay", folder / "claim", tmp_path / "bundle", folder / "input.npz")
    assert done.status == 4
    assert "canon/weights.bin" in done.error["message"]


def test_a_canonical_bundle_cannot_be_proven(folder: Path) -> None:
    done = called("--json", "prove", folder / "bundle", folder / "input.npz", "-o", folder / "r")
    assert done.status == 4
    assert "no part `zk`" in done.error["message"]


@pytest.mark.parametrize(
    ("arrays", "message", "hint"),
    [
        (
            {"picture": np.zeros((1, 1, 8, 8), np.float32)},
            "there is no input `picture`, wanted `image`",
            "the inputs are `image` float32[1, 1, 8, 8]",
        ),
        (
            {"image": np.zeros((1, 1, 8, 9), np.float32)},
            "input `image` has shape [1, 1, 8, 9], wanted [1, 1, 8, 8]",
            "the inputs are `image` float32[1, 1, 8, 8]",
        ),
        (
            {"image": np.zeros((1, 1, 8, 8))},
            "input `image` is float64[1, 1, 8, 8], wanted float32",
            "convert it before it is saved: x.astype('float32')",
        ),
        (
            {"image": np.full((1, 1, 8, 8), "x")},
            "array of <U1 holds no plain numbers",
            "save it as float32; pickled objects are never read",
        ),
    ],
)
def test_a_wrong_input_is_named_and_so_is_what_helps(
    folder: Path, tmp_path: Path, arrays: dict[str, object], message: str, hint: str
) -> None:
    np.savez(tmp_path / "in.npz", allow_pickle=False, **arrays)  # type: ignore[arg-type]
    done = called("--json", "run", folder / "bundle", tmp_path / "in.npz", "-o", tmp_path / "c")
    assert done.status == 2
    assert message in done.error["message"]
    assert done.error["hint"] == hint
    assert not (tmp_path / "c").exists()


def test_an_input_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    done = called("--json", "run", folder / "bundle", tmp_path / "in.npz", "-o", tmp_path / "c")
    assert done.status == 2
    assert "in.npz`: No such file" in done.error["message"]
    assert done.error["hint"] == "tensors are read from a file: .npz, .npy or JSON"


@pytest.mark.parametrize("seconds", [0, -1, -(10**12)])
def test_a_claim_is_not_made_that_has_expired(folder: Path, tmp_path: Path, seconds: int) -> None:
    words = (folder / "bundle", folder / "input.npz", "-o", tmp_path / "c", "--valid", seconds)
    done = called("--json", "run", *words)
    assert done.status == 2
    assert f"--valid must be 1 or more, got {seconds}" in done.error["message"]
    assert not (tmp_path / "c").exists()


def test_the_room_of_a_trace_is_told_before_and_after_it_is_made(
    folder: Path, tmp_path: Path
) -> None:
    words = (folder / "bundle", folder / "input.npz", "-o", tmp_path / "c")
    done = called("--json", "run", *words, "--trace", tmp_path / "trace")
    size = sum(file.stat().st_size for file in (tmp_path / "trace").iterdir())
    for told in (folder / "bundle", folder / "model.onnx"):
        assert called("--json", "inspect", told).json["canon"]["trace_bytes"] == size
    assert done.json["trace_bytes"] == size
    shown = called("--json", "inspect", tmp_path / "trace").json
    assert shown["kind"] == "trace, unchecked"
    assert (shown["bytes"], shown["trace"]) == (size, done.json["trace"])
    assert shown["model"] == done.json["model"]
    assert (
        f"the trace takes {size:,} bytes"
        in called("run", *words[:-1], tmp_path / "d", "--trace", tmp_path / "other").err
    )
    (tmp_path / "other" / "index.json").unlink()
    lost = called("--json", "inspect", tmp_path / "other")
    assert lost.status == 4
    assert "`index.json`: No such file" in lost.error["message"]


def strict(text: str) -> object:
    """JSON of RFC 8259, which has no NaN."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_outputs_that_are_no_numbers_are_written_as_strings(tmp_path: Path) -> None:
    log = helper.make_node("Log", ["x"], ["y"])
    model = onnx_file(tmp_path / "m.onnx", log)
    assert called("compile", model, "-o", tmp_path / "b").status == 0
    (tmp_path / "in.json").write_text('{"x": [[-1, 0, 1], [1, 1, 1]]}')
    words = ("run", tmp_path / "b", tmp_path / "in.json", "-o")
    done = called("--json", *words, tmp_path / "c")
    assert done.status == 0
    found = strict(done.out)
    assert isinstance(found, dict)
    assert found["outputs"] == {"y": ["nan", "-inf", 0.0, 0.0, 0.0, 0.0]}
    # A person is shown the same words.
    assert '"nan", "-inf", 0.0' in called(*words, tmp_path / "d").out


def onnx_file(path: Path, *nodes: onnx.NodeProto, shape: tuple[object, ...] = (2, 3)) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    bad = numpy_helper.from_array(np.array([1, np.nan, 3], np.float32), "w")
    used = [bad] if any("w" in node.input for node in nodes) else []
    graph = helper.make_graph(list(nodes), "g", [x], [y], used)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.example", 1)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    )
    return path


def test_an_unknown_operator_is_named_with_its_place(tmp_path: Path) -> None:
    model = onnx_file(
        tmp_path / "m.onnx",
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("Frobnicate", ["h"], ["y"], name="odd", domain="com.example"),
    )
    done = called("--json", "compile", model, "-o", tmp_path / "b")
    assert done.status == 2
    assert "Frobnicate `odd` (node 2 of 2)" in done.error["message"]
    assert done.error["hint"]
    report = called("--json", "inspect", model).json
    assert report["covered"] == "1 of 2"
    assert "Frobnicate" in report["refused"][0]
    assert not (tmp_path / "b").exists()


def test_a_nan_weight_is_named(tmp_path: Path) -> None:
    model = onnx_file(tmp_path / "m.onnx", helper.make_node("Add", ["x", "w"], ["y"]))
    done = called("--json", "compile", model, "-o", tmp_path / "b")
    assert done.status == 2
    assert "constant `w`[1] is NaN" in done.error["message"]


def test_a_dynamic_axis_wants_a_size_and_takes_one(tmp_path: Path) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    model = onnx_file(tmp_path / "m.onnx", relu, shape=("batch", 3))
    done = called("--json", "compile", model, "-o", tmp_path / "b")
    assert done.status == 2
    assert "axis 0 (`batch`) is dynamic" in done.error["message"]
    assert "--dim batch=N" in done.error["hint"]
    assert called("compile", model, "-o", tmp_path / "b", "--dim", "batch=4").status == 0
    report = called("--json", "inspect", tmp_path / "b").json
    assert report["canon"]["inputs"] == {"x": "f32[4,3]"}


def test_what_is_not_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    done = called("--json", "compile", tmp_path / "m.onnx", "-o", tmp_path / "b")
    assert done.status == 2
    assert "not an ONNX file" in done.error["message"]


def test_there_is_no_such_device(folder: Path, tmp_path: Path) -> None:
    words = ("-o", tmp_path / "c", "--device", "tpu")
    done = called("--json", "run", folder / "bundle", folder / "input.npz", *words)
    assert done.status == 2
    assert "no device `tpu`" in done.error["message"]


def test_a_device_that_is_absent_cannot_check(folder: Path) -> None:
    done = replayed(folder, "--device", "cuda:97")
    assert done.status == 4
    assert done.error["hint"]


def test_an_int8_bundle_is_made_run_and_replayed(folder: Path, tmp_path: Path) -> None:
    images = recipe.load("digits_cnn").samples().calibration["image"][:32]
    np.savez(tmp_path / "data.npz", image=images)
    words = (folder / "model.onnx", tmp_path / "data.npz", "--int8", "-o", tmp_path / "b")
    made = called("--json", "compile", *words)
    assert made.status == 0, made
    assert made.json["fidelity"]["agreement"] > 0.9
    assert (
        made.json["weight_bytes"]
        < called("--json", "inspect", folder / "bundle").json["canon"]["weight_bytes"]
    )
    done = called("run", tmp_path / "b", folder / "input.npz", "-o", tmp_path / "claim")
    assert done.status == 0, done
    again = called("replay", tmp_path / "claim", tmp_path / "b", folder / "input.npz")
    assert again.status == 0


def test_int8_wants_data(folder: Path, tmp_path: Path) -> None:
    done = called("--json", "compile", folder / "model.onnx", "--int8", "-o", tmp_path / "b")
    assert done.status == 2
    assert "calibration data" in done.error["message"]
