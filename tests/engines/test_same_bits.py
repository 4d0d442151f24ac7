"""One body, every engine: the bits of the definition, whatever runs together or in parts."""

from collections.abc import Callable
from typing import Final

import blocks
import numpy as np
import pytest
from costly import costly
from graph_zoo import LONG, Case, case, cases
from hypothesis import given
from hypothesis import strategies as st
from tensor_zoo import any_bits, odd_values, plain_values, rare_values, spread_floats

from verifiable.engines.cpu import Cpu
from verifiable.engines.cpu_library import load, supported
from verifiable.engines.gpu import Gpu
from verifiable.engines.ort_engine import Ort
from verifiable.engines.protocol import Engine
from verifiable.engines.reference import Reference
from verifiable.graph.check import check
from verifiable.graph.ir import Array, Const, Index, TensorType
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import DType

BUILDS: Final = supported()
TILES: Final = ((0, 0), (1, 1), (5, 7), (64, 33))

CPUS: Final[dict[str, Cpu]] = {
    **{f"build {build}": Cpu(build=build, threads=1) for build in BUILDS},
    **{f"{n} threads": Cpu(threads=n, tile=TILES[n % len(TILES)]) for n in (2, 3, 4)},
    **{f"tile {tile}": Cpu(threads=1, tile=tile) for tile in TILES[1:]},
    "alone": Cpu(threads=2, fuse=False),
    **{
        f"build {build}, {products} products": Cpu(build=build, threads=1, products=products)
        for build in BUILDS
        for products in load(build).products
    },
}

ORT: Final = Ort(Cpu(threads=1))
ENGINES: Final[dict[str, Engine]] = {**CPUS, "ort": ORT}


Draw = Callable[[np.random.Generator, TensorType], Array]
VALUES: Final[tuple[Draw, ...]] = (plain_values, rare_values, spread_floats, odd_values, any_bits)
"""How floats are drawn: as in models, then with ever more infinities, NaNs and subnormals."""


def style(values: Draw, seed: int) -> blocks.Style:
    rng = np.random.default_rng(seed)
    return lambda shape: values(rng, TensorType(DType.F32, shape))


def bits(tensor: Array) -> tuple[str, tuple[int, ...], bytes]:
    return tensor.dtype.str, tensor.shape, tensor.tobytes()


def assert_same(one: Case, engines: dict[str, Engine]) -> None:
    wanted: list[tuple[str, tuple[int, ...], bytes]] = []
    outputs = (
        Reference()
        .prepare(one.graph, one.weights)
        .run(one.inputs, watch=lambda _, tensor: wanted.append(bits(tensor)))
    )
    for name, engine in engines.items():
        got = engine.prepare(one.graph, one.weights).run(one.inputs)
        assert {n: bits(x) for n, x in got.items()} == {n: bits(x) for n, x in outputs.items()}, (
            name
        )
    # The plan that lets a watcher see each tensor is another one, but the same for all.
    seen: list[tuple[int, tuple[str, tuple[int, ...], bytes]]] = []
    first = next(iter(engines.values())).prepare(one.graph, one.weights)
    first.run(one.inputs, watch=lambda i, tensor: seen.append((int(i), bits(tensor))))
    assert seen == list(enumerate(wanted))


def test_the_builds_for_this_processor_were_made() -> None:
    assert "base" in BUILDS


@given(cases())
def test_of_any_small_graph(one: Case) -> None:
    assert_same(one, ENGINES)


@costly(cases(steps=5, extents=LONG, most=4000))
def test_of_any_graph_with_long_rows(one: Case) -> None:
    assert_same(one, ENGINES)


@pytest.mark.slow
@given(cases(steps=25))
def test_of_any_larger_graph(one: Case) -> None:
    assert_same(one, ENGINES)


@pytest.mark.parametrize("values", VALUES, ids=lambda values: values.__name__)
@pytest.mark.parametrize("build", blocks.ALL, ids=lambda build: build.__name__)
def test_of_what_models_are_made_of(build: Callable[[blocks.Blocks], Index], values: Draw) -> None:
    one = blocks.case_of(build, seed=7, style=style(values, 7))
    check(one.graph)
    assert_same(one, ENGINES)


