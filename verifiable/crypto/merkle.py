"""Binary Merkle trees over SHA-256, in domains that cannot be mistaken for one another.

Each hashed message begins with a tag, so that a leaf of 64 bytes is never a node and a claim is
never a tensor. The leaves of a tree are digests; they are filled up with `PAD` to a power of two.
The height follows from the number of leaves, which the checker knows, and never from the proof.
An opening names no padding: the checker supplies it, so there is no room for a wrong one.

NumPy does the cutting, so that Python spends about one call of hashlib on each piece.
"""

import hashlib
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from verifiable.errors import OpeningRejectedError
from verifiable.types import Sha256

DIGEST: Final = 32
MAX_HEIGHT: Final = 64

_BLOCK: Final = 1 << 20
# About how many bytes of leaves are turned over at a time; they fit the cache.

_SMALL: Final = 256
# Up to this size a copy of a piece costs less than a view of it.

Buffer = bytes | memoryview
Digests = NDArray[np.uint8]
"""Digests in rows: ``[..., 32]``."""


class Tag(IntEnum):
    """First byte of each hashed message."""

    LEAF = 0
    """Elements of a tensor."""
    NODE = 1
    """Two digests."""
    TENSOR = 2
    """Dtype, shape and tree of a tensor."""
    INSTRUCTION = 3
    """Place in the trace and descriptor of an instruction."""
    TRACE = 4
    """Roots over the inputs, the body and the outputs of a run."""
    PARTIALS = 5
    """Partial sums of one element."""
    CLAIM = 6
    MODEL = 7
    """Counts, instructions and borders of a graph."""
    PAD = 8
    """Hashed alone: what stands where a tree has no leaf."""
    BORDERS = 9
    """Names of a graph's inputs and outputs."""


def tagged(tag: Tag, *parts: Buffer) -> Sha256:
    """Hash `parts` end to end in the domain `tag`.

    >>> tagged(Tag.PAD).hex()[:8]
    'beead779'
    """
    digest = hashlib.sha256(bytes((tag,)))
    for part in parts:
        digest.update(part)
    return Sha256(digest.digest())


def _pads() -> tuple[Sha256, ...]:
    pads = [tagged(Tag.PAD)]
    while len(pads) <= MAX_HEIGHT:
        pads.append(tagged(Tag.NODE, pads[-1], pads[-1]))
    return tuple(pads)


PADS: Final = _pads()
"""Roots of trees of each height that hold nothing but padding."""

PAD: Final = PADS[0]


def hash_pieces(tag: Tag, data: Digests, /) -> bytes:
    """Hash each row of `data` with hashlib; see `Hasher`."""
    pieces, size = data.shape
    marked = np.empty((pieces, size + 1), np.uint8)
    marked[:, 0] = tag
    marked[:, 1:] = data
    if not pieces:
        return b""
    sha256, flat, step = hashlib.sha256, marked.data.cast("B"), size + 1
    if size > _SMALL:
        cuts = range(0, len(flat), step)
        return b"".join([sha256(flat[i : i + step]).digest() for i in cuts])
    return b"".join([sha256(row).digest() for (row,) in struct.iter_unpack(f"{step}s", flat)])


