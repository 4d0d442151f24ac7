"""Steps of scalar programs that native code takes as one: found where they may be, same bits."""

from collections.abc import Sequence
from typing import Final

import blocks
import numpy as np
import pytest
from blocks import f32, program
from hypothesis import given
from hypothesis import strategies as st

from verifiable.engines.cpu import Cpu
from verifiable.engines.cpu_library import supported
from verifiable.engines.cpu_programs import EXP_OF_DIFFERENCE, QUANTISED, program_words
from verifiable.engines.reference import Reference
from verifiable.graph.ir import Array, Index, Program
from verifiable.graph.vocabulary import DType, Scalar

CPUS: Final = [Cpu(build=build, threads=1) for build in supported()]
NAN: Final = float("nan")


def quantisation(scale: float, low: float, high: float) -> Program:
    """As ``frontend.quantize`` writes it: x scale, rounded, within bounds, as i8."""
    return program(
        (Scalar.MUL, (0, 1)), (Scalar.ROUND, (4,)), (Scalar.MAX, (5, 2)), (Scalar.MIN, (6, 3)),
        (Scalar.TO_I8, (7,)), literals=[f32(scale), f32(low), f32(high)],
    )  # fmt: skip


def codes(of: Program, operands: Sequence[DType]) -> list[int]:
    """Functions of the steps that native code is told to do."""
    words = list(program_words(of, list(operands)))
    at = 3 + words[2]
    found = []
    for _ in range(words[at]):
        found.append(words[at + 1])
        at += 5 + words[at + 5]
    return found


def odd_bits(seed: int, count: int) -> Array:
    """Floats of any bits, but one NaN alone, and many near halves and bounds."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2**32, count, np.uint32).view(np.float32)
    near = rng.integers(-600, 600, count).astype(np.float32) / np.float32(4)
    x = np.where(rng.random(count) < 0.5, near, x)
    x[np.isnan(x)] = np.nan
    return np.asarray(x, np.float32)


def test_a_quantisation_is_one_step() -> None:
    assert codes(quantisation(8, -127, 127), [DType.F32]) == [QUANTISED]


def test_the_exponential_of_a_difference_is_one_step() -> None:
    of = program((Scalar.SUB, (0, 1)), (Scalar.EXP, (2,)))
    assert codes(of, [DType.F32] * 2) == [EXP_OF_DIFFERENCE]


@pytest.mark.parametrize(
    "bounds", [(-0.5, 127), (-127, 126.5), (-129, 127), (-127, 128), (5, 4), (NAN, 127), (0, NAN)]
)
def test_bounds_that_rounding_might_pass_are_applied_one_by_one(
    bounds: tuple[float, float],
) -> None:
    assert len(codes(quantisation(8, *bounds), [DType.F32])) == 5


def test_a_result_that_is_read_twice_is_not_joined_away() -> None:
    of = program(
        (Scalar.MUL, (0, 1)), (Scalar.ROUND, (4,)), (Scalar.MAX, (5, 2)), (Scalar.MIN, (6, 3)),
        (Scalar.SUB, (7, 5)), (Scalar.MUL, (8, 5)), (Scalar.TO_I8, (9,)),
        literals=[f32(8), f32(-127), f32(127)],
    )  # fmt: skip
    assert len(codes(of, [DType.F32])) == 7


@given(
    st.integers(0, 2**32), st.integers(1, 2500), st.sampled_from((1, 0.25, 3.7, -2, 2.0**70, NAN)),
    st.sampled_from((-128, -127, -3, 0, -0.5, NAN)), st.sampled_from((127, 5, 0, 126.5)),
)  # fmt: skip
def test_a_quantisation_of_any_bits(
    seed: int, count: int, scale: float, low: float, high: float
) -> None:
    def build(b: blocks.Blocks) -> Index:
        x = b.input(count)
        b.inputs["x0"] = odd_bits(seed, count)
        return b.map([x], quantisation(scale, low, high), DType.I8)

    one = blocks.case_of(build, seed=seed)
    wanted = Reference().prepare(one.graph, one.weights).run(one.inputs)["y"]
    for engine in CPUS:
        got = engine.prepare(one.graph, one.weights).run(one.inputs)["y"]
        assert got.tobytes() == wanted.tobytes(), engine.library.path.name


def test_a_quantisation_of_what_is_one_element_for_all() -> None:
    def build(b: blocks.Blocks) -> Index:
        return b.map([b.input(1), b.input(300)], _of_first(), DType.I8)

    one = blocks.case_of(build, seed=1)
    wanted = Reference().prepare(one.graph, one.weights).run(one.inputs)["y"]
    for engine in CPUS:
        got = engine.prepare(one.graph, one.weights).run(one.inputs)["y"]
        assert got.tobytes() == wanted.tobytes()


def _of_first() -> Program:
    return program(
        (Scalar.MUL, (0, 2)), (Scalar.ROUND, (5,)), (Scalar.MAX, (6, 3)), (Scalar.MIN, (7, 4)),
        (Scalar.TO_I8, (8,)), literals=[f32(64), f32(-127), f32(127)],
    )  # fmt: skip
