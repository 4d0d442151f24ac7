"""Choosing ezkl's settings by calibration alone.

No key is made and nothing is proven here. The sweep goes lever by lever, each on its own axis:

1. error depends on the scale and on when results are scaled back: for each rebase multiplier the
   smallest scale is sought that keeps the error within the policy;
2. the magnitudes at that point say how many bits must be decomposed; for each number of legs the
   smallest base that reaches them is taken, since a larger one only costs a larger table;
3. columns trade rows for keys; their effect is predicted, and the best few are then laid out.

The winner is the cheapest to prove among those that fit the policy.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifiable.crypto.felt import felt_from_ezkl, felt_to_signed
from verifiable.errors import (
    OutOfMemoryError,
    PolicyError,
    StageFailedError,
    StageTimeoutError,
)
from verifiable.proofs.ezkl import cost
from verifiable.proofs.ezkl.process import run_stage
from verifiable.proofs.ezkl.settings import Candidate
from verifiable.proofs.protocol import (
    Estimate,
    Limits,
    Observer,
    Policy,
    StageEvent,
    Tensors,
    ignore,
)

SCALES = range(3, 15)
REBASES = (1, 2, 3)
COLUMNS = (1, 2, 3, 4, 6)
LEGS = range(1, 10)
MAX_CALIBRATION = 16
"""Samples a circuit is calibrated on; as many stretched ones come on top."""
HEADROOM = 1.25
"""Inputs may exceed the calibration data's range by this factor before magnitudes are refused."""
MAX_SAMPLES = 4
PROBE_MEMORY = 6 << 30
"""Bytes a probe may use: ezkl's calibration of tanh at a high rebase once asked for 24 GB."""
FINALISTS = 6
_OPTIMISM = 0.85
"""Digits are padded to a multiple of the columns, so other numbers of columns may need less."""

# Wide enough for every scale and rebase of the sweep: error does not depend on how digits are cut.
_WIDE_BASE, _WIDE_LEGS = 1 << 14, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One candidate with the settings ezkl gave it and the error it has."""

    candidate: Candidate
    settings: Mapping[str, Any]
    error: float

    @property
    def estimate(self) -> Estimate:
        """What it costs."""
        return cost.estimate(self.settings, self.error)


def felts_to_floats(hexes: Sequence[str], scale: int) -> NDArray[np.float64]:
    """Values of fixed-point felts in ezkl's little-endian hex, with `scale` fractional bits."""
    return np.array([felt_to_signed(felt_from_ezkl(text)) / 2.0**scale for text in hexes])


def write_ezkl_data(path: Path, samples: Sequence[Mapping[str, NDArray[np.float32]]]) -> str:
    """Write samples in ezkl's JSON form, each input one flat list; return the path as text."""
    columns = [
        np.concatenate([np.ravel(sample[name]) for sample in samples]).tolist()
        for name in samples[0]
    ]
    path.write_text(json.dumps({"input_data": columns}))
    return str(path)


def split_samples(data: Tensors) -> list[dict[str, NDArray[np.float32]]]:
    """Cut calibration data with a leading axis of samples into single samples."""
    count = len(next(iter(data.values())))
    return [{name: array[i] for name, array in data.items()} for i in range(count)]


