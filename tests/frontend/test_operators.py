"""The admission table is true of the installed ezkl: measured, operator by operator."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx_traps import REFUSED
from onnx_zoo import ADMITTED

from verifiable.engines import ort
from verifiable.frontend.export import load_model, signature_of

CHILD = Path(__file__).parent / "ezkl_child.py"
SAMPLES = 4
SILENT = {
    "NaN weight",
    "border outside the mean",
    "cast to bool",
    "cast to integer",
    "clipped LSTM",
    "negative power",
    "other activations",
    "padded MaxPool of negatives",
    "power of zero",
    "reverse LSTM",
}
"""Traps that ezkl proves without complaint, and wrongly."""


def draw(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Multiples of 1/16 in -1..1, which fixed point holds exactly."""
    values = np.random.default_rng(5).integers(-16, 17, (SAMPLES, *shape))
    return (values / 16).astype(np.float32)


def proven(model: bytes, x: NDArray[np.float32], folder: Path) -> NDArray[np.float64]:
    (folder / "model.onnx").write_bytes(model)
    np.save(folder / "x.npy", x)
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outputs: NDArray[np.float64] = np.load(folder / "y.npy")
    return outputs


def agree(found: NDArray[np.float64], expected: NDArray[np.float32]) -> bool:
    flat = expected.reshape(SAMPLES, -1).astype(np.float64)
    return found.shape == flat.shape and bool(np.allclose(found, flat, rtol=0.05, atol=0.05))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ADMITTED))
def test_ezkl_computes_what_onnx_defines(name: str, tmp_path: Path) -> None:
    pytest.importorskip("ezkl")
    plain = load_model(ADMITTED[name])
    x = draw(signature_of(plain).inputs[0].shape)
    assert agree(proven(plain, x, tmp_path), ort.run_samples(plain, {"x": x})["y"])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SILENT))
def test_a_refusal_is_still_needed(name: str, tmp_path: Path) -> None:
    pytest.importorskip("ezkl")
    data, _ = REFUSED[name]
    x = draw(signature_of(data).inputs[0].shape)
    assert not agree(proven(data, x, tmp_path), ort.run_samples(data, {"x": x})["y"])
