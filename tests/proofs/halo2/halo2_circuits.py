"""Make small circuits of every kind with ezkl, prove them, and emit their verifiers.

``python halo2_circuits.py FOLDER`` writes one folder a circuit, and SRS files beside them. ezkl
holds the GIL and panics as BaseException, so this runs as a child process of the tests.
"""

import asyncio
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SCALE = 4
# Between them: instances of every kind and none, tables, one to four columns, own challenges.
CIRCUITS: dict[str, dict[str, Any]] = {
    "public": {},
    "hashed": {"input_visibility": "hashed", "num_inner_cols": 1},
    "hashed-output": {"output_visibility": "hashed", "num_inner_cols": 4},
    "committed": {"input_visibility": "polycommit"},
    "committed-all": {
        "input_visibility": "polycommit",
        "param_visibility": "polycommit",
        "output_visibility": "polycommit",
    },
    "silent": {"input_visibility": "private", "output_visibility": "private"},
    "table": {"activation": "Sigmoid", "input_visibility": "hashed", "num_inner_cols": 3},
    "challenged": {"rows": 3, "activation": None, "input_visibility": "hashed"},
}


def write_onnx(path: Path, activation: str | None, rows: int) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    first, second = (rng.normal(0, 0.5, (3, n)).astype(np.float32) for n in (3, 2))
    if activation is None:
        nodes = [helper.make_node("MatMul", ["x", "first"], ["y"])]
    else:
        nodes = [
            helper.make_node("MatMul", ["x", "first"], ["a"]),
            helper.make_node(activation, ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "second"], ["y"]),
        ]
    width = 3 if activation is None else 2
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, width])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, str(path))


def make(folder: Path, *, activation: str | None = "Relu", rows: int = 1, **settings: Any) -> None:
    # Its stub is of another version than its functions.
    ezkl: Any = importlib.import_module("ezkl")
    folder.mkdir()
    at = {name: str(folder / name) for name in ("model.onnx", "input.json", "settings.json")}
    at |= {name: str(folder / name) for name in ("circuit", "vk", "pk", "witness.json")}
    at |= {name: str(folder / name) for name in ("proof.json", "verifier.sol", "verifier.abi")}
    write_onnx(folder / "model.onnx", activation, rows)
    values = np.random.default_rng(1).uniform(-1, 1, rows * 3).tolist()
    (folder / "input.json").write_text(json.dumps({"input_data": [values]}))
    arguments = ezkl.PyRunArgs()
    arguments.input_scale = arguments.param_scale = SCALE
    arguments.decomp_base, arguments.decomp_legs, arguments.logrows = 16, 4, 9
    for name, value in settings.items():
        setattr(arguments, name, value)
    ezkl.gen_settings(model=at["model.onnx"], output=at["settings.json"], py_run_args=arguments)
    ezkl.calibrate_settings(
        data=at["input.json"], model=at["model.onnx"], settings=at["settings.json"],
        target="resources", scales=[SCALE], scale_rebase_multiplier=[1],
    )  # fmt: skip
    k = json.loads((folder / "settings.json").read_text())["run_args"]["logrows"]
    srs = folder.parent / f"k{k}.srs"
    if not srs.exists():
        ezkl.gen_srs(str(srs), k)
    (folder / "srs").symlink_to(srs)
    ezkl.compile_circuit(
        model=at["model.onnx"], compiled_circuit=at["circuit"], settings_path=at["settings.json"]
    )
    ezkl.setup(model=at["circuit"], vk_path=at["vk"], pk_path=at["pk"], srs_path=str(srs))
    ezkl.gen_witness(
        data=at["input.json"], model=at["circuit"], output=at["witness.json"],
        vk_path=at["vk"], srs_path=str(srs),
    )  # fmt: skip
    ezkl.prove(
        witness=at["witness.json"], model=at["circuit"], pk_path=at["pk"],
        proof_path=at["proof.json"], srs_path=str(srs),
    )  # fmt: skip
    Path(at["pk"]).unlink()

    async def emit() -> None:
        await ezkl.create_evm_verifier(
            vk_path=at["vk"], settings_path=at["settings.json"],
            sol_code_path=at["verifier.sol"], abi_path=at["verifier.abi"], srs_path=str(srs),
        )  # fmt: skip

    try:
        asyncio.run(emit())
    except RuntimeError as e:
        # The source is complete when ezkl then looks for a solc of its own.
        print(e, file=sys.stderr)


def main() -> None:
    root = Path(sys.argv[1])
    os.environ["HOME"] = os.environ["EZKL_REPO_PATH"] = str(root / "home")
    (root / "home").mkdir()
    for name, circuit in CIRCUITS.items():
        start = time.monotonic()
        make(root / name, **circuit)
        print(f"{name}: {time.monotonic() - start:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    # One exit in fifteen, ezkl's threads crash the interpreter while it shuts down.
    os._exit(0)
