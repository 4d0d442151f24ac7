"""What a dispute about one model takes at the worst, for the terms of ``economics``."""

from math import ceil, log2
from typing import Final

from verifiable.dispute.economics import ROUNDS
from verifiable.dispute.terms import LEVELS
from verifiable.graph.ir import Graph

_INSTRUCTIONS: Final = 2_000
_ELEMENTS: Final = 2**26
"""Sizes up to which `ROUNDS` holds."""


def rounds_of(graph: Graph) -> int:
    """Demands and reveals until every byte about a wrong element is out.

    `ROUNDS` up to the sizes it was taken at; each further `LEVELS` levels of the tree over the
    instructions, or of the tree inside the largest tensor, take one more.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    int
    """
    largest = max(ins.type.size for ins in graph.instructions)
    return ROUNDS + _more(len(graph.instructions), _INSTRUCTIONS) + _more(largest, _ELEMENTS)


def _more(got: int, covered: int) -> int:
    return 0 if got <= covered else ceil(ceil(log2(got / covered)) / LEVELS)
