"""Objects of a stored run, found by digest without a copy of its tensors.

The index is two sorted arrays: the first eight bytes of each node's digest, and its row in
``nodes.bin``: 12 bytes to a node, so about 24 to a leaf of 1 KiB. Whatever stands above the tensors
(a few thousand digests) lies in a dictionary.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from verifiable.crypto.merkle import rows_of
from verifiable.crypto.tree import Tree, over
from verifiable.errors import OpeningRejectedError
from verifiable.graph.commitment import Section
from verifiable.graph.ir import Const, Index
from verifiable.graph.layout import big_endian, layout
from verifiable.trace.commit import roots_of
from verifiable.trace.objects import (
    SPAN,
    check_object,
    leaf_object,
    node_object,
    tensor_object,
    trace_object,
)
from verifiable.trace.store import StoredTrace
from verifiable.types import Sha256

_BLOCK: Final = 1 << 16
"""Digests compared at a time."""


class StoredSource:
    """A `Source` of every object of a stored run.

    Parameters
    ----------
    run : StoredTrace
    """

    def __init__(self, run: StoredTrace) -> None:
        self._run = run
        self._keys, self._rows = _sorted(run.nodes)
        self._above = dict(_above(run))

    def read(self, digest: Sha256, /) -> bytes | None:
        """See ``serving.source.Source``."""
        make = self._above.get(digest)
        if make is not None:
            return make()
        key = int.from_bytes(digest[:8], "big")
        first = int(np.searchsorted(self._keys, np.uint64(key)))
        for place in range(first, len(self._keys)):
            if int(self._keys[place]) != key:
                break
            row = int(self._rows[place])
            if self._run.nodes[row].tobytes() == digest:
                return self._object(row)
        return None

    def objects(self) -> Iterator[tuple[Sha256, bytes]]:
        """Every object with its digest, each once, in about the order of the files."""
        for digest, make in self._above.items():
            yield digest, make()
        for row in np.sort(self._rows):
            yield Sha256(self._run.nodes[row].tobytes()), self._object(int(row))

    def check(self) -> None:
        """Hold every object against its digest.

        Raises
        ------
        OpeningRejectedError
            If one is another's; names its digest.
        """
        for digest, data in self.objects():
            try:
                check_object(digest, data)
            except OpeningRejectedError as e:
                raise OpeningRejectedError(f"the object 0x{digest.hex()}: {e}") from e

    def _object(self, row: int) -> bytes:
        index = Index(bisect_right(self._run.node_offsets, row) - 1)
        tree = self._run.tree(index)
        level, number = tree.place_of_row(row - self._run.node_offsets[index])
        if level:
            return _node(tree, level, number)
        array = self._run.mapped(index)
        plan = layout(self._run.graph.instructions[index].type)
        held = plan.elements(tree.leaf_number(number))
        return leaf_object(big_endian(array.reshape(-1)[held.start : held.stop]))


def _node(tree: Tree, level: int, number: int) -> bytes:
    return node_object(tree.below(level, number, min(SPAN, tree.room(level))))


def _sorted(nodes: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.integer]]:
    """Keys of all nodes in their order, and their rows; equal digests stand once."""
    keys = np.empty(len(nodes), np.uint64)
    for start in range(0, len(nodes), _BLOCK):
        heads = np.ascontiguousarray(nodes[start : start + _BLOCK, :8])
        keys[start : start + _BLOCK] = heads.view(">u8")[:, 0]
    rows: NDArray[np.integer] = np.argsort(keys, kind="stable")
    if len(nodes) <= np.iinfo(np.uint32).max:
        rows = rows.astype(np.uint32)
    keys = keys[rows]
    again = np.zeros(len(keys), np.bool_)
    like = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    for start in range(0, len(like), _BLOCK):
        some = like[start : start + _BLOCK]
        again[some] = (nodes[rows[some]] == nodes[rows[some - 1]]).all(axis=1)
    return keys[~again], rows[~again]


def _above(run: StoredTrace) -> Iterator[tuple[Sha256, Callable[[], bytes]]]:
    """Digests of the trace, its sections' trees and its tensors, and how to make their objects."""
    sections = run.trace.sections
    yield run.trace.root, lambda: trace_object(sections)
    for section in (Section.INPUT, Section.BODY, Section.OUTPUT):
        tree = over(rows_of(roots_of(run.graph, run.trace.roots, section))[None])
        for level in range(1, tree.height + 1):
            for number in range(1 << (tree.height - level)):
                if tree.is_node(level, number):
                    yield tree.node(level, number), _make_node(tree, level, number)
    for i, instruction in enumerate(run.graph.instructions):
        if not isinstance(instruction, Const):
            yield run.trace.roots[i], _make_tensor(run, Index(i))


def _make_node(tree: Tree, level: int, number: int) -> Callable[[], bytes]:
    return lambda: _node(tree, level, number)


def _make_tensor(run: StoredTrace, index: Index) -> Callable[[], bytes]:
    return lambda: tensor_object(run.graph.instructions[index].type, run.tree(index).top)
