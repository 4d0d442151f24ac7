"""``cuda/canon.h``, compiled with and without an fma instruction, gives the definition's bits."""

import ctypes
import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest
from canon_library import FLAGS, Case, cases, compiled, compiler, run, source
from checkout import ROOT
from graph_zoo import F32_BITS, any_bits, f32, plain_values

from verifiable.graph.ir import Array, TensorType
from verifiable.graph.vocabulary import DType, Scalar
from verifiable.ops.scalar import apply

SEED = 20260711
BUILDS = {"plain": (), "native": ("-march=native",)}
"""The second has an fma instruction and wide vectors on any x86 of this decade."""

FEW_BITS = (
    0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000,
    0xFF800000, 0x7FC00000, 0x3F800000, 0xBF800001, 0x4B800001,
)  # fmt: skip
"""For three operands, all against all."""


@pytest.fixture(scope="module", params=list(BUILDS))
def library(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("canon")
    text = folder / "loops.cpp"
    text.write_text(source())
    return compiled(text, folder / "loops.so", *BUILDS[request.param])


def edges(dtype: DType, count: int) -> Array:
    """Values at the ends and the ties, fewer where there are more operands."""
    if dtype is DType.F32:
        return f32(*(F32_BITS if count < 3 else FEW_BITS))
    if dtype is DType.BOOL:
        return np.array([False, True])
    ends = np.iinfo(dtype.numpy)
    near = {0, 1, 2, 31, 32, 63, 64, ends.min, ends.min + 1, ends.max - 1, ends.max}
    near |= {-1, -2, -31, -64} if ends.min else set()
    near |= {v for v in (2**24 + 1, 2**31, 2**40) if v <= ends.max and count < 3}
    return np.array(sorted(near), dtype.numpy)


def operands_of(case: Case, count: int) -> list[Array]:
    """Every edge against every edge, then any bits, then values as in models."""
    numbers = np.random.default_rng(SEED)
    pools = [edges(dtype, len(case.dtypes)) for dtype in case.dtypes]
    grid = [np.array(column) for column in zip(*itertools.product(*pools), strict=True)]
    found = []
    for dtype, edge in zip(case.dtypes, grid, strict=True):
        kind = TensorType(dtype, (count,))
        plain = plain_values(numbers, kind)
        wide = np.ldexp(plain, numbers.integers(-20, 20, count)) if dtype is DType.F32 else plain
        parts = [edge.astype(dtype.numpy), any_bits(numbers, kind), plain, wide]
        found.append(np.ascontiguousarray(np.concatenate(parts)))
    if case.function is Scalar.FMA:  # terms that cancel show whether there was one rounding
        with np.errstate(all="ignore"):
            product = np.asarray(found[0] * found[1])
        found[2][-count:] = -product[-count:]
        found[2][np.isnan(found[2])] = f32(0x7FC00000)[0]
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_header_gives_the_bits_of_the_definition(library: ctypes.CDLL, case: Case) -> None:
    operands = operands_of(case, 20_000)
    found, wanted = run(library, case, operands), apply(case.function, operands)
    assert found.dtype == wanted.dtype
    bits = f"u{found.dtype.itemsize}"
    differ = np.flatnonzero(found.view(bits) != wanted.view(bits))
    assert not len(differ), f"seed {SEED}: {[x[differ[0]] for x in operands]}"


def test_exp_below_zero_is_exp(tmp_path: Path) -> None:
    text = tmp_path / "below.cpp"
    text.write_text(
        '#include "canon.h"\nextern "C" void below(long n, const float *x, float *y) {\n'
        "    for (long i = 0; i < n; i++) y[i] = canon_exp_below_zero(x[i]);\n}\n"
    )
    library = compiled(text, tmp_path / "below.so")
    numbers = np.random.default_rng(SEED)
    x = np.concatenate(
        [f32(*F32_BITS), numbers.standard_normal(50_000) * 30, np.linspace(-105, 0, 50_000)],
        dtype=np.float32,
    )
    x = -np.abs(x[~np.isnan(x)])
    found = np.empty_like(x)
    library.below(ctypes.c_long(len(x)), *(ctypes.c_void_p(v.ctypes.data) for v in (x, found)))
    assert found.tobytes() == apply(Scalar.EXP, [x]).tobytes(), f"seed {SEED}"


VECTORISED = (
    "add", "div", "fma", "min", "max", "sqrt", "exp", "log", "tanh", "erf", "sigmoid", "sin", "cos",
    "floor", "round", "to_i32", "to_i8", "to_u8",
)  # fmt: skip


@pytest.mark.parametrize("name", VECTORISED)
def test_loops_become_vector_code(name: str, tmp_path: Path) -> None:
    """What speed rests on: the compiler's own report says that the loop is one of vectors."""
    command = compiler()
    version = subprocess.run([command, "--version"], capture_output=True, check=True, text=True)
    if "Free Software Foundation" not in version.stdout:
        pytest.skip("the report that is read here is GCC's")
    case = next(c for c in cases() if c.name == f"{name}_f32")
    text = tmp_path / "loop.cpp"
    text.write_text(f'#include "canon.h"\nextern "C" {{\n{case.source}}}\n')
    report = subprocess.run(
        [
            command, *FLAGS, "-march=x86-64-v3", "-fopt-info-vec-optimized", "-S", "-o",
            str(tmp_path / "loop.s"), f"-I{ROOT / 'cuda'}", str(text),
        ],
        capture_output=True, check=True, text=True, timeout=120,
    )  # fmt: skip
    assert "loop vectorized using 32 byte vectors" in report.stderr
    assert "call" not in (tmp_path / "loop.s").read_text().split()
