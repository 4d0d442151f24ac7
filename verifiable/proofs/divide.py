"""Where to cut a model that is too large for one proof, by what each part would cost.

Every stretch between neighbouring boundaries is laid out once; what a run of stretches costs
follows by addition, since cells of operators add up. A run pays for its rows, and for hashing what
crosses its two ends: 41 rows an element, in columns of their own, so a boundary of few elements
is worth more than an even share. A run of one convolution or dense layer may also be sliced by
output channels. Nothing is set up or proven.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifiable.engines.ort import run_samples
from verifiable.errors import PolicyError
from verifiable.frontend.slices import channels, follows
from verifiable.frontend.split import Boundary, Part, boundaries, cut
from verifiable.proofs.ezkl import cost
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.ezkl.tuner import COLUMNS
from verifiable.proofs.protocol import Observer, Policy, StageEvent, Tensors, Visibility, ignore

MOST_PLACES = 40
"""Boundaries considered, those of the fewest elements: each costs a calibration."""
MOST_SLICES = 16
SAMPLES = 4
"""Calibration samples a stretch is laid out with: cells depend on shapes, not on values."""

_HASH_ROWS = 41
"""Rows Poseidon takes for an element."""
_BLINDING = 8
_COLUMN_SHARE = 0.08
"""Cells that padding adds for each further inner column, as a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """How a model is divided into parts."""

    at: tuple[str, ...] = ()
    """Tensors it is cut at."""
    slices: Mapping[str, int] = field(default_factory=dict)
    """For tensors of `at`: into how many slices by channels the part that makes it is cut."""
    scale: int | None = None
    """Common scale of the parts, if it was found on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """What lies between two neighbouring boundaries."""

    inputs: int
    """Elements it reads from its boundary."""
    outputs: int
    cells: int
    """Cells its operators take, that its inputs be checked included."""
    check: int
    """Cells that checking one input element takes."""
    hashed: int
    """Rows of Poseidon, besides those for inputs and outputs."""
    channels: int
    follows: bool
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of stretches in so many slices, and what proving one slice takes."""

    start: int
    stop: int
    groups: int
    key_bytes: int


def find_cuts(
    model: bytes,
    data: Tensors,
    policy: Policy,
    parts: int | None,
    observer: Observer = ignore,
) -> Cuts:
    """Divide a model so that its parts are cheap to prove.

    Parameters
    ----------
    model : bytes
        ONNX in the normal form of ``verifiable.frontend``.
    data : mapping of str to float32 array ``[samples, *shape]``
        Calibration data.
    policy : Policy
    parts : int or None
        Number of parts, slices counted; the largest of them is made as small as can be. None
        takes as few as fit the policy's memory.
    observer : Observer

    Raises
    ------
    PolicyError
        If the model cannot be cut in so many parts, or no division fits the memory.
    MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
        As ``proofs.ezkl.process.run_stage``.
    """
    if parts == 1:
        return Cuts()
    places = _places(model)
    pieces = cut(model, [place.tensor for place in places])
    sliceable = [min(channels(part), MOST_SLICES) for part in pieces[:-1]]
    most = sum(sliceable) + 1
    if parts is not None and parts > most:
        raise PolicyError(f"the model can be cut in at most {most} parts, not {parts}")
    if policy.levers is None:
        scale = Ezkl(observer=observer).smallest_scale(model, data, policy)
    else:
        scale = int(policy.levers["scale"])
    stretches = _stretches(pieces, data, policy, scale, observer)
    found = choose(
        _pieces(stretches, policy.visibility), len(stretches), policy.limits.memory, parts
    )
    ends = [places[piece.stop - 1].tensor for piece in found[:-1]]
    for piece, end in zip(found, [*ends, "the end"], strict=True):
        sliced = f" in {piece.groups} slices" if piece.groups > 1 else ""
        megabytes = cost.peak_memory(piece.key_bytes) / 1e6
        observer(
            StageEvent(
                stage="divide", message=f"up to {end}{sliced}: {megabytes:,.0f} MB", seconds=0.0
            )
        )
    groups = {
        end: piece.groups for end, piece in zip(ends, found[:-1], strict=True) if piece.groups > 1
    }
    return Cuts(at=tuple(ends), slices=groups, scale=scale)


def _places(model: bytes) -> list[Boundary]:
    """Boundaries in order; those of the fewest elements if there are many."""
    places = boundaries(model)
    kept = sorted(places, key=lambda place: (place.size, place.position))[:MOST_PLACES]
    return sorted(kept, key=lambda place: place.position)


def _stretches(
    parts: Sequence[Part], data: Tensors, policy: Policy, scale: int, observer: Observer
) -> list[_Stretch]:
    known: dict[str, NDArray[np.float32]] = {name: a[:SAMPLES] for name, a in data.items()}
    system = Ezkl(observer=observer)
    found = []
    for i, part in enumerate(parts):
        inputs = {name: known[name] for name in part.inputs}
        outputs = run_samples(part.model, inputs)
        last = i == len(parts) - 1
        visibility = Visibility(
            input="hashed" if i else policy.visibility.input,
            weights=policy.visibility.weights,
            output=policy.visibility.output if last else "hashed",
        )
        loose = replace(policy, visibility=visibility, error=math.inf)
        settings = system.lay_out(part.model, inputs, loose, scale)
        crossing = [_size(inputs) if visibility.input == "hashed" else 0]
        crossing.append(_size(outputs) if visibility.output == "hashed" else 0)
        found.append(
            _Stretch(
                inputs=_size(inputs),
                outputs=_size(outputs),
                cells=int(settings["total_assignments"]),
                # A sign and the digits are copied, looked up and put together again.
                check=4 + 3 * settings["run_args"]["decomp_legs"],
                hashed=max(0, settings["module_sizes"]["poseidon"][0] - _HASH_ROWS * sum(crossing)),
                channels=1 if last else min(channels(part), MOST_SLICES),
                follows=not last and follows(part),
                settings=settings,
            )
        )
        known |= outputs
    return found


