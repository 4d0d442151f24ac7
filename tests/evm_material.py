"""Make tiny circuits, keys and proofs with ezkl; run as a child process by the test fixtures.

``python material.py FOLDER`` writes one folder per circuit. Inside, HOME and EZKL_REPO_PATH point
below FOLDER, for ezkl keeps an unauthenticated cache there. ezkl prints panics and holds the GIL,
so this never runs inside pytest itself.
"""

import asyncio
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

SCALE = 4
# Two affine maps with relu between; the parts of a split model meet after the relu.
W0 = np.array([[1.0, -2.0, 0.5], [0.25, 1.5, -1.0], [2.0, 0.5, 1.0]], np.float32)
W1 = np.array([[1.0, -1.0, 0.5], [-0.5, -2.0, -1.0]], np.float32)
X = np.array([0.5, -1.25, 2.0], np.float32)
H = np.maximum(X @ W0.T, 0).astype(np.float32)

CIRCUITS: dict[str, dict[str, Any]] = {
    "first": {"weights": W0, "relu": True, "x": X, "visibility": ("hashed", "hashed")},
    "second": {"weights": W1, "relu": False, "x": H, "visibility": ("hashed", "public")},
    "public": {"weights": W1, "relu": True, "x": H, "visibility": ("public", "public")},
}


def door() -> Any:
    """ezkl, whose type stub is stale."""
    return importlib.import_module("ezkl")


def write_onnx(path: Path, weights: Any, *, relu: bool) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rows, columns = weights.shape
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h" if relu else "y"])]
    if relu:
        nodes.append(helper.make_node("Relu", ["h"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, rows])],
        [numpy_helper.from_array(np.ascontiguousarray(weights.T), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def make(folder: Path, srs_folder: Path, circuit: dict[str, Any]) -> None:
    ezkl = door()
    folder.mkdir(parents=True)
    model, data = folder / "model.onnx", folder / "input.json"
    settings, compiled = folder / "settings.json", folder / "model.ezkl"
    write_onnx(model, circuit["weights"], relu=circuit["relu"])
    data.write_text(json.dumps({"input_data": [circuit["x"].tolist()]}))
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility, arguments.output_visibility = circuit["visibility"]
    arguments.param_visibility = "fixed"
    arguments.input_scale = arguments.param_scale = SCALE
    arguments.decomp_base, arguments.decomp_legs = 16, 4
    arguments.logrows = 9
    ezkl.gen_settings(model=str(model), output=str(settings), py_run_args=arguments)
    ezkl.calibrate_settings(
        data=str(data), model=str(model), settings=str(settings), target="resources",
        scales=[SCALE], scale_rebase_multiplier=[1],
    )  # fmt: skip
    found = json.loads(settings.read_text())
    found["required_range_checks"].sort()
    settings.write_text(json.dumps(found))
    ezkl.compile_circuit(
        model=str(model), compiled_circuit=str(compiled), settings_path=str(settings)
    )
    k = found["run_args"]["logrows"]
    srs = srs_folder / f"k{k}.srs"
    if not srs.exists():
        ezkl.gen_srs(str(srs), k)
    vk, pk, witness, proof = (folder / name for name in ("vk", "pk", "witness.json", "proof.json"))
    ezkl.setup(model=str(compiled), vk_path=str(vk), pk_path=str(pk), srs_path=str(srs))
    ezkl.gen_witness(
        data=str(data), model=str(compiled), output=str(witness), vk_path=str(vk), srs_path=str(srs)
    )
    ezkl.prove(
        witness=str(witness), model=str(compiled), pk_path=str(pk), proof_path=str(proof),
        srs_path=str(srs),
    )  # fmt: skip
    assert ezkl.verify(
        proof_path=str(proof), settings_path=str(settings), vk_path=str(vk), srs_path=str(srs)
    )
    pk.unlink()
    for name, reusable in (("plain", False), ("reusable", True)):
        emit_solidity(folder, vk, settings, srs, name, reusable=reusable)
    asyncio.run(emit_key(folder, vk, settings, srs))


def emit_solidity(
    folder: Path, vk: Path, settings: Path, srs: Path, name: str, *, reusable: bool
) -> None:
    ezkl = door()

    async def emit() -> None:
        await ezkl.create_evm_verifier(
            vk_path=str(vk), settings_path=str(settings), sol_code_path=str(folder / f"{name}.sol"),
            abi_path=str(folder / f"{name}.abi"), srs_path=str(srs), reusable=reusable,
        )  # fmt: skip

    try:
        asyncio.run(emit())
    except RuntimeError as e:
        # The source is complete when it then looks for a solc of its own and finds none.
        print(f"{name}: {e}", file=sys.stderr)
    assert (folder / f"{name}.sol").stat().st_size > 0


async def emit_key(folder: Path, vk: Path, settings: Path, srs: Path) -> None:
    ezkl = door()
    await ezkl.create_evm_vka(
        vk_path=str(vk), settings_path=str(settings), vka_path=str(folder / "vka"),
        srs_path=str(srs),
    )  # fmt: skip


def main() -> None:
    root = Path(sys.argv[1])
    os.environ["HOME"] = os.environ["EZKL_REPO_PATH"] = str(root / "home")
    (root / "home").mkdir(parents=True)
    for name, circuit in CIRCUITS.items():
        make(root / name, root, circuit)
    # ezkl's threads outlive its calls and now and then crash the interpreter while it ends.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
