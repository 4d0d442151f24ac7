"""Well-known architectures of full size through the command line, as a person would."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import ROOT

from verifiable.engines.ort import Session

sys.path.insert(0, str(ROOT / "scripts"))
from architectures import NAMES, architecture


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone at once: pytest keeps others for a while, and these are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def cli(verb: str, *words: object) -> Any:
    """The JSON that a verb prints; says how long it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "verifiable.cli", "--json", verb, *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=ROOT)
    print(f"  {verb} {time.monotonic() - started:.1f} s")
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_one_is_inspected_compiled_run_and_replayed(name: str, scratch: Path) -> None:
    made = architecture(name)
    model, given, bundle = scratch / "model.onnx", scratch / "input.npz", scratch / "bundle"
    model.write_bytes(made.onnx().SerializeToString())
    np.savez(given, allow_pickle=False, **made.inputs)
    print(f"{name}, {model.stat().st_size >> 20} MiB")
    report = cli("inspect", model)
    done, of = report["covered"].split(" of ")
    assert done == of
    cli("compile", model, "-o", bundle)
    claim, trace, outputs = scratch / "claim", scratch / "trace", scratch / "outputs.npz"
    said = cli("run", bundle, given, "-o", claim, "--trace", trace, "--outputs", outputs)
    assert said["model"] == report["canon"]["model"]
    stored = sum(path.stat().st_size for path in trace.iterdir())
    assert stored == report["canon"]["trace_bytes"] == said["trace_bytes"]
    print(f"  trace {stored >> 20} MiB")
    assert cli("replay", claim, bundle, given, "--trace", trace)["verdict"] == "upheld"
    assert cli("replay", claim, bundle, given)["verdict"] == "upheld"
    session = Session(model.read_bytes(), threads=2, optimise=True)
    wanted = session.run(made.inputs)
    with np.load(outputs) as got:
        assert set(got.files) == wanted.keys()
        largest = max(float(np.abs(value).max()) for value in wanted.values())
        for key, value in wanted.items():
            assert float(np.abs(got[key] - value).max()) < 1e-4 * largest
