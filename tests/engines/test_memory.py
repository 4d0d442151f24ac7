"""Runs stay in bounded memory, on models whose weights are mapped from a bundle."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from architectures import architecture

CHILD = Path(__file__).with_name("memory_child.py")


def child(*words: object) -> str:
    """Standard output of Python in a process of its own."""
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT).stdout


def measured(*words: object) -> dict[str, int]:
    found: dict[str, int] = json.loads(child(CHILD, *words))
    return found


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone at once: pytest keeps others for a while, and these are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "gpt2"])
def test_a_run_needs_twice_the_memory_of_onnxruntime_at_most(name: str, scratch: Path) -> None:
    made = architecture(name)
    model, given = scratch / "model.onnx", scratch / "input.npz"
    model.write_bytes(made.onnx().SerializeToString())
    np.savez(given, allow_pickle=False, **made.inputs)
    del made
    child("-m", "verifiable.cli", "compile", model, "-o", scratch / "bundle")
    ours = measured("ours", scratch / "bundle", given)
    peer = measured("peer", model, given)
    for what, figures in (("ours", ours), ("onnxruntime", peer)):
        print(f"{name}, {what}: " + ", ".join(f"{k} {v >> 20} MiB" for k, v in figures.items()))
    assert ours["peak"] <= 2 * peer["peak"] + ours["weights"]
    # Every tensor committed: what is alive between instructions is all that is added.
    assert ours["traced"] <= 2 * peer["peak"] + ours["weights"]
