"""Runs one model in a process of its own and prints by how many bytes its memory grew at most.

``memory_child.py ours BUNDLE INPUT.npz`` or ``memory_child.py peer MODEL.onnx INPUT.npz``.
"""

import json
import sys
from pathlib import Path

import numpy as np

THREADS = 2


def of_status(field: str) -> int:
    """Bytes that /proc/self/status says."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def settled() -> int:
    """Resident bytes now; the peak is counted from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return of_status("VmRSS")


def ours(bundle: Path, inputs: dict[str, np.ndarray]) -> dict[str, int]:
    """The cpu engine on a compiled bundle, its weights mapped."""
    from verifiable.bundle import open_bundle
    from verifiable.canon import open_canon
    from verifiable.engines.cpu import Cpu
    from verifiable.trace.commit import commit

    engine = Cpu(threads=THREADS)
    before = settled()
    canon = open_canon(open_bundle(bundle, "verify"))
    runner = engine.prepare(canon.graph, canon.weights)
    prepared = of_status("VmHWM") - before
    runner.run(inputs)
    peak = of_status("VmHWM") - before
    commit(canon.graph, runner, inputs)
    return {
        "prepared": prepared,
        "peak": peak,
        "traced": of_status("VmHWM") - before,
        "weights": sum(array.nbytes for array in canon.weights.values()),
    }


def peer(model: Path, inputs: dict[str, np.ndarray]) -> dict[str, int]:
    """onnxruntime, without the bytes that it is given."""
    import onnxruntime  # noqa: F401 (before the count begins)

    from verifiable.engines.ort import Session

    data = model.read_bytes()
    before = settled()
    session = Session(data, threads=THREADS, optimise=True)
    prepared = of_status("VmHWM") - before
    session.run(inputs)
    return {"prepared": prepared, "peak": of_status("VmHWM") - before}


if __name__ == "__main__":
    kind, path, given = sys.argv[1:]
    with np.load(given) as arrays:
        found = {"ours": ours, "peer": peer}[kind](Path(path), dict(arrays))
    print(json.dumps(found))
