"""Well-known architectures through the command line, as a person would."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from architectures import NAMES, NORMED, architecture
from checkout import ROOT
from cli_calls import called
from small_nets import small_net

from circuits import recipe
from verifiable.engines.ort import Session
from verifiable.graph.ir import Array

CASES = [(name, True) for name in NAMES] + [(name, False) for name in NORMED]


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone at once: pytest keeps others for a while, and these are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def here(verb: str, *words: object) -> Any:
    """The JSON that a verb prints, in this process."""
    done = called("--json", verb, *words)
    assert done.status == 0, done.err[-2000:]
    return done.json


def apart(verb: str, *words: object) -> Any:
    """The JSON that a verb prints, in a process of its own; says how long it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "verifiable.cli", "--json", verb, *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=ROOT)
    print(f"  {verb} {time.monotonic() - started:.1f} s")
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def walked(
    cli: Callable[..., Any], onnx: bytes, inputs: Mapping[str, Array], scratch: Path
) -> None:
    """Inspect, compile, run and replay a model; its outputs are near onnxruntime's."""
    model, given, bundle = scratch / "model.onnx", scratch / "input.npz", scratch / "bundle"
    model.write_bytes(onnx)
    np.savez(given, allow_pickle=False, **inputs)
    report = cli("inspect", model)
    done, of = report["covered"].split(" of ")
    assert done == of
    cli("compile", model, "-o", bundle)
    claim, trace, outputs = scratch / "claim", scratch / "trace", scratch / "outputs.npz"
    said = cli("run", bundle, given, "-o", claim, "--trace", trace, "--outputs", outputs)
    assert said["model"] == report["canon"]["model"]
    stored = sum(path.stat().st_size for path in trace.iterdir())
    assert stored == report["canon"]["trace_bytes"] == said["trace_bytes"]
    print(f"  model {len(onnx) >> 20} MiB, trace {stored >> 20} MiB")
    assert cli("replay", claim, bundle, given, "--trace", trace)["verdict"] == "upheld"
    assert cli("replay", claim, bundle, given)["verdict"] == "upheld"
    wanted = Session(onnx, threads=2, optimise=True).run(dict(inputs))
    with np.load(outputs) as got:
        assert set(got.files) == wanted.keys()
        largest = max(float(np.abs(value).max()) for value in wanted.values())
        for key, value in wanted.items():
            assert got[key].dtype == value.dtype
            assert float(np.abs(got[key] - value).max()) < 3e-5 * largest


# A small gpt2_512 is a small gpt2.
@pytest.mark.parametrize(("name", "fold"), [case for case in CASES if case[0] != "gpt2_512"])
def test_a_small_one_is_inspected_compiled_run_and_replayed(
    name: str, fold: bool, scratch: Path
) -> None:
    made, onnx = small_net(name, fold=fold)
    walked(here, onnx, made.inputs, scratch)


@pytest.mark.parametrize("name", recipe.names())
def test_a_trained_one_is_inspected_compiled_run_and_replayed(name: str, scratch: Path) -> None:
    test = recipe.load(name).samples().test
    walked(here, recipe.model(name), {key: array[0] for key, array in test.items()}, scratch)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fold"), CASES)
def test_a_whole_one_is_inspected_compiled_run_and_replayed(
    name: str, fold: bool, scratch: Path
) -> None:
    made = architecture(name)
    walked(apart, made.onnx(fold=fold).SerializeToString(), made.inputs, scratch)
