"""What runs in one pass over a row, softmax and layer normalisation: the bits of its parts."""

from collections.abc import Callable
from typing import Final

import blocks
import numpy as np
import pytest
from graph_zoo import Case
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from verifiable.engines.cpu import Cpu
from verifiable.engines.cpu_library import supported
from verifiable.engines.reference import Reference
from verifiable.errors import TensorError
from verifiable.graph.ir import Index

Bits = NDArray[np.float32]
CPUS: Final = [
    *(Cpu(build=build, threads=1) for build in supported()),
    Cpu(threads=2, tile=(3, 5)),
]
LIMITS: Final = np.array(
    [0.0, -0.0, 1e-45, -1e-38, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, -1e9, 85.9, -86.1, 104.1],
    np.float32,
)
WIDTHS: Final = st.sampled_from((1, 2, 7, 31, 32, 33, 64, 255, 256, 257, 300, 519))


def softmax_of(x: Bits) -> Callable[[blocks.Blocks], Index]:
    def build(b: blocks.Blocks) -> Index:
        return blocks.softmax(b, _input(b, x))

    return build


def normed(x: Bits) -> Callable[[blocks.Blocks], Index]:
    def build(b: blocks.Blocks) -> Index:
        return blocks.layer_norm(b, _input(b, x))

    return build


def _input(b: blocks.Blocks, x: Bits) -> Index:
    index = b.input(*x.shape)
    b.inputs["x0"] = x
    return index


def assert_same(one: Case) -> None:
    wanted = Reference().prepare(one.graph, one.weights).run(one.inputs)["y"]
    for engine in CPUS:
        got = engine.prepare(one.graph, one.weights).run(one.inputs)["y"]
        assert got.tobytes() == wanted.tobytes(), engine.library.path.name


@given(st.sampled_from((softmax_of, normed)), WIDTHS, st.integers(1, 9), st.data())
def test_of_any_row(
    build: Callable[[Bits], Callable[[blocks.Blocks], Index]],
    width: int,
    rows: int,
    data: st.DataObject,
) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    scale = data.draw(st.sampled_from((0.0, 1.0, 20.0, 60.0, 1e30)))
    x = (rng.standard_normal((1, rows, width)) * scale).astype(np.float32)
    odd = data.draw(st.sampled_from((0, 1, 5, rows * width)))
    places = rng.integers(0, x.size, odd)
    some = rng.choice(LIMITS, data.draw(st.integers(1, len(LIMITS))))
    x.reshape(-1)[places] = rng.choice(some, odd)
    assert_same(blocks.case_of(build(x), seed=seed))


def test_of_differences_near_every_bound_of_the_exponential() -> None:
    ends = [np.float32(v) for v in (-86, -87.3, -88, -103.28, -103.97, -104)]
    below = [np.nextafter(v, np.float32(-200)) for v in ends]
    above = [np.nextafter(v, np.float32(0)) for v in ends]
    line = np.array([0, *ends, *below, *above], np.float32)
    whole = np.linspace(-110, 0, 4096, dtype=np.float32)
    pairs = np.stack([np.zeros_like(line), line], axis=1)[None]
    for x in (pairs, line[None, None], whole[None, None], whole[None, None, 3300:]):
        assert_same(blocks.case_of(softmax_of(np.ascontiguousarray(x)), seed=1))


@pytest.mark.parametrize("scale", [0.1, 3, 12, 25, 70])
def test_of_quotients_that_are_computed_without_dividing(scale: float) -> None:
    # By a reciprocal and two corrections, unless an exponential is above 0, but tiny.
    x = np.random.default_rng(int(scale * 10)).standard_normal((1, 6000, 32)).astype(np.float32)
    assert_same(blocks.case_of(softmax_of(x * np.float32(scale)), seed=1))


def test_of_quotients_of_tiny_exponentials() -> None:
    line = np.linspace(-45, -38, 2048, dtype=np.float32)
    rows = np.stack([np.zeros_like(line), *[line] * 31], axis=1)[None]
    steep = np.stack([np.zeros_like(line), *[line - 50] * 31], axis=1)[None]
    for x in (rows, steep):
        assert_same(blocks.case_of(softmax_of(x), seed=1))


