"""Roots and openings of tensors, against a definition written from the papers, in plain Python."""

import hashlib
import random
import struct
import tracemalloc
from collections.abc import Sequence
from math import prod

import numpy as np
import pytest
from graph_zoo import DTYPES, any_bits, kind_of_tensors, tensor, tensors
from hypothesis import assume, given
from hypothesis import strategies as st

from verifiable.errors import OpeningRejectedError
from verifiable.graph.ir import Array, TensorType
from verifiable.graph.layout import big_endian, from_big_endian, layout, type_of
from verifiable.graph.tensors import (
    Opening,
    check_leaf,
    check_row,
    open_leaf,
    open_row,
    tensor_nodes,
    tensor_root,
)
from verifiable.graph.vocabulary import DType

FORMAT = {
    DType.F32: "I", DType.I8: "b", DType.U8: "B", DType.I32: "i", DType.I64: "q", DType.BOOL: "?",
}  # fmt: skip


def digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def tree(leaves: Sequence[bytes]) -> bytes:
    full = list(leaves)
    while len(full) & (len(full) - 1):
        full.append(digest(b"\x08"))
    while len(full) > 1:
        full = [digest(b"\x01", *full[i : i + 2]) for i in range(0, len(full), 2)]
    return full[0]


def numbers(array: Array) -> list[int]:
    """Elements; floats by their bits, so that none is turned over on the way."""
    flat = array.reshape(-1)
    found: list[int] = (flat.view(np.uint32) if flat.dtype == np.float32 else flat).tolist()
    return found


def packed(several: Sequence[int], dtype: DType) -> bytes:
    return struct.pack(f">{len(several)}{FORMAT[dtype]}", *several)


