"""A run on disk: the bytes of every tensor, and the roots over them.

A folder with three files:

* ``tensors.bin`` holds the canonical bytes (``graph.layout``) of all tensors but the Consts, end
  to end, in the order of the instructions. So the graph says where each leaf lies.
* ``nodes.bin`` holds the nodes of their trees (``crypto.tree.Tree.rows``), likewise: 64 bytes to a
  leaf of 1 KiB, so that to open a part of a tensor hashes nothing and reads one digest a level.
* ``index.json`` holds the roots, in canonical JSON.

It holds the inputs too: whoever may read the folder may read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np

from verifiable.crypto.hashing import canonical_json, parse_canonical_json
from verifiable.crypto.merkle import DIGEST, Digests, Hasher
from verifiable.crypto.strict import (
    read_constant,
    read_list,
    read_object,
    read_sha256,
    to_hex,
)
from verifiable.crypto.tree import Tree
from verifiable.engines.native_hash import best_hasher
from verifiable.engines.protocol import Progress, Runner
from verifiable.errors import EncodingError, InputError, OpeningRejectedError, StorageError
from verifiable.graph.commitment import model_root
from verifiable.graph.ir import Array, Const, Graph, Index, TensorType
from verifiable.graph.json_form import instruction_text
from verifiable.graph.tensors import nodes_of, seal, tensor_tree, view_tree
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.storage import new_folder, storage_errors
from verifiable.trace.commit import Trace, commit, sections
from verifiable.trace.opening import TraceOpening, open_trace_leaf, open_trace_row
from verifiable.types import Sha256

SCHEMA: Final = "verifiable/trace/2"
TENSORS: Final = "tensors.bin"
NODES: Final = "nodes.bin"
INDEX: Final = "index.json"


def _sizes(graph: Graph) -> list[int]:
    return [0 if isinstance(ins, Const) else ins.type.nbytes for ins in graph.instructions]


def _nodes(graph: Graph) -> list[int]:
    return [0 if isinstance(ins, Const) else nodes_of(ins.type) for ins in graph.instructions]


def _index(graph: Graph, trace: Trace) -> bytes:
    pairs = zip(graph.instructions, trace.roots, strict=True)
    stored = [None if isinstance(ins, Const) else to_hex(root) for ins, root in pairs]
    value = {
        "schema": SCHEMA,
        "semantics": SEMANTICS,
        "model": to_hex(trace.model),
        "trace": to_hex(trace.root),
        "roots": stored,
    }
    return canonical_json(value)


def estimate(graph: Graph) -> int:
    """Bytes that a stored run of a graph takes, in all files."""
    blank = Sha256(bytes(32))
    roots = (blank,) * len(graph.instructions)
    trace = Trace(model=blank, roots=roots, sections=sections(graph, roots))
    return sum(_sizes(graph)) + DIGEST * sum(_nodes(graph)) + len(_index(graph, trace))


def _native(kind: TensorType) -> "np.dtype[Any]":
    return np.dtype(kind.dtype.numpy).newbyteorder(">")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrace:
    """A run on disk, mapped into memory; made by `open_trace`."""

    graph: Graph
    trace: Trace
    data: Array
    """All of ``tensors.bin``, uint8."""
    offsets: tuple[int, ...]
    """Where each tensor begins, and where the last ends."""
    nodes: Digests
    """All of ``nodes.bin``, uint8 ``[nodes, 32]``."""
    node_offsets: tuple[int, ...]
    """Row at which the nodes of each tensor begin, and where the last end."""

    def mapped(self, index: Index) -> Array:
        """A tensor as it lies in the file, big-endian; nothing is read yet."""
        kind = self.graph.instructions[index].type
        assert not isinstance(self.graph.instructions[index], Const), "a Const is not stored"
        part = self.data[self.offsets[index] : self.offsets[index + 1]]
        return part.view(_native(kind)).reshape(kind.shape)

    def tensor(self, index: Index) -> Array:
        """A tensor in memory, in this machine's byte order."""
        return self.mapped(index).astype(self.graph.instructions[index].type.dtype.numpy)

    def tree(self, index: Index, /) -> Tree:
        """The tree of a tensor as it lies in the file; nothing is read yet."""
        rows = self.nodes[self.node_offsets[index] : self.node_offsets[index + 1]]
        return view_tree(self.graph.instructions[index].type, rows)

    def open_leaf(self, index: Index, leaf: int) -> TraceOpening:
        """Open a leaf; see ``trace.opening``. Reads no more than the leaf and its siblings."""
        return open_trace_leaf(
            self.graph, self.trace, index, self.mapped(index), leaf, tree=self.tree(index)
        )

    def open_row(self, index: Index, row: int) -> TraceOpening:
        """Open a row; see ``trace.opening``. Reads no more than the row and its siblings."""
        return open_trace_row(
            self.graph, self.trace, index, self.mapped(index), row, tree=self.tree(index)
        )

    def check(self, *, hasher: Hasher | None = None) -> None:
        """Hold all bytes against their roots, and all nodes against the bytes.

        Raises
        ------
        OpeningRejectedError
            If a tensor has another root, or its nodes are not its own; names the first.
        """
        hasher = hasher or best_hasher()
        for i, instruction in enumerate(self.graph.instructions):
            if isinstance(instruction, Const):
                continue
            what = instruction_text(self.graph, Index(i))
            tree = tensor_tree(self.mapped(Index(i)), hasher=hasher)
            found = seal(instruction.type, tree.top)
            if found != self.trace.roots[i]:
                raise OpeningRejectedError(
                    f"the bytes of {what} have root {found.hex()}, "
                    f"wanted {self.trace.roots[i].hex()}"
                )
            kept = self.tree(Index(i)).rows()
            if not all(map(np.array_equal, tree.rows(), kept)):
                raise OpeningRejectedError(f"the nodes kept of {what} are not those of its bytes")


