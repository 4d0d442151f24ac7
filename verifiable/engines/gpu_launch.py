"""What a kernel launch is: text, kernel, shape and arguments, before there is a device."""

from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from verifiable.errors import HostError

MAX_BLOCKS: Final = 2**31 - 1
"""Of a grid's first axis, the only one in use."""

THREADS: Final = 256
"""Of a block, where one thread computes one element."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that the instruction reads, by its number among the operands."""

    number: int


@dataclass(frozen=True, slots=True)
class Result:
    """The tensor that the instruction writes."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Memory for partial results, of this instruction alone."""


Number = np.generic
"""A scalar of just the width that the kernel declares: nobody else checks that."""

Argument = Operand | Result | Workspace | Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One kernel launch."""

    source: str
    """CUDA text that holds the kernel."""
    kernel: str
    grid: int
    block: tuple[int, int]
    arguments: tuple[Argument, ...]

    def __post_init__(self) -> None:
        assert self.grid > 0, "nothing to launch"
        assert prod(self.block) <= 1024, "no block has more threads"
        if self.grid > MAX_BLOCKS:
            raise HostError(f"{self.kernel} would need {self.grid} blocks, a grid has {MAX_BLOCKS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the device computes one instruction."""

    launches: tuple[Launch, ...] = ()
    """In order; none where the result is empty, or is the first operand's own memory."""
    workspace: int = 0
    """Bytes."""
    alias: bool = False
    """Whether the result is the first operand's own memory."""


def i32(value: int) -> np.int32:
    """Argument for an ``int``."""
    return np.int32(value)


def i64(value: int) -> np.int64:
    """Argument for a ``long long``."""
    return np.int64(value)


def blocks(elements: int, each: int = THREADS) -> int:
    """Number of blocks that compute `each` elements.

    >>> blocks(257)
    2
    """
    return -(-elements // each)