@pytest.mark.parametrize("width", [1, 7, 32, 45, 300])
def test_of_rows_of_one_sign(width: int) -> None:
    # Bits of floats order as integers do, but the other way round below 0.
    x = np.random.default_rng(width).standard_normal((1, 7, width)).astype(np.float32)
    one = np.abs(x) + np.float32(0.5)
    one[0, 1] = 0
    one[0, 2, ::2] = 0
    one[0, 3, 1::3] = np.inf
    one[0, 4, ::5] = np.nan
    one[0, 5, 2:] = 1e-45
    for rows in (one, -one, np.copysign(one, x)):
        rows[np.isnan(rows)] = np.nan
        assert_same(blocks.case_of(softmax_of(rows), seed=1))


def test_of_a_causal_mask() -> None:
    x = np.random.default_rng(3).standard_normal((1, 40, 40)).astype(np.float32)
    for hidden in (-np.inf, np.float32(-1e9), np.finfo(np.float32).min):
        masked = np.where(np.tri(40, dtype=bool), x, np.float32(hidden)).astype(np.float32)
        assert_same(blocks.case_of(softmax_of(masked), seed=1))


@pytest.mark.parametrize(
    ("build", "joined"),
    [(blocks.softmax, 1), (blocks.layer_norm, 2), (blocks.attention, 1), (blocks.transformer, 5)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_chains_are_found(build: Callable[[blocks.Blocks], Index], joined: int) -> None:
    one = blocks.case_of(build, seed=1)
    assert Cpu(threads=1).prepare(one.graph, one.weights).plan.joined == joined
    assert Cpu(threads=1, fuse=False).prepare(one.graph, one.weights).plan.joined == 0


def test_a_chain_of_which_a_part_is_seen_is_not_joined() -> None:
    one = blocks.case_of(blocks.softmax, seed=1)
    for part, instruction in enumerate(one.graph.instructions[1:-1], start=1):
        outputs = (*one.graph.outputs, ("part", Index(part)))
        graph = type(one.graph)(
            instructions=one.graph.instructions, inputs=one.graph.inputs, outputs=outputs
        )
        runner = Cpu(threads=1).prepare(graph, one.weights)
        assert runner.plan.joined == 0, instruction
        wanted = Reference().prepare(graph, one.weights).run(one.inputs)
        got = runner.run(one.inputs)
        assert {n: x.tobytes() for n, x in got.items()} == {
            n: x.tobytes() for n, x in wanted.items()
        }


@pytest.mark.parametrize("bits", [0xFFC00000, 0x7F800001, 0xFFFFFFFF])
@pytest.mark.parametrize("build", [softmax_of, normed], ids=lambda build: build.__name__)
@pytest.mark.parametrize("place", [0, 40, 31 * 257, 31 * 513 - 1])
def test_a_nan_that_is_not_canonical_is_refused(
    build: Callable[[Bits], Callable[[blocks.Blocks], Index]], bits: int, place: int
) -> None:
    x = np.random.default_rng(5).standard_normal((1, 31, 513)).astype(np.float32)
    one = blocks.case_of(build(x), seed=1)
    for engine in CPUS:
        runner = engine.prepare(one.graph, one.weights)
        assert runner.plan.looked_at == {"x0"}
        wrong = x.copy()
        wrong.reshape(-1)[[3, 700]] = np.nan, np.inf
        runner.run({"x0": wrong})
        wrong.view(np.uint32).reshape(-1)[place] = bits
        where = f"[0, {place // 513}, {place % 513}]"
        with pytest.raises(TensorError) as caught:
            runner.run({"x0": wrong})
        assert f"element {where} is the NaN {bits:#x}" in str(caught.value)
        assert np.isfinite(runner.run({"x0": x})["y"]).all()


def test_nothing_is_told_of_a_run_whose_input_is_refused() -> None:
    one = blocks.case_of(blocks.softmax, seed=1)
    x = one.inputs["x0"].copy()
    x.view(np.uint32)[0, 0, 0] = 0xFFC00000
    told: list[object] = []
    runner = CPUS[0].prepare(one.graph, one.weights)
    for options in ({"progress": told.append}, {"watch": lambda *seen: told.append(seen)}):
        with pytest.raises(TensorError):
            runner.run({"x0": x}, **options)
    assert not told
