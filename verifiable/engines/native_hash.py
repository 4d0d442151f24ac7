"""SHA-256 by the native code of the cpu engine, where it and the processor's instructions are."""

import ctypes
import functools
import os
from typing import Final

import numpy as np

from verifiable.crypto.merkle import DIGEST, HASHLIB, PADS, Digests, Hasher, Tag
from verifiable.crypto.tree import count_nodes
from verifiable.engines.cpu import MOST_THREADS, Cpu, CpuRunner
from verifiable.engines.protocol import Runner
from verifiable.errors import MissingDependencyError, OutOfMemoryError

_NO_MEMORY: Final = 1
_PADS: Final = b"".join(PADS)

_ALONE: Final = 1 << 15
"""Bytes that one thread hashes before others would wake."""


class NativeHasher(Hasher):
    """A `Hasher` (``crypto.merkle``) in native code, on the threads of an engine.

    Other threads of Python go on while it hashes; no digest depends on the number of threads.

    Parameters
    ----------
    engine : Cpu

    Raises
    ------
    MissingDependencyError
        If its native code has no SHA-256, or the processor has no SHA instructions.
    """

    def __init__(self, engine: Cpu) -> None:
        self.engine = engine
        library = ctypes.CDLL(str(engine.library.path))
        try:
            supported = library.verifiable_has_sha
            self._pieces, self._tree = library.verifiable_hash_pieces, library.verifiable_hash_tree
        except AttributeError as e:
            raise MissingDependencyError("the native code has no SHA-256") from e
        if not supported():
            raise MissingDependencyError("the processor has no SHA instructions")
        small, number, pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
        self._pieces.argtypes = [
            pointer, small, pointer, number, number, number, small, pointer,
        ]  # fmt: skip
        self._tree.argtypes = [
            pointer, pointer, number, number, number, small, pointer, pointer, pointer,
        ]  # fmt: skip

    def _threads(self, nbytes: int) -> int:
        return self.engine.handle if nbytes > _ALONE else 0

    def __call__(self, tag: Tag, data: Digests, /) -> bytes:
        """Hash each row of `data`.

        Raises
        ------
        OutOfMemoryError
            If there is no memory to tell the threads.
        """
        assert data.flags.c_contiguous
        pieces, size = data.shape
        found = np.empty((pieces, DIGEST), np.uint8)
        status = self._pieces(
            self._threads(data.nbytes), tag, data.ctypes.data, pieces, size, size, 1,
            found.ctypes.data,
        )  # fmt: skip
        _check(status)
        return found.tobytes()

    def tree(self, data: Digests, size: int, width: int, /) -> Digests:
        """Hash leaves and all nodes over them; raises as the call does."""
        assert data.flags.c_contiguous
        trees, span = data.shape
        rows = np.empty((count_nodes(trees, -(-span // size)), DIGEST), np.uint8)
        status = self._tree(
            self._threads(data.nbytes), data.ctypes.data, trees, span, size, width,
            _PADS, rows.ctypes.data, None,
        )  # fmt: skip
        _check(status)
        return rows

    def root(self, data: Digests, size: int, width: int, /) -> bytes:
        """The last of the nodes that `tree` gives, which are not kept; raises as the call does."""
        assert data.flags.c_contiguous
        trees, span = data.shape
        root = ctypes.create_string_buffer(DIGEST)
        status = self._tree(
            self._threads(data.nbytes), data.ctypes.data, trees, span, size, width, _PADS, None,
            root,
        )  # fmt: skip
        _check(status)
        return root.raw


def _check(status: int) -> None:
    if status == _NO_MEMORY:
        raise OutOfMemoryError("no memory is left to hash in")
    assert status == 0, f"native code refused to hash ({status})"


@functools.cache
def best_hasher() -> Hasher:
    """The fastest that this machine has: native code on all cores, or hashlib."""
    try:
        threads = min(len(os.sched_getaffinity(0)), MOST_THREADS)
        return NativeHasher(Cpu(threads=threads))
    except MissingDependencyError:
        return HASHLIB


def hasher_for(runner: Runner) -> Hasher:
    """The fastest to hash what `runner` computes: on its own threads, where it has such.

    They are at hand when a tensor is done, and others would have to share their cores.
    """
    if isinstance(runner, CpuRunner):
        try:
            return NativeHasher(runner.engine)
        except MissingDependencyError:
            return HASHLIB
    return best_hasher()
