"""The folder compiled from one model, and its LOCK.

``LOCK.json`` names every file of the bundle with its SHA-256, and the versions that made it. It
is checked first at every use, so that a key of another version or a changed file is named before
anything obscure happens. A bundle's identity is the digest of its LOCK.

The lock has parts, each the business of one module above: ``zk`` belongs to
``verifiable.proofs``, ``canon`` to ``verifiable.canon``. Files are marked with what they are for,
so that a copy without the proving keys still verifies.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from verifiable import __version__
from verifiable.crypto.hashing import parse_json, sha256, sha256_file
from verifiable.errors import EncodingError, LockError
from verifiable.storage import new_folder, write_file
from verifiable.types import Sha256

SCHEMA = "verifiable/lock/1"
LOCK_NAME = "LOCK.json"

Purpose = Literal["verify", "prove"]

PartWriter = Callable[[Path], Mapping[str, Any]]
"""Writes the files of one part into a bundle's folder, and returns its entry in the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle whose LOCK has been checked."""

    folder: Path
    digest: Sha256
    """SHA-256 of LOCK.json."""
    lock: Mapping[str, Any]

    def part(self, name: str) -> Mapping[str, Any]:
        """One part of the lock.

        Raises
        ------
        LockError
            If this bundle was compiled without it.
        """
        if name not in self.lock:
            raise LockError(
                f"the bundle `{self.folder}` has no part `{name}`",
                hint="compile the model again for the venue you need",
            )
        found: Mapping[str, Any] = self.lock[name]
        return found


def _dump(lock: Mapping[str, Any]) -> bytes:
    return json.dumps(lock, sort_keys=True, indent=1).encode() + b"\n"


@contextmanager
def write_bundle(path: Path, parts: dict[str, Any], provers_only: set[str]) -> Iterator[Path]:
    """A folder to fill; at the end of the block its LOCK is written and it becomes `path`.

    Parameters
    ----------
    path : Path
        Must not exist.
    parts : dict
        Parts of the lock, JSON values; may be filled inside the block.
    provers_only : set of str
        Names (without folder) of files that only proving needs.

    Raises
    ------
    InputError, StorageError
        As `verifiable.storage.new_folder`.
    """
    with new_folder(path) as partial:
        yield partial
        files = {}
        for file in sorted(partial.rglob("*")):
            if file.is_file():
                name = file.relative_to(partial).as_posix()
                purpose: Purpose = "prove" if file.name in provers_only else "verify"
                files[name] = {
                    "bytes": file.stat().st_size,
                    "for": purpose,
                    "sha256": sha256_file(file).hex(),
                }
        versions = {"verifiable": __version__} | dict(parts.pop("versions", {}))
        lock = {"schema": SCHEMA, "versions": versions, "files": files} | parts
        write_file(partial / LOCK_NAME, _dump(lock))


def open_bundle(path: Path, purpose: Purpose) -> Bundle:
    """Check the LOCK of the bundle at `path` and every file that `purpose` needs.

    0. LOCK.json is there and of the schema we know.
    1. Packages named in its versions are installed in that version, where proving needs them.
    2. Every file has the recorded length and SHA-256.
    3. No file is there that the lock does not name.

    Raises
    ------
    LockError
        If a step fails; the message names the file or package, what was got and what was wanted.
    """
    lock_path = path / LOCK_NAME
    try:
        raw = lock_path.read_bytes()
        lock = parse_json(raw, what=LOCK_NAME)
    except OSError as e:
        raise LockError(
            f"`{path}` is not a bundle: {LOCK_NAME} cannot be read",
            hint="make one with `verifiable compile`",
        ) from e
    except EncodingError as e:
        raise LockError(f"`{lock_path}`: {e}") from e
    if not isinstance(lock, dict) or lock.get("schema") != SCHEMA:
        got = lock.get("schema") if isinstance(lock, dict) else type(lock).__name__
        raise LockError(f"`{lock_path}` has schema {got!r}, wanted {SCHEMA!r}")
    try:
        if purpose == "prove":
            _check_versions(lock["versions"])
        _check_files(path, lock["files"], purpose)
    except (KeyError, TypeError, AttributeError, ValueError) as e:
        raise LockError(f"`{lock_path}` is malformed: {e!r}") from e
    except OSError as e:
        raise LockError(f"a file that `{lock_path}` names cannot be read: {e.strerror}") from e
    return Bundle(folder=path, digest=sha256(raw), lock=lock)


def _check_versions(versions: Mapping[str, str]) -> None:
    for package, wanted in versions.items():
        if package == "verifiable":
            continue
        try:
            got = version(package)
        except PackageNotFoundError:
            got = "none"
        if got != wanted:
            raise LockError(
                f"the bundle was made with {package} {wanted}, and {got} is installed",
                hint=f"pip install '{package}=={wanted}', or compile the model again",
            )


def _check_files(path: Path, files: Mapping[str, Mapping[str, Any]], purpose: Purpose) -> None:
    for name, recorded in files.items():
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or "\\" in name:
            raise LockError(f"LOCK.json names `{name}`, which lies outside the bundle")
        if recorded["for"] == "prove" and purpose == "verify":
            continue
        file = path / name
        if file.is_symlink() or not file.is_file():
            raise LockError(f"the bundle `{path}` lacks `{name}`")
        size = file.stat().st_size
        if size != recorded["bytes"]:
            raise LockError(f"`{name}` has {size} bytes, LOCK.json says {recorded['bytes']}")
        got = sha256_file(file).hex()
        if got != recorded["sha256"]:
            raise LockError(f"`{name}` has SHA-256 {got}, LOCK.json says {recorded['sha256']}")
    for file in path.rglob("*"):
        name = file.relative_to(path).as_posix()
        if file.is_file() and name not in files and name != LOCK_NAME:
            raise LockError(f"`{name}` lies in the bundle `{path}` and LOCK.json does not name it")
