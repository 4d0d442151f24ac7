"""Files and folders that appear whole or not at all.

Everything is written beside its destination and renamed when it is complete, so that a crash,
a full disk or a killed process leaves the old state, and at worst a ``.partial-*`` neighbour.
"""

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from verifiable.errors import InputError, StorageError

_REASONS = {
    errno.ENOSPC: "no space is left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.ENOENT: "the folder above it does not exist",
    errno.EISDIR: "it is a folder",
    errno.EFBIG: "a file may not grow that large here",
    errno.EIO: "the device failed",
    errno.ELOOP: "the path goes in circles",
    errno.ENAMETOOLONG: "the name is too long",
}


def reason_of(error: OSError) -> str | None:
    """What an error of the operating system says about storage; None if it is about another thing.

    >>> reason_of(OSError(errno.ENOSPC, ""))
    'no space is left on the device'
    """
    return _REASONS.get(error.errno or 0)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says of `path` into a `StorageError`."""
    try:
        yield
    except OSError as e:
        reason = reason_of(e)
        if reason is None:
            raise
        raise StorageError(
            f"cannot write `{path}`: {reason}", hint="choose another folder, or make room"
        ) from e


def cache_folder() -> Path:
    """Where downloaded or generated helpers live: ``VERIFIABLE_CACHE`` or the user's cache."""
    explicit = os.environ.get("VERIFIABLE_CACHE")
    if explicit:
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "verifiable"


def check_new(path: Path) -> None:
    """Refuse a path where something is already, before work is spent on what will stand there.

    Raises
    ------
    InputError
        If `path` exists.
    StorageError
        If that cannot be found out, or there is no folder above it.
    """
    with storage_errors(path):
        if os.path.lexists(path):
            raise InputError(f"`{path}` exists already", hint="choose another name, or remove it")
        path.parent.stat()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` when the block ends without an error.

    Raises
    ------
    InputError
        If `path` exists already.
    StorageError
        If it cannot be written.
    """
    check_new(path)
    with storage_errors(path):
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
        try:
            yield partial
            partial.chmod(0o755)
            partial.rename(path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def write_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` to `path` in one step, replacing what was there.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    _replace(path, io.BytesIO(data), mode)


def copy_file(source: Path, path: Path) -> None:
    """Copy `source` to `path` in one step, replacing what was there; never whole in memory.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with source.open("rb") as data:
        _replace(path, data, 0o644)


def _replace(path: Path, data: BinaryIO, mode: int) -> None:
    with storage_errors(path):
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.partial-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(data, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
            Path(partial).chmod(mode)
            Path(partial).rename(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
