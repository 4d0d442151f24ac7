"""Input tensors and calibration sets: read, named, and held to the model's signature."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from verifiable.errors import TensorError
from verifiable.frontend.arrays import (
    MAX_BYTES,
    NPY_MAGIC,
    Array,
    parse_json,
    parse_npy,
    parse_npz,
)
from verifiable.frontend.binding import bind, bind_sets, place
from verifiable.frontend.signature import Signature
from verifiable.graph.ir import TensorType
from verifiable.graph.vocabulary import DType

Tensors = dict[str, NDArray[np.float32]]
"""Tensor name to values; every value finite, C order."""


def read_arrays(path: Path) -> dict[str, Array] | list[Array]:
    """Read .npz, .npy or JSON, told apart by content.

    Returns
    -------
    dict of str to array, or list of arrays
        A list where the file names no tensors: .npy, and ezkl's ``{"input_data": [...]}``.

    Raises
    ------
    TensorError
        If the file cannot be read or is none of the three.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TensorError(f"`{path}` is larger than {MAX_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise TensorError(
            f"cannot read `{path}`: {error.strerror}",
            hint="tensors are read from a file: .npz, .npy or JSON",
        ) from error
    try:
        return parse_arrays(data)
    except TensorError as error:
        raise TensorError(f"`{path}`: {error}", hint=error.hint) from error


def parse_arrays(data: bytes) -> dict[str, Array] | list[Array]:
    """Parse .npz, .npy or JSON bytes, told apart by how they begin.

    Raises
    ------
    TensorError
        If they are none of the three.
    """
    if data.startswith(NPY_MAGIC):
        return [parse_npy(data)]
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return parse_npz(data)
    if data.lstrip()[:1] in {b"{", b"["}:
        return parse_json(data)
    raise TensorError(
        "neither .npz, .npy nor JSON", hint="save inputs with numpy.savez(path, name=array)"
    )


def bind_input(arrays: Mapping[str, Array] | Sequence[Array], signature: Signature) -> Tensors:
    """Hold one set of arrays to the inputs of a model, as ``frontend.binding.bind`` does.

    Returns
    -------
    dict of str to float32 array
        In the model's order, with the model's shapes.

    Raises
    ------
    TensorError
        If a tensor is missing, unknown, of another shape or dtype, or not finite.

    Examples
    --------
    >>> from verifiable.frontend.signature import TensorSpec
    >>> spec = TensorSpec(name="x", shape=(1, 2), dtype="float32")
    >>> model = Signature(inputs=(spec,), outputs=(), parameters=0, operators=())
    >>> bind_input(parse_arrays(b'{"x": [[1, 2.5]]}'), model)
    {'x': array([[1. , 2.5]], dtype=float32)}
    """
    return _finite(bind(arrays, _types(signature)))


def bind_samples(arrays: Mapping[str, Array] | Sequence[Array], signature: Signature) -> Tensors:
    """Hold a set of samples to the inputs of a model, as ``frontend.binding.bind_sets`` does.

    Returns
    -------
    dict of str to float32 array
        Of shape ``[samples, *shape]``, the same number of samples for each input.

    Raises
    ------
    TensorError
        As `bind_input`; also if inputs differ in their number of samples, or have none.
    """
    return _finite(bind_sets(arrays, _types(signature)))


def sample(samples: Tensors, index: int) -> Tensors:
    """Take one sample out of a set, with the model's shapes.

    Raises
    ------
    TensorError
        If there are not that many.
    """
    count = min((len(value) for value in samples.values()), default=0)
    if not 0 <= index < count:
        raise TensorError(f"sample {index} of {count} does not exist")
    return {name: value[index] for name, value in samples.items()}


def check_covers(calibration: Tensors, inputs: Tensors, *, margin: float = 0.0) -> None:
    """Check that no input leaves the range that the circuit was calibrated for.

    Range checks and tables of a circuit are sized by what calibration saw; a witness outside
    them fails late or, worse, only when proving. Each tensor is held to the smallest and
    largest element of its calibration set as a whole, since circuits know no finer bound.

    Parameters
    ----------
    calibration : Tensors
        As from ``bind_samples``.
    inputs : Tensors
        One input or a set of them, by the same names.
    margin : float
        Slack on both sides, as a share of the calibrated range.

    Raises
    ------
    TensorError
        If an element lies outside; the message names tensor, place and range.

    Examples
    --------
    >>> pixels = {"image": np.array([[0.0, 1.0]], np.float32)}
    >>> check_covers(pixels, {"image": np.array([0.5, 1.05], np.float32)}, margin=0.1)
    >>> check_covers(pixels, {"image": np.array([0.5, 1.05], np.float32)})
    Traceback (most recent call last):
    ...
    verifiable.errors.TensorError: input `image`[1] is 1.05, outside the calibrated 0..1
    """
    for name, value in inputs.items():
        seen = calibration.get(name)
        if seen is None:
            raise TensorError(f"input `{name}` has no calibration data")
        low, high = float(seen.min()), float(seen.max())
        slack = margin * (high - low)
        outside = (value < low - slack) | (value > high + slack)
        if outside.any():
            index = [int(axis) for axis in np.argwhere(outside)[0]]
            raise TensorError(
                f"input `{name}`{index} is {value[tuple(index)]:g}, outside the calibrated "
                f"{low:g}..{high:g}",
                hint="is it scaled like the calibration data? if so, calibrate with data like it",
            )


def _types(signature: Signature) -> dict[str, TensorType]:
    # No model that is proven takes anything but floats (``frontend.admit``).
    return {spec.name: TensorType(DType.F32, spec.shape) for spec in signature.inputs}


def _finite(tensors: Tensors) -> Tensors:
    for name, value in tensors.items():
        finite = np.isfinite(value)
        if not finite.all():
            index = place(value, int(np.argmin(finite)))
            raise TensorError(
                f"input `{name}`{index} is {value[tuple(index)]}, wanted a finite number",
                hint="a circuit has no infinity and no NaN",
            )
    return tensors
