"""Trees over digests, against a definition written from the papers."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.merkle import (
    PAD,
    PADS,
    Tag,
    check_root,
    climb,
    fold,
    hash_pieces,
    height,
    path,
    path_length,
    rows_of,
    tagged,
    tree_root,
)
from verifiable.errors import OpeningRejectedError
from verifiable.types import Sha256

SIZES = [*range(1, 36), 63, 64, 65, 127, 128, 129]


def digests(count: int, seed: int = 0) -> list[Sha256]:
    return [Sha256(hashlib.sha256(f"{seed}/{i}".encode()).digest()) for i in range(count)]


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """Fill up with PAD to a power of two, then hash pairs."""
    full = list(leaves)
    while len(full) & (len(full) - 1) or not full:
        full.append(hashlib.sha256(b"\x08").digest())
    while len(full) > 1:
        full = [
            hashlib.sha256(b"\x01" + full[i] + full[i + 1]).digest() for i in range(0, len(full), 2)
        ]
    return full[0]


def test_the_tags_are_those_of_the_papers() -> None:
    assert {tag.name: tag.value for tag in Tag} == {
        "LEAF": 0, "NODE": 1, "TENSOR": 2, "INSTRUCTION": 3, "TRACE": 4, "PARTIALS": 5,
        "CLAIM": 6, "MODEL": 7, "PAD": 8, "BORDERS": 9,
    }  # fmt: skip


@given(st.sampled_from(Tag), st.lists(st.binary(max_size=80), max_size=3))
def test_a_tagged_hash_begins_with_its_tag(tag: Tag, parts: list[bytes]) -> None:
    assert tagged(tag, *parts) == hashlib.sha256(bytes([tag]) + b"".join(parts)).digest()


@pytest.mark.parametrize("size", [1, 4, 63, 64, 65, 255, 256, 257, 1000, 1024])
@pytest.mark.parametrize("pieces", [0, 1, 2, 33])
def test_pieces_are_hashed_one_by_one(size: int, pieces: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, (pieces, size), np.uint8)
    wanted = b"".join(hashlib.sha256(b"\x00" + row.tobytes()).digest() for row in data)
    assert hash_pieces(Tag.LEAF, data) == wanted


@pytest.mark.parametrize("size", [0, *SIZES])
def test_the_root_is_the_defined_one(size: int) -> None:
    leaves = digests(size)
    assert tree_root(leaves) == defined_root(leaves)


def test_padding_of_each_height_is_a_tree_of_padding() -> None:
    assert [defined_root([PAD] * 2**level) for level in range(8)] == list(PADS[:8])


@given(st.integers(1, 5), st.integers(1, 20))
def test_trees_are_folded_side_by_side(trees: int, leaves: int) -> None:
    several = [digests(leaves, seed) for seed in range(trees)]
    folded = fold(np.stack([rows_of(one) for one in several]))
    assert [row.tobytes() for row in folded] == [defined_root(one) for one in several]


@pytest.mark.parametrize("size", SIZES)
def test_every_leaf_of_every_size_opens(size: int) -> None:
    leaves = digests(size)
    root = tree_root(leaves)
    for index, leaf in enumerate(leaves):
        siblings = path(rows_of(leaves), index)
        assert len(siblings) == path_length(size, index) <= height(size)
        assert climb(leaf, size, index, siblings) == root


@given(st.integers(1, 70), st.data())
def test_a_tampered_path_leads_elsewhere_or_is_refused(size: int, data: st.DataObject) -> None:
    leaves = digests(size)
    index = data.draw(st.integers(0, size - 1))
    siblings = list(path(rows_of(leaves), index))
    match data.draw(st.sampled_from(["sibling", "leaf", "index", "more", "fewer", "short"])):
        case "sibling" if siblings:
            at = data.draw(st.integers(0, len(siblings) - 1))
            siblings[at] = flipped(siblings[at], data.draw(st.integers(0, 255)))
        case "index" if size > 1:
            index = data.draw(st.integers(-2, size + 2).filter(lambda i: i != index))
        case "more":
            at = data.draw(st.integers(0, len(siblings)))
            siblings.insert(at, data.draw(st.sampled_from([PAD, *leaves])))
        case "fewer" if siblings:
            del siblings[data.draw(st.integers(0, len(siblings) - 1))]
        case "short" if siblings:
            siblings[0] = Sha256(siblings[0][:31])
        case _:
            leaves[index] = flipped(leaves[index], data.draw(st.integers(0, 255)))
    leaf = leaves[index] if 0 <= index < size else PAD
    with pytest.raises(OpeningRejectedError):
        check_root(climb(leaf, size, index, siblings), tree_root(digests(size)), "the leaf")


def flipped(digest: bytes, bit: int) -> Sha256:
    turned = int.from_bytes(digest, "big") ^ (1 << bit)
    return Sha256(turned.to_bytes(32, "big"))


def test_padding_cannot_be_opened() -> None:
    leaves = digests(5)
    for index in (5, 6, 7):
        with pytest.raises(OpeningRejectedError, match=f"leaf {index} is not among the 5"):
            climb(PAD, 5, index, path(rows_of(leaves), 4))


def test_a_leaf_of_64_bytes_is_no_node() -> None:
    left, right = digests(2)
    node = tree_root([left, right])
    assert tagged(Tag.LEAF, left + right) != node
    # Nor does a tree of half the height take it for one.
    with pytest.raises(OpeningRejectedError):
        check_root(climb(tagged(Tag.LEAF, left + right), 1, 0, []), node, "the leaf")


def test_a_wrong_root_is_named_with_the_wanted_one() -> None:
    with pytest.raises(OpeningRejectedError, match=f"leads to {'00' * 32}, wanted {PAD.hex()}"):
        check_root(bytes(32), PAD, "it")
