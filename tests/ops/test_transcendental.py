"""How near the transcendental functions are to the truth, and where they are exact."""

import ctypes
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from canon_library import compiled
from checkout import ROOT
from graph_zoo import any_bits, f32

from verifiable.graph.ir import Array, TensorType
from verifiable.graph.vocabulary import DType, Scalar
from verifiable.ops.scalar import apply, transcendental

BLOCK = 4096
BLOCKS = 2**32 // BLOCK
INF = math.inf
CIRCLE = float(np.nextafter(np.float32(2**20), np.float32(0)))
"""Largest angle that sin and cos look at."""


@dataclass(frozen=True)
class Stated:
    """What the docstring of ``verifiable.ops.scalar.transcendental`` says."""

    function: Scalar
    ulp: float
    worst: int
    """Bits of the operand where it is reached."""
    limit: float = INF


STATED = (
    Stated(Scalar.EXP, 0.90, 0xC0BB2813),
    Stated(Scalar.LOG, 0.77, 0x3F2AB11D),
    Stated(Scalar.TANH, 1.22, 0x3F205A01),
    Stated(Scalar.ERF, 1.62, 0x3F70526E),
    Stated(Scalar.SIGMOID, 1.97, 0xC0C79B3B),
    Stated(Scalar.SIN, 1.58, 0x44907B53, 1e5),
    Stated(Scalar.SIN, 1.67, 0x49638262, CIRCLE),
    Stated(Scalar.COS, 1.58, 0x47186F0B, 1e5),
    Stated(Scalar.COS, 1.81, 0x49728378, CIRCLE),
)
ORDER = (
    Scalar.EXP, Scalar.LOG, Scalar.TANH, Scalar.ERF, Scalar.SIGMOID, Scalar.SIN, Scalar.COS,
)  # fmt: skip
"""As numbered by ``ulp_harness.cpp``."""


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    target = tmp_path_factory.mktemp("ulp") / "harness.so"
    library = compiled(ROOT / "tests/ops/ulp_harness.cpp", target, "-march=native")
    library.worst_ulp.restype = ctypes.c_double
    return library


def worst(harness: ctypes.CDLL, one: Stated, first: int, blocks: int) -> tuple[float, int]:
    """Largest distance over ``blocks * 4096`` operands from the bits `first` on, and where."""
    where = ctypes.c_uint32()
    found = harness.worst_ulp(
        ORDER.index(one.function), ctypes.c_uint32(first), ctypes.c_int64(blocks),
        ctypes.c_float(one.limit), ctypes.byref(where),
    )  # fmt: skip
    return float(found), where.value


def name_of(one: Stated) -> str:
    return f"{one.function.name}-{one.limit:g}"


@pytest.mark.parametrize("one", STATED, ids=name_of)
def test_a_sample_is_as_near_as_stated(harness: ctypes.CDLL, one: Stated) -> None:
    rng = np.random.default_rng(7)
    firsts = [*rng.integers(0, BLOCKS, 300).tolist(), 0x00000, 0x7F7FF, 0x7FC00, 0x80000, 0xFF7FF]
    for first in firsts:
        ulp, where = worst(harness, one, first * BLOCK, 1)
        assert ulp <= one.ulp, f"seed 7: {where:#x}"


@pytest.mark.parametrize("one", STATED, ids=name_of)
def test_the_stated_distance_is_reached(harness: ctypes.CDLL, one: Stated) -> None:
    ulp, where = worst(harness, one, one.worst - one.worst % BLOCK, 1)
    assert where == one.worst
    assert one.ulp - 0.01 < ulp <= one.ulp
    line = f"{one.function.name.lower():<8} {one.ulp:.2f}"
    assert line in (transcendental.__doc__ or "")


