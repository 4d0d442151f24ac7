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

from verifiable.crypto.merkle import DIGEST, Digests, Hasher
from verifiable.crypto.tree import Tree, over
from verifiable.engines.native_hash import best_hasher
from verifiable.engines.protocol import Progress, Runner
from verifiable.graph.ir import Array, Const, Graph, Index, TensorType
from verifiable.graph.json_form import instruction_text
from verifiable.graph.layout import layout
from verifiable.graph.tensors import nodes_of, seal, tensor_tree, view_tree
from verifiable.storage import new_folder, storage_errors
from verifiable.trace.commit import Trace, commit, sections
from verifiable.trace.index import INDEX, damaged, encode_index, read_trace, unreadable
from verifiable.trace.opening import TraceOpening, open_trace_leaf, open_trace_row
from verifiable.types import Sha256

TENSORS: Final = "tensors.bin"
NODES: Final = "nodes.bin"


def _sizes(graph: Graph) -> list[int]:
    return [0 if isinstance(ins, Const) else ins.type.nbytes for ins in graph.instructions]


def _nodes(graph: Graph) -> list[int]:
    return [0 if isinstance(ins, Const) else nodes_of(ins.type) for ins in graph.instructions]


def estimate(graph: Graph) -> int:
    """Bytes that a stored run of a graph takes, in all files."""
    blank = Sha256(bytes(32))
    roots = (blank,) * len(graph.instructions)
    trace = Trace(model=blank, roots=roots, sections=sections(graph, roots))
    return sum(_sizes(graph)) + DIGEST * sum(_nodes(graph)) + len(encode_index(graph, trace))


def _native(kind: TensorType) -> "np.dtype[Any]":
    return np.dtype(kind.dtype.numpy).newbyteorder(">")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrace:
    """A run on disk, mapped into memory; made by `open_trace`."""

    path: Path
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

    def is_of(self, inputs: bytes, outputs: bytes) -> bool:
        """Whether it is of a run with these roots of inputs and outputs, which a claim names."""
        whole = self.trace.sections
        return (whole.input, whole.output) == (inputs, outputs)

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
        EncodingError
            If the folder is damaged; names the first tensor, and the leaf or node in it. What
            was computed is not in question here.
        """
        hasher = hasher or best_hasher()
        for i, instruction in enumerate(self.graph.instructions):
            if isinstance(instruction, Const):
                continue
            tree, kept = tensor_tree(self.mapped(Index(i)), hasher=hasher), self.tree(Index(i))
            right = seal(instruction.type, tree.top) == self.trace.roots[i]
            if not right or not all(map(np.array_equal, tree.rows(), kept.rows())):
                found = _damage(instruction.type, tree, kept, self.trace.roots[i])
                raise damaged(self.path, f"{instruction_text(self.graph, Index(i))}: {found}")


def _damage(kind: TensorType, tree: Tree, kept: Tree, root: Sha256) -> str:
    """What of a tensor is not as its root says: a node, the bytes of a leaf, or all of it.

    Parameters
    ----------
    kind : TensorType
    tree, kept : Tree
        Over the stored bytes, and as it was stored.
    root : Sha256
        Of the tensor, as the index says.
    """
    if seal(kind, tree.top) == root:
        row = _first_other(np.concatenate([*tree.rows()]), np.concatenate([*kept.rows()]))
        level, node = tree.place_of_row(row)
        where = f"node {node} of level {level}" if level else f"leaf {tree.leaf_number(node)}"
        return f"{NODES} has another digest of {where} than its bytes"
    if seal(kind, over(kept.lower[0]).top) == root:
        leaf = _first_other(tree.lower[0].reshape(-1, DIGEST), kept.lower[0].reshape(-1, DIGEST))
        held = layout(kind).elements(leaf)
        return (
            f"{TENSORS} has other bytes in leaf {leaf}, elements {held.start} to {held.stop - 1}, "
            f"than {NODES} says"
        )
    return f"neither bytes nor nodes have the root {root.hex()} that {INDEX} says"


def _first_other(one: Digests, other: Digests) -> int:
    return int(np.argmax((one != other).any(axis=1)))


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
        (folder / INDEX).write_bytes(encode_index(graph, trace))
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
    trace = read_trace(path, graph)
    try:
        data = _mapped(path, TENSORS, offsets[-1])
        nodes = _mapped(path, NODES, node_offsets[-1] * DIGEST).reshape(-1, DIGEST)
    except OSError as e:
        raise unreadable(path, e) from e
    return StoredTrace(
        path=path, graph=graph, trace=trace, data=data, offsets=offsets,
        nodes=nodes, node_offsets=node_offsets,
    )  # fmt: skip


def is_trace(path: Path) -> bool:
    """Whether a folder looks like a stored run."""
    return any((path / name).is_file() for name in (INDEX, TENSORS, NODES))


def size_of(path: Path) -> int:
    """Bytes of a stored run, in all files.

    Raises
    ------
    StorageError
        If one of them is not there.
    """
    try:
        return sum((path / name).stat().st_size for name in (TENSORS, NODES, INDEX))
    except OSError as e:
        raise unreadable(path, e) from e


def _mapped(path: Path, name: str, wanted: int) -> Array:
    size = (path / name).stat().st_size
    if size != wanted:
        raise damaged(path, f"`{name}` has {size} bytes, wanted {wanted}")
    return np.memmap(path / name, np.uint8, "r") if size else np.zeros(0, np.uint8)


__all__ = [
    "INDEX", "NODES", "TENSORS", "StoredTrace", "estimate", "is_trace", "open_trace", "size_of",
    "store_run",
]  # fmt: skip
