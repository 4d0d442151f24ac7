"""Fourier transforms are NumPy's; windows are their formulas."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import floats, graph_of, model, near, ours

from verifiable.errors import UnsupportedError
from verifiable.graph.ir import Array

SEEDS = st.integers(0, 2**16)


def parted(z: Array) -> Array:
    """Complex numbers as pairs."""
    return np.stack([z.real, z.imag], axis=-1).astype(np.float32)


@given(
    seed=SEEDS,
    axis=st.integers(0, 2),
    length=st.one_of(st.none(), st.integers(1, 9)),
    complex_=st.booleans(),
    inverse=st.booleans(),
    version=st.sampled_from([17, 20]),
)
def test_transforms_are_numpys(
    seed: int, axis: int, length: int | None, complex_: bool, inverse: bool, version: int
) -> None:
    x = floats(seed, 3, 4, 5, 1 + complex_)
    count = None if length is None else np.array(length)
    z = x[..., 0] + 1j * x[..., 1] if complex_ else x[..., 0]
    wanted = (np.fft.ifft if inverse else np.fft.fft)(z.astype(np.complex128), length, axis)
    attributes: dict[str, Any] = {"inverse": int(inverse)}
    inputs: list[Array | None] = [x, count]
    if version < 20:
        attributes["axis"] = axis
    else:
        inputs.append(np.array(axis - 4))
    made = model("DFT", inputs, constants={1, 2}, opset=version, **attributes)
    near(ours(made, inputs)[0], parted(wanted))


@given(seed=SEEDS, length=st.integers(1, 9))
def test_halved_spectra_are_numpys_both_ways(seed: int, length: int) -> None:
    x = floats(seed, 2, length, 1)
    inputs = [x, None, np.array(1)]
    (half,) = ours(model("DFT", inputs, constants={2}, opset=20, onesided=1), inputs)
    near(half, parted(np.fft.rfft(x[..., 0].astype(np.float64), axis=1)))
    inputs = [half, np.array(length), np.array(1)]
    made = model("DFT", inputs, constants={1, 2}, opset=20, onesided=1, inverse=1)
    near(ours(made, inputs)[0], x, atol=1e-4)


@given(
    seed=SEEDS,
    frame=st.integers(1, 8),
    step=st.integers(1, 4),
    windowed=st.booleans(),
    onesided=st.booleans(),
    complex_=st.booleans(),
)
def test_short_time_transforms_are_numpys_frame_by_frame(
    seed: int, frame: int, step: int, windowed: bool, onesided: bool, complex_: bool
) -> None:
    onesided = onesided and not complex_
    x = floats(seed, 2, 12, 1 + complex_)
    window = floats(seed + 1, frame) if windowed else np.ones(frame, np.float32)
    inputs = [x, np.array(step), window if windowed else None, np.array(frame)]
    made = model("STFT", inputs, constants={1, 3}, onesided=int(onesided))
    z = x[..., 0] + 1j * x[..., 1] if complex_ else x[..., 0]
    starts = range(0, 12 - frame + 1, step)
    frames = np.stack([z[:, s : s + frame] * window for s in starts], axis=1)
    wanted = np.fft.fft(frames.astype(np.complex128), axis=2)
    if onesided:
        wanted = wanted[:, :, : frame // 2 + 1]
    near(ours(made, inputs)[0], parted(wanted))


@pytest.mark.parametrize(
    ("op", "symmetric"),
    [("HannWindow", np.hanning), ("BlackmanWindow", np.blackman)],
)
@pytest.mark.parametrize("size", [2, 5, 8])
def test_windows_are_numpys(op: str, symmetric: Any, size: int) -> None:
    count = np.array(size)
    (got,) = ours(model(op, [count], constants={0}, periodic=0), [count])
    near(got, symmetric(size).astype(np.float32), atol=1e-6)
    (got,) = ours(model(op, [count], constants={0}), [count])
    near(got, symmetric(size + 1)[:-1].astype(np.float32), atol=1e-6)


def test_a_transform_too_long_for_its_matrix_is_refused_by_name() -> None:
    inputs = [floats(1, 1, 5000, 1), None, np.array(1)]
    with pytest.raises(UnsupportedError, match=r"^DFT `it` .*of length 5000"):
        graph_of(model("DFT", inputs, constants={2}, opset=20))
