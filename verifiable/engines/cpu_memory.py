"""Memory for results that is used again once the caller has let a result go.

Fresh pages cost as much as a cheap operator on them: the kernel has to clear each.
"""

import weakref
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from verifiable.graph.ir import TensorType

SMALLEST: Final = 1 << 16
"""Bytes below which NumPy's own allocation is as good."""

MOST_KEPT: Final = 2
"""Buffers that wait for each size."""


class Results:
    """Arrays for results. Each is its holder's alone until nothing refers to it any more."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.uint8]]] = {}

    def array(self, kind: TensorType) -> NDArray[Any]:
        """Elements of a tensor, in one axis, not set.

        Parameters
        ----------
        kind : TensorType

        Raises
        ------
        MemoryError
            If there is none left.
        """
        if kind.nbytes < SMALLEST:
            return np.empty(kind.size, kind.dtype.numpy)
        waiting = self._free.setdefault(kind.nbytes, [])
        try:
            buffer = waiting.pop()
        except IndexError:
            buffer = np.empty(kind.nbytes, np.uint8)
        # Of a memoryview, so that views of this array refer to it and not to the buffer.
        handed_out: NDArray[Any] = np.frombuffer(buffer.data, kind.dtype.numpy)
        weakref.finalize(handed_out, _give_back, waiting, buffer).atexit = False
        return handed_out


def _give_back(waiting: list[NDArray[np.uint8]], buffer: NDArray[np.uint8]) -> None:
    if len(waiting) < MOST_KEPT:
        waiting.append(buffer)
