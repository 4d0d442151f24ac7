"""Every kernel's PTX, interpreted at the engine's own launches, gives the definition's bits."""

import random

import graph_zoo
import numpy as np
import pytest
from interpreted import InterpretedDevice, InterpretedGpu
from nvrtc import needs_nvrtc

from verifiable.engines import gpu_dot, gpu_plan
from verifiable.engines.gpu_run import carry_out
from verifiable.engines.gpu_sources import cuda_text
from verifiable.engines.reference import Reference
from verifiable.graph.check import check
from verifiable.graph.ir import (
    Array,
    Concat,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Reduce,
    TensorType,
    View,
)
from verifiable.graph.vocabulary import FOLDED, DType, Fold, fold_result
from verifiable.ops import evaluate

pytestmark = needs_nvrtc

SEED = 3
Shape = tuple[int, ...]


def tensor(dtype: DType, *shape: int) -> Array:
    numbers = np.random.default_rng([SEED, *shape])
    found: Array = graph_zoo.mixed_values(numbers, TensorType(dtype, shape))
    return found


def hold(instruction: Instruction, *operands: Array) -> list[str]:
    """Compare with the definition; gives the kernels that ran."""
    types = [
        TensorType(next(d for d in DType if d.numpy == x.dtype.name), x.shape) for x in operands
    ]
    given = [Input(type=kind) for kind in types]
    check(Graph(
        instructions=(*given, instruction), inputs=tuple(f"x{i}" for i in range(len(given))),
        outputs=(("y", Index(len(given))),),
    ))  # fmt: skip
    plan = gpu_plan.plan_instruction(instruction, types)
    device = InterpretedDevice()
    read = [device.upload(x) for x in operands]
    found = device.download(carry_out(device, plan, [*read], instruction.type), instruction.type)
    wanted = evaluate(instruction, operands)
    assert found.tobytes() == wanted.tobytes()
    return [launch.kernel for launch in plan.launches]


def dot(a: Array, b: Array, chunk: int = 256) -> list[str]:
    gives = DType.F32 if a.dtype == np.float32 else DType.I32
    kind = TensorType(gives, (max(len(a), len(b)), a.shape[1], b.shape[1]))
    return hold(Dot(type=kind, a=Index(0), b=Index(1), chunk=chunk), a, b)


@pytest.mark.parametrize(
    ("m", "n", "k", "chunk", "kernels"),
    [
        (9, 70, 40, 32, ["dot_f32_tile_64", "dot_f32_fold"]),  # a split, K % 4 == 0
        (65, 9, 35, 256, ["dot_f32_tile_64"]),  # one chunk, K % 4 != 0, an edge of a tile
        (1, 70, 300, 256, ["dot_f32_few_1", "dot_f32_fold"]),
        (40, 5, 75, 256, ["dot_f32_few_8"]),
        (3, 33, 200, 32, ["dot_f32_few_8", "dot_f32_fold"]),  # more chunks than warps
        (9, 9, 21, 8, ["dot_f32_any"]),
        (2, 3, 0, 256, ["dot_f32_any"]),
    ],
)
def test_dot_of_floats(m: int, n: int, k: int, chunk: int, kernels: list[str]) -> None:
    assert dot(tensor(DType.F32, 1, m, k), tensor(DType.F32, 1, n, k), chunk) == kernels


def test_dot_of_floats_whose_tiles_hold_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_dot, "ENOUGH_BLOCKS", 0)
    a, b = tensor(DType.F32, 1, 130, 72), tensor(DType.F32, 1, 9, 72)
    assert dot(a, b, 32) == ["dot_f32_tile_128"]
    monkeypatch.setattr(gpu_dot, "ENOUGH_BLOCKS", 3)
    a, b = tensor(DType.F32, 1, 128, 70), tensor(DType.F32, 1, 129, 70)
    assert dot(a, b, 64) == ["dot_f32_tile_128", "dot_f32_fold"]


@pytest.mark.parametrize("batches", [(6, 3), (2, 6)])
@pytest.mark.parametrize(("m", "n"), [(10, 11), (2, 11), (11, 2)])
def test_batches_of_a_dot_go_by_remainder(batches: tuple[int, int], m: int, n: int) -> None:
    a, b = tensor(DType.F32, batches[0], m, 33), tensor(DType.F32, batches[1], n, 33)
    if max(batches) % min(batches) == 0:
        dot(a, b, 32)
    dot(a, b[:1], 32)


@pytest.mark.parametrize("left", [DType.I8, DType.U8])
@pytest.mark.parametrize(
    ("m", "n", "k", "kernel"),
    [
        (9, 130, 48, "tile"),
        (20, 9, 37, "tile"),
        (2, 40, 70, "row"),
        (9, 3, 72, "row"),
        (2, 2, 0, "row"),
    ],
)
def test_dot_of_integers(left: DType, m: int, n: int, k: int, kernel: str) -> None:
    numbers = np.random.default_rng(SEED)
    a = graph_zoo.any_bits(numbers, TensorType(left, (2, m, k)))
    b = graph_zoo.any_bits(numbers, TensorType(DType.I8, (1, n, k)))
    assert dot(a, b) == [f"dot_{left.word}_{kernel}"]


