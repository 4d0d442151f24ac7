"""Every scalar function's PTX, interpreted, gives the bits of the definition."""

import pytest
from nvrtc import compile_ptx, needs_nvrtc
from ptx_text import parse
from scalar_kernels import ScalarCase, differing, operands_of, run_case, scalar_cases, scalar_source

from verifiable.engines.gpu_sources import cuda_text
from verifiable.graph.vocabulary import Scalar
from verifiable.ops.scalar import apply

pytestmark = needs_nvrtc

SEED = 20260711
CASES = list(scalar_cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kernel)
def test_interpreted_ptx_gives_the_bits_of_the_definition(case: ScalarCase) -> None:
    operands = operands_of(case, SEED, 10_000)
    module = parse(compile_ptx(scalar_source()))
    found = run_case(module, case, operands)
    assert found.dtype.name == case.gives.numpy
    assert not differing(found, apply(case.function, operands)), f"seed {SEED}"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kernel)
def test_interpreted_ptx_gives_the_bits_of_the_definition_on_many_more(case: ScalarCase) -> None:
    module = parse(compile_ptx(scalar_source()))
    for seed in range(2):
        operands = operands_of(case, seed, 100_000)
        found = run_case(module, case, operands)
        assert not differing(found, apply(case.function, operands)), f"seed {seed}"


BUGS = {
    "fma in two roundings": (
        "return __fmaf_rn(x, y, z);", "return __fadd_rn(__fmul_rn(x, y), z);", Scalar.FMA,
    ),
    "fma in two roundings, inside exp": (
        "return __fmaf_rn(x, y, z);", "return __fadd_rn(__fmul_rn(x, y), z);", Scalar.EXP,
    ),
    "a NaN as the device makes it": (
        "return canon_nan(canon_raw_add(x, y));", "return canon_raw_add(x, y);", Scalar.ADD,
    ),
    "division by a reciprocal": (
        "return __fdiv_rn(x, y);", "return __fmul_rn(x, __frcp_rn(y));", Scalar.DIV,
    ),
    "halves up": (
        "return rintf(x);", "return floorf(__fadd_rn(x, 0.5f));", Scalar.ROUND,
    ),
    "fminf": (
        "CANON float canon_min_f32(float x, float y) {",
        "CANON float canon_min_f32(float x, float y) { return fminf(x, y);", Scalar.MIN,
    ),
    "a coefficient's last bit": ("0x1.555492p-3f", "0x1.555494p-3f", Scalar.EXP),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_noticed(bug: str) -> None:
    right, wrong, function = BUGS[bug]
    header = cuda_text("canon.h")
    assert right in header
    case = next(c for c in CASES if c.function is function)
    module = parse(compile_ptx(header.replace(right, wrong) + case.source))
    operands = operands_of(case, SEED, 10_000)
    assert differing(run_case(module, case, operands), apply(function, operands))
