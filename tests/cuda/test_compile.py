"""Every kernel compiles for every architecture, and no instruction rounds in a way of its own."""

import re
from pathlib import Path

import pytest
from nvrtc import architectures, compile_ptx, needs_nvrtc
from ptx_scan import complaints
from ptx_text import parse
from scalar_kernels import scalar_source

from verifiable.engines import gpu_compile
from verifiable.engines.gpu_sources import NVRTC_OPTIONS, UNITS, cuda_text

pytestmark = needs_nvrtc

KNOWN = architectures()
ENDS = {*KNOWN[:1], *KNOWN[-1:]}
"""Compiled for in every run; what lies between, in the slow one."""
TARGETS = [
    pytest.param(arch, id=f"sm_{arch}", marks=[] if arch in ENDS else [pytest.mark.slow])
    for arch in KNOWN
]


def source_of(unit: str) -> str:
    return scalar_source() if unit == "map" else cuda_text(f"{unit}.cu")


@pytest.mark.parametrize("architecture", TARGETS)
@pytest.mark.parametrize("unit", [*UNITS, "map"])
def test_ptx_rounds_as_the_definition_says(unit: str, architecture: int) -> None:
    module = parse(compile_ptx(source_of(unit), architecture))
    assert module.kernels
    assert list(complaints(module)) == []


@pytest.mark.slow
@pytest.mark.parametrize("architecture", KNOWN)
@pytest.mark.parametrize("unit", [*UNITS, "map"])
def test_the_assembler_takes_it(unit: str, architecture: int) -> None:
    library = gpu_compile.nvrtc()
    found = gpu_compile.compile_source(library, source_of(unit), architecture, "CUBIN")
    assert found.code.startswith(b"\x7fELF")
    assert not found.log


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x[0] = __expf(x[1]);", "approximate"),
        ("x[0] = __fdividef(x[1], x[2]);", "approximate"),
        ("x[0] = tanhf(x[1]);", "approximate"),
        ("atomicAdd(x, x[1]);", "no place"),
        ("x[0] = (float)((double)x[1] * x[2] + x[3]);", "another format"),
        ("x[0] = __fmul_rz(x[1], x[2]);", "to nearest"),
        ("x[0] = __float2int_ru(x[1]);", "truncate"),
        ('asm("add.ftz.f32 %0, %0, %1;" : "+f"(x[0]) : "f"(x[1]));', "flushes"),
    ],
)
def test_the_scan_finds_what_it_is_for(body: str, said: str) -> None:
    source = f'extern "C" __global__ void planted(float* x) {{ {body} }}'
    assert said in "\n".join(complaints(parse(compile_ptx(source))))


def test_the_engine_compiles_without_cupy_s_flush_to_zero() -> None:
    # CuPy's RawModule and RawKernel add -ftz=true behind the caller's options.
    for path in Path(gpu_compile.__file__).parent.glob("gpu*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"Raw(Module|Kernel)\(|ElementwiseKernel|ReductionKernel", text), path
    assert "--ftz=false" in NVRTC_OPTIONS
