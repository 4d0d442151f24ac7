"""The native code of the cpu engine: which build this processor runs, and its functions."""

import ctypes
import functools
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from verifiable.errors import HostError, MissingDependencyError, OutOfMemoryError
from verifiable.graph.ir import Array

BUILDS: Final = {"v4": 4, "v3": 3, "base": 1}
"""Builds, best first, and the level a processor needs for each."""

FORCE: Final = "VERIFIABLE_CPU_BUILD"
"""Environment variable that names a build, instead of the best."""

VERSION: Final = 4
"""Of what Python and native code say to each other; a function is named after it."""

PRODUCTS: Final = ("wide", "narrow", "quads", "tiles")
"""Ways of adding up products of integers, by their number in native code."""

Slots = NDArray[np.uint64]
"""Addresses of what a plan reads and writes, by the numbers that its words name."""

DONE, NO_MEMORY, BAD_PLAN, BAD_INPUT = range(4)
HINT: Final = (
    "install a C++ compiler (g++ or clang++) and then `pip install --force-reinstall verifiable`"
)


def address(array: Array) -> int:
    """Where the elements of an array begin; several times faster than ``array.ctypes.data``."""
    found: int = array.__array_interface__["data"][0]
    return found


class Library:
    """One build of the native code, loaded.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise MissingDependencyError(
                f"native code `{path}` cannot be loaded: {error}", hint=HINT
            ) from error
        call, pointer, number = self._library, ctypes.c_void_p, ctypes.c_int64
        if not hasattr(call, f"verifiable_version_{VERSION}"):
            raise MissingDependencyError(
                f"native code `{path}` is of another version", hint="pip install again"
            )
        call.verifiable_engine_new.restype = pointer
        call.verifiable_engine_new.argtypes = [ctypes.c_int]
        call.verifiable_engine_free.argtypes = [pointer]
        call.verifiable_engine_free.restype = None
        call.verifiable_plan_new.argtypes = [
            pointer, number, pointer, ctypes.c_int, ctypes.POINTER(pointer)
        ]  # fmt: skip
        call.verifiable_plan_free.argtypes = [pointer]
        call.verifiable_plan_free.restype = None
        call.verifiable_plan_joined.argtypes = [pointer]
        call.verifiable_plan_joined.restype = number
        call.verifiable_finds_nan.argtypes = [pointer, pointer, number]
        call.verifiable_plan_run.argtypes = [pointer, pointer, pointer, *[number] * 4]

    @property
    def level(self) -> int:
        """What the processor can run: 1, 3 or 4."""
        return int(self._library.verifiable_level())

    @property
    def lanes(self) -> int:
        """Floats of a vector of this build."""
        return int(self._library.verifiable_lanes())

    @property
    def products(self) -> tuple[str, ...]:
        """Ways of adding up products of integers that this build has on this processor."""
        can = self._library.verifiable_adds_up
        return tuple(name for number, name in enumerate(PRODUCTS) if can(number))

    @property
    def fastest_products(self) -> str:
        """The one of them that is taken if none is named."""
        return PRODUCTS[self._library.verifiable_fastest_products()]

    def engine(self, threads: int) -> int:
        """Start threads; the handle is for `run` and `free_engine`.

        Raises
        ------
        HostError
            If the system gives no more threads.
        """
        handle = self._library.verifiable_engine_new(threads)
        if not handle:
            raise HostError(f"the system does not start {threads} threads")
        return int(handle)

    def free_engine(self, handle: int) -> None:
        """End the threads of an engine."""
        self._library.verifiable_engine_free(handle)

    def plan(self, words: Sequence[int], slots: Slots, products: str) -> int:
        """Read a plan; constants are packed from the addresses `slots`.

        Products of integers are added up as `products` says, or in a way before it.

        Raises
        ------
        OutOfMemoryError
            If there is no memory for the packed constants.
        """
        read = np.array(words, np.int64)
        handle = ctypes.c_void_p()
        status = self._library.verifiable_plan_new(
            address(read), read.size, address(slots), PRODUCTS.index(products),
            ctypes.byref(handle),
        )  # fmt: skip
        _check(status)
        assert handle.value is not None
        return handle.value

    def finds_nan(self, engine: int, array: Array) -> bool:
        """Whether floats hold a NaN other than 0x7fc00000."""
        return bool(self._library.verifiable_finds_nan(engine, address(array), array.size))

    def joined(self, handle: int) -> int:
        """How many chains of a plan's nodes, as of a softmax, run as one."""
        return int(self._library.verifiable_plan_joined(handle))

    def free_plan(self, handle: int) -> None:
        """Let a plan and its constants go."""
        self._library.verifiable_plan_free(handle)

    def run(self, plan: int, engine: int, slots: Slots, span: range, tile: tuple[int, int]) -> bool:
        """Execute operations `span` of a plan over the memory at the addresses `slots`.

        Returns
        -------
        bool
            False if an input that is looked at on the way holds a NaN other than 0x7fc00000; what
            was computed is then worth nothing.

        Raises
        ------
        OutOfMemoryError
            If there is no memory for the threads' own work.
        """
        status = self._library.verifiable_plan_run(
            plan, engine, address(slots), span.start, span.stop, *tile
        )
        if status == BAD_INPUT:
            return False
        _check(status)
        return True


def _check(status: int) -> None:
    if status == NO_MEMORY:
        raise OutOfMemoryError("the cpu engine has no memory left")
    assert status == DONE, f"native code refused a plan ({status})"


def built() -> dict[str, Path]:
    """Builds that were made when the package was installed."""
    folder = Path(str(files("verifiable") / "native"))
    found = {}
    for name in BUILDS:
        paths = sorted(folder.glob(f"_{name}.*so"))
        if paths:
            found[name] = paths[0]
    return found


@functools.cache
def supported() -> tuple[str, ...]:
    """Builds that are there and that this processor can run, best first."""
    paths = built()
    if "base" not in paths:
        return ()
    level = Library(paths["base"]).level
    return tuple(name for name in paths if BUILDS[name] <= level)


@functools.cache
def load(build: str | None = None) -> Library:
    """Load a build.

    Parameters
    ----------
    build : str, optional
        ``base``, ``v3`` or ``v4``. None: what the environment variable VERIFIABLE_CPU_BUILD says,
        else the best.

    Raises
    ------
    MissingDependencyError
        If the native code was not built, or this processor cannot run the build.
    """
    found = supported()
    if not found:
        raise MissingDependencyError("the native code of the cpu engine was not built", hint=HINT)
    name = build or os.environ.get(FORCE) or found[0]
    if name not in found:
        raise MissingDependencyError(
            f"there is no build `{name}` of the cpu engine for this processor",
            hint=f"builds here: {', '.join(found)}",
        )
    return Library(built()[name])
