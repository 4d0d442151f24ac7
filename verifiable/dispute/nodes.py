"""Nodes of a tree of which only a part is known; ``contracts/src/referee/Trees.sol`` mirrors it.

Nodes of a tensor are numbered through its lower trees and the one over their roots, as
``crypto.tree`` does. Padding does not cross from one to the other: a lower tree that is missing is
one pad, and there is nothing below it.
"""

from collections.abc import Sequence

from verifiable.crypto.merkle import DIGEST, PADS, Tag, height, tagged
from verifiable.dispute.errors import RevealLengthError
from verifiable.dispute.terms import Cursor
from verifiable.types import Sha256


def fold(node: Sha256, index: int, siblings: Sequence[Sha256]) -> Sha256:
    """Node that a node and all its siblings lead to."""
    for sibling in siblings:
        pair = (sibling, node) if index % 2 else (node, sibling)
        node = tagged(Tag.NODE, *pair)
        index //= 2
    return node


def is_padding(at: Cursor, level: int, index: int) -> bool:
    """Whether there is no leaf of the tree below the node of this level and number.

    Parameters
    ----------
    at : Cursor
        Any node of the tree.
    level : int
        Above the leaves.
    index : int
    """
    lower = height(at.leaves)
    if level >= lower:
        return index << (level - lower) >= at.trees
    tree, place = divmod(index, 1 << (lower - level))
    return tree >= at.trees or place << level >= at.leaves


def pad(at: Cursor, level: int) -> Sha256:
    """What stands in place of a node of this level that is padding."""
    lower = height(at.leaves)
    return PADS[level - lower if level >= lower else level]


def places_below(at: Cursor, size: int) -> list[int]:
    """Numbers of the nodes `size` levels below a cursor that are not padding."""
    first = at.index << size
    level = at.height - size
    return [i for i in range(first, first + (1 << size)) if not is_padding(at, level, i)]


def root_of_below(at: Cursor, size: int, data: bytes) -> Sha256:
    """Node that the nodes `size` levels below lead to.

    Parameters
    ----------
    at : Cursor
    size : int
        ``0 <= size <= at.height``.
    data : bytes
        Those nodes that are not padding, end to end.

    Raises
    ------
    RevealLengthError
        If there are more or fewer.
    """
    places = places_below(at, size)
    if len(data) != DIGEST * len(places):
        raise RevealLengthError(len(data), DIGEST * len(places))
    known = {p: Sha256(data[DIGEST * i : DIGEST * (i + 1)]) for i, p in enumerate(places)}

    def node(level: int, index: int) -> Sha256:
        if is_padding(at, level, index):
            return pad(at, level)
        if level == at.height - size:
            return known[index]
        return tagged(Tag.NODE, node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node(at.height, at.index)