def store_run(
    path: Path,
    graph: Graph,
    runner: Runner,
    inputs: Mapping[str, Array],
    *,
    hasher: Hasher | None = None,
    progress: Progress | None = None,
) -> tuple[StoredTrace, dict[str, Array]]:
    """Run a graph and keep every tensor; the folder appears when all is written.

    Parameters
    ----------
    path : Path
        Where nothing is yet; `estimate` says how much room it takes.
    graph : Graph
    runner : Runner
    inputs : mapping of str to array
    hasher : Hasher, optional
        The fastest of this machine, if None.
    progress : Progress, optional

    Returns
    -------
    StoredTrace
    dict of str to array
        The outputs.

    Raises
    ------
    TensorError
        If the inputs are not what the graph asks for.
    InputError
        If there is something at `path`.
    StorageError
        If it cannot be written.
    """
    with new_folder(path) as folder:
        with (
            storage_errors(path),
            (folder / TENSORS).open("wb") as tensors,
            (folder / NODES).open("wb") as nodes,
        ):
            trace, outputs = commit(
                graph, runner, inputs, hasher=hasher, sink=tensors.write, nodes=nodes.write,
                progress=progress,
            )  # fmt: skip
        (folder / INDEX).write_bytes(_index(graph, trace))
    return open_trace(path, graph), outputs


def open_trace(path: Path, graph: Graph) -> StoredTrace:
    """Open a stored run; its bytes are held against their roots only by `StoredTrace.check`.

    Parameters
    ----------
    path : Path
    graph : Graph
        The one that was run.

    Raises
    ------
    EncodingError
        If the folder is not one that `store_run` writes.
    InputError
        If it is of another graph.
    StorageError
        If it cannot be read.
    """
    offsets = tuple(accumulate(_sizes(graph), initial=0))
    node_offsets = tuple(accumulate(_nodes(graph), initial=0))
    try:
        trace = _parse_index((path / INDEX).read_bytes(), graph)
        data = _mapped(path / TENSORS, offsets[-1])
        nodes = _mapped(path / NODES, node_offsets[-1] * DIGEST).reshape(-1, DIGEST)
    except OSError as e:
        raise StorageError(f"cannot read the trace `{path}`: {e.strerror or e}") from e
    return StoredTrace(
        graph=graph, trace=trace, data=data, offsets=offsets,
        nodes=nodes, node_offsets=node_offsets,
    )  # fmt: skip


def _mapped(path: Path, wanted: int) -> Array:
    size = path.stat().st_size
    if size != wanted:
        raise EncodingError(f"`{path}` has {size} bytes, wanted {wanted}")
    return np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8)


def _parse_index(data: bytes, graph: Graph) -> Trace:
    fields = read_object(
        parse_canonical_json(data, what=INDEX), INDEX,
        ("schema", "semantics", "model", "trace", "roots"),
    )  # fmt: skip
    read_constant(fields["schema"], "schema", SCHEMA)
    read_constant(fields["semantics"], "semantics", SEMANTICS)
    model = read_sha256(fields["model"], "model")
    wanted = model_root(graph)
    if model != wanted:
        raise InputError(f"the trace is of the model {model.hex()}, not of {wanted.hex()}")
    stored = read_list(fields["roots"], "roots")
    if len(stored) != len(graph.instructions):
        raise EncodingError(f"{len(stored)} roots, wanted {len(graph.instructions)}")
    roots = []
    for i, (value, instruction) in enumerate(zip(stored, graph.instructions, strict=True)):
        if isinstance(instruction, Const):
            if value is not None:
                raise EncodingError(f"roots[{i}] is given, but the tensor is a Const")
            roots.append(instruction.root)
        else:
            roots.append(read_sha256(value, f"roots[{i}]"))
    trace = Trace(model=model, roots=tuple(roots), sections=sections(graph, roots))
    root = read_sha256(fields["trace"], "trace")
    if trace.root != root:
        raise EncodingError(f"the roots make the trace {trace.root.hex()}, not {root.hex()}")
    return trace


__all__ = ["SCHEMA", "StoredTrace", "estimate", "open_trace", "store_run"]
