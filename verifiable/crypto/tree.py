"""Every node of a tensor's tree, or of any other, found by its place.

A tensor's tree stands over the roots of several trees of one size (``graph.layout``); a plain tree
is the case of a single one. Levels are counted from the leaves up through both. Nodes of a level
are numbered as if no padding were left out: the children of node ``i`` are ``2 i`` and
``2 i + 1``, across the border of the two as well.

Padding does not cross that border: what fills up the upper tree stands for no row and has nothing
below it. So a question for the nodes below a node ends there; `Tree.room` says where.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from verifiable.crypto.merkle import DIGEST, HASHLIB, PAD, PADS, Digests, height
from verifiable.types import Sha256


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes of a tree, without padding; made by `over` or `view`."""

    lower: tuple[Digests, ...]
    """Each level of the lower trees, leaves first: uint8 ``[trees, nodes, 32]``."""
    upper: tuple[Digests, ...]
    """Each level of the tree over their roots, which come first: uint8 ``[1, nodes, 32]``."""

    @property
    def border(self) -> int:
        """Level of the roots of the lower trees."""
        return len(self.lower) - 1

    @property
    def height(self) -> int:
        """Level of the root."""
        return self.border + len(self.upper) - 1

    @property
    def leaves(self) -> int:
        """Leaves that are no padding."""
        return len(self.lower[0]) * self._width

    @property
    def _width(self) -> int:
        return int(self.lower[0].shape[1])

    @property
    def top(self) -> Sha256:
        """The root; `PAD` if there is no leaf."""
        return self.node(self.height, 0) if self.leaves else PAD

    def leaf_index(self, leaf: int) -> int:
        """Number among the nodes of level 0 of a leaf counted without padding."""
        tree, place = divmod(leaf, self._width)
        return (tree << self.border) + place

    def leaf_number(self, index: int) -> int:
        """The inverse of `leaf_index`."""
        tree, place = divmod(index, 1 << self.border)
        return tree * self._width + place

    def _find(self, level: int, index: int) -> tuple[Digests, int]:
        """The nodes that a node stands among, ``[nodes, 32]``, and its place there."""
        if level > self.border:
            return self.upper[level - self.border][0], index
        tree, place = divmod(index, 1 << (self.border - level))
        nodes = self.lower[level]
        return nodes[tree] if tree < len(nodes) else nodes[0, :0], place

    def is_node(self, level: int, index: int) -> bool:
        """Whether a node is no padding."""
        nodes, place = self._find(level, index)
        return 0 <= place < len(nodes)

    def node(self, level: int, index: int) -> Sha256:
        """A node that is no padding."""
        nodes, place = self._find(level, index)
        return Sha256(nodes[place].tobytes())

    def room(self, level: int) -> int:
        """How many levels below a node may be asked for at once."""
        return level - self.border if level > self.border else level

    def _below(self, level: int, index: int, down: int) -> tuple[Digests, int, int]:
        """Where the nodes below one stand, the place of the first, their level in their tree."""
        assert 0 <= down <= self.room(level)
        if level > self.border:
            at = level - down - self.border
            return self.upper[at][0], index << down, at
        nodes, first = self._find(level - down, index << down)
        return nodes, first, level - down

    def below(self, level: int, index: int, down: int) -> Digests:
        """Nodes ``down`` levels below a node, padding included: uint8 ``[2**down, 32]``."""
        nodes, first, at = self._below(level, index, down)
        held = nodes[first : first + (1 << down)]
        found = np.empty((1 << down, DIGEST), np.uint8)
        found[: len(held)] = held
        found[len(held) :] = np.frombuffer(PADS[at], np.uint8)
        return found

    def count_below(self, level: int, index: int, down: int) -> int:
        """How many of the nodes that `below` gives are no padding; they come first."""
        nodes, first, _ = self._below(level, index, down)
        return min(max(len(nodes) - first, 0), 1 << down)

    def siblings(self, level: int, index: int, top: int | None = None) -> tuple[Sha256, ...]:
        """Siblings of a node from its own level up, padding left out.

        Parameters
        ----------
        level, index : int
        top : int, optional
            Level to stop at; the root's, if None.
        """
        found = []
        for at in range(level, self.height if top is None else top):
            if self.is_node(at, index ^ 1):
                found.append(self.node(at, index ^ 1))
            index >>= 1
        return tuple(found)

    def rows(self) -> Iterator[Digests]:
        """All nodes, level by level, each once: uint8 ``[nodes, 32]``; `view` reads them back."""
        for level in (*self.lower, *self.upper[1:]):
            yield level.reshape(-1, DIGEST)

    def place_of_row(self, row: int) -> tuple[int, int]:
        """Level and number of a node by its place among `rows`."""
        for level, nodes in enumerate((*self.lower, *self.upper[1:])):
            trees, width, _ = nodes.shape
            if row < trees * width:
                tree, place = divmod(row, width)
                return level, (tree << max(self.border - level, 0)) + place
            row -= trees * width
        raise AssertionError("a row beyond the last node")


def over(leaves: Digests) -> Tree:
    """All nodes over the leaves of several trees of one size.

    Parameters
    ----------
    leaves : uint8 array ``[trees, leaves, 32]``

    Examples
    --------
    >>> from verifiable.crypto.merkle import rows_of, tree_root
    >>> digests = [bytes([i]) * 32 for i in range(5)]
    >>> tree = over(rows_of(digests)[None])
    >>> tree.height, tree.top == tree_root(digests), tree.count_below(3, 0, 3)
    (3, True, 5)
    """
    trees, width, _ = leaves.shape
    rows = HASHLIB.nodes(leaves) if trees * width else np.zeros((0, DIGEST), np.uint8)
    return view(trees, width, rows)


@functools.lru_cache
def _shapes(trees: int, leaves: int) -> tuple[tuple[int, int], ...]:
    """Trees and nodes of each level but the border's second time."""
    if not trees * leaves:
        return ((1, 0),)
    lower = [(trees, -(-leaves >> level)) for level in range(height(leaves) + 1)]
    upper = [(1, -(-trees >> level)) for level in range(1, height(trees) + 1)]
    return (*lower, *upper)


def count_nodes(trees: int, leaves: int) -> int:
    """Number of nodes, padding left out, over several trees of so many leaves.

    >>> count_nodes(1, 5), count_nodes(3, 2), count_nodes(0, 0)
    (11, 12, 0)
    """
    return sum(a * b for a, b in _shapes(trees, leaves))


def view(trees: int, leaves: int, rows: Digests) -> Tree:
    """A tree whose nodes lie in memory, or in a mapped file, as `Tree.rows` gives them.

    Parameters
    ----------
    trees, leaves : int
        Lower trees, and leaves of each.
    rows : uint8 array ``[count_nodes(trees, leaves), 32]``
    """
    assert len(rows) == count_nodes(trees, leaves)
    found, done = [], 0
    for several, width in _shapes(trees, leaves):
        found.append(rows[done : done + several * width].reshape(several, width, DIGEST))
        done += several * width
    cut = height(leaves if trees else 0) + 1
    roots = found[cut - 1].reshape(1, -1, DIGEST)
    return Tree(tuple(found[:cut]), (roots, *found[cut:]))


__all__ = ["Tree", "count_nodes", "over", "view"]
