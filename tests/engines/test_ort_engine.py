"""The ort engine: what goes to onnxruntime equals the definition, and nothing else goes there."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import blocks
import numpy as np
import onnx
import pytest
from graph_zoo import LONG, Case, any_bits, cases, mixed_values
from hypothesis import given

from verifiable.engines.choice import choose
from verifiable.engines.cpu import Cpu
from verifiable.engines.ort_dot import Multiplier, Product, Shape, by_onnxruntime, shape_of
from verifiable.engines.ort_engine import Ort
from verifiable.engines.ort_model import product_model
from verifiable.engines.protocol import Engine, RegionDone
from verifiable.engines.reference import Reference
from verifiable.graph.ir import Array, Dot, Graph, Index, Region, TensorType
from verifiable.graph.vocabulary import DType

CPU: Final = Cpu(threads=1)
ORT: Final = Ort(CPU)

SWEEPS: Final = {
    "few": ((1, 3, 33), (16, 33, 130), (1, 2, 7, 255, 256, 257, 600)),
    "many": (
        (1, 2, 3, 4, 5, 7, 12, 33, 128), (16, 17, 31, 33, 48, 64, 65, 130, 300),
        (1, 2, 3, 7, 64, 127, 128, 129, 255, 256, 257, 511, 512, 513, 600, 1025),
    ),
}  # fmt: skip
"""Rows, rows of the constant, and their length."""


def product_of(one: Shape, numbers: np.random.Generator) -> Case:
    """A graph that multiplies new numbers of a shape, odd bit patterns among them."""
    style = any_bits if numbers.random() < 0.5 else mixed_values

    def build(b: blocks.Blocks) -> Index:
        kinds = (TensorType(one.given, (1, one.rows, one.length)),
                 TensorType(one.constant, (1, one.constants, one.length)))  # fmt: skip
        rows = b.input(*kinds[0].shape, dtype=one.given)
        b.inputs["x0"] = style(numbers, kinds[0])
        weight = b.constant(style(numbers, kinds[1]), one.constant)
        return b.dot(weight, rows) if one.first else b.dot(rows, weight)

    return blocks.case_of(build, seed=1)


def bits(outputs: dict[str, Array]) -> dict[str, bytes]:
    return {name: x.tobytes() for name, x in outputs.items()}


def run(engine: Engine, one: Case) -> dict[str, bytes]:
    return bits(engine.prepare(one.graph, one.weights).run(one.inputs))


@pytest.mark.parametrize("sweep", ["few", pytest.param("many", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("dtype", "first"),
    [(DType.F32, False), (DType.F32, True), (DType.I8, False), (DType.U8, False)],
    ids=["f32", "f32, the constant first", "i8", "u8"],
)
def test_what_goes_to_onnxruntime_equals_the_definition(
    dtype: DType, first: bool, sweep: str
) -> None:
    rows, widths, lengths = SWEEPS[sweep]
    numbers = np.random.default_rng()
    equal: Counter[int] = Counter()
    for k in lengths:
        for n in widths:
            for m in rows:
                constant = DType.F32 if dtype is DType.F32 else DType.I8
                one = Shape(rows=m, constants=n, length=k, given=dtype, constant=constant,
                            first=first)  # fmt: skip
                case = product_of(one, numbers)
                runner = ORT.prepare(case.graph, case.weights)
                assert bits(runner.run(case.inputs)) == run(CPU, case), one
                equal[k] += len(runner.products)
    each = len(widths) * len(rows)
    print(f"{dtype.word}: {equal.total()} of {each * len(lengths)} shapes go to onnxruntime; "
          f"of {each} for each K {dict(equal)}")  # fmt: skip


def test_dots_that_are_no_product_of_a_constant_stay() -> None:
    def routed(build: Callable[[blocks.Blocks], Index]) -> bool:
        graph = blocks.case_of(build, seed=1).graph
        dot = graph.instructions[-1]
        assert isinstance(dot, Dot)
        return shape_of(graph, dot) is not None

    assert routed(lambda b: b.dot(b.input(3, 5, 300), b.weight(1, 7, 300)))
    assert routed(lambda b: b.dot(b.weight(1, 7, 300), b.input(3, 5, 300)))
    assert routed(lambda b: b.dot(b.input(1, 5, 90), b.weight(1, 7, 90), chunk=128))
    assert not routed(lambda b: b.dot(b.input(1, 5, 200), b.weight(1, 7, 200), chunk=128))
    assert not routed(lambda b: b.dot(b.input(1, 5, 300), b.weight(1, 7, 300), chunk=512))
    assert not routed(lambda b: b.dot(b.input(1, 5, 90), b.input(1, 7, 90)))
    assert not routed(lambda b: b.dot(b.input(3, 5, 90), b.weight(3, 7, 90)))
    assert not routed(lambda b: b.dot(b.input(1, 3, 90), b.weight(1, 5, 90)))
    assert not routed(lambda b: b.dot(b.input(1, 5, 0), b.weight(1, 7, 0)))
    assert not routed(lambda b: b.dot(b.input(1, 0, 9), b.weight(1, 7, 9)))


def by_numpy(constant: Array, rows: "np.dtype[np.generic]") -> Product:
    gives = np.dtype("f4") if rows == np.float32 else np.dtype("i4")

    def product(x: Array) -> Array:
        with np.errstate(all="ignore"):
            found: Array = np.matmul(x.astype("f8"), constant.astype("f8")).astype(gives)
        return found

    return product


def in_halves(constant: Array, rows: "np.dtype[np.generic]") -> Product:
    """Chunks of 128, each as it should be."""
    starts = range(0, len(constant), 128)
    parts = [by_onnxruntime(constant[k : k + 128], rows) for k in starts]

    def product(x: Array) -> Array:
        total = parts[0](x[:, :128])
        for start, part in zip(starts[1:], parts[1:], strict=True):
            with np.errstate(all="ignore"):
                total = total + part(np.ascontiguousarray(x[:, start : start + 128]))
        return total

    return product


def saturating(constant: Array, rows: "np.dtype[np.generic]") -> Product:
    """Two products of bytes added in 16 bits, as AVX2 does."""
    exact = by_onnxruntime(constant, rows)
    if rows == np.float32:
        return exact

    def product(x: Array) -> Array:
        total = np.zeros((len(x), constant.shape[1]), np.int32)
        for k in range(0, x.shape[1], 2):
            pair = x[:, k : k + 2].astype("i4") @ constant[k : k + 2].astype("i4")
            total += np.clip(pair, -(2**15), 2**15 - 1)
        return total

    return product


def flushing(constant: Array, rows: "np.dtype[np.generic]") -> Product:
    exact = by_onnxruntime(constant, rows)

    def product(x: Array) -> Array:
        found = exact(x)
        return np.where(abs(found) < np.float32(2**-126), np.zeros_like(found), found)

    return product


OTHERS: Final = (by_numpy, in_halves, saturating, flushing)


@pytest.mark.parametrize(
    ("other", "dtype", "least", "first"),
    [
        (by_numpy, DType.F32, 2, False),
        (by_numpy, DType.F32, 2, True),
        (in_halves, DType.F32, 129, False),
        (in_halves, DType.F32, 129, True),
        (saturating, DType.U8, 2, False),
        (flushing, DType.F32, 1, False),
        (flushing, DType.F32, 1, True),
    ],
)
def test_a_probe_tells_another_arithmetic(
    other: Multiplier, dtype: DType, least: int, first: bool
) -> None:
    engine = Ort(CPU, multiplier=other)
    constant = DType.F32 if dtype is DType.F32 else DType.I8
    for k in (k for k in (1, 2, 128, 129, 256, 257, 600) if k >= least):
        for n, m in ((16, 1), (33, 1), (1, 17), (64, 33)):
            one = Shape(rows=m, constants=n, length=k, given=dtype, constant=constant, first=first)
            assert not engine.equals(one), one


@pytest.mark.parametrize("other", [by_onnxruntime, *OTHERS])
def test_whatever_multiplies_the_bits_are_those_of_the_definition(other: Multiplier) -> None:
    engine = Ort(CPU, multiplier=other)
    for build in (blocks.transformer, blocks.residual, blocks.quantised, blocks.unsigned):
        one = blocks.case_of(build, seed=3)
        assert run(engine, one) == run(CPU, one)


@given(cases(extents=(*LONG[:3], 1, 2, 5), most=1000))
def test_a_watcher_sees_every_tensor_in_order_and_progress_every_region(one: Case) -> None:
    places = len(one.graph.instructions)
    regions = tuple(Region(label=str(i), start=i, stop=i + 1) for i in range(places))
    graph = Graph(instructions=one.graph.instructions, inputs=one.graph.inputs,
                  outputs=one.graph.outputs, regions=regions)  # fmt: skip
    seen: list[list[tuple[int, bytes]]] = []
    for engine in (Reference(), ORT, Ort(Reference())):
        tensors: list[tuple[int, bytes]] = []
        told: list[RegionDone] = []
        runner = engine.prepare(graph, one.weights)
        found = runner.run(
            one.inputs,
            watch=lambda i, x, into=tensors: into.append((int(i), x.tobytes())),
            progress=told.append,
        )
        assert [event.number for event in told] == list(range(places))
        assert bits(found) == bits(runner.run(one.inputs))
        seen.append(tensors)
    assert seen[0] == seen[1] == seen[2]
    assert [i for i, _ in seen[0]] == list(range(places))


@pytest.mark.parametrize("constant", ["float32", "int8", "uint8"])
@pytest.mark.parametrize("rows", ["float32", "int8", "uint8"])
def test_the_model_written_by_hand_is_the_one_that_onnx_would_write(
    constant: str, rows: str
) -> None:
    if (constant == "float32") != (rows == "float32"):
        return
    array = np.arange(600).reshape(200, 3).astype(constant)
    model = onnx.load_from_string(product_model(array, np.dtype(rows)))
    onnx.checker.check_model(model, full_check=True)
    (weight,) = model.graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), array)
    kinds = [value.type.tensor_type.elem_type for value in model.graph.input]
    assert kinds == [onnx.helper.np_dtype_to_tensor_dtype(np.dtype(rows))]


def test_it_is_a_device_of_the_command_line() -> None:
    engine = choose("ort", lambda _: None, threads=1)
    assert isinstance(engine, Ort)
    assert engine.rest.name == "cpu"
