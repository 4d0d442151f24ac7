"""What must not stand in a kernel's PTX, whatever the compiler thinks of it."""

from collections.abc import Iterator

from ptx_text import Module

INEXACT = {"ex2", "lg2", "sin", "cos", "tanh", "rsqrt"}
"""Have no correctly rounded form."""
ROUNDED = {"add", "sub", "mul", "div", "sqrt", "rcp", "fma", "mad"}
ELSEWHERE = {"atom", "red", "mma", "wmma", "wgmma", "call"}
"""Order left open, sums of unknown order, or code that is not seen here."""
OTHER_FLOATS = {"f16", "f16x2", "bf16", "bf16x2", "tf32", "f64", "f32x2"}


def complaints(module: Module) -> Iterator[str]:
    """Each instruction that may round otherwise than the definition, with its kernel."""
    for kernel in module.kernels.values():
        for instruction in kernel.instructions:
            problem = _problem(instruction.op)
            if problem:
                yield f"{kernel.name}: {instruction.op} {problem}"


def _problem(op: str) -> str | None:
    base, *parts = op.split(".")
    if base in INEXACT or {"approx", "full"} & set(parts):
        return "is approximate"
    if "ftz" in parts:
        return "flushes subnormals"
    if base in ELSEWHERE:
        return "has no place here"
    if OTHER_FLOATS & set(parts):
        return "is of another format than binary32"
    if "f32" not in parts:
        return None
    if base in ROUNDED and ("rn" not in parts or "sat" in parts):
        return "does not say that it rounds to nearest"
    if base == "cvt":
        *how, to, _ = parts
        if to != "f32":
            return None if how == ["rzi"] else "does not truncate"
        return None if how in (["rn"], ["rni"], ["rmi"]) else "rounds in an unknown way"
    return None