@pytest.mark.parametrize("fold", list(Fold))
@pytest.mark.parametrize("length", [0, 1, 33, 300, 2100])
def test_reduce(fold: Fold, length: int) -> None:
    if not length and fold is not Fold.SUM:
        return
    for dtype in sorted(FOLDED[fold], key=lambda d: d.value):
        gives = fold_result(fold, dtype)
        assert gives is not None
        for style in (graph_zoo.any_bits, graph_zoo.odd_values, graph_zoo.plain_values):
            x = style(np.random.default_rng(SEED), TensorType(dtype, (3, 3, length)))
            ordered = fold is Fold.SUM and dtype is DType.F32
            for chunk in (32, 256) if ordered else (256,):
                hold(Reduce(type=TensorType(gives, (3, 3)), x=Index(0), fold=fold, chunk=chunk), x)


@pytest.mark.parametrize("dtype", list(DType))
def test_view(dtype: DType) -> None:
    x = tensor(dtype, 4, 6, 5)
    fill = Literal(dtype, 1)

    def view(shape: Shape, offset: int, strides: Shape, *box: Shape) -> None:
        low, high = box or ((0,) * len(shape), shape)
        kind = TensorType(dtype, shape)
        hold(View(type=kind, x=Index(0), offset=offset, strides=strides, low=low, high=high,
                  fill=fill), x)  # fmt: skip

    view((5, 6, 4), 0, (1, 5, 30))  # a transpose
    view((6, 8, 7), -36, (30, 5, 1), (1, 1, 1), (5, 7, 6))  # a border on every side
    view((2, 3, 3, 1, 4, 2, 1, 3), 119, (0, -30, -1, 7, -5, -1, 9, 0))  # backwards, repeated
    view((3, 4), 0, (1, 1), (0, 2), (3, 2))  # an empty box
    view((), 7, ())
    view((0, 3), 0, (1, 1))


@pytest.mark.parametrize("wide", [DType.I32, DType.I64])
@pytest.mark.parametrize("dtype", [DType.F32, DType.U8, DType.I64, DType.BOOL])
def test_gather(dtype: DType, wide: DType) -> None:
    numbers = np.random.default_rng(SEED)
    for batch in (1, 3):
        index = numbers.integers(-7, 8, (batch, 9)).astype(wide.numpy)
        index[0, :2] = np.iinfo(wide.numpy).min, np.iinfo(wide.numpy).max
        kind = TensorType(dtype, (3, 9, 4))
        hold(Gather(type=kind, x=Index(0), index=Index(1)), tensor(dtype, 3, 5, 4), index)


@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat(dtype: DType, axis: int) -> None:
    parts = []
    for extent in (2, 0, 5, 1):
        shape = [3, 2, 4]
        shape[axis] = extent
        parts.append(tensor(dtype, *shape))
    shape = [3, 2, 4]
    shape[axis] = 8
    indices = tuple(Index(i) for i in range(4))
    hold(Concat(type=TensorType(dtype, tuple(shape)), parts=indices, axis=axis), *parts)


BUGS = {
    "chunks in another order": (
        "total = __fadd_rn(total, parts[chunk * size + i]);",
        "total = __fadd_rn(total, parts[(chunks - 1 - chunk) * size + i]);", (1, 40, 300, 32),
    ),
    "a product rounded by itself": (
        "__fmaf_rn(x[i], y[j], total[i][j])", "__fadd_rn(__fmul_rn(x[i], y[j]), total[i][j])",
        (9, 9, 20, 32),
    ),
    "one chain for all chunks": ("total[i][j] = 0.0f;", "", (33, 33, 70, 32)),
    "no last addition": (
        "*cell = last ? folded(sum) : sum;", "*cell = sum;", (9, 9, 24, 32),
    ),
    "a barrier that is absent": ("        __syncthreads();\n    }\n}", "    }\n}", (9, 9, 40, 64)),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_noticed(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong, (m, n, k, chunk) = BUGS[bug]
    text = cuda_text("dot.cu")
    assert right in text
    monkeypatch.setattr(gpu_dot, "ENOUGH_BLOCKS", 0)  # tiles hold several chunks
    monkeypatch.setattr(gpu_dot, "cuda_text", lambda _: text.replace(right, wrong))
    numbers = np.random.default_rng(SEED)
    a, b = (graph_zoo.plain_values(numbers, TensorType(DType.F32, (1, e, k))) for e in (m, n))
    if bug == "no last addition":  # every product is too small, and rounds to -0
        a, b = np.full_like(a, 1e-30), np.full_like(b, -1e-30)
    with pytest.raises(AssertionError):
        dot(a, b, chunk)


def hold_graph(seed: int, steps: int) -> None:
    case = graph_zoo.case(seed, steps=steps, extents=(*graph_zoo.SMALL, 33), most=600)
    seen: dict[int, bytes] = {}

    def note(index: int, tensor: Array) -> None:
        seen[index] = tensor.tobytes()

    def compare(index: int, tensor: Array) -> None:
        assert tensor.tobytes() == seen[index], f"tensor {index} of {case!r}"

    wanted = Reference().prepare(case.graph, case.weights).run(case.inputs, watch=note)
    found = InterpretedGpu().prepare(case.graph, case.weights).run(case.inputs, watch=compare)
    assert {k: v.tobytes() for k, v in found.items()} == {k: v.tobytes() for k, v in wanted.items()}


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_give_the_bits_of_the_reference(seed: int) -> None:
    hold_graph(seed, steps=8)


@pytest.mark.slow
def test_many_random_graphs_give_the_bits_of_the_reference() -> None:
    first = random.SystemRandom().randrange(2**31)
    print(f"seeds {first} to {first + 59}")
    for seed in range(first, first + 60):
        hold_graph(seed, steps=12)
