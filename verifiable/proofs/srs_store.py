"""Where SRS files are kept: one folder of the user's cache, each file named by its digest.

A ceremony file comes in by `import_srs`, after its digest, structure and pairing were checked. An
insecure one is made by `insecure_srs`, for development: whoever made it can prove anything.
"""

from pathlib import Path

from verifiable.crypto.srs import Srs, check_pairing, identify
from verifiable.errors import EncodingError, InputError, LockError
from verifiable.proofs.ezkl.process import run_stage, stage_path
from verifiable.proofs.protocol import Limits, Observer, ignore
from verifiable.storage import cache_folder, copy_file, storage_errors
from verifiable.types import Sha256


def srs_folder() -> Path:
    """Folder of the store."""
    return cache_folder() / "srs"


def _stored() -> list[tuple[int, bool, Path]]:
    """Level, insecurity and path of each stored file, cheapest to use first."""
    found = []
    for path in srs_folder().glob("*.srs"):
        kind, level, _ = path.name.split("-", 2)
        found.append((int(level[1:]), kind == "insecure", path))
    return sorted(found)


def _add(path: Path, srs: Srs) -> Path:
    kind = "insecure" if srs.insecure else "ceremony"
    target = srs_folder() / f"{kind}-k{srs.k}-{srs.digest.hex()}.srs"
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    copy_file(path, target)
    return target


def import_srs(path: Path) -> Srs:
    """Check an SRS file and put a copy into the store.

    Raises
    ------
    EncodingError
        If it is no SRS file.
    SrsRejectedError
        If its points do not stem from one tau.
    StorageError
        If a file cannot be read or written.
    """
    srs = identify(path)
    check_pairing(path)
    _add(path, srs)
    return srs


def insecure_srs(k: int, limits: Limits, observer: Observer = ignore) -> Path:
    """A development SRS of at least level `k`: a stored one, or a new one.

    Raises
    ------
    MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
        As `run_stage`.
    StorageError
        If the store cannot be written.
    """
    for level, insecure, path in _stored():
        if insecure and level >= k:
            return path
    with storage_errors(srs_folder()):
        srs_folder().mkdir(parents=True, exist_ok=True)
    fresh = srs_folder() / f".fresh-{k}.partial"
    try:
        args = {"srs_path": stage_path(fresh), "logrows": k}
        run_stage("srs", args, limits=limits, observer=observer)
        return _add(fresh, identify(fresh))
    finally:
        fresh.unlink(missing_ok=True)


def ceremony_srs(k: int) -> Path:
    """A stored ceremony file of at least level `k`.

    Raises
    ------
    InputError
        If none was imported.
    """
    for level, insecure, path in _stored():
        if not insecure and level >= k:
            return path
    raise InputError(
        f"no ceremony SRS of level {k} or more has been imported",
        hint="import one with `verifiable doctor --import-srs FILE`, or compile for development "
        "with --insecure-srs",
    )


def locked_srs(digest: Sha256, k: int) -> Path:
    """The stored file that a bundle's keys were made with; its digest is checked again.

    Raises
    ------
    LockError
        If it is absent or damaged.
    """
    for level, _, path in _stored():
        if level == k and digest.hex() in path.name:
            try:
                got = identify(path).digest
            except EncodingError as e:
                raise LockError(f"the stored SRS `{path.name}` is damaged: {e}") from e
            if got != digest:
                raise LockError(f"the stored SRS `{path.name}` has SHA-256 {got.hex()}")
            return path
    raise LockError(
        f"the SRS of the bundle's keys, SHA-256 {digest.hex()}, is not in `{srs_folder()}`",
        hint="import that file, or compile the model again",
    )
