"""Run one model through ezkl: settings, calibration, witness, mock proof. A program of its own.

Usage: ezkl_child.py FOLDER, which holds model.onnx and x.npy ``[samples, ...]``; writes y.npy with
the outputs for each sample. ezkl may hang, panic or fill the memory, so it never runs in a test.
"""

import asyncio
import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

MEMORY = 6 * 2**30


def main(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ["HOME"] = os.environ["EZKL_REPO_PATH"] = str(folder)
    import numpy as np

    ezkl: Any = importlib.import_module("ezkl")  # its type stub is stale

    x = np.load(folder / "x.npy").astype(float)
    model, settings, circuit = (str(folder / n) for n in ("model.onnx", "settings.json", "circuit"))
    arguments = ezkl.PyRunArgs()
    arguments.input_scale = arguments.param_scale = 10
    arguments.decomp_base, arguments.decomp_legs = 1024, 4
    ezkl.gen_settings(model=model, output=settings, py_run_args=arguments)
    data = folder / "data.json"
    data.write_text(json.dumps({"input_data": [x.ravel().tolist()]}))

    async def calibrate() -> None:
        result = ezkl.calibrate_settings(
            data=str(data), model=model, settings=settings, target="resources",
            lookup_safety_margin=2, scales=[10], scale_rebase_multiplier=[1], max_logrows=18,
        )  # fmt: skip
        if hasattr(result, "__await__"):
            await result

    asyncio.run(calibrate())
    ezkl.compile_circuit(model=model, compiled_circuit=circuit, settings_path=settings)
    outputs = []
    for sample in x:
        data.write_text(json.dumps({"input_data": [sample.ravel().tolist()]}))
        witness = folder / "witness.json"
        ezkl.gen_witness(data=str(data), model=circuit, output=str(witness))
        values = json.loads(witness.read_text())["pretty_elements"]["rescaled_outputs"][0]
        outputs.append([float(value) for value in values])
    ezkl.mock(witness=str(witness), model=circuit)
    np.save(folder / "y.npy", np.array(outputs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