@pytest.mark.slow
@pytest.mark.parametrize("one", STATED, ids=name_of)
def test_all_operands_are_as_near_as_stated(harness: ctypes.CDLL, one: Stated) -> None:
    parts = 64
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(
            lambda part: worst(harness, one, part * (2**32 // parts), BLOCKS // parts), range(parts)
        )
        ulp, where = max(found)
    print(f"{name_of(one)}: {ulp:.4f} ulp at {where:#010x}")
    assert where & 0x7FFFFFFF == one.worst & 0x7FFFFFFF
    assert one.ulp - 0.01 < ulp <= one.ulp


def value(function: Scalar, *operands: float) -> list[float]:
    found: list[float] = apply(function, [np.array(operands, np.float32)]).tolist()
    return found


def test_values_that_must_be_exact() -> None:
    assert value(Scalar.EXP, 0, -0.0, -INF, INF, 89, -104) == [1, 1, 0, INF, INF, 0]
    assert value(Scalar.LOG, 1, 0, -0.0, INF) == [0, -INF, -INF, INF]
    assert value(Scalar.TANH, INF, -INF, 9.1, -9.1) == [1, -1, 1, -1]
    assert value(Scalar.ERF, INF, -INF, 4, -4) == [1, -1, 1, -1]
    assert value(Scalar.SIGMOID, 0, INF, -INF, 20, -200) == [0.5, 1, 0, 1, 0]
    assert value(Scalar.COS, 0, -0.0) == [1, 1]
    smallest = float(f32(1)[0])
    for function in (Scalar.TANH, Scalar.SIN):
        assert value(function, smallest, -smallest) == [smallest, -smallest]


def test_exp_overflows_and_underflows_where_it_must() -> None:
    largest, least = f32(0x42B17217)[0], f32(0xC2CFF1B4)[0]
    assert math.exp(largest) < 2.0**128 <= math.exp(np.nextafter(largest, np.float32(99)))
    assert value(Scalar.EXP, largest)[0] < INF
    assert value(Scalar.EXP, float(np.nextafter(largest, np.float32(99)))) == [INF]
    # Below half of the least subnormal, 2^-150, everything is nearer to zero.
    assert math.exp(least) > 2.0**-150 > math.exp(np.nextafter(least, np.float32(-199)))
    assert value(Scalar.EXP, least) == [2.0**-149]
    assert value(Scalar.EXP, float(np.nextafter(least, np.float32(-199)))) == [0]


def _any_floats() -> Array:
    return any_bits(np.random.default_rng(11), TensorType(DType.F32, (100_000,)))


@pytest.mark.parametrize("function", [Scalar.TANH, Scalar.ERF, Scalar.SIN], ids=lambda f: f.name)
def test_odd_functions_are_odd_to_the_bit(function: Scalar) -> None:
    x = _any_floats()
    x = x[~np.isnan(x)]
    there, back = apply(function, [x]), apply(function, [-x])
    same = (there.view(np.uint32) ^ back.view(np.uint32)) == 0x80000000
    assert np.all(same | np.isnan(there))


def test_cos_is_even_to_the_bit() -> None:
    x = _any_floats()
    assert apply(Scalar.COS, [x]).tobytes() == apply(Scalar.COS, [-x]).tobytes()


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (Scalar.TANH, -1, 1), (Scalar.ERF, -1, 1), (Scalar.SIN, -1, 1), (Scalar.COS, -1, 1),
        (Scalar.SIGMOID, 0, 1), (Scalar.EXP, 0, INF),
    ],
)  # fmt: skip
def test_results_stay_in_range(function: Scalar, low: float, high: float) -> None:
    x = np.concatenate([_any_floats(), np.linspace(-99, 99, 100_000, dtype=np.float32)])
    found = apply(function, [x])
    assert np.all(np.isnan(found) | ((found >= low) & (found <= high)))
    wanted = np.isnan(x) | (np.isinf(x) & (function in {Scalar.SIN, Scalar.COS}))
    assert np.array_equal(np.isnan(found), wanted)


def test_far_angles_are_taken_for_zero() -> None:
    far = np.array([2.0**20, -(2.0**20), 1e30, -3e38], np.float32)
    assert np.signbit(apply(Scalar.SIN, [far])).tolist() == [False, True, False, True]
    assert apply(Scalar.SIN, [far]).tolist() == [0, 0, 0, 0]
    assert apply(Scalar.COS, [far]).tolist() == [1, 1, 1, 1]
    assert value(Scalar.COS, CIRCLE) != [1]
