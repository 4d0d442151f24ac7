"""The interpreter of PTX itself: exact arithmetic, and an eye for what no device forgives."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvrtc import compile_ptx, needs_nvrtc
from ptx_arithmetic import Lanes, fma32
from ptx_machine import launch
from ptx_memory import Memory
from ptx_text import parse

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def nearest(exact: Fraction) -> np.float32:
    """`exact` rounded to binary32, ties to even, by integers alone; overflow is left out."""
    if not exact:
        return np.float32(0)
    whole = int(abs(exact) * 2**149)
    exponent = max(whole.bit_length() - 24, 0) - 149
    return np.float32(np.ldexp(float(round(exact / Fraction(2) ** exponent)), exponent))


def hold_fma(a: float, b: float, c: float) -> None:
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if abs(exact) < Fraction(2) ** 128 - Fraction(2) ** 103:
        found = fma32(*(np.array([v], np.float32) for v in (a, b, c)))
        assert found[0] == nearest(exact)


@given(floats, floats, floats)
def test_fma_rounds_the_exact_value_once(a: float, b: float, c: float) -> None:
    hold_fma(a, b, c)


@given(floats, floats, st.integers(-3, 3))
def test_fma_rounds_once_where_a_product_cancels(a: float, b: float, ulps: int) -> None:
    with np.errstate(over="ignore"):
        near = -np.float32(np.float64(a) * np.float64(b))
        for _ in range(abs(ulps)):
            near = np.nextafter(near, np.float32(np.copysign(np.inf, ulps)))
    if not np.isfinite(near):
        return
    hold_fma(a, b, float(near))


def run(body: str, *, floats_there: int = 64, threads: int = 64) -> Lanes:
    source = f'extern "C" __global__ void k(float* x) {{ int t = threadIdx.x; {body} }}'
    memory = Memory()
    address = memory.upload(np.arange(floats_there, dtype=np.float32))
    launch(parse(compile_ptx(source)), "k", memory, 1, (threads, 1), [np.uint64(address)])
    return memory.download(address, 4 * floats_there).view(np.float32)


@needs_nvrtc
def test_a_barrier_orders_shared_memory() -> None:
    body = "__shared__ float s[64]; s[t] = x[t]; {} x[t] = s[63 - t];"
    assert run(body.format("__syncthreads();")).tolist() == list(range(63, -1, -1))
    with pytest.raises(AssertionError, match="a race in shared memory"):
        run(body.format(""))


@needs_nvrtc
def test_a_warp_s_barrier_orders_the_warp_alone() -> None:
    body = "__shared__ float s[64]; s[t] = x[t]; __syncwarp(); x[t] = s[{}];"
    assert run(body.format("t ^ 1"))[:4].tolist() == [1, 0, 3, 2]
    with pytest.raises(AssertionError, match="a race in shared memory"):
        run(body.format("63 - t"))


@needs_nvrtc
def test_threads_that_part_meet_again() -> None:
    body = "float y = x[t]; for (int i = 0; i < t; ++i) y = __fadd_rn(y, 1.0f); x[t] = y;"
    assert run(body).tolist() == list(range(0, 128, 2))


@needs_nvrtc
def test_shuffles_take_from_the_warp() -> None:
    found = run("x[t] = __shfl_down_sync(0xffffffffu, x[t], 16);")
    assert found[:48].tolist() == [*range(16, 32), *range(16, 32), *range(48, 64)]


@needs_nvrtc
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x[t + 1] = 0.0f;", "leaves its buffer"),
        ("x[t - 1] = 0.0f;", "leaves its buffer"),
        ("x[t / 2] = (float)t;", "two threads write one place"),
        (
            "if (t < 8) { float4 v = *(float4*)(x + t); x[t] = v.x + v.y + v.z + v.w; }",
            "not aligned",
        ),
        ("if (t < 31) x[t] = __shfl_down_sync(0xffffffffu, x[t], 1);", "without its whole warp"),
        ("x[t] = __expf(x[t]);", "ex2"),
    ],
)
def test_what_no_device_forgives_is_noticed(body: str, said: str) -> None:
    with pytest.raises((AssertionError, KeyError), match=said):
        run(body)
