"""Roots of tensors, and openings of one leaf or one row.

``layout`` says how a tensor is cut into leaves. Its root binds its type as well::

    sha256(0x02 | dtype code (1 byte) | rank (1) | extents (4 each) | root of its tree (32))

The rank says how long the message is, so no two types or trees share one. A checker knows the
type, so it knows the height of the tree and the exact length of each leaf.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from verifiable.crypto.merkle import (
    DIGEST,
    Buffer,
    Digests,
    Hasher,
    Tag,
    check_root,
    climb,
    fold,
    hash_pieces,
    path_length,
    tagged,
)
from verifiable.crypto.tree import Tree, count_nodes, over, view
from verifiable.errors import OpeningRejectedError
from verifiable.graph.ir import Array, TensorType
from verifiable.graph.layout import Layout, big_endian, header, layout, type_of
from verifiable.types import Sha256

BLOCK_BYTES: Final = 1 << 20
"""About how much of a tensor is turned over and hashed at a time; fits the cache."""

Reader = Callable[[int], Array]
"""Gives the next so many elements of a tensor, one axis, in row-major order."""

Sink = Callable[[Buffer], object]
"""Takes the bytes of a tensor, block by block, in order."""


def seal(kind: TensorType, tree: bytes) -> Sha256:
    """Root of a tensor from its type and the root of its tree."""
    return tagged(Tag.TENSOR, header(kind), tree)


def _blocks(plan: Layout) -> Iterator[tuple[int, int]]:
    """Cut a tensor into blocks: elements, and elements of each tree in it.

    A block is several whole trees, or a whole number of leaves of one, or the end of one.
    """
    most = max(BLOCK_BYTES // (plan.leaf * plan.type.dtype.itemsize), 1)
    if plan.leaves_of_tree > most:
        for _ in range(plan.trees):
            for start in range(0, plan.span, most * plan.leaf):
                count = min(most * plan.leaf, plan.span - start)
                yield count, count
    elif plan.leaves:
        together = most // plan.leaves_of_tree
        for tree in range(0, plan.trees, together):
            yield min(together, plan.trees - tree) * plan.span, plan.span


def _hash_block(data: NDArray[np.uint8], span: int, leaf: int, hasher: Hasher) -> Digests:
    """Digests of the leaves of a block, ``[leaves, 32]``; `span` and `leaf` are in bytes."""
    trees, (full, rest) = len(data) // span, divmod(span, leaf)
    rows = data.reshape(trees, span)
    found = np.empty((trees, full + bool(rest), DIGEST), np.uint8)
    if full:
        pieces = np.ascontiguousarray(rows[:, : full * leaf]).reshape(trees * full, leaf)
        hashed = np.frombuffer(hasher(Tag.LEAF, pieces), np.uint8)
        found[:, :full] = hashed.reshape(trees, full, DIGEST)
    if rest:
        ends = np.ascontiguousarray(rows[:, full * leaf :])
        hashed = np.frombuffer(hasher(Tag.LEAF, ends), np.uint8)
        found[:, full] = hashed.reshape(trees, DIGEST)
    return found.reshape(-1, DIGEST)


def reader(array: Array) -> Reader:
    """Read an array from its beginning; it may be mapped from a file."""
    flat, done = array.reshape(-1), 0

    def read(count: int) -> Array:
        nonlocal done
        done += count
        return flat[done - count : done]

    return read


def leaf_digests(
    kind: TensorType, read: Reader, *, hasher: Hasher = hash_pieces, sink: Sink | None = None
) -> Digests:
    """Digests of a tensor's leaves, in order; needs 32 bytes to a leaf and one block more.

    Parameters
    ----------
    kind : TensorType
    read : Reader
        In any byte order.
    hasher : Hasher
    sink : callable, optional
        Is given the canonical bytes on the way.

    Returns
    -------
    uint8 array ``[leaves, 32]``
    """
    plan = layout(kind)
    width = kind.dtype.itemsize
    found = np.empty((plan.leaves, DIGEST), np.uint8)
    done = 0
    for count, span in _blocks(plan):
        data = big_endian(read(count))
        if sink is not None:
            sink(data)
        block = np.frombuffer(data, np.uint8)
        hashed = _hash_block(block, span * width, plan.leaf * width, hasher)
        found[done : done + len(hashed)] = hashed
        done += len(hashed)
    return found


def stream_tree(
    kind: TensorType, read: Reader, *, hasher: Hasher = hash_pieces, sink: Sink | None = None
) -> Tree:
    """All nodes of the tree of a tensor that is never whole in memory; see `leaf_digests`.

    Needs 64 bytes to a leaf and one block more.
    """
    plan = layout(kind)
    leaves = leaf_digests(kind, read, hasher=hasher, sink=sink)
    return over(leaves.reshape(plan.trees, plan.leaves_of_tree, DIGEST), hasher=hasher)


def tensor_tree(array: Array, *, hasher: Hasher = hash_pieces, sink: Sink | None = None) -> Tree:
    """All nodes of a tensor's tree; its root is ``seal(type, tree.top)``."""
    return stream_tree(type_of(array), reader(array), hasher=hasher, sink=sink)


