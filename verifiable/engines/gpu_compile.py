"""NVRTC by ctypes: CUDA text to machine code, with the options that the definition needs.

CuPy's own compiler is not used: it adds ``-ftz=true`` behind whatever options it is given, the last
one holds, and every subnormal would be lost (cupy/cupy issue 9576). NVRTC needs no GPU, so tests
compile through this very module.
"""

import ctypes
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from verifiable.engines.gpu_sources import NVRTC_OPTIONS
from verifiable.errors import MissingDependencyError, StageFailedError, StorageError
from verifiable.storage import cache_folder, write_file

MAJORS: Final = (13, 12)
"""Versions of CUDA, in the order in which they are looked for where none is wanted."""

OLDEST: Final = 61
"""Compute capability, times ten, that first has dp4a."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a compilation gives."""

    code: bytes
    log: str
    """Warnings; empty if there are none."""


@cache
def nvrtc(major: int | None = None) -> ctypes.CDLL:
    """The library: from NVIDIA's wheel, else wherever the system finds it.

    Parameters
    ----------
    major : int, optional
        Major version of CUDA, which the driver has to know.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    majors = (major,) if major else MAJORS
    for wanted in majors:
        for place in _places(wanted):
            try:
                return ctypes.CDLL(place)
            except OSError:
                continue
    raise MissingDependencyError(
        f"NVRTC of CUDA {' or '.join(map(str, majors))} is not installed",
        hint="pip install 'verifiable[cuda12]' or 'verifiable[cuda13]'",
    )


def _places(major: int) -> Iterator[str]:
    for folder in sys.path:
        yield from map(str, sorted(Path(folder).glob(f"nvidia/*/lib/libnvrtc.so.{major}")))
    yield f"libnvrtc.so.{major}"


def architectures(library: ctypes.CDLL) -> list[int]:
    """Compute capabilities, times ten, that kernels can be compiled for, in rising order."""
    count = ctypes.c_int()
    _hold(library, library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    found = (ctypes.c_int * count.value)()
    _hold(library, library.nvrtcGetSupportedArchs(found))
    return sorted(arch for arch in found if arch >= OLDEST)


def compile_source(
    library: ctypes.CDLL, source: str, architecture: int, kind: Literal["PTX", "CUBIN"]
) -> Compiled:
    """Compile one text.

    Parameters
    ----------
    library : ctypes.CDLL
        From `nvrtc`.
    source : str
    architecture : int
        One of `architectures`.
    kind : 'PTX' or 'CUBIN'
        Text that later devices take too, or machine code of this one.

    Raises
    ------
    StageFailedError
        If the compiler refuses it; carries what the compiler says.
    """
    program = ctypes.c_void_p()
    created = library.nvrtcCreateProgram(
        ctypes.byref(program), source.encode(), b"verifiable.cu", 0, None, None
    )
    _hold(library, created)
    try:
        target = "compute" if kind == "PTX" else "sm"
        options = [f"--gpu-architecture={target}_{architecture}", *NVRTC_OPTIONS]
        encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        status = library.nvrtcCompileProgram(program, len(options), encoded)
        log = _take(library, program, "ProgramLog").rstrip(b"\0").decode(errors="replace").strip()
        if status:
            raise StageFailedError(f"NVRTC refuses a kernel for {target}_{architecture}: {log}")
        return Compiled(code=_take(library, program, kind), log=log)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def machine_code(library: ctypes.CDLL, source: str, capability: int) -> bytes:
    """What a device of a compute capability loads, from the cache where it has been made before.

    Raises
    ------
    StageFailedError
        If the compiler refuses it, or knows no architecture as old as the device.
    """
    known = [arch for arch in architectures(library) if arch <= capability]
    if not known:
        raise StageFailedError(
            f"this NVRTC compiles for no device as old as {capability / 10}",
            hint="install an older one: pip install 'verifiable[cuda12]'",
        )
    # A device newer than the compiler takes text of the newest one that it knows.
    kind: Literal["PTX", "CUBIN"] = "CUBIN" if known[-1] == capability else "PTX"
    version = (ctypes.c_int(), ctypes.c_int())
    _hold(library, library.nvrtcVersion(*map(ctypes.byref, version)))
    key = repr((source, NVRTC_OPTIONS, known[-1], kind, [part.value for part in version]))
    kept = cache_folder() / "cuda" / f"{hashlib.sha256(key.encode()).hexdigest()}.{kind.lower()}"
    if kept.is_file():
        return kept.read_bytes()
    code = compile_source(library, source, known[-1], kind).code
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_file(kept, code)
    except (OSError, StorageError):
        pass  # without a cache the next process compiles again, which is all
    return code


def _hold(library: ctypes.CDLL, status: int) -> None:
    if status:
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        said: bytes = library.nvrtcGetErrorString(status)
        raise StageFailedError(f"NVRTC gave up: {said.decode()}")


def _take(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _hold(library, getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    room = ctypes.create_string_buffer(size.value)
    _hold(library, getattr(library, f"nvrtcGet{what}")(program, room))
    return room.raw
