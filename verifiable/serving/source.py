"""Stores of objects by digest, and the folder that any web server or object store can hold.

::

    objects/ab/cdef...   object (``trace.objects``) of the digest 0xabcdef..., in 64 hex digits

Names, over HTTP as on disk, are the same; what lies there never changes.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from verifiable.errors import HostError, OpeningRejectedError, StorageError
from verifiable.storage import storage_errors
from verifiable.trace.objects import MOST_BYTES, check_object
from verifiable.types import Sha256

FOLDER: Final = "objects"

_NAME: Final = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})\Z")


class UnreachableError(HostError):
    """A store did not answer, or not in time, or with something that is no answer."""


class Source(Protocol):
    """A store of objects; nobody trusts it, so what it gives is checked by who asked."""

    def read(self, digest: Sha256, /) -> bytes | None:
        """The object of a digest, unchecked, of `MOST_BYTES` at most; None if there is none.

        Raises
        ------
        UnreachableError
            If the store cannot be asked.
        StorageError
            If it is a folder that cannot be read.
        """


def name_of(digest: bytes) -> str:
    """Where an object lies, from the root of a folder or of a web server.

    >>> name_of(bytes(32))[:14]
    'objects/00/000'
    """
    text = digest.hex()
    return f"{FOLDER}/{text[:2]}/{text[2:]}"


def digest_of(name: str) -> Sha256 | None:
    """The inverse of `name_of`; None of any other text."""
    found = _NAME.match(name)
    return Sha256(bytes.fromhex(found[1] + found[2])) if found else None


class FolderSource:
    """A folder of objects, as `export` writes it.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, digest: Sha256, /) -> bytes | None:
        """See `Source`."""
        path = self._folder / name_of(digest)
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as e:
            raise StorageError(f"cannot read `{path}`: {e.strerror or e}") from e
        return data if len(data) <= MOST_BYTES else None


class Mirrors:
    """Several stores as one: the first true object counts, whatever the others say.

    Parameters
    ----------
    sources : sequence of Source
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)

    def read(self, digest: Sha256, /) -> bytes | None:
        """See `Source`; raises only if no store has the object and one could not be asked."""
        failure: HostError | None = None
        for source in self._sources:
            try:
                data = source.read(digest)
                if data is not None:
                    check_object(digest, data)
                    return data
            except OpeningRejectedError:
                continue
            except HostError as e:
                failure = e
        if failure is not None:
            raise failure
        return None


def export(objects: Iterable[tuple[Sha256, bytes]], folder: Path) -> int:
    """Write objects into a folder, beside those that are there; each appears whole.

    Parameters
    ----------
    objects : iterable of digest and object
        As ``serving.stored.StoredSource.objects`` gives them.
    folder : Path
        Made if absent. An object takes a file: of a stored run about two to a KiB.

    Returns
    -------
    int
        Objects that were not there before.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    written = 0
    with storage_errors(folder):
        for number in range(256):
            (folder / FOLDER / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        for digest, data in objects:
            path = folder / name_of(digest)
            if not path.exists():
                _place(path, data)
                written += 1
    return written


def _place(path: Path, data: bytes) -> None:
    """Without waiting for the disk: who reads an object checks it."""
    handle, partial = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(partial).chmod(0o644)
        Path(partial).rename(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
