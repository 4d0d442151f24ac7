"""How much a model may make: a hundred bytes of it can ask for terabytes.

What a model implies and does not hold (windows, counts, tables of places) is counted here before
it is made. Nothing else in this package counts with `numpy.arange`; a test sees to it.
"""

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from verifiable.errors import GraphError
from verifiable.frontend.lower.hints import TOO_LARGE
from verifiable.graph.check import type_problems
from verifiable.graph.ir import Array, TensorType

MOST: Final = 2**24
"""Elements of a constant: 128 MiB of float64 or int64 while it is computed."""
MOST_INSTRUCTIONS: Final = 2**20
"""Recurrent layers are written out step by step, and splits piece by piece."""


def afford(extents: Sequence[int]) -> None:
    """Pass a constant of this shape, which the caller is about to make.

    Raises
    ------
    GraphError
        If it has more elements than `MOST`, or an extent below 0.
    """
    if any(extent < 0 for extent in extents) or prod(extents) > MOST:
        raise GraphError(
            f"implies a constant of shape {[int(e) for e in extents]}, wanted at most {MOST} "
            "elements",
            hint="make the size, depth, length or scale that it is given smaller",
        )


def line(*bounds: int) -> Array:
    """``numpy.arange`` of int64.

    Raises
    ------
    GraphError
        As `afford`.
    """
    afford([len(range(*bounds))])
    return np.arange(*bounds, dtype=np.int64)


def afford_instruction(kind: TensorType, before: int) -> None:
    """Pass an instruction that makes a tensor of `kind` after `before` others.

    Raises
    ------
    GraphError
        If the machine has no tensor of that type, or there are too many instructions.
    """
    for problem in type_problems(kind):
        raise GraphError(f"makes a tensor {kind}: {problem}", hint=TOO_LARGE)
    if before >= MOST_INSTRUCTIONS:
        raise GraphError(
            f"comes after {before} instructions, wanted no more than that", hint=TOO_LARGE
        )