def nodes_of(kind: TensorType) -> int:
    """Nodes of the tree of a tensor of this type, padding left out."""
    plan = layout(kind)
    return count_nodes(plan.trees, plan.leaves_of_tree)


def view_tree(kind: TensorType, rows: Digests) -> Tree:
    """The tree of a tensor whose nodes were kept; see ``crypto.tree.view``."""
    plan = layout(kind)
    return view(plan.trees, plan.leaves_of_tree, rows)


def stream_root(
    kind: TensorType, read: Reader, *, hasher: Hasher = hash_pieces, sink: Sink | None = None
) -> Sha256:
    """Root of a tensor that is never whole in memory; see `stream_tree`."""
    return seal(kind, stream_tree(kind, read, hasher=hasher, sink=sink).top)


def tensor_root(array: Array, *, hasher: Hasher = hash_pieces, sink: Sink | None = None) -> Sha256:
    """Root of a tensor.

    Parameters
    ----------
    array : f32, i8, u8, i32, i64 or bool, any shape
        Of canonical elements (``ops.check_values``).
    hasher : Hasher
    sink : callable, optional
        Is given the canonical bytes on the way.

    Examples
    --------
    >>> import hashlib
    >>> leaf = hashlib.sha256(bytes.fromhex("00" "00000007")).digest()
    >>> wanted = hashlib.sha256(bytes.fromhex("02" "03" "00") + leaf).digest()
    >>> tensor_root(np.array(7, np.int32)) == wanted
    True
    """
    return stream_root(type_of(array), reader(array), hasher=hasher, sink=sink)


@dataclass(frozen=True, slots=True)
class Opening:
    """A leaf or a row, and the way from there to the root of its tensor."""

    data: bytes
    """Big-endian elements."""
    siblings: tuple[Sha256, ...]
    """From the lowest up; padding is not among them."""


def open_leaf(
    array: Array, leaf: int, *, tree: Tree | None = None, hasher: Hasher = hash_pieces
) -> Opening:
    """Open a leaf.

    Parameters
    ----------
    array : any dtype, any shape
    leaf : int
        In ``0 <= leaf < layout(type).leaves``.
    tree : Tree, optional
        The tensor's; hashed anew from all its bytes, if None.
    hasher : Hasher
    """
    plan = layout(type_of(array))
    assert 0 <= leaf < plan.leaves
    tree = tree or tensor_tree(array, hasher=hasher)
    held = plan.elements(leaf)
    data = bytes(big_endian(array.reshape(-1)[held.start : held.stop]))
    return Opening(data, tree.siblings(0, tree.leaf_index(leaf)))