@given(
    st.integers(1, 40), st.integers(1, 70), st.integers(0, 300), st.integers(1, 3),
    st.sampled_from((1, 2, 32, 256, 1024)), st.booleans(), st.booleans(),
    st.tuples(st.sampled_from(VALUES), st.integers(0, 2**32)),
)  # fmt: skip
def test_of_any_dot(
    m: int, n: int, k: int, batches: int, chunk: int, a_given: bool, b_given: bool,
    drawn: tuple[Draw, int],
) -> None:  # fmt: skip
    def build(b: blocks.Blocks) -> Index:
        left = b.weight(1, m, k) if a_given else b.input(batches, m, k)
        right = b.weight(1, n, k) if b_given else b.input(batches, n, k)
        return b.dot(left, right, chunk=chunk)

    one = blocks.case_of(build, seed=0, style=style(*drawn))
    assert_same(one, ENGINES)


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, 1100), st.integers(1, 3),
    st.sampled_from((DType.I8, DType.U8)), st.booleans(), st.booleans(), st.integers(0, 2**32),
)  # fmt: skip
def test_of_any_dot_of_integers(
    m: int, n: int, k: int, batches: int, dtype: DType, a_given: bool, b_given: bool, seed: int
) -> None:
    def build(b: blocks.Blocks) -> Index:
        left = b.weight(1, m, k, dtype=dtype) if a_given else b.input(batches, m, k, dtype=dtype)
        kind = DType.I8
        right = b.weight(1, n, k, dtype=kind) if b_given else b.input(batches, n, k, dtype=kind)
        return b.dot(left, right)

    assert_same(blocks.case_of(build, seed=seed), ENGINES)


@pytest.mark.parametrize("ends", [(-128, -128), (-128, 127), (127, -128), (127, 127)])
@pytest.mark.parametrize("dtype", [DType.I8, DType.U8], ids=lambda dtype: dtype.name)
def test_of_dots_of_the_largest_integers(dtype: DType, ends: tuple[int, int]) -> None:
    # Where sums in 16 bits would saturate.
    x, weight = (255 if dtype is DType.U8 and ends[0] == 127 else ends[0]), ends[1]

    def build(b: blocks.Blocks) -> Index:
        left, right = b.input(1, 33, 260, dtype=dtype), b.weight(1, 35, 260, dtype=DType.I8)
        b.inputs["x0"][:] = x & 255 if dtype is DType.U8 else x
        array = np.full((1, 35, 260), weight, np.int8)
        b.weights[right] = array
        b.instructions[right] = Const(type=b.instructions[right].type, root=tensor_root(array))
        return b.dot(left, right)

    one = blocks.case_of(build, seed=1)
    assert_same(one, ENGINES)
    given = int(one.inputs["x0"].flat[0])
    for engine in ENGINES.values():
        got = engine.prepare(one.graph, one.weights).run(one.inputs)
        assert all((y == given * weight * 260).all() for y in got.values())


@pytest.mark.gpu
@given(cases())
def test_of_any_small_graph_on_a_gpu(gpu: Gpu, one: Case) -> None:
    assert_same(one, {"gpu": gpu})


@pytest.mark.gpu
@pytest.mark.parametrize("build", blocks.ALL, ids=lambda build: build.__name__)
def test_of_what_models_are_made_of_on_a_gpu(
    gpu: Gpu, build: Callable[[blocks.Blocks], Index]
) -> None:
    assert_same(blocks.case_of(build, seed=7), {"gpu": gpu})


def test_a_flushing_library_changes_nothing() -> None:
    # Another library may have set flush-to-zero in this thread; torch does so on request.
    torch = pytest.importorskip("torch")
    one = case(3, steps=8)
    wanted = Reference().prepare(one.graph, one.weights).run(one.inputs)
    tiny = np.float32(1e-40)
    small = np.float32(2**-70)
    product = blocks.case_of(
        lambda b: b.dot(b.input(1, 3, 1), b.weight(1, 7, 1)), seed=1,
        style=lambda shape: np.full(shape, small),
    )  # fmt: skip
    before = ORT.prepare(product.graph, product.weights)
    assert before.products, "onnxruntime computes it where nothing is flushed"
    torch.set_flush_denormal(True)
    try:
        during = ORT.prepare(product.graph, product.weights)
        sums = [runner.run(product.inputs)["y"] for runner in (before, during)]
        graph = blocks.case_of(blocks.scaled, seed=1, style=lambda shape: np.full(shape, tiny))
        got = [Cpu(threads=n).prepare(graph.graph, graph.weights).run(graph.inputs) for n in (1, 2)]
        runs = Cpu(threads=2).prepare(one.graph, one.weights).run(one.inputs)
    finally:
        torch.set_flush_denormal(False)
    assert all((y == np.float32(2**-140)).all() and y.all() for y in sums)
    half = np.float32(tiny * np.float32(0.5))
    assert half > 0
    assert all((y == half).all() for outputs in got for y in outputs.values())
    assert {n: bits(x) for n, x in runs.items()} == {n: bits(x) for n, x in wanted.items()}
