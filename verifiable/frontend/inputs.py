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
from verifiable.frontend.signature import Signature, TensorSpec

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
        raise TensorError(f"cannot read `{path}`: {error.strerror}") from error
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
    """Hold one set of arrays to the inputs of a model.

    A flat array of the right size is given its shape only where it has no name (ezkl's form).

    Returns
    -------
    dict of str to float32 array
        In the model's order, with the model's shapes. Wider floats are rounded to nearest.

    Raises
    ------
    TensorError
        If a tensor is missing, unknown, of the wrong shape, not finite, or an integer that
        float32 cannot hold.

    Examples
    --------
    >>> spec = TensorSpec(name="x", shape=(1, 2), dtype="float32")
    >>> model = Signature(inputs=(spec,), outputs=(), parameters=0, operators=())
    >>> bind_input({"x": np.array([[1.0, 2.0]])}, model)
    {'x': array([[1., 2.]], dtype=float32)}
    """
    named = _by_name(arrays, signature)
    bound: Tensors = {}
    for spec in signature.inputs:
        value = _float32(spec.name, named[spec.name])
        if not isinstance(arrays, Mapping) and value.size == spec.size and value.ndim == 1:
            value = value.reshape(spec.shape)
        if value.shape != spec.shape:
            raise TensorError(
                f"input `{spec.name}` has shape {list(value.shape)}, wanted {list(spec.shape)}"
            )
        bound[spec.name] = value
    return bound


def bind_samples(arrays: Mapping[str, Array] | Sequence[Array], signature: Signature) -> Tensors:
    """Hold a set of samples, such as calibration data, to the inputs of a model.

    Returns
    -------
    dict of str to float32 array
        Of shape ``[samples, *shape]``, the same number of samples for each input. An input of
        shape ``[1, ...]`` may come as ``[samples, ...]``; one sample alone may come without the
        axis of samples.

    Raises
    ------
    TensorError
        As ``bind_input``; also if inputs differ in their number of samples, or have none.
    """
    named = _by_name(arrays, signature)
    bound: Tensors = {}
    for spec in signature.inputs:
        value = _float32(spec.name, named[spec.name])
        bound[spec.name] = _as_samples(spec, value, nameless=not isinstance(arrays, Mapping))
    counts = {name: len(value) for name, value in bound.items()}
    if len(set(counts.values())) > 1:
        raise TensorError(f"inputs differ in their number of samples: {counts}")
    return bound


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


def _by_name(
    arrays: Mapping[str, Array] | Sequence[Array], signature: Signature
) -> Mapping[str, Array]:
    wanted = [spec.name for spec in signature.inputs]
    if not isinstance(arrays, Mapping):
        if len(arrays) != len(wanted):
            raise TensorError(
                f"{len(arrays)} tensors without names for {len(wanted)} inputs",
                hint=f"the inputs are {', '.join(map(str, signature.inputs))}",
            )
        return dict(zip(wanted, arrays, strict=True))
    missing = [spec for spec in signature.inputs if spec.name not in arrays]
    unknown = sorted(set(arrays) - set(wanted))
    if missing or unknown:
        what = f"input {missing[0]} is missing" if missing else f"no input is called `{unknown[0]}`"
        got = ", ".join(f"`{name}`" for name in sorted(arrays)) or "nothing"
        raise TensorError(
            f"{what}; got {got}",
            hint=f"the inputs are {', '.join(map(str, signature.inputs))}",
        )
    return arrays


def _float32(name: str, value: Array) -> NDArray[np.float32]:
    if value.dtype.kind not in "fiu":
        raise TensorError(f"input `{name}` is {value.dtype}, wanted float32")
    # Beyond 2**24 neighbouring integers share a float32.
    if value.dtype.kind in "iu" and value.size and (value.max() > 2**24 or value.min() < -(2**24)):
        raise TensorError(f"input `{name}` has integers beyond 2**24, which float32 cannot hold")
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.ascontiguousarray(value, np.float32).reshape(value.shape)
    bad = ~np.isfinite(rounded)
    if bad.any():
        index = [int(axis) for axis in np.argwhere(bad)[0]]
        raise TensorError(f"input `{name}`{index} is {value[tuple(index)]}, wanted a finite number")
    return rounded


def _as_samples(
    spec: TensorSpec, value: NDArray[np.float32], *, nameless: bool
) -> NDArray[np.float32]:
    rest = spec.shape[1:] if spec.shape[0] == 1 else None
    if value.shape == spec.shape:
        value = value[np.newaxis]
    elif value.ndim == len(spec.shape) and value.shape[1:] == rest:
        value = value[:, np.newaxis]
    elif nameless and value.ndim == 1 and value.size and value.size % spec.size == 0:
        value = value.reshape(-1, *spec.shape)
    if value.shape[1:] != spec.shape or not len(value):
        raise TensorError(
            f"samples of `{spec.name}` have shape {list(value.shape)}, "
            f"wanted {['samples', *spec.shape]}".replace("'", "")
        )
    return value
