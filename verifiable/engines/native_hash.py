"""SHA-256 by the native code of the cpu engine, where it and the processor's instructions are."""

import ctypes
import functools

import numpy as np

from verifiable.crypto.merkle import DIGEST, Digests, Hasher, Tag, hash_pieces
from verifiable.engines.cpu_library import load
from verifiable.errors import MissingDependencyError, OutOfMemoryError

_DONE, _NO_MEMORY, _NO_INSTRUCTIONS = range(3)


class NativeHasher:
    """A `Hasher` (``crypto.merkle``) in native code.

    Parameters
    ----------
    library : ctypes.CDLL
        Exports ``verifiable_hash``.

    Raises
    ------
    MissingDependencyError
        If it does not, or the processor has no SHA instructions.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        try:
            self._hash = library.verifiable_hash
        except AttributeError as e:
            raise MissingDependencyError("the native code has no SHA-256") from e
        number, pointer = ctypes.c_int64, ctypes.c_void_p
        self._hash.argtypes = [ctypes.c_int, pointer, number, number, pointer]
        self._hash.restype = ctypes.c_int
        if self._call(Tag.PAD, np.empty((0, 1), np.uint8), np.empty(0, np.uint8)):
            raise MissingDependencyError("the processor has no SHA instructions")

    def _call(self, tag: Tag, data: Digests, found: Digests) -> int:
        pieces, size = data.shape
        status: int = self._hash(tag, data.ctypes.data, pieces, size, found.ctypes.data)
        return status

    def __call__(self, tag: Tag, data: Digests, /) -> bytes:
        """Hash each row of `data`; other threads of Python go on meanwhile.

        Raises
        ------
        OutOfMemoryError
            If there is no memory for two pieces.
        """
        assert data.flags.c_contiguous
        found = np.empty((len(data), DIGEST), np.uint8)
        if self._call(tag, data, found) == _NO_MEMORY:
            raise OutOfMemoryError("no memory is left to hash in")
        return found.tobytes()


@functools.cache
def best_hasher() -> Hasher:
    """The fastest that this machine has: native code, or hashlib."""
    try:
        return NativeHasher(ctypes.CDLL(str(load().path)))
    except MissingDependencyError:
        return hash_pieces
