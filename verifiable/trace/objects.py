"""What a digest of a trace stands for, in bytes that anyone can hold against it.

An object begins with the tag (``crypto.merkle.Tag``) of the message whose digest it is:

::

    trace    0x04 | input root (32) | body root (32) | output root (32)
    tensor   0x02 | dtype code (1) | rank (1) | extents (4 each) | root of its tree (32)
    node     0x01 | the 2**s nodes s levels below (32 each), 1 <= s <= 6
    leaf     0x00 | big-endian elements, 1 KiB at most

Its SHA-256 is the digest, but for a node with ``s > 1``, where the root over those nodes is. So an
object says by itself what it is, and none is longer than `MOST_BYTES`.
"""

import struct
from typing import Final

import numpy as np

from verifiable.crypto.hashing import sha256
from verifiable.crypto.merkle import (
    DIGEST,
    Buffer,
    Digests,
    Tag,
    check_root,
    fold,
    height,
    levels,
)
from verifiable.errors import EncodingError, OpeningRejectedError
from verifiable.graph.ir import TensorType
from verifiable.graph.layout import header
from verifiable.graph.vocabulary import MAX_RANK, DType
from verifiable.trace.commit import Sections
from verifiable.types import Sha256

SPAN: Final = 6
"""Most levels that one object goes down."""
MOST_BYTES: Final = 1 + (DIGEST << SPAN)
"""Length of the longest object; a leaf is shorter."""

_TAGS: Final = (Tag.TRACE, Tag.TENSOR, Tag.NODE, Tag.LEAF)


def trace_object(sections: Sections) -> bytes:
    """Object of a trace root."""
    return bytes((Tag.TRACE,)) + b"".join(sections.roots)


def tensor_object(kind: TensorType, tree: bytes) -> bytes:
    """Object of a tensor's root."""
    return bytes((Tag.TENSOR,)) + header(kind) + tree


def node_object(below: Digests) -> bytes:
    """Object of a node, from the nodes some levels below: uint8 ``[2**s, 32]``."""
    return bytes((Tag.NODE,)) + below.tobytes()


def leaf_object(data: Buffer) -> bytes:
    """Object of a leaf, from its elements."""
    return bytes((Tag.LEAF,)) + data


def check_object(digest: bytes, data: bytes) -> Tag:
    """Hold an object against the digest it was asked by.

    Parameters
    ----------
    digest : bytes
    data : bytes
        From anyone.

    Returns
    -------
    Tag
        What it is the object of.

    Raises
    ------
    OpeningRejectedError
        If it is no object, or that of another digest.

    Examples
    --------
    >>> check_object(sha256(bytes(3)), bytes(3)).name
    'LEAF'
    """
    if not data or data[0] not in _TAGS or len(data) > MOST_BYTES:
        raise OpeningRejectedError(
            f"{len(data)} bytes that begin with 0x{data[:1].hex()} are no object of a trace"
        )
    tag = Tag(data[0])
    if tag is not Tag.NODE:
        check_root(sha256(data), digest, f"an object of a {tag.name.lower()}")
        return tag
    count, rest = divmod(len(data) - 1, DIGEST)
    if rest or count < 2 or count & (count - 1):
        raise OpeningRejectedError(
            f"an object of a node has {len(data)} bytes, wanted 1 and those of 2, 4, .. "
            f"{1 << SPAN} digests"
        )
    check_root(fold(_digests(data)[None]).tobytes(), digest, f"a node with {count} below it")
    return tag


def _digests(data: bytes) -> Digests:
    return np.frombuffer(data, np.uint8, offset=1).reshape(-1, DIGEST)


def read_nodes(data: bytes, most: int) -> Digests:
    """Nodes below a node, from its checked object.

    Parameters
    ----------
    data : bytes
    most : int
        Levels to go down at most; an object may hold deeper nodes, or not as deep ones.

    Returns
    -------
    uint8 array ``[2**s, 32]``, ``1 <= s <= most``
    """
    found = _digests(data)
    kept: Digests = levels(found[None])[max(height(len(found)) - most, 0)][0]
    return kept


def read_sections(data: bytes) -> Sections:
    """Roots of a trace's sections, from its checked object.

    Raises
    ------
    EncodingError
        If there are not three; then the root was never that of a trace.
    """
    if len(data) != 1 + 3 * DIGEST:
        raise EncodingError(f"a trace of {len(data)} bytes, wanted {1 + 3 * DIGEST}")
    one, two, three = (Sha256(row.tobytes()) for row in _digests(data))
    return Sections(one, two, three)


def read_tensor(data: bytes) -> tuple[TensorType, Sha256]:
    """Type of a tensor and root of its tree, from its checked object.

    Raises
    ------
    EncodingError
        If it names no type; then the root was never that of a tensor.
    """
    rank = data[2] if len(data) > 2 else MAX_RANK + 1
    if rank > MAX_RANK or len(data) != 3 + 4 * rank + DIGEST:
        raise EncodingError(f"the header of a tensor has {len(data)} bytes and rank {rank}")
    try:
        dtype = DType(data[1])
    except ValueError as e:
        raise EncodingError(f"the header of a tensor has the dtype code {data[1]}") from e
    shape = struct.unpack_from(f">{rank}I", data, 3)
    return TensorType(dtype, shape), Sha256(data[-DIGEST:])


def read_leaf(data: bytes) -> bytes:
    """Elements of a leaf, from its checked object."""
    return data[1:]
