"""What the gpu engine launches: layouts with few axes, and shapes within a device's limits."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiable.engines.gpu_launch import Launch, Plan, Result, i64
from verifiable.engines.gpu_plan import merge_view_axes, plan_instruction
from verifiable.engines.gpu_sources import map_layout
from verifiable.errors import HostError
from verifiable.graph.ir import Dot, Index, Literal, Map, Program, Reduce, Step, TensorType, View
from verifiable.graph.vocabulary import DType, Fold, Scalar

extents = st.lists(st.integers(1, 4), max_size=5)


@given(extents, st.data())
def test_a_layout_finds_the_elements_that_broadcasting_finds(
    shape: list[int], data: st.DataObject
) -> None:
    operands = []
    for _ in range(data.draw(st.integers(1, 3))):
        rank = data.draw(st.integers(0, len(shape)))
        kept = shape[len(shape) - rank :]
        operands.append([e if data.draw(st.booleans()) else 1 for e in kept])
    layout = map_layout(shape, operands)
    assert prod(layout.extents) == prod(shape)
    places = np.indices(layout.extents).reshape(len(layout.extents), prod(shape))
    for operand, present in zip(operands, layout.present, strict=True):
        numbered = np.arange(prod(operand)).reshape(operand)
        wanted = np.broadcast_to(numbered, shape).reshape(-1)
        own = [axis for axis, has in enumerate(present) if has]
        found = np.zeros(prod(shape), np.int64)
        for axis in own:
            found = found * layout.extents[axis] + places[axis]
        assert found.tolist() == wanted.tolist()


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(-9, 9)), max_size=6), st.data())
def test_merged_axes_of_a_view_reach_the_same_elements(
    axes: list[tuple[int, int]], data: st.DataObject
) -> None:
    shape = tuple(extent for extent, _ in axes)
    strides = [stride for _, stride in axes]
    for axis in range(len(axes) - 1, 0, -1):
        if data.draw(st.booleans()):  # such axes may be one
            strides[axis - 1] = strides[axis] * shape[axis]
    low = tuple(data.draw(st.integers(0, e)) for e in shape)
    high = tuple(data.draw(st.integers(b, e)) for b, e in zip(low, shape, strict=True))
    view = View(
        type=TensorType(DType.I8, shape), x=Index(0), offset=0, strides=tuple(strides),
        low=low, high=high, fill=Literal(DType.I8, 0),
    )  # fmt: skip

    def reached(sizes: list[int], steps: list[int], box: list[tuple[int, int]]) -> list[int | None]:
        found: list[int | None] = []
        for place in np.ndindex(*sizes):
            inside = all(a <= i < b for i, (a, b) in zip(place, box, strict=True))
            found.append(sum(i * s for i, s in zip(place, steps, strict=True)) if inside else None)
        return found

    merged = merge_view_axes(view)[::-1]
    assert reached(
        [axis[0] for axis in merged], [axis[1] for axis in merged], [axis[2:] for axis in merged]
    ) == reached(list(shape), strides, list(zip(low, high, strict=True)))


def dot(m: int, n: int, k: int, batch: int = 1, chunk: int = 256) -> Plan:
    kind = TensorType(DType.F32, (batch, m, n))
    a, b = TensorType(DType.F32, (batch, m, k)), TensorType(DType.F32, (batch, n, k))
    return plan_instruction(Dot(type=kind, a=Index(0), b=Index(1), chunk=chunk), [a, b])


@pytest.mark.parametrize(
    ("shape", "kernels"),
    [
        ((4096, 4096, 4096), ["dot_f32_tile_128"]),
        ((512, 768, 3072), ["dot_f32_tile_128", "dot_f32_fold"]),
        ((128, 768, 768), ["dot_f32_tile_64", "dot_f32_fold"]),
        ((1, 50257, 768), ["dot_f32_few_1", "dot_f32_fold"]),
        ((197, 197, 64), ["dot_f32_tile_64"]),
    ],
)
def test_small_products_are_cut_between_chunks(
    shape: tuple[int, int, int], kernels: list[str]
) -> None:
    plan = dot(*shape)
    assert [launch.kernel for launch in plan.launches] == kernels
    chunks = -(-shape[2] // 256)
    assert plan.workspace == (chunks * shape[0] * shape[1] * 4 if len(kernels) > 1 else 0)


def test_an_empty_result_launches_nothing() -> None:
    assert dot(0, 5, 7) == Plan()
    program = Program(steps=(Step(Scalar.NEG, (0,)),))
    empty = TensorType(DType.F32, (0, 3))
    assert (
        plan_instruction(Map(type=empty, operands=(Index(0),), program=program), [empty]) == Plan()
    )


def test_what_no_kernel_can_count_is_refused() -> None:
    long = TensorType(DType.F32, (1, 2**31 - 1))
    fold = Reduce(type=TensorType(DType.F32, (1,)), x=Index(0), fold=Fold.SUM)
    with pytest.raises(HostError, match="2147483647 elements"):
        plan_instruction(fold, [long])
    with pytest.raises(HostError, match="2147483647 elements"):
        dot(9, 9, 2**31 - 1)
    # Rows and columns too: the next multiple of a tile's side has to fit 32 bits.
    for m, n in ((2**31 - 1, 9), (9, 2**31 - 1)):
        with pytest.raises(HostError, match="2147483647 elements"):
            dot(m, n, 1)
    with pytest.raises(HostError, match="blocks"):
        Launch(source="", kernel="k", grid=2**31, block=(1, 1), arguments=(Result(), i64(0)))