class Hasher:
    """Hashes pieces, leaves and nodes, each many at a time; native code may stand in for hashlib.

    The methods but the call are made of it, so that another hash needs no more than that.
    """

    def __call__(self, tag: Tag, data: Digests, /) -> bytes:
        """Hash each row of `data` in the domain `tag`.

        Parameters
        ----------
        tag : Tag
        data : uint8 array ``[pieces, size]``, C-contiguous

        Returns
        -------
        bytes
            ``32 * pieces`` of them.
        """
        return hash_pieces(tag, data)

    def tree(self, data: Digests, size: int, width: int, /) -> Digests:
        """Hash leaves of several trees, all nodes over them, and the tree over their roots.

        Parameters
        ----------
        data : uint8 array ``[trees, bytes]``, C-contiguous
            Each row is cut into the leaves of one tree; at least one byte.
        size : int
            Bytes of each leaf but the last of its tree.
        width : int
            Bytes of an element, 1, 4 or 8, which are hashed last to first; 1 leaves them as they
            are.

        Returns
        -------
        uint8 array ``[nodes, 32]``
            Level by level, from the leaves to the root, without padding; the roots stand once.
        """
        return self.nodes(self._leaves(data, size, width))

    def root(self, data: Digests, size: int, width: int, /) -> bytes:
        """The last of the nodes that `tree` gives."""
        root: bytes = self.tree(data, size, width)[-1].tobytes()
        return root

    def nodes(self, leaves: Digests, /) -> Digests:
        """Hash all nodes over leaves, as `tree` does.

        Parameters
        ----------
        leaves : uint8 array ``[trees, leaves, 32]``
            At least one.
        """
        lower = levels(leaves, hasher=self)
        upper = levels(lower[-1].reshape(1, -1, DIGEST), hasher=self)
        return np.concatenate([level.reshape(-1, DIGEST) for level in (*lower, *upper[1:])])

    def _leaves(self, data: Digests, size: int, width: int) -> Digests:
        trees, span = data.shape
        found = np.empty((trees, -(-span // size), DIGEST), np.uint8)
        # Several whole trees at a time, or several leaves of one.
        tall = max(_BLOCK // span, 1)
        wide = max(_BLOCK // size, 1)
        for top in range(0, trees, tall):
            rows = data[top : top + tall]
            for first in range(0, found.shape[1], wide):
                whole = rows[:, first * size : (first + wide) * size]
                to = found[top : top + tall, first : first + wide]
                cut = whole.shape[1] // size
                for part, digests in (
                    (whole[:, : cut * size].reshape(-1, size), to[:, :cut]),
                    (whole[:, cut * size :], to[:, cut:]),
                ):
                    if part.size:
                        pieces = _turned(part, width)
                        hashed = np.frombuffer(self(Tag.LEAF, pieces), np.uint8)
                        digests[:] = hashed.reshape(digests.shape)
        return found


def _turned(data: Digests, width: int) -> Digests:
    pieces = np.ascontiguousarray(data)
    if width > 1:
        pieces = pieces.view(f"<u{width}").astype(f">u{width}").view(np.uint8)
    return pieces


HASHLIB: Final = Hasher()


def height(leaves: int) -> int:
    """Height of a tree of so many leaves; a single one is its own root.

    >>> [height(n) for n in (0, 1, 2, 3, 4, 5)]
    [0, 0, 1, 2, 2, 3]
    """
    return max(leaves - 1, 0).bit_length()


def fold(digests: Digests, *, hasher: Hasher = HASHLIB) -> Digests:
    """Roots of several trees of one size.

    Parameters
    ----------
    digests : uint8 array ``[trees, leaves, 32]``
        At least one leaf to a tree.
    hasher : Hasher

    Returns
    -------
    uint8 array ``[trees, 32]``
    """
    return levels(digests, hasher=hasher)[-1][:, 0]


def levels(digests: Digests, *, hasher: Hasher = HASHLIB) -> list[Digests]:
    """Nodes of several trees of one size, from the leaves to the root, without the padding.

    Parameters
    ----------
    digests : uint8 array ``[trees, leaves, 32]``
        At least one leaf to a tree.
    hasher : Hasher

    Returns
    -------
    list of uint8 array ``[trees, nodes, 32]``
        ``ceil(leaves / 2**level)`` nodes on each level.
    """
    found = [digests]
    trees, width, _ = digests.shape
    for pad in PADS[: height(width)]:
        below = found[-1]
        if width % 2:
            filler = np.broadcast_to(np.frombuffer(pad, np.uint8), (trees, 1, DIGEST))
            below = np.concatenate([below, filler], axis=1)
        width = (width + 1) // 2
        pairs = np.ascontiguousarray(below).reshape(trees * width, 2 * DIGEST)
        hashed = np.frombuffer(hasher(Tag.NODE, pairs), np.uint8)
        found.append(hashed.reshape(trees, width, DIGEST))
    return found


def rows_of(digests: Sequence[bytes]) -> Digests:
    """Digests as rows: uint8 ``[count, 32]``."""
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), DIGEST)


def tree_root(leaves: Sequence[bytes]) -> Sha256:
    """Root of a tree over digests; `PAD` if there are none."""
    if not leaves:
        return PAD
    return Sha256(fold(rows_of(leaves)[None]).tobytes())


def path(leaves: Digests, index: int, *, hasher: Hasher = HASHLIB) -> tuple[Sha256, ...]:
    """Siblings of a leaf from the lowest up, but for those that hold nothing but padding.

    Parameters
    ----------
    leaves : uint8 array ``[leaves, 32]``
    index : int
        In ``0 <= index < leaves``.
    hasher : Hasher
    """
    assert 0 <= index < len(leaves)
    siblings = []
    for nodes in levels(leaves[None], hasher=hasher)[:-1]:
        if index ^ 1 < nodes.shape[1]:
            siblings.append(Sha256(nodes[0, index ^ 1].tobytes()))
        index //= 2
    return tuple(siblings)


def path_length(leaves: int, index: int, levels: int = MAX_HEIGHT) -> int:
    """Number of siblings that a path from leaf `index` names on its lowest `levels`.

    >>> path_length(5, 3), path_length(5, 4), path_length(5, 3, 2)
    (3, 1, 2)
    """
    named = 0
    while leaves > 1 and levels:
        named += index ^ 1 < leaves
        leaves, index, levels = (leaves + 1) // 2, index // 2, levels - 1
    return named


def climb(
    leaf: Sha256, leaves: int, index: int, siblings: Sequence[bytes], levels: int = MAX_HEIGHT
) -> Sha256:
    """Root that a leaf and its path lead to, or the node so many levels up.

    Parameters
    ----------
    leaf : bytes
        Digest of the leaf.
    leaves : int
        Size of the tree, known to the checker.
    index : int
    siblings : sequence of bytes
        As `path` gives them; those of the lowest `levels`.
    levels : int

    Raises
    ------
    OpeningRejectedError
        If `index` is not in the tree, or the path has another length than it must have.

    Examples
    --------
    >>> a, b, c = (tagged(Tag.LEAF, bytes([i])) for i in range(3))
    >>> climb(c, 3, 2, [tagged(Tag.NODE, a, b)]) == tree_root([a, b, c])
    True
    """
    if not 0 <= index < leaves:
        raise OpeningRejectedError(f"leaf {index} is not among the {leaves} of its tree")
    wanted = path_length(leaves, index, levels)
    if len(siblings) != wanted or any(len(s) != DIGEST for s in siblings):
        raise OpeningRejectedError(
            f"the path of leaf {index} of {leaves} has {len(siblings)} siblings of "
            f"{sorted({len(s) for s in siblings})} bytes, wanted {wanted} of {DIGEST}"
        )
    node, above = leaf, iter(siblings)
    for pad in PADS[: min(height(leaves), levels)]:
        if index % 2:
            node = tagged(Tag.NODE, next(above), node)
        else:
            node = tagged(Tag.NODE, node, next(above) if index + 1 < leaves else pad)
        leaves, index = (leaves + 1) // 2, index // 2
    return node


def levels_below(index: int, other: int) -> int:
    """Levels from a leaf up to the sibling that the path of another leaf names.

    >>> levels_below(4, 5), levels_below(4, 6), levels_below(3, 4)
    (0, 1, 2)
    """
    if index == other:
        raise OpeningRejectedError(f"leaf {index} stands beside itself")
    return (index ^ other).bit_length() - 1


def check_beside(
    leaf: Sha256,
    leaves: int,
    index: int,
    siblings: Sequence[bytes],
    other: int,
    path: Sequence[bytes],
) -> None:
    """Check that a tree has a leaf, by the path of another of its leaves.

    Parameters
    ----------
    leaf : bytes
        Digest of the leaf.
    leaves : int
        Size of the tree.
    index : int
    siblings : sequence of bytes
        The path of the leaf up to a sibling on the other path.
    other : int
        The other leaf.
    path : sequence of bytes
        Its whole path, which has been checked.

    Raises
    ------
    OpeningRejectedError
        If there is no such leaf, the two are one, or the path has another length than it must have
        or leads elsewhere.
    """
    levels = levels_below(index, other)
    found = climb(leaf, leaves, index, siblings, levels)
    check_root(found, path[path_length(leaves, other, levels)], f"leaf {index}")


def check_root(got: bytes, wanted: bytes, what: str) -> None:
    """Hold the root an opening leads to against the committed one.

    Raises
    ------
    OpeningRejectedError
        If they differ.
    """
    if got != wanted:
        raise OpeningRejectedError(f"{what} leads to {got.hex()}, wanted {wanted.hex()}")
