"""How near an int8 graph is to the float one, on data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from verifiable.engines.protocol import Runner
from verifiable.graph.ir import Array, Index


class Answers(Enum):
    """What of an output is compared for being the same; the value is how to say it."""

    ROWS = "rows"
    """Of floats: whether the largest element of a row, along the last axis, is the same one."""
    ELEMENTS = "elements"
    """Of integers and bools: whether each is equal."""
    NONE = "nothing"
    """Single floats, of rank 0 or in rows of one: only how far off they are can be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFidelity:
    """One output, on all samples together."""

    name: str
    answers: Answers
    same: int
    compared: int
    """Rows or elements; 0 where there are none to compare."""
    largest_error: float | None
    """Of the elements that are finite in both graphs; None if there are none, or no floats."""
    largest: float | None
    """Magnitude of those elements in the float graph."""
    not_finite: int
    """Elements that are infinite or NaN in one graph, and something else in the other."""

    @property
    def agreement(self) -> float | None:
        """Share of the answers that are the same, None if none was compared."""
        return self.same / self.compared if self.compared else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFidelity:
    """One tensor of the float graph and what stands for it."""

    tensor: Index
    """In the float graph."""
    label: str
    """Operator it came from."""
    exponent: int
    signal_to_noise: float
    """In decibels: power of the tensor over power of its error. Infinite where it is exact, minus
    infinity where there is nothing but error."""
    largest_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Measured on the samples it was given."""

    samples: int
    seen: int
    """How many of them calibration had seen, too: these flatter the int8 graph."""
    outputs: tuple[OutputFidelity, ...]
    tensors: tuple[TensorFidelity, ...]

    @property
    def agreement(self) -> float | None:
        """Of the output that agrees least; None if no output has answers to compare."""
        return min((o.agreement for o in self.outputs if o.agreement is not None), default=None)

    @property
    def largest_error(self) -> float | None:
        """Of any element of any float output; None if none was compared."""
        found = (o.largest_error for o in self.outputs if o.largest_error is not None)
        return max(found, default=None)

    @property
    def largest_output(self) -> float | None:
        """Magnitude of the largest of those elements in the float graph."""
        return max((o.largest for o in self.outputs if o.largest is not None), default=None)


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


class _Output:
    """What is counted of one output."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._answers = Answers.NONE
        self._same = self._compared = self._not_finite = 0
        self._error: float | None = None
        self._largest: float | None = None

    def add(self, true: Array, got: Array) -> None:
        if true.dtype != np.float32:
            self._answers = Answers.ELEMENTS
            self._same += int(np.count_nonzero(true == got))
            self._compared += true.size
            return
        if true.ndim and true.shape[-1] > 1:
            self._answers = Answers.ROWS
            # A row with a NaN has no largest element; argmax names the first NaN.
            clear = ~(np.isnan(true).any(-1) | np.isnan(got).any(-1))
            self._same += int(np.count_nonzero(clear & (true.argmax(-1) == got.argmax(-1))))
            self._compared += clear.size
        finite = np.isfinite(true) & np.isfinite(got)
        same = (true == got) | (np.isnan(true) & np.isnan(got))
        self._not_finite += int(np.count_nonzero(~finite & ~same))
        if finite.any():
            wide = true[finite].astype(np.float64)
            off = float(np.abs(got[finite] - wide).max())
            self._error = off if self._error is None else max(self._error, off)
            self._largest = max(self._largest or 0.0, float(np.abs(wide).max()))

    def made(self) -> OutputFidelity:
        return OutputFidelity(
            name=self._name,
            answers=self._answers,
            same=self._same,
            compared=self._compared,
            largest_error=self._error,
            largest=self._largest,
            not_finite=self._not_finite,
        )


class _Tensor:
    """What is counted of one tensor."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._power = self._noise = self._worst = 0.0

    def add(self, true: Array, integers: Array, padding: Array | None) -> None:
        if padding is not None:
            kept = ~(padding & (true == -np.inf))
            true, integers = true[kept], integers[kept]
        wide = true.astype(np.float64)
        off = np.abs(integers * 2.0**-self._twin.exponent - wide)
        if not np.isfinite(off).all():
            self._noise = self._worst = float("inf")
            return
        self._power += float(np.square(wide).sum())
        self._noise += float(np.square(off).sum())
        self._worst = max(self._worst, float(off.max(initial=0.0)))

    def made(self) -> TensorFidelity:
        if not self._noise:
            ratio = float("inf")
        elif not self._power or self._noise == float("inf"):
            ratio = float("-inf")
        else:
            ratio = 10 * float(np.log10(self._power / self._noise))
        return TensorFidelity(
            tensor=self._twin.old,
            label=self._twin.label,
            exponent=self._twin.exponent,
            signal_to_noise=ratio,
            largest_error=self._worst,
        )


def compare(
    whole: Runner,
    small: Runner,
    samples: Sequence[Mapping[str, Array]],
    twins: Sequence[Twin],
    *,
    padding: Mapping[Index, Array],
    seen: int,
) -> Fidelity:
    """Run both graphs on every sample.

    Parameters
    ----------
    whole, small : Runner
        The float graph and the int8 one.
    samples : sequence of inputs
        Better not those of the calibration.
    twins : sequence of Twin
    padding : mapping of Index to bool array
        As `find.padding` says: a -inf there is no value.
    seen : int
        How many of the samples calibration saw.
    """
    tensors = {twin: _Tensor(twin) for twin in twins}
    outputs: dict[str, _Output] = {}
    for sample in samples:
        old, new = _Kept({t.old for t in twins}), _Kept({t.new for t in twins})
        wanted, got = whole.run(sample, watch=old), small.run(sample, watch=new)
        for twin, counted in tensors.items():
            counted.add(old.tensors[twin.old], new.tensors[twin.new], padding.get(twin.old))
        for name, value in wanted.items():
            outputs.setdefault(name, _Output(name)).add(value, got[name])
    return Fidelity(
        samples=len(samples),
        seen=seen,
        outputs=tuple(o.made() for o in outputs.values()),
        tensors=tuple(t.made() for t in tensors.values()),
    )