class Sweep:
    """Probing one model; keeps the calibration files on disk while it lives.

    Parameters
    ----------
    model : Path
        ONNX file.
    data : mapping of str to float32 arrays of shape (samples, ...)
    reference : sequence of sequence of float32 arrays
        For each sample the float model's outputs, in the model's order.
    policy : Policy
    work : Path
        Folder for scratch files.
    observer : Observer
    """

    def __init__(
        self,
        *,
        model: Path,
        data: Tensors,
        reference: Sequence[Sequence[NDArray[np.float32]]],
        policy: Policy,
        work: Path,
        observer: Observer = ignore,
    ) -> None:
        samples = split_samples(data)
        # Every second sample is held out: it measures the error and is never calibrated on.
        held = list(range(1, len(samples), 2)) or [0]
        calibrated = [samples[i] for i in range(0, len(samples), 2)]
        calibrated = calibrated[:: -(-len(calibrated) // MAX_CALIBRATION)]
        stretched = [
            {name: (array * HEADROOM).astype(np.float32) for name, array in sample.items()}
            for sample in calibrated
        ]
        self._limits = Limits(
            memory=min(policy.limits.memory, PROBE_MEMORY), seconds=policy.limits.seconds
        )
        self._held = held[:: max(1, len(held) // MAX_SAMPLES)][:MAX_SAMPLES]
        self._reference = reference
        self._model, self._policy, self._work, self._observer = model, policy, work, observer
        self._answered = False
        self._stopped: OutOfMemoryError | StageTimeoutError | None = None
        every = max(1, len(calibrated) // MAX_SAMPLES)
        self._quick = write_ezkl_data(
            work / "quick.json", (calibrated[::every] + stretched[::every])[: 2 * MAX_SAMPLES]
        )
        self.calibration = write_ezkl_data(work / "calibration.json", calibrated + stretched)
        self._inputs = [write_ezkl_data(work / f"held-{i}.json", [samples[i]]) for i in self._held]

    def probe(
        self, candidates: Sequence[Candidate], *, errors: bool, full: bool = False
    ) -> list[Point | None]:
        """Settings of each candidate, and its error if asked for; None where ezkl refuses it."""
        args = {
            "model": str(self._model),
            "calibration": self.calibration if full else self._quick,
            "candidates": [c.run_args(self._policy.visibility) for c in candidates],
            "samples": self._inputs if errors else [],
        }
        points: list[Point | None] = [None] * len(candidates)
        start = 0
        while start < len(candidates):
            rest = args | {"candidates": args["candidates"][start:], "work": str(self._work)}
            try:
                found = run_stage("probe", rest, limits=self._limits).findings
            except (StageFailedError, OutOfMemoryError, StageTimeoutError) as e:
                # A panic takes the child with it; each of the others gets one of its own.
                if len(candidates) == 1:
                    if not isinstance(e, StageFailedError):
                        self._stopped = e
                    self._say(f"refused {candidates[0]}: {e}")
                    return points
                for i in range(start, len(candidates)):
                    points[i] = self.probe([candidates[i]], errors=errors, full=full)[0]
                return points
            self._answered = True
            for finding in found:
                index = start + int(finding["probe"])
                points[index] = self._read(candidates[index], finding, errors=errors)
            start = len(candidates)
        return points

    def demand_answer(self) -> None:
        """Raise what stopped the probes if none came back: then ezkl has refused nothing.

        Raises
        ------
        OutOfMemoryError, StageTimeoutError
            What stopped the last one.
        """
        if self._stopped is not None and not self._answered:
            raise self._stopped

    def _read(
        self, candidate: Candidate, finding: Mapping[str, Any], *, errors: bool
    ) -> Point | None:
        if "failed" in finding:
            self._say(f"refused {candidate}: {finding['failed']}")
            return None
        settings = finding["settings"]
        error = math.nan
        if errors:
            error = max(
                float(np.max(np.abs(felts_to_floats(got, scale) - np.ravel(wanted)), initial=0.0))
                for index, sample in zip(self._held, finding["outputs"], strict=True)
                for got, wanted, scale in zip(
                    sample, self._reference[index], settings["model_output_scales"], strict=True
                )
            )
        point = Point(candidate=candidate, settings=settings, error=error)
        self._say(f"{candidate}: rows {settings['num_rows']}, error {error:.2g}")
        return point

    def _say(self, message: str) -> None:
        self._observer(StageEvent(stage="tune", message=message, seconds=0.0))

    def smallest_scale(self, rebase: int, scales: range = SCALES) -> Point | None:
        """The point with the smallest scale whose error the policy allows, by bisection."""
        low, high = scales.start, scales.stop - 1
        best: Point | None = None
        while low <= high:
            scale = (low + high) // 2
            candidate = Candidate(
                scale=scale, rebase=rebase, base=_WIDE_BASE, legs=_WIDE_LEGS, columns=2
            )
            (point,) = self.probe([candidate], errors=True)
            if point is not None and point.error <= self._policy.error:
                best, high = point, scale - 1
            else:
                low = scale + 1
        return best

    def bits(self, candidate: Candidate) -> int | None:
        """Bits that must be decomposed at this scale and rebase, by bisection on the base."""
        for legs, log_bases in ((2, range(2, 15)), (4, range(7, 16))):
            best, low, high = None, log_bases.start, log_bases.stop - 1
            while low <= high:
                log_base = (low + high) // 2
                (point,) = self.probe(
                    [replace(candidate, base=1 << log_base, legs=legs)], errors=False
                )
                if point is not None:
                    best, high = legs * log_base, log_base - 1
                else:
                    low = log_base + 1
            if best is not None:
                return best
        return None

    def cuts(self, found: Point, bits: int) -> list[Point]:
        """Ways to cut `bits` into digits that may be cheapest, each laid out.

        More legs make more rows and a smaller table; once the table is smaller than the rows can
        become with all columns, more legs only cost.
        """
        laid_out = []
        for legs in LEGS:
            log_base = math.ceil(bits / legs)
            if not 3 <= log_base <= 15:
                continue
            candidate = replace(found.candidate, base=1 << log_base, legs=legs)
            (point,) = self.probe([candidate], errors=False)
            if point is None:
                continue
            laid_out.append(replace(point, error=found.error))
            narrowest = point.settings["num_rows"] * candidate.columns // COLUMNS[-1]
            if 1 << log_base < narrowest:
                break
        return laid_out


def _with_columns(point: Point, columns: int) -> Point:
    """Predict `point` with another number of inner columns, without asking ezkl."""
    settings = json.loads(json.dumps(dict(point.settings)))
    share = 1.0 if columns == point.candidate.columns else _OPTIMISM
    rows = math.ceil(settings["total_assignments"] * share / columns)
    rows = max(
        rows, settings["module_sizes"]["poseidon"][0], *settings["module_sizes"]["polycommit"], 1
    )
    largest = max((high - low for low, high in settings["required_range_checks"]), default=0)
    low, high = settings["run_args"]["lookup_range"]
    needed = max(rows, largest + 1, high - low + 1) + 8
    settings["run_args"] |= {"num_inner_cols": columns, "logrows": max(6, needed.bit_length())}
    settings["num_rows"] = rows
    return replace(point, candidate=replace(point.candidate, columns=columns), settings=settings)


def _fits(estimate: Estimate, policy: Policy) -> bool:
    return (
        estimate.error <= policy.error
        and estimate.peak_memory <= policy.limits.memory
        and estimate.prove_seconds <= policy.deadline
        and (policy.gas is None or estimate.gas <= policy.gas)
    )


def lay_out(sweep: Sweep, candidate: Candidate, policy: Policy) -> Point:
    """Lay out settings that were chosen before, and hold them to `policy`.

    Raises
    ------
    PolicyError
        If ezkl refuses them on this data, or they exceed the policy.
    OutOfMemoryError, StageTimeoutError
        If not even calibration fits the policy's limits.
    """
    (point,) = sweep.probe([candidate], errors=True, full=True)
    sweep.demand_answer()
    points = [] if point is None else [point]
    if point is None or not _fits(point.estimate, policy):
        raise PolicyError(_nearest(points, policy), hint="leave the settings to the tuner")
    return point


def tune(sweep: Sweep, policy: Policy, *, scale: int | None = None) -> Point:
    """Choose the cheapest settings that satisfy `policy`.

    Parameters
    ----------
    sweep : Sweep
    policy : Policy
    scale : int, optional
        Use this scale only, and only settings whose outputs have it too: parts of a split model
        hand their felts on, so both sides of a joint must read them alike.

    Raises
    ------
    PolicyError
        If none do; the message says what the nearest needs.
    OutOfMemoryError, StageTimeoutError
        If not even calibration fits the policy's limits.
    """
    laid_out: list[Point] = []
    scales = SCALES if scale is None else range(scale, scale + 1)
    for rebase in REBASES:
        found = sweep.smallest_scale(rebase, scales)
        if found is None or (scale and set(found.settings["model_output_scales"]) != {scale}):
            continue
        # Error depends little on rebasing: the next multiplier's scale lies beside this one's.
        near = found.candidate.scale
        scales = range(max(scales.start, near - 1), min(scales.stop, near + 2))
        bits = sweep.bits(found.candidate)
        if bits is not None:
            laid_out += sweep.cuts(found, bits)
    sweep.demand_answer()
    if not laid_out:
        raise PolicyError(
            f"no scale up to {scales.stop - 1} keeps the error within {policy.error:g}",
            hint="allow a larger error, or check that ezkl supports every operator of the model",
        )
    predicted = [_with_columns(point, columns) for point in laid_out for columns in COLUMNS]
    predicted.sort(key=lambda point: _cost(point.estimate, policy))
    exact: list[Point] = []
    for guess in predicted[:FINALISTS]:
        best = min((_cost(point.estimate, policy) for point in exact), default=None)
        if best is not None and best <= _cost(guess.estimate, policy):
            break
        (point,) = sweep.probe([guess.candidate], errors=True, full=True)
        if point is not None:
            exact.append(point)
    exact.sort(key=lambda point: _cost(point.estimate, policy))
    for point in exact:
        if _fits(point.estimate, policy):
            return point
    raise PolicyError(
        _nearest(exact, policy),
        hint="raise what the policy allows to what is named, or cut the model with --parts",
    )


def _cost(estimate: Estimate, policy: Policy) -> tuple[bool, float, int]:
    """Order of preference: what fits, then what proves fastest, then what verifies cheapest."""
    return not _fits(estimate, policy), estimate.prove_seconds, estimate.gas


def _nearest(points: Sequence[Point], policy: Policy) -> str:
    """Say what the best settings need and the policy does not give."""
    if not points:
        return "ezkl refuses every candidate on the whole calibration set"
    best = points[0].estimate
    wants = []
    if best.error > policy.error:
        wants.append(f"error {best.error:.2g} (allowed {policy.error:.2g})")
    if best.peak_memory > policy.limits.memory:
        got, allowed = best.peak_memory / 2**30, policy.limits.memory / 2**30
        wants.append(f"{got:.2f} GiB of memory (allowed {allowed:.2f})")
    if best.prove_seconds > policy.deadline:
        wants.append(f"{best.prove_seconds:.0f} s to prove (allowed {policy.deadline:.0f})")
    if policy.gas is not None and best.gas > policy.gas:
        wants.append(f"{best.gas:,} gas (allowed {policy.gas:,})")
    return "no settings satisfy the policy; the nearest need " + ", ".join(wants)
