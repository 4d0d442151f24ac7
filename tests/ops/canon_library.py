"""``cuda/canon.h`` compiled for this machine: a loop over each scalar function, for every dtype."""

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT
from scalar_signatures import signatures

from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import DType, Scalar

FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno")
C_TYPES = {
    DType.F32: "float",
    DType.I8: "canon_i8",
    DType.U8: "canon_u8",
    DType.I32: "canon_i32",
    DType.I64: "canon_i64",
    DType.BOOL: "canon_bool",
}


def compiler() -> str:
    found = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
    if found is None:
        pytest.skip("no C++ compiler (g++, c++, clang++) on this machine")
    return found


def compiled(source: Path, target: Path, *flags: str) -> ctypes.CDLL:
    """Compile one C++ file that includes ``canon.h``, with no warning allowed, and load it."""
    command = [
        compiler(), *FLAGS, *flags, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
        f"-I{ROOT / 'cuda'}", str(source), "-o", str(target),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=300)
    return ctypes.CDLL(str(target))


@dataclass(frozen=True, slots=True)
class Case:
    """One scalar function on operands of given dtypes."""

    function: Scalar
    dtypes: tuple[DType, ...]
    gives: DType

    @property
    def name(self) -> str:
        word = self.function.name.lower()
        # A requantisation takes one dtype only, and does not say it.
        return word if self.function is Scalar.REQUANTISE else f"{word}_{self.dtypes[-1].word}"

    @property
    def source(self) -> str:
        places = range(len(self.dtypes))
        taken = "".join(f"const {C_TYPES[d]} *x{i}, " for i, d in enumerate(self.dtypes))
        called = ", ".join(f"x{i}[i]" for i in places)
        return (
            f"void {self.name}(long n, {taken}{C_TYPES[self.gives]} *out) {{\n"
            f"    for (long i = 0; i < n; i++) out[i] = canon_{self.name}({called});\n}}\n"
        )


@cache
def cases() -> tuple[Case, ...]:
    return tuple(Case(*signature) for signature in signatures())


def source() -> str:
    return "\n".join(
        ['#include "canon.h"', 'extern "C" {', *(case.source for case in cases()), "}"]
    )


def run(library: ctypes.CDLL, case: Case, operands: Sequence[Array]) -> Array:
    size = len(operands[0])
    out = np.empty(size, case.gives.numpy)
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (*operands, out)]
    library[case.name](ctypes.c_long(size), *pointers)
    return out
