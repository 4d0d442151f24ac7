"""The gpu engine: a CUDA device through CuPy, with the bits of ``verifiable.ops``.

The kernels are in ``cuda/``. What they are launched with is decided in ``gpu_plan``, the order of
a run in ``gpu_run``, machine code is made in ``gpu_compile``; only this module touches CuPy, and
only once an engine is made.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from verifiable.engines.gpu_compile import OLDEST, machine_code, nvrtc
from verifiable.engines.gpu_run import GpuRunner, Kernel, Memory, prepare
from verifiable.engines.gpu_sources import cuda_text
from verifiable.errors import (
    HostError,
    MissingDependencyError,
    OutOfMemoryError,
    StageFailedError,
)
from verifiable.graph.ir import Array, Graph, TensorType, Weights

HINT: Final = "pip install 'verifiable[cuda12]' or, for a CUDA 13 driver, 'verifiable[cuda13]'"


class Gpu:
    """One CUDA device.

    Parameters
    ----------
    device : int
        Number of the device, as CUDA counts.

    Raises
    ------
    MissingDependencyError
        If CuPy or NVRTC is not installed, or there is no such device, or it is too old.
    """

    name = "gpu"

    def __init__(self, device: int = 0) -> None:
        self.device = _CupyDevice(device)

    @property
    def description(self) -> str:
        """Name and compute capability of the device."""
        return self.device.description

    def prepare(self, graph: Graph, weights: Weights) -> GpuRunner:
        """Make a checked graph ready to run: kernels compiled, weights on the device.

        Raises
        ------
        TensorError
            If the weights are not what the graph's Consts ask for; their roots are not computed.
        OutOfMemoryError
            If the device cannot hold the weights.
        HostError
            If the device cannot run the graph.
        """
        return prepare(graph, weights, self.device)


@dataclass(frozen=True, slots=True)
class _CupyMemory:
    array: Any

    @property
    def address(self) -> int:
        return int(self.array.data.ptr)


class _CupyDevice:
    """``gpu_run.Device`` over CuPy's memory pool and current stream."""

    def __init__(self, number: int) -> None:
        try:
            import cupy
        except ImportError as error:
            raise MissingDependencyError("the gpu engine needs CuPy", hint=HINT) from error
        self._cupy: Any = cupy
        errors = cupy.cuda.runtime.CUDARuntimeError
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except errors as error:
            raise MissingDependencyError(
                f"there is no CUDA device: {error}", hint="use the cpu engine: --device cpu"
            ) from error
        if not 0 <= number < count:
            raise MissingDependencyError(
                f"there is no CUDA device {number}, there are {count}",
                hint="name another one: --device cuda:0",
            )
        self._device = cupy.cuda.Device(number)
        capability = int(self._device.compute_capability)
        name = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
        self.description = f"{name}, compute capability {capability / 10}"
        if capability < OLDEST:
            raise MissingDependencyError(
                f"{self.description} is older than {OLDEST / 10}", hint="use the cpu engine"
            )
        self._capability = capability
        # The driver takes machine code of its own major version of CUDA, as CuPy was built for.
        self._nvrtc = nvrtc(cupy.cuda.runtime.runtimeGetVersion() // 1000)
        self._modules: dict[str, Any] = {}
        self._kernels: dict[tuple[str, str], Kernel] = {}

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Make the device current, and CuPy's errors ours."""
        cuda = self._cupy.cuda
        try:
            with self._device:
                yield
        except cuda.memory.OutOfMemoryError as error:
            raise OutOfMemoryError(
                f"{self.description}: {error}", hint="use a smaller batch, or the cpu engine"
            ) from error
        except (
            cuda.runtime.CUDARuntimeError,
            cuda.driver.CUDADriverError,
        ) as error:
            raise StageFailedError(f"{self.description}: {error}") from error

    def upload(self, array: Array) -> Memory:
        with self._working():
            return _CupyMemory(self._cupy.asarray(array.reshape(-1).view(np.uint8)))

    def empty(self, size: int) -> Memory:
        with self._working():
            return _CupyMemory(self._cupy.empty(size, np.uint8))

    def download(self, memory: Memory, kind: TensorType) -> Array:
        assert isinstance(memory, _CupyMemory)
        with self._working():
            flat: Array = self._cupy.asnumpy(memory.array[: kind.nbytes])
        return flat.view(kind.dtype.numpy).reshape(kind.shape)

    def kernel(self, source: str, name: str) -> Kernel:
        found = self._kernels.get((source, name))
        if found is not None:
            return found
        with self._working():
            if source not in self._modules:
                module = self._cupy.cuda.Module()
                module.load(machine_code(self._nvrtc, source, self._capability))
                self._modules[source] = module
            function = self._modules[source].get_function(name)

        def launch(grid: int, block: tuple[int, int], arguments: tuple[np.generic, ...]) -> None:
            with self._working():
                function((grid,), block, arguments)

        self._kernels[source, name] = launch
        return launch

    def wait(self) -> None:
        with self._working():
            self._cupy.cuda.get_current_stream().synchronize()


def gemm_seconds(side: int, *, repeats: int = 5, device: int = 0) -> dict[str, list[float]]:
    """Time a square f32 Dot against cuBLAS, TF32 off, on device events.

    Parameters
    ----------
    side : int
        Rows and columns of both matrices, a multiple of 128.
    repeats : int
        Timed runs of each, after one that is not timed.

    Returns
    -------
    dict of str to list of float
        Seconds of each run, under ``ours`` and ``cublas``.

    Raises
    ------
    HostError
        As `Gpu`; also if cuBLAS is absent.
    """
    if side < 128 or side % 128:
        raise HostError(f"side {side} is no positive multiple of 128")
    engine = Gpu(device).device
    cupy: Any = engine._cupy
    numbers = np.random.default_rng(0)
    a, b = (cupy.asarray(numbers.standard_normal((side, side), np.float32)) for _ in range(2))
    out = cupy.empty((side, side), np.float32)
    kernel = engine.kernel(cuda_text("dot.cu"), "dot_f32_tile_128")
    arguments: tuple[np.generic, ...] = (
        *(np.uint64(x.data.ptr) for x in (a, b, out)),
        *map(np.int32, (1, 1, side, side, side, 256, -(-side // 256), 0)),
    )
    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: kernel((side // 128) ** 2, (256, 1), arguments),
        "cublas": lambda: cupy.matmul(a, b.T, out=out),
    }
    seconds: dict[str, list[float]] = {}
    for name, run in runs.items():
        run()
        seconds[name] = []
        for _ in range(repeats):
            start, stop = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            run()
            stop.record()
            stop.synchronize()
            seconds[name].append(cupy.cuda.get_elapsed_time(start, stop) / 1000)
    return seconds
