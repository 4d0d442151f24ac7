"""The gpu engine on an interpreter of PTX instead of a device."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from nvrtc import compile_ptx
from ptx_machine import launch
from ptx_memory import Memory
from ptx_text import Module, parse

from verifiable.engines.gpu_run import GpuRunner, Kernel, prepare
from verifiable.graph.ir import Array, Graph, TensorType, Weights

_PARSED: dict[str, Module] = {}


@dataclass(frozen=True)
class Buffer:
    """Memory of the interpreted device; never given back."""

    address: int


class InterpretedDevice:
    """``gpu_run.Device`` whose kernels are compiled by NVRTC and run by ``ptx_machine``."""

    def __init__(self) -> None:
        self.memory = Memory()

    def upload(self, array: Array) -> Buffer:
        return Buffer(self.memory.upload(array))

    def empty(self, size: int) -> Buffer:
        return Buffer(self.memory.allocate(size))

    def download(self, memory: Any, kind: TensorType) -> Array:
        flat = self.memory.download(memory.address, kind.nbytes)
        found: Array = flat.view(kind.dtype.numpy).reshape(kind.shape)
        return found

    def kernel(self, source: str, name: str) -> Kernel:
        if source not in _PARSED:
            _PARSED[source] = parse(compile_ptx(source))
        module = _PARSED[source]

        def run(grid: int, block: tuple[int, int], arguments: tuple[np.generic, ...]) -> None:
            launch(module, name, self.memory, grid, block, list(arguments))

        return run

    def wait(self) -> None:
        """Every launch is done when it returns."""


class InterpretedGpu:
    """The gpu engine, but for the silicon."""

    name = "gpu, interpreted"

    def prepare(self, graph: Graph, weights: Weights) -> GpuRunner:
        return prepare(graph, weights, InterpretedDevice())
