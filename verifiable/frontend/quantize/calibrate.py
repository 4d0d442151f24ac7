"""Exponents of tensors, from what they hold on calibration data."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from verifiable.engines.protocol import Runner
from verifiable.errors import TensorError
from verifiable.graph.ir import Array, Index

LIMIT: Final = 127
EXPONENTS: Final = (-24, 24)
"""Least and most; beyond, a tensor is as good as zero or as large as it gets."""


def exponent_for(largest: float) -> int:
    """The largest exponent at which `largest` still fits 127.

    >>> exponent_for(1.0), exponent_for(127.0), exponent_for(128.0)
    (6, 0, -1)
    """
    if not largest > 0:
        return 0
    found = int(np.floor(np.log2(LIMIT / largest)))
    return min(max(found, EXPONENTS[0]), EXPONENTS[1])


def squared_error(values: Array, exponent: int) -> float:
    """Sum of squared errors of rounding `values` to int8 at `exponent`."""
    scale = np.float32(2.0**exponent)
    kept = np.clip(np.rint(values * scale), -LIMIT, LIMIT) / scale
    return float(np.sum(np.square((kept - values).astype(np.float64))))


def weight_exponents(rows: Array) -> Array:
    """Best exponent of each row.

    Parameters
    ----------
    rows : float32 ``[rows, K]``

    Returns
    -------
    int64 ``[rows]``
    """
    found = []
    for row in rows:
        first = exponent_for(float(np.max(np.abs(row), initial=0.0)))
        found.append(min((first, first + 1), key=lambda e: (squared_error(row, e), e)))
    return np.array(found, np.int64)


def observe(
    runner: Runner,
    samples: Sequence[Mapping[str, Array]],
    wanted: set[Index],
    biases: Mapping[Index, Array],
) -> dict[Index, int]:
    """Exponent of each wanted tensor that loses least on the data.

    Two passes: the first finds what fits, the second what clipping the largest values would gain.

    Parameters
    ----------
    runner : Runner
        The float graph.
    samples : sequence of inputs
    wanted : set of Index
    biases : mapping of Index to float32 array
        Added to the tensor before it is looked at.

    Raises
    ------
    TensorError
        If there is no sample, or a tensor is not finite on one.
    """
    if not samples:
        raise TensorError("calibration data is empty")
    largest = dict.fromkeys(wanted, 0.0)

    def values_of(tensor: Array, index: Index) -> Array:
        values = tensor + biases[index] if index in biases else tensor
        # What pads a maximum stays below everything, at any exponent.
        padding = values == -np.inf
        return values[~padding] if padding.any() else values

    def measure(index: Index, tensor: Array, /) -> None:
        if index in wanted:
            biggest = float(np.max(np.abs(values_of(tensor, index)), initial=0.0))
            if not np.isfinite(biggest):
                raise TensorError(f"tensor {index} is not finite on the calibration data")
            largest[index] = max(largest[index], biggest)

    for sample in samples:
        runner.run(sample, watch=measure)
    fits = {index: exponent_for(value) for index, value in largest.items()}
    errors = {index: np.zeros(3) for index in wanted}

    def compare(index: Index, tensor: Array, /) -> None:
        if index in wanted:
            values = values_of(tensor, index)
            errors[index] += [squared_error(values, fits[index] + more) for more in range(3)]

    for sample in samples:
        runner.run(sample, watch=compare)
    return {index: fits[index] + int(np.argmin(errors[index])) for index in wanted}
