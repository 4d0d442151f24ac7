"""Which kernels compute an instruction, and their launch shapes. No choice here touches a bit.

Pure, so that tests run the very launches of the gpu engine without a device.
"""

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from verifiable.engines.gpu_dot import MAX_COUNT, plan_dot
from verifiable.engines.gpu_launch import (
    Launch,
    Operand,
    Plan,
    Result,
    blocks,
    i32,
    i64,
)
from verifiable.engines.gpu_sources import MAP_KERNEL, cuda_text, map_layout, map_source
from verifiable.errors import HostError
from verifiable.graph.ir import (
    Concat,
    Const,
    Dot,
    Gather,
    Input,
    Instruction,
    Map,
    Reduce,
    TensorType,
    View,
)
from verifiable.graph.vocabulary import DType, Fold

FAR: Final = 2**31
"""Elements from which kernels count in 64 bits."""
MAX_VIEW_RANK: Final = 8
LONG_ROW: Final = 2048
"""Elements of a row from which a Reduce gives it a block, where a shorter one gets a warp."""


def plan_instruction(instruction: Instruction, operands: Sequence[TensorType]) -> Plan:
    """Plan one instruction of a checked graph.

    Parameters
    ----------
    instruction : Dot, Reduce, Map, View, Gather or Concat
    operands : sequence of TensorType
        Types of what it reads, in order.

    Raises
    ------
    HostError
        If a tensor is larger than a grid.
    """
    match instruction:
        case Dot():
            return plan_dot(instruction, *operands)
        case Reduce():
            return _reduce(instruction, *operands)
        case Map():
            return _map(instruction, operands)
        case View():
            return _view(instruction, *operands)
        case Gather():
            return _gather(instruction, *operands)
        case Concat():
            return _concat(instruction, operands)
        case Input() | Const():
            raise AssertionError(f"{type(instruction).__name__} is given, not computed")


def _reduce(reduce: Reduce, x: TensorType) -> Plan:
    rows, length = reduce.type.size, x.shape[-1]
    if not rows:
        return Plan()
    if length > MAX_COUNT:
        raise HostError(f"a row of {length} elements is longer than {MAX_COUNT}")
    summed = reduce.fold is Fold.SUM and x.dtype is DType.F32
    if length < LONG_ROW:
        warps, together = 1, 8
    else:
        # A warp folds a chunk at a time, so more warps than chunks would wait.
        chunks = blocks(length, reduce.chunk) if summed else 32
        warps, together = min(32, chunks), 1
    return Plan(
        launches=(
            Launch(
                source=cuda_text("reduce.cu"),
                kernel=f"reduce_{reduce.fold.name.lower()}_{x.dtype.word}",
                grid=blocks(rows, together),
                block=(32 * warps, together),
                arguments=(
                    Operand(0), Result(), i64(rows), i32(length),
                    *((i32(reduce.chunk),) if summed else ()),
                ),
            ),
        )
    )  # fmt: skip


def _map(instruction: Map, operands: Sequence[TensorType]) -> Plan:
    size = instruction.type.size
    if not size:
        return Plan()
    layout = map_layout(instruction.type.shape, [t.shape for t in operands])
    source = map_source(
        instruction.program, [t.dtype for t in operands], layout.present, far=size >= FAR
    )
    return Plan(
        launches=(
            Launch(
                source=source,
                kernel=MAP_KERNEL,
                grid=blocks(size),
                block=(256, 1),
                arguments=(
                    *map(Operand, range(len(operands))), Result(), i64(size),
                    *map(i64, layout.extents),
                ),
            ),
        )
    )  # fmt: skip


Axis = tuple[int, int, int, int]
"""Extent, stride, low and high of one axis of a View."""


def merge_view_axes(view: View) -> list[Axis]:
    """Axes of a View, last one first, as few as possible.

    An axis goes into the one inside it where that one has no border and they step alike.

    Examples
    --------
    >>> from verifiable.graph.ir import Index, Literal
    >>> flat = View(type=TensorType(DType.I8, (2, 3)), x=Index(0), offset=0, strides=(3, 1),
    ...             low=(0, 0), high=(2, 3), fill=Literal(DType.I8, 0))
    >>> merge_view_axes(flat)
    [(6, 1, 0, 6)]
    """
    shape = view.type.shape
    if any(low == high for low, high in zip(view.low, view.high, strict=True)):
        return [(prod(shape), 0, 0, 0)]  # the fill value everywhere
    merged: list[Axis] = []
    axes = zip(shape, view.strides, view.low, view.high, strict=True)
    for extent, stride, low, high in reversed(list(axes)):
        if extent == 1:
            continue  # its box is 0..1, since it is not empty
        if merged:
            inner, inner_stride, inner_low, inner_high = merged[-1]
            if (inner_low, inner_high) == (0, inner) and stride == inner * inner_stride:
                merged[-1] = (extent * inner, inner_stride, low * inner, high * inner)
                continue
        merged.append((extent, stride, low, high))
    return merged


def _view(view: View, x: TensorType) -> Plan:
    size = view.type.size
    if not size:
        return Plan()
    if view.is_reshape:
        return Plan(alias=True)
    axes = merge_view_axes(view)
    padded = [*axes, *[(1, 0, 0, 1)] * (MAX_VIEW_RANK - len(axes))]
    width = view.type.dtype.itemsize
    far = "_far" if max(size, x.size) >= FAR else ""
    return Plan(
        launches=(
            Launch(
                source=cuda_text("view.cu"),
                kernel=f"view_{width}{far}",
                grid=blocks(size),
                block=(256, 1),
                arguments=(
                    Operand(0), Result(), np.dtype(f"u{width}").type(view.fill.bits),
                    i64(size), i64(view.offset), i32(len(axes)),
                    *(i64(axis[field]) for field in range(4) for axis in padded),
                ),
            ),
        )
    )  # fmt: skip


def _gather(gather: Gather, x: TensorType, index: TensorType) -> Plan:
    size = gather.type.size
    if not size:
        return Plan()
    return Plan(
        launches=(
            Launch(
                source=cuda_text("gather.cu"),
                kernel=f"gather_{x.dtype.itemsize}_{index.dtype.word}",
                grid=blocks(size),
                block=(256, 1),
                arguments=(
                    Operand(0), Operand(1), Result(), i64(size),
                    *map(i64, (x.shape[1], x.shape[2], index.shape[1], index.shape[0])),
                ),
            ),
        )
    )  # fmt: skip


def _concat(concat: Concat, parts: Sequence[TensorType]) -> Plan:
    inner = prod(concat.type.shape[concat.axis + 1 :])
    total = concat.type.shape[concat.axis] * inner
    launches = []
    offset = 0
    for number, part in enumerate(parts):
        width = part.shape[concat.axis] * inner
        if part.size:
            launches.append(
                Launch(
                    source=cuda_text("concat.cu"),
                    kernel=f"concat_{part.dtype.itemsize}",
                    grid=blocks(part.size),
                    block=(256, 1),
                    arguments=(
                        Operand(number), Result(), *map(i64, (part.size, width, total, offset)),
                    ),
                )
            )  # fmt: skip
        offset += width
    return Plan(launches=tuple(launches))