def defined_root(array: Array) -> bytes:
    kind = type_of(array)
    most = 1024 // kind.dtype.itemsize
    length = kind.shape[-1] if kind.shape else 1
    parts = numbers(array)

    def cut(row: list[int], size: int) -> list[bytes]:
        pieces = [row[i : i + size] for i in range(0, len(row), size)]
        return [digest(b"\x00", packed(piece, kind.dtype)) for piece in pieces]

    if not parts:
        top = digest(b"\x08")
    elif length >= most:
        rows = [parts[i : i + length] for i in range(0, len(parts), length)]
        top = tree([tree(cut(row, most)) for row in rows])
    else:
        top = tree(cut(parts, most // length * length))
    extents = b"".join(extent.to_bytes(4, "big") for extent in kind.shape)
    return digest(b"\x02", bytes((kind.dtype.value, len(kind.shape))), extents, top)


def filled(kind: TensorType, seed: int = 0) -> Array:
    return any_bits(np.random.default_rng(seed), kind)


MOST_LEAVES = 2**4 + 1
"""A tree of height 4, and one leaf more."""


def shapes_of(dtype: DType) -> list[tuple[int, ...]]:
    """Shapes of every number of leaves from 1 to `MOST_LEAVES`, packed and long, full and not."""
    most = 1024 // dtype.itemsize
    third = most // 3
    counts = range(1, MOST_LEAVES + 1)
    return [
        (), (1,), (0,), (3, 0), (0, most), (most - 1,), (most,), (most + 1,),
        (3, most + 1), (1, 2, 3, most // 2 + 1), (4, most // 2), (7, third),
        (5, 4 * most + 1), (3, 1, 2 * most - 1),
        # Packed rows, whose last leaf is full or half of it.
        *((2 * leaves, most // 2) for leaves in counts),
        *((2 * leaves - 1, most // 2) for leaves in counts),
        # One long row, whose last leaf is full or lacks an element; and rows of one leaf each.
        *((leaves * most,) for leaves in counts),
        *((leaves * most - 1,) for leaves in counts if leaves > 1),
        *((rows, most) for rows in counts),
        *((2, leaves * most - 1) for leaves in counts if leaves > 1),
    ]  # fmt: skip


KINDS = [TensorType(dtype, shape) for dtype in DTYPES for shape in dict.fromkeys(shapes_of(dtype))]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_leaf_and_row_opens_under_the_defined_root(kind: TensorType) -> None:
    array = filled(kind)
    root = tensor_root(array)
    assert root == defined_root(array)
    plan, parts = layout(kind), numbers(array)
    found = [open_leaf(array, leaf) for leaf in range(plan.leaves)]
    for leaf, opening in enumerate(found):
        check_leaf(root, kind, leaf, opening)
        held = plan.elements(leaf)
        assert opening.data == packed(parts[held.start : held.stop], kind.dtype)
        assert len(opening.siblings) <= plan.height
        assert plan.leaf_of(held[0]) == plan.leaf_of(held[-1]) == leaf
    assert b"".join(opening.data for opening in found) == packed(parts, kind.dtype)
    for row in range(plan.rows):
        opening = open_row(array, row)
        check_row(root, kind, row, opening)
        wanted = packed(parts[row * plan.row : (row + 1) * plan.row], kind.dtype)
        if plan.rows_are_trees:
            assert opening.data == wanted
        else:
            start = row * plan.row - plan.elements(plan.leaf_of(row * plan.row)).start
            start *= kind.dtype.itemsize
            assert opening.data[start : start + len(wanted)] == wanted


@given(tensors())
def test_small_tensors_have_the_defined_root(array: Array) -> None:
    assert tensor_root(array) == defined_root(array)


@given(tensors())
def test_bytes_are_read_back(array: Array) -> None:
    kind = type_of(array)
    back = from_big_endian(big_endian(array), kind.dtype)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
    assert bytes(big_endian(array)) == packed(numbers(array), kind.dtype)


@pytest.mark.parametrize(
    "kind",
    [
        TensorType(DType.F32, (3, 300_001)),  # blocks within a row
        TensorType(DType.I64, (150, 1100)),  # several rows to a block
        TensorType(DType.I8, (160_000, 7)),  # packed
    ],
    ids=str,
)
def test_blocks_leave_the_root_alone(kind: TensorType) -> None:
    array = filled(kind)
    passed: list[bytes] = []
    root = tensor_root(array, sink=lambda data: passed.append(bytes(data)))
    assert root == defined_root(array)
    assert b"".join(passed) == bytes(big_endian(array))


def test_order_in_memory_and_of_bytes_leaves_the_root_alone() -> None:
    array = filled(TensorType(DType.F32, (40, 30)))
    wanted = tensor_root(array)
    assert tensor_root(array.astype(">f4")) == wanted
    assert tensor_root(np.asfortranarray(array)) == wanted
    assert tensor_root(np.ascontiguousarray(array.T).T) == wanted


def test_hashing_needs_no_copy_of_the_tensor() -> None:
    array = np.zeros((64, 1 << 18), np.float32)  # 64 MiB
    tracemalloc.start()
    tensor_nodes(array)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Twice 64 bytes to a leaf of 1 KiB, and a few blocks of 1 MiB.
    assert peak < array.nbytes // 8 + (8 << 20)


@given(kind_of_tensors(), kind_of_tensors(), st.integers(0, 2**32 - 1))
def test_another_type_is_another_root(one: TensorType, other: TensorType, seed: int) -> None:
    assume(one != other)
    data = np.random.default_rng(seed).integers(0, 2, 1 << 15, np.uint8)

    def of(kind: TensorType) -> Array:
        return data[: kind.nbytes].view(kind.dtype.numpy).reshape(kind.shape)

    assert tensor_root(of(one)) != tensor_root(of(other))


@given(tensors(), st.data())
def test_another_element_is_another_root(array: Array, data: st.DataObject) -> None:
    assume(array.size)
    raw = bytearray(array.tobytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    other = np.frombuffer(bytes(raw), array.dtype).reshape(array.shape)
    if array.dtype != np.bool_:
        assert tensor_root(other) != tensor_root(array)


LONG_AND_PACKED = [
    TensorType(DType.F32, (5, 300)), TensorType(DType.F32, (9, 256)), TensorType(DType.I8, (1100,)),
    TensorType(DType.U8, (70, 100)), TensorType(DType.I64, (2, 3, 129)), TensorType(DType.I32, ()),
    TensorType(DType.BOOL, (3, 1024)),
]  # fmt: skip


@given(st.sampled_from(LONG_AND_PACKED), st.booleans(), st.data())
def test_a_tampered_opening_is_rejected(
    kind: TensorType, by_row: bool, data: st.DataObject
) -> None:
    array = tensor(random.Random(1), kind)
    root, plan = tensor_root(array), layout(kind)
    count = plan.rows if by_row else plan.leaves
    index = data.draw(st.integers(0, count - 1))
    opening = (open_row if by_row else open_leaf)(array, index)
    way = data.draw(st.sampled_from(["data", "sibling", "longer", "shorter", "more", "fewer"]))
    content, siblings = bytearray(opening.data), list(opening.siblings)
    match way:
        case "sibling" if siblings:
            at = data.draw(st.integers(0, len(siblings) - 1))
            siblings[at] = type(siblings[at])(digest(siblings[at]))
        case "longer":
            content += bytes(data.draw(st.integers(1, 1024)))
        case "shorter":
            del content[data.draw(st.integers(0, len(content) - 1)) :]
        case "more":
            at = data.draw(st.integers(0, len(siblings)))
            siblings.insert(at, type(root)(digest(b"\x08")))
        case "fewer" if siblings:
            del siblings[data.draw(st.integers(0, len(siblings) - 1))]
        case _:
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    check = check_row if by_row else check_leaf
    with pytest.raises(OpeningRejectedError):
        check(root, kind, index, Opening(bytes(content), tuple(siblings)))


@pytest.mark.parametrize("kind", LONG_AND_PACKED, ids=str)
def test_an_opening_holds_at_its_own_index_alone(kind: TensorType) -> None:
    array = filled(kind)
    root, plan = tensor_root(array), layout(kind)
    for leaf in range(plan.leaves):
        for other in range(-1, plan.leaves + 2):
            if other != leaf:
                with pytest.raises(OpeningRejectedError):
                    check_leaf(root, kind, other, open_leaf(array, leaf))
    for row in range(plan.rows):
        for other in (-1, row - 1, row + 1, plan.rows):
            together = (
                0 <= other < plan.rows
                and not plan.rows_are_trees
                and (plan.leaf_of(row * plan.row) == plan.leaf_of(other * plan.row))
            )
            if not together:
                with pytest.raises(OpeningRejectedError):
                    check_row(root, kind, other, open_row(array, row))


def test_an_opening_under_another_type_is_rejected() -> None:
    array = filled(TensorType(DType.F32, (16, 256)))
    root, opening = tensor_root(array), open_leaf(array, 3)
    for kind in (
        TensorType(DType.I32, (16, 256)), TensorType(DType.F32, (4, 4, 256)),
        TensorType(DType.F32, (15, 256)), TensorType(DType.F32, (4096,)),
        TensorType(DType.F32, ()),
    ):  # fmt: skip
        assert prod(kind.shape) >= 1
        with pytest.raises(OpeningRejectedError):
            check_leaf(root, kind, 3, opening)


def test_two_leaves_of_64_bytes_are_no_node() -> None:
    # Were leaf and node hashed alike, the digests of two leaves could be shown as elements.
    leaves = [digest(b"\x00", bytes([i]) * 1024) for i in range(2)]
    array = np.repeat(np.arange(2, dtype=np.uint8), 1024)
    posing = np.frombuffer(b"".join(leaves), np.uint8)
    with pytest.raises(OpeningRejectedError):
        check_leaf(
            tensor_root(array), TensorType(DType.U8, (64,)), 0, Opening(posing.tobytes(), ())
        )
    assert tensor_root(posing) != tensor_root(array)


@pytest.mark.parametrize("shape", [(0,), (4, 0), (0, 2000)])
def test_an_empty_tensor_has_nothing_to_open(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.float32)
    kind = type_of(array)
    assert layout(kind).leaves == layout(kind).rows * 0 == 0
    for check in (check_leaf, check_row):
        with pytest.raises(OpeningRejectedError, match=r"none is number 0"):
            check(tensor_root(array), kind, 0, Opening(b"", ()))
