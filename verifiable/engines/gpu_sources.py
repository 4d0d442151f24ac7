"""CUDA text: the kernels of ``cuda/``, and one kernel for each Map's program.

Pure: nothing here compiles or needs a device, so tests compile the same text without one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from verifiable.graph.ir import Literal, Program, Step
from verifiable.graph.vocabulary import DType, Scalar, scalar_result

NVRTC_OPTIONS: Final = (
    "--std=c++17",
    "--fmad=false",
    "--ftz=false",
    "--prec-div=true",
    "--prec-sqrt=true",
    "--diag-suppress=177",
)
"""No fused multiply-add, no fast maths: a kernel means what its text says. 177 is about functions
that nobody calls: a Map's kernel calls few of ``canon.h``."""

UNITS: Final = ("dot", "dot_int", "reduce", "view", "gather", "concat")
"""Files of ``cuda/`` that hold kernels."""

MAP_KERNEL: Final = "map_elements"
MAP_THREADS: Final = 256

C_TYPES: Final = {
    DType.F32: "float",
    DType.I8: "canon_i8",
    DType.U8: "canon_u8",
    DType.I32: "canon_i32",
    DType.I64: "canon_i64",
    DType.BOOL: "canon_bool",
}


@cache
def cuda_text(file: str) -> str:
    """Text of a file of ``cuda/``, from the wheel or from a checkout, with its includes inside.

    Parameters
    ----------
    file : str
        Name with its ending, as in ``dot.cu``.

    Examples
    --------
    >>> "dot_f32_any" in cuda_text("dot.cu")
    True
    """
    packaged = files("verifiable.engines") / "_cuda" / file
    checkout = Path(__file__).parents[2] / "cuda" / file
    text = (packaged if packaged.is_file() else checkout).read_text(encoding="utf-8")
    # NVRTC gets one text, so that no folder of headers has to be found at run time.
    text = text.replace("#pragma once\n", "")
    return re.sub(r'#include "([\w.]+)"\n', lambda found: cuda_text(found[1]), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayout:
    """How the elements of a Map lie: the result's axes, and which of them each operand has."""

    extents: tuple[int, ...]
    """None is 1; outermost first."""
    present: tuple[tuple[bool, ...], ...]
    """For each operand, axis by axis; along the others it is broadcast."""


def map_layout(shape: Sequence[int], operands: Sequence[Sequence[int]]) -> MapLayout:
    """Layout with as few axes as possible: neighbours that all operands treat alike are one.

    Examples
    --------
    >>> map_layout((2, 3, 5), [(2, 3, 5), (5,), ()])
    MapLayout(extents=(6, 5), present=((True, True), (False, True), (False, False)))
    >>> map_layout((2, 3), [(2, 3), (2, 3)])
    MapLayout(extents=(6,), present=((True,), (True,)))
    """
    extents: list[int] = []
    columns: list[tuple[bool, ...]] = []
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        column = []
        for operand in operands:
            own = axis - len(shape) + len(operand)
            column.append(own >= 0 and operand[own] != 1)
        if columns and columns[-1] == tuple(column):
            extents[-1] *= extent
        else:
            extents.append(extent)
            columns.append(tuple(column))
    present = tuple(tuple(column[i] for column in columns) for i in range(len(operands)))
    return MapLayout(extents=tuple(extents), present=present)


def map_source(
    program: Program, dtypes: Sequence[DType], present: tuple[tuple[bool, ...], ...], *, far: bool
) -> str:
    """Kernel ``map_elements`` that runs a program on each element, one thread each.

    Its parameters are the operands, the result, then as 64-bit integers the number of elements
    and the extents of the layout; grid = ceil(size / 256), block = 256.

    Parameters
    ----------
    program : Program
    dtypes : sequence of DType
        Of the operands.
    present : tuple of tuple of bool
        As in `MapLayout`. Extents are parameters, so that one text serves many shapes.
    far : bool
        Whether there are 2^31 elements or more.
    """
    rank = len(present[0])
    registers = [*dtypes, *(literal.dtype for literal in program.literals)]
    lines = [f"    const {C_TYPES[t]} r{i} = x{i}[{_place(p)}];"
             for i, (t, p) in enumerate(zip(dtypes, present, strict=True))]  # fmt: skip
    for literal in program.literals:
        number = len(lines)
        lines.append(f"    const {C_TYPES[literal.dtype]} r{number} = {_literal(literal)};")
    for step in program.steps:
        result = scalar_result(step.function, tuple(registers[r] for r in step.registers))
        assert result is not None
        lines.append(f"    const {C_TYPES[result]} r{len(lines)} = {_call(step, registers)};")
        registers.append(result)
    last = len(registers) - 1
    parameters = [f"const {C_TYPES[t]}* __restrict__ x{i}" for i, t in enumerate(dtypes)]
    parameters += [f"{C_TYPES[registers[-1]]}* __restrict__ out", "long long size"]
    parameters += [f"long long extent{axis}" for axis in range(rank)]
    count = "unsigned long long" if far else "unsigned"
    position = [
        f"    const {count} i{axis} = rest % ({count})extent{axis}; rest /= ({count})extent{axis};"
        for axis in reversed(range(1, rank))
    ]
    if rank:
        position.append(f"    const {count} i0 = rest;")
    return "\n".join(
        [
            cuda_text("canon.h"),
            f'extern "C" __global__ void __launch_bounds__({MAP_THREADS}) {MAP_KERNEL}(',
            f"    {', '.join(parameters)})",
            "{",
            f"    const long long at = (long long)blockIdx.x * {MAP_THREADS} + threadIdx.x;",
            "    if (at >= size) return;",
            f"    {count} rest = ({count})at;",
            *position,
            *lines,
            f"    out[at] = r{last};",
            "}",
            "",
        ]
    )


def _place(present: tuple[bool, ...]) -> str:
    """Index of an operand's element: its own axes in row-major order."""
    text = ""
    for axis in (axis for axis, has in enumerate(present) if has):
        text = f"({text}) * extent{axis} + i{axis}" if text else f"(long long)i{axis}"
    return text or "0"


def _literal(literal: Literal) -> str:
    match literal.dtype:
        case DType.F32:
            return f"canon_float((int){literal.bits:#x}u)"
        case DType.I64:
            return f"(canon_i64){literal.bits:#x}ull"
        case dtype:
            return f"({C_TYPES[dtype]}){literal.bits:#x}u"


def _call(step: Step, registers: Sequence[DType]) -> str:
    arguments = ", ".join(f"r{r}" for r in step.registers)
    return f"{scalar_name(step.function, registers[step.registers[-1]])}({arguments})"


def scalar_name(function: Scalar, dtype: DType) -> str:
    """Name in ``canon.h`` of a function of operands of `dtype`.

    >>> scalar_name(Scalar.TO_I8, DType.F32)
    'canon_to_i8_f32'
    """
    if function is Scalar.REQUANTISE:  # of i32 alone
        return "canon_requantise"
    return f"canon_{function.name.lower()}_{dtype.word}"


__all__ = [
    "MAP_KERNEL",
    "MAP_THREADS",
    "NVRTC_OPTIONS",
    "UNITS",
    "MapLayout",
    "cuda_text",
    "map_layout",
    "map_source",
    "scalar_name",
]
