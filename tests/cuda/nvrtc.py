"""What the gpu engine compiles, compiled to PTX without CuPy and without a GPU."""

from functools import cache

import pytest

from verifiable.engines import gpu_compile
from verifiable.errors import MissingDependencyError

PLAIN = 75
"""Architecture whose PTX is interpreted: the oldest that the newest NVRTC knows."""


def architectures() -> list[int]:
    """Compute capabilities that this NVRTC compiles for, times ten; none without NVRTC."""
    try:
        return gpu_compile.architectures(gpu_compile.nvrtc())
    except MissingDependencyError:
        return []


needs_nvrtc = pytest.mark.skipif(
    not architectures(), reason="NVRTC is not installed: pip install nvidia-cuda-nvrtc"
)


@cache
def compile_ptx(source: str, architecture: int = PLAIN) -> str:
    """PTX of CUDA `source`, with the engine's options, and no warning."""
    found = gpu_compile.compile_source(gpu_compile.nvrtc(), source, architecture, "PTX")
    assert not found.log, found.log
    return found.code.rstrip(b"\0").decode()
