"""Launches of whole models: some blocks of each, interpreted, write what the cpu engine computes.

A whole model is beyond an interpreter, and what only its size can break is in how a block finds its
place: so of every kernel and shape that a model needs, the last block and another run, on the
model's own tensors.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from nvrtc import compile_ptx, needs_nvrtc
from ptx_machine import launch
from ptx_memory import BASE, Memory
from ptx_text import Module, parse
from small_nets import lowered_net

from verifiable.engines.cpu import Cpu
from verifiable.engines.gpu_launch import Launch, Operand, Plan, Result, Workspace
from verifiable.engines.gpu_plan import plan_instruction
from verifiable.graph.ir import Array, Const, Dot, Graph, Index, Input, Map, Weights, operands
from verifiable.ops.scalar.floats import fma
from verifiable.ops.values import canonical

pytestmark = needs_nvrtc

MODELS = ("resnet18", "mobilenet_v2", "bert_base", "gpt2", "gpt2_decode", "llama_block")
PARSED: dict[str, Module] = {}


def module_of(one: Launch) -> Module:
    if one.source not in PARSED:
        PARSED[one.source] = parse(compile_ptx(one.source))
    return PARSED[one.source]


def run_some(one: Launch, memory: Memory, addresses: dict[object, int]) -> Array:
    """Addresses that the last block and one more store to."""
    numbers = np.random.default_rng(one.grid)
    blocks = sorted({one.grid - 1, int(numbers.integers(one.grid))})
    arguments = [
        argument if isinstance(argument, np.generic) else np.uint64(addresses[argument])
        for argument in one.arguments
    ]
    memory.stored = []
    launch(module_of(one), one.kernel, memory, one.grid, one.block, arguments, only=blocks)
    assert memory.stored, "the last block of a grid has something to do"
    return np.unique(np.concatenate(memory.stored))


def elements(
    memory: Memory, places: Array, address: int, dtype: "np.dtype[Any]"
) -> tuple[Array, Array]:
    """Which elements of a buffer were stored, and what they are now."""
    there = (places - (address - BASE)) // dtype.itemsize
    start = address - BASE
    whole = memory.bytes[start : start + (int(there.max()) + 1) * dtype.itemsize].view(dtype)
    return there, whole[there]


def same(found: Array, wanted: Array) -> bool:
    return np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(wanted).tobytes()


def hold(plan: Plan, read: list[Array], wanted: Array, dot: Dot | None) -> None:
    memory = Memory()
    addresses: dict[object, int] = {
        Operand(i): memory.upload(array) for i, array in enumerate(read)
    }
    addresses[Result()] = memory.allocate(wanted.nbytes)
    if not plan.workspace:
        for one in plan.launches:
            places = run_some(one, memory, addresses)
            at, found = elements(memory, places, addresses[Result()], wanted.dtype)
            assert same(found, wanted.reshape(-1)[at]), one.kernel
        return
    assert dot is not None
    first, fold = plan.launches
    addresses[Workspace()] = memory.allocate(plan.workspace)
    places = run_some(first, memory, addresses)
    at, found = elements(memory, places, addresses[Workspace()], np.dtype(np.float32))
    totals = chunk_totals(dot, read[0], read[1], at)
    assert same(canonical(found + np.float32(0)), canonical(totals + np.float32(0))), first.kernel
    # The fold reads what all blocks wrote, so it gets parts of its own.
    chunks = plan.workspace // wanted.nbytes
    numbers = np.random.default_rng(chunks)
    parts = numbers.standard_normal((chunks, wanted.size), np.float32)
    addresses[Workspace()] = memory.upload(parts)
    places = run_some(fold, memory, addresses)
    at, found = elements(memory, places, addresses[Result()], wanted.dtype)
    total = np.zeros(len(at), np.float32)
    for part in parts[:, at]:
        total = total + part
    assert same(found, total + np.float32(0)), fold.kernel


def chunk_totals(dot: Dot, a: Array, b: Array, at: Array) -> Array:
    """By the definition, elements of ``[chunks, batch, M, N]``."""
    chunk, batch, row, column = np.unravel_index(at, (-(-a.shape[2] // dot.chunk), *dot.type.shape))
    total = np.zeros(len(at), np.float32)
    for step in range(dot.chunk):
        k = chunk * dot.chunk + step
        inside = k < a.shape[2]
        k = np.minimum(k, a.shape[2] - 1)
        x, y = a[batch % len(a), row, k], b[batch % len(b), column, k]
        total = np.where(inside, fma(x, y, total), total)
    return total


def tensors_of(graph: Graph, weights: Weights, inputs: dict[str, Array]) -> list[Array]:
    found: list[Array] = []
    runner = Cpu(threads=2).prepare(graph, weights)
    runner.run(inputs, watch=lambda _, tensor: found.append(tensor.copy()))
    return found


def different(graph: Graph) -> Iterator[tuple[Index, Plan]]:
    """An instruction for each set of launches that no earlier one has."""
    seen = set()
    for place, instruction in enumerate(graph.instructions):
        if isinstance(instruction, Input | Const):
            continue
        types = [graph.instructions[i].type for i in operands(instruction)]
        plan = plan_instruction(instruction, types)
        key = tuple((one.source, one.kernel, one.grid, one.arguments) for one in plan.launches)
        if key not in seen:
            seen.add(key)
            yield Index(place), plan


@pytest.mark.parametrize(
    ("name", "small"),
    [
        pytest.param("llama_block", True, id="small llama_block"),
        *(pytest.param(name, False, id=name, marks=pytest.mark.slow) for name in MODELS),
    ],
)
def test_blocks_at_the_end_and_anywhere_write_what_the_cpu_computes(name: str, small: bool) -> None:
    graph, weights, inputs = lowered_net(name, small=small)
    tensors = tensors_of(graph, weights, inputs)
    kernels: dict[str, int] = {}
    for place, plan in different(graph):
        instruction = graph.instructions[place]
        if small and isinstance(instruction, Map):
            continue  # each is a text of its own, and a compilation
        read = [tensors[i] for i in operands(instruction)]
        dot = instruction if isinstance(instruction, Dot) else None
        hold(plan, read, tensors[place], dot)
        for one in plan.launches:
            kernels[one.kernel] = kernels.get(one.kernel, 0) + 1
    print(f"{name}: {kernels}")
