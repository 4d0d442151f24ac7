"""One kernel for each scalar function and dtype, in one text, as the gpu engine generates them."""

from collections.abc import Iterator
from dataclasses import dataclass

import graph_zoo
import numpy as np
from ptx_machine import launch
from ptx_memory import Memory
from ptx_text import Module

from verifiable.engines.gpu_sources import MAP_KERNEL, cuda_text, map_source
from verifiable.graph.ir import Array, Program, Step, TensorType
from verifiable.graph.vocabulary import SIGNATURES, DType, Scalar, scalar_result


@dataclass(frozen=True)
class ScalarCase:
    """One scalar function on operands of given dtypes."""

    function: Scalar
    dtypes: tuple[DType, ...]
    gives: DType

    @property
    def kernel(self) -> str:
        return f"{self.function.name.lower()}_{self.dtypes[-1].word}"

    @property
    def source(self) -> str:
        steps = (Step(self.function, tuple(range(len(self.dtypes)))),)
        present = ((True,),) * len(self.dtypes)
        text = map_source(Program(steps=steps), self.dtypes, present, far=False)
        return text.replace(MAP_KERNEL, self.kernel).removeprefix(cuda_text("canon.h"))


def scalar_cases() -> Iterator[ScalarCase]:
    """Every function with every dtype that it takes."""
    for function, signature in SIGNATURES.items():
        for dtype in DType:
            dtypes = (dtype,) * signature.arity
            if function is Scalar.SELECT:
                dtypes = (DType.BOOL, *dtypes[1:])
            gives = scalar_result(function, dtypes)
            if gives is not None:
                yield ScalarCase(function, dtypes, gives)


def scalar_source(header: str | None = None) -> str:
    """Text of all of them, over ``canon.h`` or another header."""
    return "\n".join(
        [cuda_text("canon.h") if header is None else header, *(c.source for c in scalar_cases())]
    )


def operands_of(case: ScalarCase, seed: int, count: int) -> list[Array]:
    """Odd values against odd values, then any bits, then what occurs in models."""
    numbers = np.random.default_rng(seed)
    found: list[Array] = []
    for place, dtype in enumerate(case.dtypes):
        styles = (graph_zoo.odd_values, graph_zoo.any_bits, graph_zoo.plain_values)
        if len(case.dtypes) == 1 and dtype is DType.F32:
            near = numbers.standard_normal(count).astype(np.float32)
            scaled = np.ldexp(near, numbers.integers(-12, 9, count)).astype(np.float32)
            parts = [graph_zoo.f32(*graph_zoo.F32_BITS), scaled]
        else:
            parts = []
        for style in styles:
            parts.append(style(numbers, TensorType(dtype, (count,))))
        if case.function is Scalar.FMA and place == 2:
            # Products that nearly cancel show whether there was one rounding.
            parts.append((-(found[0][-count:] * found[1][-count:])).astype(np.float32))
        elif case.function is Scalar.FMA:
            parts.append(graph_zoo.plain_values(numbers, TensorType(dtype, (count,))))
        found.append(np.concatenate(parts))
    return found


def run_case(module: Module, case: ScalarCase, operands: list[Array]) -> Array:
    """Result of the case's kernel on the interpreted device."""
    memory = Memory()
    size = len(operands[0])
    addresses = [np.uint64(memory.upload(x)) for x in operands]
    out = memory.allocate(size * case.gives.itemsize)
    arguments = [*addresses, np.uint64(out), np.int64(size), np.int64(size)]
    launch(module, case.kernel, memory, -(-size // 256), (256, 1), arguments)
    found: Array = memory.download(out, size * case.gives.itemsize).view(case.gives.numpy)
    return found


def differing(found: Array, wanted: Array) -> int:
    """Elements whose bits differ."""
    bits = f"u{found.dtype.itemsize}"
    return int((found.view(bits) != wanted.view(bits)).sum())
