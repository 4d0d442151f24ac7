"""Invariants of commitments (C) of DISPUTE.md: walks and answers, in both languages alike.

Nodes and siblings come from ``crypto.tree``, elements from the tensors: never from the code under
test.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from costly import costly
from graph_zoo import LONG, Case, case
from hypothesis import given
from hypothesis import strategies as st
from referee_lab import OPENING_ERRORS, Game, new_game, refusal
from trace_runs import tensors_of
from walk_material import Site, path, site, site_of

from verifiable.chain.referee_values import demand_value, walk_value
from verifiable.chain.revert import RevertedError
from verifiable.chain.step_values import statement_value
from verifiable.crypto.merkle import Tag, rows_of, tagged, tree_root
from verifiable.crypto.tree import over
from verifiable.dispute.errors import IllegalMoveError
from verifiable.dispute.terms import LEVELS, Cursor, Demand, Form, Walk, Zone, levels_shown
from verifiable.dispute.walk import check_answer, target, tensor_cursor
from verifiable.errors import EncodingError, OpeningRejectedError
from verifiable.graph.ir import Const, Index, TensorType
from verifiable.graph.layout import layout
from verifiable.graph.tensors import tensor_tree
from verifiable.graph.vocabulary import DType
from verifiable.types import ClaimId, Sha256

pytestmark = pytest.mark.evm

CLAIM = ClaimId(bytes([5]) * 32)
seeds = st.integers(0, 2**32 - 1)


@cache
def game() -> Game:
    return new_game()


def asked(where: Site, walk: Walk) -> Demand | set[str]:
    """The demand that a walk leads to, or how it is refused; both languages say the same."""
    arguments = (statement_value(where.statement), CLAIM, walk_value(walk))
    theirs: Any
    try:
        theirs = game().call("Walks", "target", *arguments)
    except RevertedError as e:
        theirs = refusal(e.data)
    ours = _rules(lambda: target(where.statement, CLAIM, walk))
    if isinstance(ours, IllegalMoveError):
        assert theirs.names == {ours.error}, (ours, theirs)
        assert theirs.arguments == tuple(map(_plain, ours.arguments))
        return {ours.error}
    if isinstance(ours, Demand):
        assert theirs == demand_value(ours)
        return ours
    assert theirs.names <= OPENING_ERRORS, theirs
    return {"opening"}


def _rules(ask: Callable[[], Demand | None]) -> Any:
    """What Python says, or how it refuses."""
    try:
        return ask()
    except (IllegalMoveError, OpeningRejectedError, EncodingError) as e:
        return e


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, int) else value


def answered(demand: Demand, data: bytes) -> str:
    """Empty if bytes answer a demand, else how they are refused; both languages say the same."""
    theirs = ""
    try:
        game().call("Walks", "check", demand_value(demand), data)
    except RevertedError as e:
        (theirs,) = refusal(e.data).names
    ours = _rules(lambda: check_answer(demand, data))
    assert theirs == ("" if ours is None else ours.error)
    return theirs


def zoo_site(one: Case) -> Site:
    return site_of(one.graph, tensors_of(one))


def must(found: Demand | set[str]) -> Demand:
    assert isinstance(found, Demand), found
    return found


def descend(where: Site, demand: Demand, element: int) -> Demand:
    """Demand after demand down to the leaf that holds an element of a tensor."""
    tensor = where.tensor_under(demand)
    tree, plan = tensor_tree(tensor), layout(where.type_under(demand))
    leaf = tree.leaf_index(plan.leaf_of(element))
    while demand.form is not Form.LEAF:
        assert answered(demand, where.answer(demand)) == ""
        level = demand.at.height - demand.size
        demand = must(asked(where, where.on(demand, level, leaf >> level)))
        if not demand.at.height and demand.form is Form.NODES:
            break
    return demand


@costly(seed=seeds, extents=st.sampled_from(((0, 1, 2, 3, 5), LONG)), pick=st.integers(0, 10**6))
def test_every_element_of_every_tensor_can_be_demanded_and_revealed(
    seed: int, extents: tuple[int, ...], pick: int
) -> None:
    where = zoo_site(case(seed, steps=4, extents=extents))
    for index, instruction in enumerate(where.graph.instructions):
        constant = isinstance(instruction, Const)
        slot = where.crossing(Index(index)).instruction.slot
        walk = (
            where.into_const(Index(index))
            if constant
            else where.walk(slot.section, 0, slot.position)
        )
        demand = must(asked(where, walk))
        assert demand.form is Form.TENSOR
        data = where.answer(demand)
        assert answered(demand, data) == ""
        assert answered(demand, data[:-1])
        assert answered(demand, bytes([data[0] ^ 1]) + data[1:])
        if instruction.type.size:
            leaf = descend(where, demand, pick % instruction.type.size)
            assert leaf.form is Form.LEAF
            assert answered(leaf, where.answer(leaf)) == ""
            # C4: the length of a leaf is exact.
            assert answered(leaf, where.answer(leaf)[:-1]) == "RevealLength"
            assert answered(leaf, where.answer(leaf) + b"\0") == "RevealLength"


@given(
    trees=st.integers(1, 9),
    leaves=st.integers(1, 70),
    level=st.integers(0, 12),
    pick=st.integers(0, 10**6),
    tag=st.integers(0, 255),
)
def test_c6_any_part_of_any_tree_folds_to_its_node(
    trees: int, leaves: int, level: int, pick: int, tag: int
) -> None:
    digests = [tagged(Tag.LEAF, bytes([tag, i, t])) for t in range(trees) for i in range(leaves)]
    tree = over(rows_of(digests).reshape(trees, leaves, 32))
    level = min(level, tree.height)
    real = [i for i in range(1 << (tree.height - level)) if tree.is_node(level, i)]
    index = real[pick % len(real)]
    size = min(LEVELS, level)
    at = Cursor(
        node=tree.node(level, index), zone=4, height=level, index=index, trees=trees, leaves=leaves
    )
    demand = Demand(claim_id=CLAIM, form=Form.NODES, size=size, at=at)
    below = range(index << size, (index + 1) << size)
    data = b"".join(tree.node(level - size, i) for i in below if tree.is_node(level - size, i))
    assert answered(demand, data) == ""
    assert answered(demand, data + bytes(32)) == "RevealLength"
    assert answered(demand, data[32:]) == "RevealLength"
    assert answered(demand, bytes([data[0] ^ 1]) + data[1:]) == "RevealMismatch"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 16, 17, 33, 64, 65])
def test_c6_one_tree_of_each_size_folds_to_the_root_of_merkle(count: int) -> None:
    leaves = [tagged(Tag.LEAF, bytes([i])) for i in range(count)]
    tree = over(rows_of(leaves)[None])
    assert tree.top == tree_root(leaves)
    size = levels_shown(tree.height)
    at = Cursor(node=tree_root(leaves), zone=1, height=tree.height, index=0, trees=1, leaves=count)
    demand = Demand(claim_id=CLAIM, form=Form.NODES, size=size, at=at)
    width = 1 << (tree.height - size)
    data = b"".join(
        tree_root(leaves[i : i + width])
        if i + width <= count
        else tree.node(tree.height - size, i // width)
        for i in range(0, count, width)
    )
    assert answered(demand, data) == ""


def test_c1_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = tagged(Tag.LEAF, b"l"), tagged(Tag.LEAF, b"r")
    posing = tagged(Tag.LEAF, left, right)
    at = Cursor(node=posing, zone=4, height=1, index=0, trees=1, leaves=2)
    nodes = Demand(claim_id=CLAIM, form=Form.NODES, size=1, at=at)
    assert answered(nodes, left + right) == "RevealMismatch"
    node = tagged(Tag.NODE, left, right)
    leaf = Demand(claim_id=CLAIM, form=Form.LEAF, size=64, at=replace(at, node=node, height=0))
    assert answered(leaf, left + right) == "RevealMismatch"


def test_c2_the_height_of_a_tensor_follows_from_its_shape() -> None:
    kind = TensorType(DType.F32, (3, 600))
    at = tensor_cursor(kind, Sha256(bytes(32)))
    tree = tensor_tree(np.zeros((3, 600), np.float32))
    assert (at.height, at.trees, at.leaves) == (tree.height, 3, 3)
    where = site(70)
    demand = must(asked(where, where.walk(1, 0, 5)))
    taller = replace(where.on(demand, 0, 0), height=1)
    assert asked(where, taller) == {"WalkMalformed"}
    shape = where.answer(demand)
    # The same nodes under another shape: the type is what the model says.
    assert answered(demand, shape[:5] + b"\x04" + shape[6:]) == "RevealMismatch"


@pytest.mark.parametrize("zone", [0, 1, 2, 3])
def test_c3_no_choice_leads_into_padding(zone: int) -> None:
    where = site(70)
    tree = where.zone(zone)
    for level in range(tree.height):
        index = tree.leaves + (1 << level) - 1 >> level
        if index >= 1 << (tree.height - level):
            continue
        walk = Walk(
            header=where.header, node=Sha256(bytes(32)), zone=zone, height=level, index=index,
            siblings=path(tree, level, index, tree.height),
        )  # fmt: skip
        assert asked(where, walk) == {"IntoPadding"}


@pytest.mark.parametrize("index", [3, 7, 12, 15])
def test_c3_nor_into_the_padding_of_a_tensor(index: int) -> None:
    where = site(70)
    demand = must(asked(where, where.walk(1, 0, 5)))
    inside = where.on(demand, 0, 0)
    tree = where.tree_under(demand)
    walk = replace(inside, index=index, siblings=path(tree, 0, 0, tree.height))
    assert asked(where, walk) == {"IntoPadding"}


def test_an_empty_tensor_shows_its_type_and_has_no_leaf() -> None:
    where = site(70)
    place = where.crossing(Index(len(where.graph.instructions) - 2)).instruction.slot
    demand = must(asked(where, where.walk(place.section, 0, place.position)))
    data = where.answer(demand)
    assert (len(data), demand.size) == (10, 0)
    assert answered(demand, data) == ""
    walk = replace(
        where.walk(place.section, 0, place.position),
        start=demand, type_header=data, crossing=None, siblings=(), index=0,
    )  # fmt: skip
    assert asked(where, walk) == {"IntoPadding"}


def test_a_crossing_is_the_instruction_of_the_place_it_leads_to() -> None:
    where = site(70)
    walk = where.walk(1, 0, 5)
    assert walk.crossing is not None
    other = replace(walk, crossing=where.crossing(Index(9)))
    assert asked(where, other) == {"WalkMalformed"}
    assert asked(where, replace(walk, crossing=None)) == {"WalkMalformed"}
    unproven = replace(walk.crossing, place=9)
    assert asked(where, replace(walk, crossing=unproven)) == {"opening"}
    header = replace(where.header, tensors=(1, 72, 2))
    assert asked(where, replace(walk, header=header)) == {"opening"}
    assert asked(where, where.into_const(Index(2))) == {"WalkMalformed"}
    const = where.into_const(Index(1))
    assert asked(where, replace(const, node=Sha256(bytes(32)))) == {"WalkMismatch"}
    assert asked(where, replace(const, zone=Zone.MODEL)) == {"WalkMalformed"}


def test_c5_demands_of_two_places_have_two_ids() -> None:
    where = site(70)
    one, two = must(asked(where, where.walk(1, 0, 5))), must(asked(where, where.walk(3, 0, 5)))
    ids = {one.id, two.id, replace(one, size=3).id, replace(one, claim_id=ClaimId(bytes(32))).id}
    changed = replace(one, at=replace(one.at, trees=one.at.leaves + 1))
    swapped = replace(one, at=replace(one.at, leaf_bytes=one.at.last_bytes))
    assert len(ids | {changed.id, swapped.id}) == 6


def test_a_walk_goes_on_from_nodes_and_tensors_alone_and_never_stays() -> None:
    where = site(70)
    top = must(asked(where, where.walk(1, 7, 0)))
    assert asked(where, where.on(top, 7, 0)) == {"WalkMalformed"}
    instruction = must(asked(where, where.walk(3, 0, 4)))
    assert instruction.form is Form.INSTRUCTION
    assert asked(where, replace(where.walk(3, 0, 4), start=instruction)) == {"WalkMalformed"}
    tensor = must(asked(where, where.walk(1, 0, 4)))
    assert asked(where, replace(where.on(tensor, 2, 0), type_header=b"")) == {"WalkMalformed"}
    assert asked(where, replace(where.on(top, 2, 0), type_header=b"\0\0")) == {"WalkMalformed"}


def test_s7_a_walk_stays_below_the_node_it_starts_from() -> None:
    where = site(70)
    top = must(asked(where, where.walk(1, 6, 0)))
    inside = where.on(top, 1, 1)
    must(asked(where, inside))
    # A node of the tree too, but not one of those below.
    assert asked(where, replace(inside, index=1 + 32)) == {"WalkMalformed"}


def test_c7_nothing_that_is_committed_is_computed_with_floats() -> None:
    """Bits that floats would not tell apart are told apart."""
    where = site(70)
    demand = must(asked(where, where.walk(1, 0, 5)))
    leaf = descend(where, demand, 0)
    data = bytearray(where.answer(leaf))
    data[:4] = b"\x80\0\0\0" if data[:4] != b"\x80\0\0\0" else b"\0\0\0\0"
    assert answered(leaf, bytes(data)) == "RevealMismatch"


def test_c8_a_node_of_zeros_is_a_node() -> None:
    zero = Sha256(bytes(32))
    root = tagged(Tag.NODE, zero, zero)
    at = Cursor(node=root, zone=1, height=1, index=0, trees=1, leaves=2)
    demand = Demand(claim_id=CLAIM, form=Form.NODES, size=1, at=at)
    assert answered(demand, bytes(64)) == ""
