"""The canonical side of a bundle: its graph and weights, runs of it, and the claims they make.

Files of the part, below ``canon/``:

* ``graph.bin``: canonical bytes of the graph;
* ``weights.bin``: elements of each Const, in the order of the instructions, little-endian, each at
  a multiple of 64 bytes, mapped rather than read;
* ``regions.json``: which instructions came from which operator; no digest of a claim covers it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from verifiable.bundle import Bundle, PartWriter
from verifiable.claim import CanonClaim, CanonSubject, Header
from verifiable.crypto.hashing import canonical_json, parse_json
from verifiable.engines.protocol import Engine, Progress
from verifiable.errors import EncodingError, LockError
from verifiable.frontend.binding import bind, bind_sets
from verifiable.graph.check import CANONICAL_NAN, input_types
from verifiable.graph.commitment import model_root
from verifiable.graph.encoding import encode, parse
from verifiable.graph.ir import (
    Array,
    Const,
    Graph,
    Index,
    Weights,
    places,
)
from verifiable.graph.json_form import parse_regions, regions_json
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.storage import storage_errors, write_file
from verifiable.trace.commit import input_root, output_root
from verifiable.types import Sha256

PART: Final = "canon"
GRAPH: Final = "graph.bin"
WEIGHTS: Final = "weights.bin"
REGIONS: Final = "regions.json"
_ALIGNMENT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Canon:
    """The canonical part of a bundle, checked."""

    graph: Graph
    weights: Weights
    model: Sha256
    """Root of graph and weights."""


def part_of(graph: Graph, weights: Weights) -> PartWriter:
    """What writes the canonical part of a bundle into its folder."""

    def write(folder: Path) -> Mapping[str, Any]:
        home = folder / PART
        home.mkdir()
        write_file(home / GRAPH, encode(graph))
        write_file(home / REGIONS, canonical_json(regions_json(graph.regions)) + b"\n")
        with storage_errors(home / WEIGHTS), (home / WEIGHTS).open("wb") as file:
            for index in places(graph, Const):
                _write_array(file, weights[index])
        return {"semantics": SEMANTICS, "model": model_root(graph).hex()}

    return write


def open_canon(bundle: Bundle) -> Canon:
    """Read the canonical part of a bundle whose LOCK was checked.

    The bytes of the files are what the LOCK says; here they are held against what they mean: the
    graph is well formed, its root is the LOCK's, and the weights fill their file. That each Const
    has its elements' root is not computed again, for it would cost more than a run: the LOCK's
    digest of the file covers them.

    Raises
    ------
    LockError
        If the bundle has no such part, is of other semantics, or its files do not fit together.
    """
    lock = bundle.part(PART)
    home = bundle.folder / PART
    if lock.get("semantics") != SEMANTICS:
        raise LockError(
            f"the bundle is of semantics {lock.get('semantics')!r}, this is {SEMANTICS}",
            hint="compile the model again",
        )
    try:
        graph = parse((home / GRAPH).read_bytes())
        regions = parse_json((home / REGIONS).read_bytes(), what=REGIONS)
        graph = replace(graph, regions=parse_regions(regions, graph))
    except EncodingError as e:
        raise LockError(f"`{home}`: {e}") from e
    except OSError as e:
        raise LockError(f"`{home}` cannot be read: {e.strerror}") from e
    model = model_root(graph)
    if model.hex() != lock.get("model"):
        raise LockError(f"the graph's root is {model.hex()}, LOCK.json says {lock.get('model')}")
    return Canon(graph=graph, weights=_map_weights(home / WEIGHTS, graph), model=model)


def run(
    canon: Canon,
    inputs: Mapping[str, Array],
    header: Header,
    engine: Engine,
    *,
    progress: Progress | None = None,
) -> tuple[CanonClaim, dict[str, Array]]:
    """Run the model and say so.

    Parameters
    ----------
    canon : Canon
    inputs : mapping of str to array
        Of the graph's shapes and dtypes.
    header : Header
        Of venue ``optimistic`` and semantics ``canon/1``.
    engine : Engine
    progress : Progress, optional

    Returns
    -------
    CanonClaim, dict of str to array
        The claim and the outputs.

    Raises
    ------
    TensorError
        If the inputs do not fit the graph.
    HostError
        If the engine cannot run here.
    """
    outputs = engine.prepare(canon.graph, canon.weights).run(inputs, progress=progress)
    return claim_of(canon, inputs, outputs, header), outputs


def claim_of(
    canon: Canon, inputs: Mapping[str, Array], outputs: Mapping[str, Array], header: Header
) -> CanonClaim:
    """The claim that the model gave these outputs on these inputs."""
    return CanonClaim(
        header=header,
        subject=CanonSubject(
            model=canon.model,
            input=input_root(canon.graph, inputs),
            output=output_root(canon.graph, outputs),
        ),
    )


def bind_inputs(graph: Graph, arrays: Mapping[str, Array] | Sequence[Array]) -> dict[str, Array]:
    """Arrays from a file, as the graph wants them: ``frontend.binding.bind`` says which it takes.

    A NaN becomes the canonical one.

    Raises
    ------
    TensorError
        If a name is absent or unknown, or an array is of another shape or dtype.
    """
    bound = bind(arrays, input_types(graph))
    return {name: _canonical(value) for name, value in bound.items()}


def bind_samples(
    graph: Graph, arrays: Mapping[str, Array] | Sequence[Array]
) -> list[dict[str, Array]]:
    """Arrays of samples from a file, as one set of inputs for each sample.

    Which shapes they may have, ``frontend.binding.bind_sets`` says.

    Raises
    ------
    TensorError
        As `bind_inputs`; also if inputs differ in their number of samples, or have none.
    """
    bound = {n: _canonical(v) for n, v in bind_sets(arrays, input_types(graph)).items()}
    count = min(map(len, bound.values()), default=0)
    return [{name: values[i] for name, values in bound.items()} for i in range(count)]


def _canonical(value: Array) -> Array:
    if value.dtype != np.float32 or not np.isnan(value).any():
        return value
    copy = value.copy()
    copy.view(np.uint32)[np.isnan(copy)] = CANONICAL_NAN
    return copy


def _aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT


def _write_array(file: IO[bytes], array: Array) -> None:
    file.write(bytes(_aligned(file.tell()) - file.tell()))
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    file.write(np.ascontiguousarray(little).data)


def _map_weights(path: Path, graph: Graph) -> dict[Index, Array]:
    found: dict[Index, Array] = {}
    position = 0
    try:
        size = path.stat().st_size
        data = np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8)
    except OSError as e:
        raise LockError(f"`{path}` cannot be read: {e.strerror}") from e
    for index in places(graph, Const):
        kind = graph.instructions[index].type
        start = _aligned(position)
        position = start + kind.nbytes
        if position > size:
            raise LockError(f"`{path}` has {size} bytes, its weights need more")
        raw = data[start:position].view(np.dtype(kind.dtype.numpy).newbyteorder("<"))
        found[index] = raw.reshape(kind.shape).astype(kind.dtype.numpy, copy=False)
    if position != size:
        raise LockError(f"`{path}` has {size} bytes, its weights need {position}")
    return found
