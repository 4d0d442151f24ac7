"""Fetch parts of a foreign trace by digest, each checked, and find what is wrong with it.

>>> from pathlib import Path
>>> from verifiable.serving.source import FolderSource
>>> fetch_leaf(FolderSource(Path("nowhere")), Sha256(bytes(32)))
Traceback (most recent call last):
verifiable.trace.walk.WithheldError: the leaf 0x00000000000000000000000000000000000000000000000\
00000000000000000 is withheld: the source has not got it
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

import numpy as np

from verifiable.crypto.merkle import PADS, Digests, Tag, check_root, height, rows_of, tree_root
from verifiable.errors import EncodingError, HostError, InputError, OpeningRejectedError
from verifiable.graph.ir import Array, TensorType
from verifiable.graph.layout import Layout, from_big_endian, layout
from verifiable.graph.tensors import row_root
from verifiable.serving.source import Source
from verifiable.trace.commit import Sections
from verifiable.trace.objects import (
    SPAN,
    check_object,
    read_leaf,
    read_nodes,
    read_sections,
    read_tensor,
)
from verifiable.trace.walk import Ask, FirstDifference, MalformedError, OwnRun, Walk, WithheldError
from verifiable.types import Sha256

MOST_ROW_BYTES: Final = 1 << 24
"""Longest row that is fetched."""

_TOGETHER: Final = 8
"""Questions that are under way at a time, where none waits for another's answer."""

_Part = TypeVar("_Part")


class Answers:
    """A `Source` that answers a `Walk`; what it said truly is not asked again.

    Parameters
    ----------
    source : Source
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._said: dict[Sha256, bytes] = {}

    def answer(self, ask: Ask, /) -> bytes:
        """See ``trace.walk.Nodes``."""
        said = self._said.get(ask.digest)
        if said is None:
            said = _read(self._source, ask)
            # A lie is for the walk to reject; another time the source may do better.
            with suppress(OpeningRejectedError):
                check_object(ask.digest, said)
                self._said[ask.digest] = said
        return said


def walk(source: Source, root: Sha256, own: OwnRun) -> Walk:
    """A foreign trace, served by someone, beside one's own run; see ``trace.walk``."""
    return Walk(nodes=Answers(source), root=root, own=own)


def find_first_difference(source: Source, root: Sha256, own: OwnRun) -> FirstDifference | None:
    """Find the first leaf that a served trace has other than one's own run; None if all is alike.

    Parameters
    ----------
    source : Source
    root : Sha256
        Trace root that was committed.
    own : OwnRun
        One's own run of the same graph on the same inputs.

    Raises
    ------
    WithheldError
        If an object is absent or false; its ``ask`` is what to demand.
    MalformedError
        If the root is not that of a trace of this graph; likewise.
    """
    return walk(source, root, own).first_difference()


def _read(source: Source, ask: Ask) -> bytes:
    try:
        data = source.read(ask.digest)
    except HostError as e:
        raise WithheldError(ask, str(e)) from e
    if data is None:
        raise WithheldError(ask, "the source has not got it")
    return data


def _fetch(source: Source, ask: Ask) -> bytes:
    data = _read(source, ask)
    tag = check_object(ask.digest, data)
    if tag is not ask.tag:
        raise MalformedError(ask, f"it is a {tag.name.lower()}")
    return data


def _parsed(source: Source, ask: Ask, parse: Callable[[bytes], _Part]) -> _Part:
    try:
        return parse(_fetch(source, ask))
    except EncodingError as e:
        raise MalformedError(ask, str(e)) from e


def fetch_sections(source: Source, root: Sha256) -> Sections:
    """Roots of the sections of a trace.

    Raises
    ------
    WithheldError
        If the source has not got them, or cannot be asked.
    OpeningRejectedError
        If what it sent is not what the digest stands for.
    MalformedError
        If the digest stands for something else.
    """
    return _parsed(source, Ask(tag=Tag.TRACE, digest=root), read_sections)


def fetch_tensor_header(source: Source, root: Sha256) -> tuple[TensorType, Sha256]:
    """Type of a tensor, and the root of its tree; raises as `fetch_sections` does."""
    return _parsed(source, Ask(tag=Tag.TENSOR, digest=root), read_tensor)


def fetch_leaf(source: Source, digest: Sha256) -> bytes:
    """Big-endian elements of a leaf; raises as `fetch_sections` does."""
    return read_leaf(_fetch(source, Ask(tag=Tag.LEAF, digest=digest)))


