"""Trees, layouts and roots of tensors are in the contracts what they are in Python."""

import random
from collections.abc import Sequence
from math import prod

import numpy as np
import pytest
from eth_abi.abi import decode, encode
from graph_zoo import Case, cases, tensors
from hypothesis import given
from hypothesis import strategies as st
from step_lab import lab
from step_runs import honest
from tensor_zoo import LONG, SMALL, kind_of_tensors

from verifiable.chain.revert import RevertedError
from verifiable.crypto.hashing import keccak256
from verifiable.crypto.merkle import Tag, climb, path, rows_of, tagged, tree_root
from verifiable.graph.commitment import Section
from verifiable.graph.encoding import descriptor
from verifiable.graph.ir import Array, Input, TensorType
from verifiable.graph.layout import big_endian, header, layout, type_of
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import DType
from verifiable.trace.commit import roots_of
from verifiable.types import Sha256

pytestmark = pytest.mark.evm

NO_SUCH_LEAF = keccak256(b"NoSuchLeaf(uint256,uint256)")[:4]
kinds = kind_of_tensors(extents=(*SMALL, *LONG, 2048), most=8192)


def digests(count: int) -> list[Sha256]:
    return [tagged(Tag.LEAF, bytes([i % 256, i // 256])) for i in range(count)]


def climbed(node: bytes, leaves: int, index: int, siblings: Sequence[bytes]) -> tuple[bytes, int]:
    answer = lab().harnessed("climb", node, leaves, index, list(siblings))
    root, used = decode(["bytes32", "uint256"], answer)
    return root, used


@pytest.mark.parametrize("count", range(1, 34))
def test_every_leaf_of_every_small_tree_climbs_to_its_root(count: int) -> None:
    leaves = digests(count)
    root = tree_root(leaves)
    assert lab().harnessed("fold", leaves) == root
    for index in range(count):
        siblings = list(path(rows_of(leaves), index))
        assert climbed(leaves[index], count, index, siblings) == (root, len(siblings))
        if siblings:
            with pytest.raises(RevertedError):
                climbed(leaves[index], count, index, siblings[:-1])
        for other in {0, count - 1, index ^ 1} - {index}:
            try:
                assert climbed(leaves[index], count, other, siblings)[0] != root
            except RevertedError:
                continue
    for beyond in (count, count + 1, 2 * count, 2**255):
        # No path makes a leaf of it, however long.
        for siblings in (leaves[:length] for length in range(min(count, 7))):
            with pytest.raises(RevertedError) as caught:
                climbed(leaves[0], count, beyond, siblings)
            assert caught.value.data == NO_SUCH_LEAF + encode(["uint256"] * 2, [beyond, count])


@given(
    count=st.integers(2, 2**40),
    place=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_paths_in_trees_of_any_size_climb_alike(count: int, place: float, seed: int) -> None:
    """Siblings at random: Python and the contract must end at the same root."""
    from verifiable.crypto.merkle import path_length

    rng, index = random.Random(seed), min(int(place * count), count - 1)
    index = rng.choice((index, count - 1, 0))
    siblings = [Sha256(rng.randbytes(32)) for _ in range(path_length(count, index))]
    node = Sha256(rng.randbytes(32))
    assert climbed(node, count, index, list(siblings)) == (
        climb(node, count, index, siblings),
        len(siblings),
    )


@given(kind=kinds)
def test_layouts_are_alike(kind: TensorType) -> None:
    answer = lab().harnessed("plan", descriptor(Input(type=kind)))
    found = decode(["uint256"] * 4 + ["bool"], answer)
    plan = layout(kind)
    leaves = plan.leaves_of_tree if kind.size else 0
    assert found == (plan.trees, plan.span, plan.leaf, leaves, plan.rows_are_trees)


@given(array=tensors(kinds) | tensors())
def test_roots_of_tensors_are_alike(array: Array) -> None:
    types, elements = [header(type_of(array))], [bytes(big_endian(array))]
    answer = lab().harnessed("outputRoot", types, elements)
    assert answer == tree_root([tensor_root(array)])


@given(several=st.lists(tensors(), max_size=5))
def test_roots_over_tensors_are_alike(several: list[Array]) -> None:
    types = [header(type_of(array)) for array in several]
    elements = [bytes(big_endian(array)) for array in several]
    answer = lab().harnessed("outputRoot", types, elements)
    assert answer == tree_root([tensor_root(array) for array in several])
    with pytest.raises(RevertedError):
        lab().harnessed("outputRoot", [*types, header(TensorType(DType.F32, ()))], elements)


@given(one=cases(steps=5))
def test_outputs_of_a_run_lead_to_its_output_root(one: Case) -> None:
    """The order is that of the instructions; outputs that are given stand elsewhere."""
    run = honest(one)
    wanted = roots_of(run.graph, run.trace.roots, Section.OUTPUT)
    held = [t for t, root in zip(run.tensors, run.trace.roots, strict=True) if root in wanted]
    shown = {tensor_root(t): t for t in held}
    ordered = [shown[root] for root in wanted]
    types = [header(type_of(array)) for array in ordered]
    elements = [bytes(big_endian(array)) for array in ordered]
    assert lab().harnessed("outputRoot", types, elements) == run.trace.sections.output


def test_what_is_no_tensor_has_no_root() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    kind, elements = header(type_of(array)), bytes(big_endian(array))
    unknown, deep = b"\x06" + kind[1:], b"\x03\x09" + bytes(3) + b"\1" + kind[2:] + bytes(28)
    for wrong in (unknown, deep, kind[:-1], kind + b"\0", kind[:1], b""):
        with pytest.raises(RevertedError):
            lab().harnessed("outputRoot", [wrong], [elements])
    for other in (elements[:-1], elements + b"\0", elements[:-4], elements + bytes(4), b""):
        with pytest.raises(RevertedError):
            lab().harnessed("outputRoot", [kind], [other])


@given(seed=st.integers(0, 2**32 - 1), place=st.integers(0, 10))
def test_huge_shapes_have_no_root(seed: int, place: int) -> None:
    """Products of extents wrap in no way that makes a short tensor of them."""
    rng = random.Random(seed)
    shape = [rng.choice((2**31, 2**32 - 1, 2**16, 1)) for _ in range(8)]
    shape[place % 8] = 2**32 - 1
    kind = bytes((1, 8)) + b"".join(extent.to_bytes(4, "big") for extent in shape)
    assert prod(shape) > 64
    with pytest.raises(RevertedError):
        lab().harnessed("outputRoot", [kind], [bytes(64)])
