"""Material that one run of the tests makes once, whichever worker asks for it first."""

import atexit
import fcntl
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

FOLDER: Final = "VERIFIABLE_TEST_RUN"
"""Names the run's folder to the workers, which are children of the process that makes it."""

Value = TypeVar("Value")


def open_run() -> None:
    """Make the run's folder, unless a parent has; it goes when this process ends."""
    if FOLDER not in os.environ:
        made = tempfile.mkdtemp(prefix="verifiable-tests-")
        os.environ[FOLDER] = made
        atexit.register(shutil.rmtree, made, ignore_errors=True)


def run_folder() -> Path:
    """Folder of this run, gone when it ends."""
    open_run()
    return Path(os.environ[FOLDER])


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes out; one that dies lets go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(name: str, make: Callable[[Path], object]) -> Path:
    """Path `name` in the run's folder, which `make` writes if no worker has yet."""
    path, done = run_folder() / name, run_folder() / f".{name}.done"
    with locked(run_folder() / f".{name}.lock"):
        if not done.exists():
            # What a failed attempt of another worker left.
            shutil.rmtree(path, ignore_errors=True)
            make(path)
            done.touch()
    return path


def value_once(name: str, make: Callable[[], Value]) -> Value:
    """What `make` returns in the worker that asks first."""
    path = once(name, lambda path: path.write_bytes(pickle.dumps(make())))
    found: Value = pickle.loads(path.read_bytes())
    return found