def _size(tensors: Tensors) -> int:
    return sum(array[0].size for array in tensors.values())


def _pieces(stretches: Sequence[_Stretch], visibility: Visibility) -> list[Piece]:
    """Every run of stretches in every number of slices."""
    found = []
    for start in range(len(stretches)):
        # Slices all read the input, and only a digest ties what they read.
        shared = start > 0 or visibility.input in {"hashed", "public"}
        most = stretches[start].channels if shared else 1
        for stop in range(start + 1, len(stretches) + 1):
            run = stretches[start:stop]
            if stop - start > 1 and not run[-1].follows:
                most = 1
            for groups in range(1, most + 1):
                keys = _key_bytes(run, groups, stop == len(stretches), start == 0, visibility)
                found.append(Piece(start=start, stop=stop, groups=groups, key_bytes=keys))
    return found


def _key_bytes(
    run: Sequence[_Stretch], groups: int, last: bool, first: bool, visibility: Visibility
) -> int:
    """Bytes of the proving key of one slice of a run, with the best number of columns."""
    inputs, outputs = run[0].inputs, run[-1].outputs
    checks = run[0].check * inputs
    # Inside a run nothing is checked that a stretch of its own would have had to.
    cells = sum(one.cells for one in run) - sum(one.check * one.inputs for one in run)
    cells = checks + math.ceil(cells / groups)
    hashed = sum(one.hashed for one in run) // groups
    if not first or visibility.input == "hashed" or groups > 1:
        hashed += _HASH_ROWS * inputs
    if not last or visibility.output == "hashed":
        hashed += _HASH_ROWS * math.ceil(outputs / groups)
    settings = _merged([one.settings for one in run], hashed)
    keys = []
    for columns in COLUMNS:
        rows = max(math.ceil(cells * (1 + _COLUMN_SHARE * (columns - 1)) / columns), hashed, 1)
        logrows = max(6, (rows + _BLINDING).bit_length())
        settings["run_args"] = {
            "num_inner_cols": columns,
            "logrows": logrows,
            "lookup_range": [0, 0],
        }
        keys.append(cost.shape(settings).key_bytes)
    return min(keys)


def _merged(settings: Sequence[Mapping[str, Any]], hashed: int) -> dict[str, Any]:
    """What `cost.shape` must know of several settings taken together."""
    tables = {str(table): table for one in settings for table in one["required_lookups"]}
    einsum = max(one["einsum_params"]["total_einsum_col_size"] for one in settings)
    return {
        "module_sizes": {
            "poseidon": [hashed, [1]],
            "polycommit": max((one["module_sizes"]["polycommit"] for one in settings), key=len),
        },
        "required_range_checks": [[-1, 1], [0, 1]],
        "required_lookups": list(tables.values()),
        "num_shuffles": max(one["num_shuffles"] for one in settings),
        "num_dynamic_lookups": max(one["num_dynamic_lookups"] for one in settings),
        "einsum_params": {"total_einsum_col_size": einsum},
        "total_const_size": sum(one["total_const_size"] for one in settings),
        "model_instance_shapes": [],
    }


def choose(pieces: Sequence[Piece], end: int, memory: int, parts: int | None) -> list[Piece]:
    """The best way from 0 to `end`, by dynamic programming.

    Best is that of the smallest largest key; if no number of parts is wanted, that of the fewest
    parts among those that fit. Among equals it is the cheapest in sum.

    Parameters
    ----------
    pieces : sequence of Piece
    end : int
        Number of stretches.
    memory : int
        Bytes a proof may take; what counts if `parts` is None.
    parts : int or None
        Number of parts, slices counted.

    Raises
    ------
    PolicyError
        If there is none.
    """
    fit = pieces
    if parts is None:
        fit = [piece for piece in pieces if cost.peak_memory(piece.key_bytes) <= memory]
    # Position and number of parts so far (0 if any number will do) to costs and the way there.
    ways: dict[tuple[int, int], tuple[tuple[int, int], list[Piece]]] = {(0, 0): ((0, 0), [])}
    for piece in sorted(fit, key=lambda piece: piece.start):
        for (position, count), ((worst, total), way) in list(ways.items()):
            if position != piece.start:
                continue
            if parts is None:
                first, at = worst + piece.groups, (piece.stop, 0)
            elif count + piece.groups <= parts:
                first, at = max(worst, piece.key_bytes), (piece.stop, count + piece.groups)
            else:
                continue
            costs = (first, total + piece.groups * piece.key_bytes)
            if at not in ways or costs < ways[at][0]:
                ways[at] = (costs, [*way, piece])
    found = ways.get((end, parts or 0))
    if found is not None:
        return found[1]
    if parts is not None:
        raise PolicyError(f"the model cannot be cut in {parts} parts")
    need = cost.peak_memory(_least(pieces, end))
    raise PolicyError(
        f"however the model is cut, some part needs {need / 2**30:.2f} GiB of memory "
        f"(allowed {memory / 2**30:.2f})",
        hint="allow more memory, or a larger error",
    )


def _least(pieces: Sequence[Piece], end: int) -> int:
    """The smallest possible key of the largest part."""
    reached = {0: 0}
    for piece in sorted(pieces, key=lambda piece: piece.start):
        largest = max(reached[piece.start], piece.key_bytes)
        reached[piece.stop] = min(reached.get(piece.stop, largest), largest)
    return reached[end]
