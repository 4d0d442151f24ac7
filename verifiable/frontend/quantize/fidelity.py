"""How near an int8 graph is to the float one, on data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verifiable.engines.protocol import Runner
from verifiable.graph.ir import Array, Index


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFidelity:
    """One tensor of the float graph and what stands for it."""

    tensor: Index
    """In the float graph."""
    label: str
    """Operator it came from."""
    exponent: int
    signal_to_noise: float
    """In decibels: power of the tensor over power of its error; infinite where it is exact."""
    largest_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Measured on the samples it was given."""

    samples: int
    agreement: float
    """Share of samples whose largest output is the same one, over the last axis."""
    largest_error: float
    """Of any element of any output."""
    largest_output: float
    tensors: tuple[TensorFidelity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """An integer tensor of the new graph and the float one it stands for."""

    old: Index
    new: Index
    exponent: int
    label: str


class _Kept:
    """A `Watcher` that keeps some tensors of one run."""

    def __init__(self, wanted: set[Index]) -> None:
        self._wanted = wanted
        self.tensors: dict[Index, Array] = {}

    def __call__(self, index: Index, tensor: Array, /) -> None:
        if index in self._wanted:
            self.tensors[index] = np.array(tensor)


def compare(
    whole: Runner, small: Runner, samples: Sequence[Mapping[str, Array]], twins: Sequence[Twin]
) -> Fidelity:
    """Run both graphs on every sample.

    Parameters
    ----------
    whole, small : Runner
        The float graph and the int8 one.
    samples : sequence of inputs
        Better not those of the calibration.
    twins : sequence of Twin
    """
    power = dict.fromkeys(twins, 0.0)
    noise = dict(power)
    worst = dict(power)
    same = rows = 0
    error = largest = 0.0
    for sample in samples:
        old, new = _Kept({t.old for t in twins}), _Kept({t.new for t in twins})
        wanted, got = whole.run(sample, watch=old), small.run(sample, watch=new)
        for twin in twins:
            true = old.tensors[twin.old].astype(np.float64)
            off = new.tensors[twin.new] * 2.0**-twin.exponent - true
            padding = true == -np.inf
            true, off = true[~padding], off[~padding]
            power[twin] += float(np.square(true).sum())
            noise[twin] += float(np.square(off).sum())
            worst[twin] = max(worst[twin], float(np.abs(off).max(initial=0.0)))
        for name, value in wanted.items():
            if not value.size or value.dtype != np.float32 or not value.ndim:
                continue
            same += int(np.sum(value.argmax(-1) == got[name].argmax(-1)))
            rows += value.size // value.shape[-1]
            error = max(error, float(np.abs(got[name] - value).max()))
            largest = max(largest, float(np.abs(value).max()))
    return Fidelity(
        samples=len(samples),
        agreement=same / rows if rows else 1.0,
        largest_error=error,
        largest_output=largest,
        tensors=tuple(
            TensorFidelity(
                tensor=twin.old,
                label=twin.label,
                exponent=twin.exponent,
                signal_to_noise=10 * float(np.log10(power[twin] / noise[twin]))
                if noise[twin] and power[twin]
                else float("inf"),
                largest_error=worst[twin],
            )
            for twin in twins
        ),
    )