def fetch_nodes(source: Source, digest: Sha256, down: int) -> Digests:
    """Nodes some levels below a node, padding included; raises as `fetch_sections` does.

    Parameters
    ----------
    source : Source
    digest : Sha256
    down : int
        ``0 <= down <= SPAN``. A source that gives fewer levels at once is asked again.

    Returns
    -------
    uint8 array ``[2**down, 32]``
    """
    assert 0 <= down <= SPAN
    if not down:
        return rows_of([digest])
    if digest in PADS[down:]:
        return rows_of([PADS[PADS.index(digest) - down]] * (1 << down))
    found = read_nodes(_fetch(source, Ask(tag=Tag.NODE, digest=digest, levels=down)), down)
    left = down - height(len(found))
    if not left:
        return found
    return np.concatenate([fetch_nodes(source, Sha256(x.tobytes()), left) for x in found])


def fetch_section_roots(source: Source, root: Sha256, count: int) -> list[Sha256]:
    """Roots of a section's tensors, in their order; raises as `fetch_sections` does.

    Parameters
    ----------
    source : Source
    root : Sha256
        Of the section.
    count : int
        Of its tensors, which the model's header says.
    """
    found = _leaves(source, root, count) if count else []
    check_root(tree_root(found), root, f"a section of {count} tensors")
    return found


def fetch_row(source: Source, root: Sha256, row: int) -> Array:
    """Elements of a row of a tensor.

    Parameters
    ----------
    source : Source
    root : Sha256
        Of the tensor.
    row : int
        In row-major order of all axes but the last.

    Returns
    -------
    array, one axis
        In this machine's byte order; as they were committed, so a bool may be 7.

    Raises
    ------
    InputError
        If the tensor has no such row, or its rows are longer than `MOST_ROW_BYTES`.
    WithheldError, OpeningRejectedError, MalformedError
        See `fetch_sections`.
    """
    kind, tree = fetch_tensor_header(source, root)
    plan = layout(kind)
    if not 0 <= row < plan.rows:
        raise InputError(f"{kind} has {plan.rows} rows, none is number {row}")
    width = kind.dtype.itemsize
    if plan.row * width > MOST_ROW_BYTES:
        raise InputError(f"a row of {kind} has more than {MOST_ROW_BYTES} bytes")
    if plan.rows_are_trees:
        return from_big_endian(_long_row(source, plan, tree, row), kind.dtype)
    leaf = plan.leaf_of(row * plan.row)
    digest = _towards(source, tree, height(plan.leaves_of_tree), leaf)
    data, held = fetch_leaf(source, digest), plan.elements(leaf)
    _check_length(data, len(held) * width, f"leaf {leaf} of {kind}")
    start = (row * plan.row - held.start) * width
    return from_big_endian(data[start : start + plan.row * width], kind.dtype)


def _long_row(source: Source, plan: Layout, tree: Sha256, row: int) -> bytes:
    node = _towards(source, tree, height(plan.trees), row)
    leaves = _leaves(source, node, plan.leaves_of_tree)
    data = b"".join(_together(lambda digest: fetch_leaf(source, digest), leaves))
    _check_length(data, plan.row * plan.type.dtype.itemsize, f"row {row} of {plan.type}")
    check_root(row_root(plan.type, data), node, f"row {row} of {plan.type}")
    return data


def _check_length(data: bytes, wanted: int, what: str) -> None:
    if len(data) != wanted:
        raise OpeningRejectedError(f"{what} has {len(data)} bytes, wanted {wanted}")


def _towards(source: Source, node: Sha256, levels: int, index: int) -> Sha256:
    """The node so many levels below another."""
    while levels:
        down = min(SPAN, levels)
        levels -= down
        child = (index >> levels) & ((1 << down) - 1)
        node = Sha256(fetch_nodes(source, node, down)[child].tobytes())
    return node


def _leaves(source: Source, root: Sha256, count: int) -> list[Sha256]:
    """All leaves of a tree that has so many."""
    nodes, left = [root], height(count)
    while left:
        down = min(SPAN, left)
        left -= down
        blocks = _together(partial(fetch_nodes, source, down=down), nodes)
        found = [Sha256(x.tobytes()) for block in blocks for x in block]
        nodes = found[: -(-count >> left)]
    return nodes


def _together(fetch: Callable[[Sha256], _Part], digests: Sequence[Sha256]) -> list[_Part]:
    if len(digests) == 1:
        return [fetch(digests[0])]
    with ThreadPoolExecutor(_TOGETHER) as pool:
        return list(pool.map(fetch, digests))
