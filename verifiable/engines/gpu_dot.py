"""Which kernels compute a Dot, and their launch shapes. No choice here touches a bit."""

from typing import Final

from verifiable.engines.gpu_launch import (
    Launch,
    Operand,
    Plan,
    Result,
    Workspace,
    blocks,
    i32,
    i64,
)
from verifiable.engines.gpu_sources import cuda_text
from verifiable.errors import HostError
from verifiable.graph.ir import Dot, TensorType
from verifiable.graph.vocabulary import DType

ENOUGH_BLOCKS: Final = 128
"""Blocks that keep a large device busy; with fewer, chunks get blocks of their own."""
MAX_COUNT: Final = 2**31 - 4096
"""Kernels count along rows, columns and what is summed in 32 bits, and look a tile ahead."""
FEW: Final = (1, 8)
"""Rows that `dot_f32_few_*` take."""


def plan_dot(dot: Dot, a: TensorType, b: TensorType) -> Plan:
    """Plan a Dot.

    Raises
    ------
    HostError
        If an axis is longer than a kernel can count.
    """
    if not dot.type.size:
        return Plan()
    longest = max(*a.shape[1:], *b.shape[1:])
    if longest > MAX_COUNT:
        raise HostError(f"{dot.type} has an axis of {longest} elements, kernels count {MAX_COUNT}")
    if a.dtype is not DType.F32:
        return Plan(launches=(_integer(dot, a, b),))
    chunks = max(1, blocks(a.shape[2], dot.chunk))
    if a.shape[2] == 0 or dot.chunk % 32:
        return Plan(launches=(_any(dot, a, b),))
    if min(a.shape[1], b.shape[1]) <= FEW[-1]:
        first, split = _few(dot, a, b, chunks), chunks > 1
    else:
        side, split = _tiling(dot.type, chunks)
        first = _tile(dot, a, b, chunks, side=side, split=split)
    if not split:
        return Plan(launches=(first,))
    fold = Launch(
        source=cuda_text("dot.cu"),
        kernel="dot_f32_fold",
        grid=blocks(dot.type.size),
        block=(256, 1),
        arguments=(Workspace(), Result(), i32(chunks), i64(dot.type.size)),
    )
    return Plan(launches=(first, fold), workspace=chunks * dot.type.nbytes)


def _tiling(result: TensorType, chunks: int) -> tuple[int, bool]:
    """Side of a tile, and whether chunks get blocks of their own."""
    batch, m, n = result.shape
    large, small = (batch * blocks(m, side) * blocks(n, side) for side in (128, 64))
    if large >= ENOUGH_BLOCKS:
        return 128, False
    if min(m, n) >= 128 and chunks > 1 and large * chunks >= ENOUGH_BLOCKS:
        return 128, True
    return 64, chunks > 1 and small < ENOUGH_BLOCKS


def _tile(dot: Dot, a: TensorType, b: TensorType, chunks: int, *, side: int, split: bool) -> Launch:
    batch, m, n = dot.type.shape
    k = a.shape[2]
    return Launch(
        source=cuda_text("dot.cu"),
        kernel=f"dot_f32_tile_{side}",
        grid=blocks(m, side) * blocks(n, side) * batch * (chunks if split else 1),
        block=(256, 1),
        arguments=(
            Operand(0),
            Operand(1),
            Workspace() if split else Result(),
            *map(i32, (a.shape[0], b.shape[0], m, n, k, dot.chunk, chunks, split)),
        ),
    )


def _few(dot: Dot, a: TensorType, b: TensorType, chunks: int) -> Launch:
    batch, m, n = dot.type.shape
    # A product's factors may change places: fma(x, y, z) is fma(y, x, z).
    left = m <= n
    few, many = (a, b) if left else (b, a)
    rows = next(count for count in FEW if few.shape[1] <= count)
    return Launch(
        source=cuda_text("dot.cu"),
        kernel=f"dot_f32_few_{rows}",
        grid=blocks(many.shape[1], 32) * blocks(chunks, 4) * batch,
        block=(128, 1),
        arguments=(
            Operand(0 if left else 1),
            Operand(1 if left else 0),
            Workspace() if chunks > 1 else Result(),
            *map(i32, (few.shape[0], many.shape[0], few.shape[1], many.shape[1])),
            *map(i32, (a.shape[2], dot.chunk, chunks)),
            *map(i64, (n, 1) if left else (1, n)),
            i64(batch),
        ),
    )


def _any(dot: Dot, a: TensorType, b: TensorType) -> Launch:
    return Launch(
        source=cuda_text("dot.cu"),
        kernel="dot_f32_any",
        grid=blocks(dot.type.size),
        block=(256, 1),
        arguments=(
            Operand(0),
            Operand(1),
            Result(),
            *map(i32, (a.shape[0], b.shape[0], *dot.type.shape[1:], a.shape[2], dot.chunk)),
            i64(dot.type.size),
        ),
    )


def _integer(dot: Dot, a: TensorType, b: TensorType) -> Launch:
    batch, m, n = dot.type.shape
    k = a.shape[2]
    extents = tuple(map(i32, (a.shape[0], b.shape[0], m, n, k)))
    by_row = k == 0 or min(m, n) <= FEW[-1]
    if by_row:
        kernel, grid = f"dot_{a.dtype.word}_row", blocks(dot.type.size, 8)
    else:
        kernel = f"dot_{a.dtype.word}_tile"
        grid = blocks(m, 128) * blocks(n, 128) * batch
    return Launch(
        source=cuda_text("dot_int.cu"),
        kernel=kernel,
        grid=grid,
        block=(256, 1),
        arguments=(
            Operand(0),
            Operand(1),
            Result(),
            *extents,
            *((i64(dot.type.size),) if by_row else ()),
        ),
    )
