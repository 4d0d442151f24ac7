"""The gpu engine on a device: every kernel, whole graphs, equality with the definition."""

import importlib.util

import graph_zoo
import numpy as np
import pytest

from verifiable.engines.gpu import Gpu, gemm_seconds
from verifiable.engines.gpu_plan import plan_instruction
from verifiable.engines.gpu_run import carry_out
from verifiable.engines.reference import Reference
from verifiable.errors import MissingDependencyError
from verifiable.graph.ir import (
    Array,
    Dot,
    Graph,
    Index,
    Input,
    Instruction,
    Map,
    Program,
    Reduce,
    Step,
    TensorType,
)
from verifiable.graph.vocabulary import FOLDED, DType, Fold, Scalar, fold_result
from verifiable.ops import evaluate

SEED = 5


def test_without_cupy_or_a_device_the_engine_says_what_is_missing() -> None:
    if importlib.util.find_spec("cupy") is None:
        with pytest.raises(MissingDependencyError, match="CuPy") as caught:
            Gpu()
        assert "verifiable[cuda12]" in (caught.value.hint or "")
        return
    with pytest.raises(MissingDependencyError, match="no CUDA device") as caught:
        Gpu(device=4096)
    assert caught.value.hint


def tensor(dtype: DType, *shape: int) -> Array:
    numbers = np.random.default_rng([SEED, *shape])
    found: Array = graph_zoo.mixed_values(numbers, TensorType(dtype, shape))
    return found


def type_of(x: Array) -> TensorType:
    return TensorType(next(d for d in DType if d.numpy == x.dtype.name), x.shape)


def hold(gpu: Gpu, instruction: Instruction, *operands: Array) -> None:
    types = [
        TensorType(next(d for d in DType if d.numpy == x.dtype.name), x.shape) for x in operands
    ]
    plan = plan_instruction(instruction, types)
    read = [gpu.device.upload(x) for x in operands]
    result = carry_out(gpu.device, plan, read, instruction.type)
    found = gpu.device.download(result, instruction.type)
    assert found.tobytes() == evaluate(instruction, operands).tobytes()


def dot(gpu: Gpu, a: Array, b: Array, chunk: int = 256) -> None:
    gives = DType.F32 if a.dtype == np.float32 else DType.I32
    kind = TensorType(gives, (max(len(a), len(b)), a.shape[1], b.shape[1]))
    hold(gpu, Dot(type=kind, a=Index(0), b=Index(1), chunk=chunk), a, b)


@pytest.mark.gpu
@pytest.mark.parametrize("chunk", [4, 32, 256])
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [(1, 1, 1), (1, 300, 700), (300, 2, 513), (7, 65, 1030), (65, 129, 257), (130, 257, 520),
     (1500, 1600, 70), (9, 9, 0)],
)  # fmt: skip
def test_dot_of_floats(gpu: Gpu, m: int, n: int, k: int, chunk: int) -> None:
    dot(gpu, tensor(DType.F32, 1, m, k), tensor(DType.F32, 2, n, k), chunk)


@pytest.mark.gpu
@pytest.mark.parametrize("left", [DType.I8, DType.U8])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 300, 700), (130, 257, 512), (65, 129, 257), (9, 9, 0)]
)
def test_dot_of_integers(gpu: Gpu, left: DType, m: int, n: int, k: int) -> None:
    numbers = np.random.default_rng(SEED)
    a = graph_zoo.any_bits(numbers, TensorType(left, (3, m, k)))
    dot(gpu, a, graph_zoo.any_bits(numbers, TensorType(DType.I8, (1, n, k))))


@pytest.mark.gpu
@pytest.mark.parametrize("fold", list(Fold))
@pytest.mark.parametrize("length", [1, 33, 300, 2100, 100_003])
def test_reduce(gpu: Gpu, fold: Fold, length: int) -> None:
    for dtype in sorted(FOLDED[fold], key=lambda d: d.value):
        gives = fold_result(fold, dtype)
        assert gives is not None
        for style in (graph_zoo.any_bits, graph_zoo.odd_values, graph_zoo.plain_values):
            x = style(np.random.default_rng(SEED), TensorType(dtype, (11, length)))
            hold(gpu, Reduce(type=TensorType(gives, (11,)), x=Index(0), fold=fold), x)


@pytest.mark.gpu
def test_subnormals_are_kept(gpu: Gpu) -> None:
    bits = np.arange(1, 1 << 20, 7, dtype=np.uint32)
    kind = TensorType(DType.F32, bits.shape)
    for function in (Scalar.ADD, Scalar.MUL, Scalar.DIV):
        program = Program(steps=(Step(function, (0, 1)),))
        step = Map(type=kind, operands=(Index(0), Index(1)), program=program)
        hold(gpu, step, bits.view(np.float32), np.full(bits.shape, 0.75, np.float32))


@pytest.mark.gpu
@pytest.mark.parametrize("seed", range(200))
def test_random_graphs_give_the_bits_of_the_reference(gpu: Gpu, seed: int) -> None:
    case = graph_zoo.case(seed, steps=12, extents=graph_zoo.LONG if seed % 2 else graph_zoo.SMALL)
    seen: dict[int, bytes] = {}

    def note(index: int, tensor: Array) -> None:
        seen[index] = tensor.tobytes()

    def compare(index: int, tensor: Array) -> None:
        assert tensor.tobytes() == seen[index], f"tensor {index} of {case!r}"

    Reference().prepare(case.graph, case.weights).run(case.inputs, watch=note)
    gpu.prepare(case.graph, case.weights).run(case.inputs, watch=compare)


@pytest.mark.gpu
def test_large_products_give_the_bits_of_the_cpu_engine(gpu: Gpu) -> None:
    cpu = pytest.importorskip("verifiable.engines.cpu").Cpu()
    for m, n, k in ((512, 3072, 768), (128, 768, 3072), (1, 50257, 768), (2048, 2048, 2048)):
        kinds = (TensorType(DType.F32, (1, m, k)), TensorType(DType.F32, (1, n, k)))
        result = TensorType(DType.F32, (1, m, n))
        graph = Graph(
            instructions=(*(Input(type=t) for t in kinds),
                          Dot(type=result, a=Index(0), b=Index(1))),
            inputs=("a", "b"), outputs=(("y", Index(2)),),
        )  # fmt: skip
        inputs = {"a": tensor(DType.F32, 1, m, k), "b": tensor(DType.F32, 1, n, k)}
        found = gpu.prepare(graph, {}).run(inputs)["y"]
        assert found.tobytes() == cpu.prepare(graph, {}).run(inputs)["y"].tobytes()


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_a_product_is_timed_against_cublas() -> None:
    found = gemm_seconds(512, repeats=2)
    assert {len(runs) for runs in found.values()} == {2}
