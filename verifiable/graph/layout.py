"""Bytes of a tensor, and how they are cut into the leaves of its tree.

Elements are big-endian, in row-major order. A row is what the last axis spans; a scalar is one row
of one element. With ``E = 1024 / itemsize``:

* rows of E elements or more are trees of their own, of leaves of E elements (the last one holds
  what is left), and the tensor's tree stands over their roots;
* shorter rows are packed, ``E // length`` whole rows to a leaf (the last one holds what is left).

Both trees are filled up as ``crypto.merkle`` says. A tensor without elements is one `PAD`.
"""

import functools
import struct
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from verifiable.crypto.merkle import Buffer, height
from verifiable.graph.ir import Array, TensorType
from verifiable.graph.vocabulary import DType

LEAF_BYTES: Final = 1024

_DTYPES: Final = {np.dtype(dtype.numpy): dtype for dtype in DType}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the elements of a type are cut into leaves; made by `layout`."""

    type: TensorType
    row: int
    """Elements of a row."""
    trees: int
    """Trees below the tensor's own: one to a long row, a single one for all packed rows."""
    span: int
    """Elements of each of them."""
    leaf: int
    """Elements of each leaf but the last of its tree."""

    @property
    def leaves_of_tree(self) -> int:
        """Leaves of one of the lower trees."""
        return -(-self.span // self.leaf)

    @property
    def leaves(self) -> int:
        """Leaves of the tensor, 0 if it has no element."""
        return self.trees * self.leaves_of_tree

    @property
    def height(self) -> int:
        """Steps from a leaf up to the root of the tensor's tree."""
        return height(self.leaves_of_tree) + height(self.trees)

    @property
    def rows(self) -> int:
        """Rows of the tensor, 0 if it has no element."""
        return self.type.size // self.row if self.row else 0

    @property
    def rows_are_trees(self) -> bool:
        """Whether a row is a tree, not a part of a leaf."""
        return self.row >= LEAF_BYTES // self.type.dtype.itemsize

    def elements(self, leaf: int) -> range:
        """Elements that a leaf holds."""
        tree, place = divmod(leaf, self.leaves_of_tree)
        start = tree * self.span + place * self.leaf
        return range(start, min(start + self.leaf, (tree + 1) * self.span))

    def leaf_of(self, element: int) -> int:
        """Leaf that holds an element."""
        tree, place = divmod(element, self.span)
        return tree * self.leaves_of_tree + place // self.leaf


@functools.lru_cache(maxsize=4096)
def layout(kind: TensorType) -> Layout:
    """How a type is cut into leaves.

    >>> of_rows = layout(TensorType(DType.F32, (3, 300)))
    >>> of_rows.trees, of_rows.leaves, of_rows.height, of_rows.elements(1)
    (3, 6, 3, range(256, 300))
    >>> packed = layout(TensorType(DType.F32, (7, 100)))
    >>> packed.trees, packed.leaves, packed.height, packed.elements(3)
    (1, 4, 2, range(600, 700))
    """
    most = LEAF_BYTES // kind.dtype.itemsize
    row = kind.shape[-1] if kind.shape else 1
    if not kind.size:
        return Layout(kind, row, 0, 0, most)
    if row >= most:
        return Layout(kind, row, prod(kind.shape[:-1]), row, most)
    return Layout(kind, row, 1, kind.size, most // row * row)


def type_of(array: Array) -> TensorType:
    """Type of an array whose dtype is one of the machine's, in any byte order."""
    dtype = _DTYPES.get(array.dtype) or _DTYPES[array.dtype.newbyteorder("=")]
    return TensorType(dtype, tuple(map(int, array.shape)))


def header(kind: TensorType) -> bytes:
    """Dtype code (1 byte), rank (1), extents (4 each): what a tensor's root says of its type."""
    rank = len(kind.shape)
    return struct.pack(f">BB{rank}I", kind.dtype.value, rank, *kind.shape)


def big_endian(array: Array) -> memoryview:
    """Bytes of elements in row-major order, each big-endian.

    >>> big_endian(np.array([1, -2], np.int32)).hex()
    '00000001fffffffe'
    """
    turned = np.ascontiguousarray(array, array.dtype.newbyteorder(">"))
    return turned.reshape(-1).view(np.uint8).data


def from_big_endian(data: Buffer, dtype: DType) -> Array:
    """Elements from their bytes, one axis; the inverse of `big_endian`.

    Nothing is checked: foreign bytes may hold a bool of 7.
    """
    name = np.dtype(dtype.numpy)
    turned: Array = np.frombuffer(data, name.newbyteorder(">")).astype(name)
    return turned
