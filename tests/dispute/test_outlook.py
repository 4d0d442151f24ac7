"""A model larger than those that the rounds were counted for takes more of them, never fewer."""

import pytest

from verifiable.dispute.economics import ROUNDS
from verifiable.dispute.outlook import rounds_of
from verifiable.graph.ir import Graph, Input, TensorType
from verifiable.graph.vocabulary import DType


@pytest.mark.parametrize(
    ("instructions", "elements", "more"),
    [
        (1, 1, 0),
        (2_000, 2**26, 0),
        (2_001, 2**26, 1),
        (2_000 * 2**6, 1, 1),
        (2_000 * 2**6 + 1, 1, 2),
        (1, 2**26 + 1, 1),
        (1, 2**32, 1),
        (1, 2**33, 2),
        (2_001, 2**27, 2),
    ],
)
def test_each_six_levels_more_take_one_round_more(
    instructions: int, elements: int, more: int
) -> None:
    # Only their number and the size of the largest count.
    small, large = (Input(type=TensorType(DType.F32, (n,))) for n in (1, elements))
    graph = Graph(instructions=(large, *[small] * (instructions - 1)), inputs=(), outputs=())
    assert rounds_of(graph) == ROUNDS + more
