"""Roots of tensors, and openings of one leaf or one row.

``layout`` says how a tensor is cut into leaves. Its root binds its type as well::

    sha256(0x02 | dtype code (1 byte) | rank (1) | extents (4 each) | root of its tree (32))

The rank says how long the message is, so no two types or trees share one. A checker knows the
type, so it knows the height of the tree and the exact length of each leaf.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from verifiable.crypto.merkle import (
    DIGEST,
    HASHLIB,
    PAD,
    Buffer,
    Digests,
    Hasher,
    Tag,
    check_root,
    climb,
    path_length,
    tagged,
)
from verifiable.crypto.tree import Tree, count_nodes, view
from verifiable.errors import OpeningRejectedError
from verifiable.graph.ir import Array, TensorType
from verifiable.graph.layout import big_endian, header, layout, type_of
from verifiable.types import Sha256

BLOCK: Final = 1 << 20
"""Elements that are turned over at a time for a sink."""

Sink = Callable[[Buffer], object]
"""Takes the bytes of a tensor, block by block, in order."""


def seal(kind: TensorType, tree: bytes) -> Sha256:
    """Root of a tensor from its type and the root of its tree."""
    return tagged(Tag.TENSOR, header(kind), tree)


def tensor_nodes(array: Array, *, hasher: Hasher = HASHLIB, sink: Sink | None = None) -> Digests:
    """All nodes of a tensor's tree; no copy of the tensor is made.

    Parameters
    ----------
    array : f32, i8, u8, i32, i64 or bool, any shape and byte order
        It may be mapped from a file.
    hasher : Hasher
    sink : callable, optional
        Is given the canonical bytes on the way.

    Returns
    -------
    uint8 array ``[nodes, 32]``
        As ``crypto.tree.Tree.rows`` has them; the last is the root.
    """
    cut = _cut_of(array.dtype, array.shape)
    data = _bytes_of(array, cut, sink)
    if not cut.rows[0]:
        return np.empty((0, DIGEST), np.uint8)
    return hasher.tree(data, cut.leaf, cut.width)


@dataclass(frozen=True, slots=True)
class _Cut:
    """How a `Hasher` takes arrays of one dtype and shape."""

    header: Digests
    """uint8, what the root says of the type."""
    rows: tuple[int, int]
    """Trees, and bytes of each; no tree if there is no element."""
    leaf: int
    """Bytes."""
    width: int
    """Of elements that are turned over; 1 if none are."""


@functools.lru_cache(maxsize=4096)
def _cut_of(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> _Cut:
    kind = type_of(np.empty(0, dtype)).dtype
    plan = layout(TensorType(kind, shape))
    turned = dtype != dtype.newbyteorder(">")
    return _Cut(
        header=np.frombuffer(header(plan.type), np.uint8),
        rows=(plan.trees if plan.type.size else 0, plan.span * dtype.itemsize),
        leaf=plan.leaf * dtype.itemsize,
        width=dtype.itemsize if turned else 1,
    )


def _bytes_of(array: Array, cut: _Cut, sink: Sink | None) -> Digests:
    flat = np.ascontiguousarray(array).reshape(-1)
    if sink is not None:
        for start in range(0, flat.size, BLOCK):
            sink(big_endian(flat[start : start + BLOCK]))
    return flat.view(np.uint8).reshape(cut.rows)


def root_of_nodes(kind: TensorType, nodes: Digests) -> Sha256:
    """Root of a tensor from what `tensor_nodes` gives."""
    return seal(kind, nodes[-1].tobytes() if len(nodes) else PAD)


def tensor_tree(array: Array, *, hasher: Hasher = HASHLIB) -> Tree:
    """All nodes of a tensor's tree; its root is ``seal(type, tree.top)``."""
    return view_tree(type_of(array), tensor_nodes(array, hasher=hasher))


def nodes_of(kind: TensorType) -> int:
    """Nodes of the tree of a tensor of this type, padding left out."""
    plan = layout(kind)
    return count_nodes(plan.trees, plan.leaves_of_tree)


def view_tree(kind: TensorType, rows: Digests) -> Tree:
    """The tree of a tensor whose nodes were kept; see ``crypto.tree.view``."""
    plan = layout(kind)
    return view(plan.trees, plan.leaves_of_tree, rows)


def tensor_root(array: Array, *, hasher: Hasher = HASHLIB, sink: Sink | None = None) -> Sha256:
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
    cut = _cut_of(array.dtype, array.shape)
    data = _bytes_of(array, cut, sink)
    top = hasher.root(data, cut.leaf, cut.width) if cut.rows[0] else PAD
    # As `seal` does, by the hash that is at hand.
    sealed = np.concatenate([cut.header, np.frombuffer(top, np.uint8)])
    return Sha256(hasher(Tag.TENSOR, sealed[None]))


@dataclass(frozen=True, slots=True)
class Opening:
    """A leaf or a row, and the way from there to the root of its tensor."""

    data: bytes
    """Big-endian elements."""
    siblings: tuple[Sha256, ...]
    """From the lowest up; padding is not among them."""


def open_leaf(
    array: Array, leaf: int, *, tree: Tree | None = None, hasher: Hasher = HASHLIB
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
    array: Array, row: int, *, tree: Tree | None = None, hasher: Hasher = HASHLIB
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
    return Sha256(HASHLIB.tree(row[None], plan.leaf * kind.dtype.itemsize, 1)[-1].tobytes())


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
