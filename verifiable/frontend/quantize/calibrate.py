"""Exponents of tensors, from what they hold on calibration data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from verifiable.engines.protocol import Runner
from verifiable.errors import TensorError
from verifiable.graph.ir import Array, Index

LIMIT: Final = 127
EXPONENTS: Final = (-121, 120)
"""Least and most that `exponent_for` gives: the largest f32 is held to one step, a step below the
least normal f32 is none. Two more, and both ``2.0**e`` and ``2.0**-e`` are normal f32s still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What calibration data says of tensors."""

    exponents: Mapping[Index, int]
    zero: frozenset[Index]
    """Tensors that were 0 throughout: nothing tells their exponent, it is 0."""


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


def weight_exponents(rows: Array, most: Array | None = None) -> Array:
    """Best exponent of each row.

    Parameters
    ----------
    rows : finite float32 ``[rows, K]``
    most : int64 ``[rows]``, optional
        Ceiling of each row's exponent, in the range of `EXPONENTS`; a row of zeros takes it.

    Returns
    -------
    int64 ``[rows]``
    """
    ceilings = np.full(len(rows), EXPONENTS[1]) if most is None else most
    found = []
    for row, ceiling in zip(rows, ceilings.tolist(), strict=True):
        largest = float(np.max(np.abs(row), initial=0.0))
        if not largest:
            found.append(ceiling)
            continue
        first = exponent_for(largest)
        options = (min(first, ceiling), min(first + 1, ceiling))
        found.append(min(options, key=lambda e: (squared_error(row, e), e)))
    return np.array(found, np.int64)


def observe(
    runner: Runner,
    samples: Sequence[Mapping[str, Array]],
    wanted: set[Index],
    biases: Mapping[Index, Array],
    *,
    padding: Mapping[Index, Array],
    label: Callable[[Index], str],
) -> Observed:
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
    padding : mapping of Index to bool array
        As `find.padding` says: a -inf there is no value.
    label : function of Index
        Names a tensor for a reader.

    Raises
    ------
    TensorError
        If there is no sample, or a tensor is not finite on one.
    """
    if not samples:
        raise TensorError("calibration data is empty", hint="name at least one sample")
    largest = dict.fromkeys(wanted, 0.0)
    broken: list[Index] = []

    def values_of(tensor: Array, index: Index) -> Array:
        values: Array = tensor + biases[index] if index in biases else tensor
        if index in padding:
            values = values[~(padding[index] & (values == -np.inf))]
        return values

    def measure(index: Index, tensor: Array, /) -> None:
        if index in wanted:
            biggest = float(np.max(np.abs(values_of(tensor, index)), initial=0.0))
            if not np.isfinite(biggest):
                broken.append(index)
            largest[index] = max(largest[index], biggest)

    for number, sample in enumerate(samples):
        runner.run(sample, watch=measure)
        if broken:
            raise _not_finite(number, sample, label(broken[0]))
    fits = {index: exponent_for(value) for index, value in largest.items()}
    errors = {index: np.zeros(3) for index in wanted}

    def compare(index: Index, tensor: Array, /) -> None:
        if index in wanted:
            values = values_of(tensor, index)
            errors[index] += [squared_error(values, fits[index] + more) for more in range(3)]

    for sample in samples:
        runner.run(sample, watch=compare)
    return Observed(
        exponents={index: fits[index] + int(np.argmin(errors[index])) for index in wanted},
        zero=frozenset(index for index, value in largest.items() if not value),
    )


def _not_finite(number: int, sample: Mapping[str, Array], what: str) -> TensorError:
    """Whose fault it is: that of an input, if one is not finite either."""
    where = f"in sample {number} of the calibration data"
    for name, values in sample.items():
        if values.dtype.kind != "f" or np.isfinite(values).all():
            continue
        place = tuple(int(axis) for axis in np.argwhere(~np.isfinite(values))[0])
        return TensorError(
            f"input `{name}`{list(place)} {where} is {values[place]}, wanted a finite number",
            hint="leave that sample out, or mend it",
        )
    return TensorError(
        f"what {what} gives is not finite {where}; int8 holds finite numbers alone",
        hint="is the data scaled as it was when the model was trained?",
    )
