"""Where SRS files are kept: one folder of the user's cache, each file named by its digest.

A ceremony file comes in by `import_srs`, after its digest, structure and pairing were checked. An
insecure one is made by `insecure_srs`, for development: whoever made it can prove anything.

Keys belong to a tau, and files of several levels may have the same one, as the ceremony's do. A
circuit is set up and proven with the file of its own level: from a larger one ezkl computes the
Lagrange points of that level anew at every stage, which takes longer than the proof.
"""

import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from verifiable.crypto.felt import MODULUS
from verifiable.crypto.srs import Srs, SrsFile, check_pairing, identify, open_srs
from verifiable.crypto.srs_make import make_srs
from verifiable.errors import EncodingError, InputError, LockError, StorageError
from verifiable.proofs.ezkl.process import run_stage, stage_path
from verifiable.proofs.protocol import Limits, Observer, StageEvent, ignore
from verifiable.storage import cache_folder, copy_file, storage_errors, write_file
from verifiable.types import Sha256

_NAME = re.compile(r"(?P<kind>insecure|ceremony)-k(?P<k>\d{1,2})-(?P<digest>[0-9a-f]{64})\.srs")


def srs_folder() -> Path:
    """Folder of the store."""
    return cache_folder() / "srs"


def _stored() -> list[tuple[int, bool, Path]]:
    """Level, insecurity and path of each stored file, cheapest to use first.

    Of one level the oldest comes first: what a later file adds changes no earlier choice.
    """
    found = []
    for path in srs_folder().glob("*.srs"):
        named = _NAME.fullmatch(path.name)
        if named is not None:  # whatever else lies there is not ours
            insecure, age = named["kind"] == "insecure", path.stat().st_mtime_ns
            found.append((int(named["k"]), insecure, age, path))
    return [(level, insecure, path) for level, insecure, _, path in sorted(found)]


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
    """A development SRS of level `k`: a stored one, or a new one of ezkl's making.

    Raises
    ------
    MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
        As `run_stage`.
    StorageError
        If the store cannot be written.
    """
    with _one_at_a_time():
        for level, insecure, path in _stored():
            if insecure and level == k:
                return path
        scratch = _scratch()
        fresh = scratch / f"{k}.partial"
        try:
            args = {"srs_path": stage_path(fresh), "logrows": k}
            run_stage("srs", args, limits=limits, observer=observer)
            return _add(fresh, identify(fresh))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep out other processes.

    Two that made a file of one level each would leave open which of the two serves from then on,
    and a circuit compiled again would get another key.
    """
    with storage_errors(srs_folder()):
        srs_folder().mkdir(parents=True, exist_ok=True)
        # The folder itself is locked, so that no file is left behind.
        held = os.open(srs_folder(), os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def insecure_family(
    levels: Sequence[int], limits: Limits, observer: Observer = ignore
) -> dict[int, Path]:
    """Development SRS files of one tau for several levels: stored ones, or new ones.

    ezkl forgets tau, so it cannot make a second level; these files are `make_srs`'s.

    Raises
    ------
    MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
        As `run_stage`, for a single level.
    StorageError
        If the store cannot be written.
    """
    wanted = sorted(set(levels))
    if len(wanted) == 1:
        return {wanted[0]: insecure_srs(wanted[0], limits, observer)}
    for level, insecure, path in _stored():
        if insecure and level == wanted[-1]:
            found = {k: srs_of_level(path, k) for k in wanted}
            if all(open_srs(file).k == k for k, file in found.items()):
                return found
    observer(StageEvent(stage="srs", message=f"development SRS of levels {wanted}", seconds=0.0))
    scratch = _scratch()
    try:
        made = {}
        for k, data in make_srs(wanted, 2 + secrets.randbelow(MODULUS - 2)):
            fresh = scratch / f"{k}.partial"
            write_file(fresh, data)
            made[k] = _add(fresh, identify(fresh))
        return made
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def srs_of_level(main: Path, k: int) -> Path:
    """The smallest stored file of `main`'s tau that serves level `k`; `main` if there is none.

    A file whose bytes are not those that its name promises is passed over.

    Raises
    ------
    EncodingError, StorageError
        If `main` is no readable SRS file.
    """
    source = open_srs(main)
    for level, _, path in _stored():
        if k <= level < source.k and _same_tau(path, source):
            return path
    return main


def _same_tau(path: Path, source: SrsFile) -> bool:
    try:
        return open_srs(path).g2() == source.g2() and identify(path).digest.hex() in path.name
    except (EncodingError, StorageError):
        return False


def _scratch() -> Path:
    """A folder of its own: two processes may want the same level at once."""
    with storage_errors(srs_folder()):
        srs_folder().mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".fresh-", dir=srs_folder()))


def ceremony_srs(k: int) -> Path:
    """A stored ceremony file of at least level `k`; its digest is checked again.

    Raises
    ------
    InputError
        If none was imported.
    LockError, EncodingError
        If it was changed since.
    """
    for level, insecure, path in _stored():
        if not insecure and level >= k:
            # The name alone makes nothing secure.
            if identify(path).insecure:
                raise LockError(f"the stored SRS `{path.name}` is not the ceremony's")
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
