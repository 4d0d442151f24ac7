"""What the gpu engine makes of CuPy's answers, told by a stand-in for CuPy: no device is needed."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from verifiable.engines import gpu as door
from verifiable.errors import MissingDependencyError, OutOfMemoryError, StageFailedError


class CudaRuntimeError(RuntimeError):
    """In the place of CuPy's CUDARuntimeError."""


class CudaDriverError(RuntimeError):
    """In the place of CuPy's CUDADriverError."""


class NoRoomError(MemoryError):
    """In the place of CuPy's OutOfMemoryError."""


def fail(error: BaseException) -> Callable[..., Any]:
    def call(*_: object) -> Any:
        raise error

    return call


def stand_in(monkeypatch: pytest.MonkeyPatch, *, devices: int = 1, capability: str = "90") -> Any:
    class Device(nullcontext[None]):
        def __init__(self, _: int) -> None:
            super().__init__()
            self.compute_capability = capability

    runtime = SimpleNamespace(
        CUDARuntimeError=CudaRuntimeError,
        getDeviceCount=lambda: devices,
        getDeviceProperties=lambda _: {"name": b"Paper GPU"},
        runtimeGetVersion=lambda: 13020,
    )
    cuda = SimpleNamespace(
        runtime=runtime,
        driver=SimpleNamespace(CUDADriverError=CudaDriverError),
        memory=SimpleNamespace(OutOfMemoryError=NoRoomError),
        Device=Device,
    )
    cupy = SimpleNamespace(cuda=cuda, empty=fail(NoRoomError("Out of memory allocating 8 bytes")))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(door, "nvrtc", lambda major: major)
    return cupy


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, devices=2)
    with pytest.raises(MissingDependencyError, match="no CUDA device 2, there are 2"):
        door.Gpu(device=2)


def test_no_driver_is_an_absent_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = stand_in(monkeypatch)
    cupy.cuda.runtime.getDeviceCount = fail(CudaRuntimeError("cudaErrorNoDevice"))
    with pytest.raises(MissingDependencyError, match="cudaErrorNoDevice") as caught:
        door.Gpu()
    assert "cpu" in (caught.value.hint or "")


def test_a_device_without_dp4a_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, capability="60")
    with pytest.raises(MissingDependencyError, match=r"compute capability 6\.0 is older than 6\.1"):
        door.Gpu()


def test_a_full_device_is_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    with pytest.raises(OutOfMemoryError, match=r"Paper GPU.*allocating 8 bytes"):
        door.Gpu().device.empty(8)


def test_a_failing_driver_is_a_failed_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = stand_in(monkeypatch)
    for error in (
        CudaDriverError("CUDA_ERROR_ILLEGAL_ADDRESS"),
        CudaRuntimeError("cudaErrorUnknown"),
    ):
        cupy.empty = fail(error)
        with pytest.raises(StageFailedError, match=str(error)):
            door.Gpu().device.empty(8)
