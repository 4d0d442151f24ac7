"""Every node of a tree is found by its place, and padding is where it must be."""

import hashlib
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.merkle import climb, rows_of
from verifiable.crypto.tree import Tree, count_nodes, over, view
from verifiable.types import Sha256

PAD = hashlib.sha256(b"\x08").digest()


def digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def full_levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of one tree, padding and all."""
    level = list(leaves)
    while len(level) & (len(level) - 1):
        level.append(PAD)
    found = [level]
    while len(level) > 1:
        level = [digest(b"\x01", *level[i : i + 2]) for i in range(0, len(level), 2)]
        found.append(level)
    return found


shapes = st.tuples(st.integers(1, 9), st.integers(1, 20))


def grown(shape: tuple[int, int]) -> tuple[list[list[bytes]], Tree]:
    trees, width = shape
    leaves = [[digest(bytes([t, i])) for i in range(width)] for t in range(trees)]
    return leaves, over(np.stack([rows_of(row) for row in leaves]))


@given(shapes)
def test_every_node_stands_where_the_definition_puts_it(shape: tuple[int, int]) -> None:
    leaves, tree = grown(shape)
    lower = [full_levels(row) for row in leaves]
    upper = full_levels([levels[-1][0] for levels in lower])
    border = len(lower[0]) - 1
    assert (tree.border, tree.height) == (border, border + len(upper) - 1)
    assert tree.top == upper[-1][0]
    seen = 0
    for level in range(tree.height + 1):
        if level <= border:
            want = [node for levels in lower for node in levels[level]]
        else:
            want = upper[level - border]
        for index, node in enumerate(want):
            if tree.is_node(level, index):
                assert tree.node(level, index) == node
                seen += 1
                for down in range(tree.room(level) + 1):
                    source = (
                        [x for levels in lower for x in levels[level - down]]
                        if level <= border
                        else upper[level - down - border]
                    )
                    below = source[index << down : (index + 1) << down]
                    assert [x.tobytes() for x in tree.below(level, index, down)] == below
                    real = [
                        tree.is_node(level - down, (index << down) + i) for i in range(1 << down)
                    ]
                    assert real == sorted(real, reverse=True)
                    assert tree.count_below(level, index, down) == sum(real)
        assert not tree.is_node(level, len(want))
    assert seen == count_nodes(*shape)


@given(shapes, st.data())
def test_siblings_lead_up(shape: tuple[int, int], data: st.DataObject) -> None:
    trees, width = shape
    leaves, tree = grown(shape)
    assert tree.leaves == trees * width
    leaf = data.draw(st.integers(0, tree.leaves - 1))
    index = tree.leaf_index(leaf)
    assert tree.leaf_number(index) == leaf
    row, place = divmod(leaf, width)
    assert tree.node(0, index) == leaves[row][place]
    within = tree.siblings(0, index, tree.border)
    root = climb(Sha256(leaves[row][place]), width, place, within)
    assert root == tree.node(tree.border, row)
    above = tree.siblings(tree.border, row)
    assert climb(root, trees, row, above) == tree.top
    assert tree.siblings(0, index) == within + above


@given(shapes)
def test_kept_nodes_are_the_tree_again(shape: tuple[int, int]) -> None:
    _, tree = grown(shape)
    rows = np.concatenate(list(tree.rows()))
    assert len(rows) == count_nodes(*shape)
    again = view(*shape, rows)
    assert all(map(np.array_equal, again.lower + again.upper, tree.lower + tree.upper))
    places = [again.place_of_row(row) for row in range(len(rows))]
    assert len(set(places)) == len(places)
    assert [again.node(*place) for place in places] == [row.tobytes() for row in rows]


def test_a_tree_without_leaves_is_padding() -> None:
    empty = np.zeros((0, 32), np.uint8)
    for tree in (over(empty[None]), view(0, 0, empty), view(0, 3, empty)):
        assert tree.top == PAD
        assert (tree.leaves, tree.height) == (0, 0)
        assert not tree.is_node(0, 0)
    assert count_nodes(0, 3) == count_nodes(3, 0) == 0