def open_row(
    array: Array, row: int, *, tree: Tree | None = None, hasher: Hasher = hash_pieces
) -> Opening:
    """Open a row: all of it where rows are trees, else the leaf that it is packed in.

    Parameters
    ----------
    array : any dtype, any shape
    row : int
        In row-major order of all axes but the last, ``0 <= row < layout(type).rows``.
    tree : Tree, optional
        The tensor's; hashed anew from all its bytes, if None.
    hasher : Hasher
    """
    plan = layout(type_of(array))
    assert 0 <= row < plan.rows
    if not plan.rows_are_trees:
        return open_leaf(array, plan.leaf_of(row * plan.row), tree=tree, hasher=hasher)
    tree = tree or tensor_tree(array, hasher=hasher)
    data = array.reshape(-1)[row * plan.row : (row + 1) * plan.row]
    return Opening(bytes(big_endian(data)), tree.siblings(tree.border, row))


def _check_length(opening: Opening, elements: int, what: str, kind: TensorType) -> None:
    wanted = elements * kind.dtype.itemsize
    if len(opening.data) != wanted:
        raise OpeningRejectedError(
            f"{what} of {kind} has {len(opening.data)} bytes, wanted {wanted}"
        )


def root_from_leaf(kind: TensorType, leaf: int, opening: Opening) -> Sha256:
    """Root of the tensor that an opened leaf leads to.

    Raises
    ------
    OpeningRejectedError
        If there is no such leaf, or it or its path has another length than it must have.
    """
    plan = layout(kind)
    if not 0 <= leaf < plan.leaves:
        raise OpeningRejectedError(f"{kind} has {plan.leaves} leaves, none is number {leaf}")
    _check_length(opening, len(plan.elements(leaf)), f"leaf {leaf}", kind)
    tree, place = divmod(leaf, plan.leaves_of_tree)
    cut = path_length(plan.leaves_of_tree, place)
    node = tagged(Tag.LEAF, opening.data)
    node = climb(node, plan.leaves_of_tree, place, opening.siblings[:cut])
    return seal(kind, climb(node, plan.trees, tree, opening.siblings[cut:]))


def root_from_row(kind: TensorType, row: int, opening: Opening) -> Sha256:
    """Root of the tensor that an opened row leads to.

    Raises
    ------
    OpeningRejectedError
        If there is no such row, or it or its path has another length than it must have.
    """
    plan = layout(kind)
    if not 0 <= row < plan.rows:
        raise OpeningRejectedError(f"{kind} has {plan.rows} rows, none is number {row}")
    if not plan.rows_are_trees:
        return root_from_leaf(kind, plan.leaf_of(row * plan.row), opening)
    _check_length(opening, plan.row, f"row {row}", kind)
    node = row_root(kind, opening.data)
    return seal(kind, climb(node, plan.trees, row, opening.siblings))


def row_root(kind: TensorType, data: Buffer) -> Sha256:
    """Root of the tree of a row, where rows are trees."""
    plan = layout(kind)
    assert plan.rows_are_trees
    row = np.frombuffer(data, np.uint8)
    leaves = _hash_block(row, len(row), plan.leaf * kind.dtype.itemsize, hash_pieces)
    return Sha256(fold(leaves[None]).tobytes())


def check_leaf(root: bytes, kind: TensorType, leaf: int, opening: Opening) -> None:
    """Check that a tensor of this root and type has this leaf.

    Raises
    ------
    OpeningRejectedError
        If the opening is malformed or leads to another root.
    """
    check_root(root_from_leaf(kind, leaf, opening), root, f"leaf {leaf} of {kind}")


def check_row(root: bytes, kind: TensorType, row: int, opening: Opening) -> None:
    """Check that a tensor of this root and type has this row, as `open_row` opens it.

    Raises
    ------
    OpeningRejectedError
        If the opening is malformed or leads to another root.
    """
    check_root(root_from_row(kind, row, opening), root, f"row {row} of {kind}")
