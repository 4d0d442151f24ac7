"""Running one stage of ezkl in a child process with a memory limit and a timeout.

Each way a child can end has one error of ours:

==========================================  =============================
the child says it lacks ezkl                `MissingDependencyError`
it was killed (-9), or an allocation failed `OutOfMemoryError`
it ran past its time                        `StageTimeoutError`
the disk, where it writes, is full          `StorageError`
ezkl raised, or panicked                    `StageFailedError`
==========================================  =============================
"""

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiable.errors import (
    MissingDependencyError,
    OutOfMemoryError,
    StageFailedError,
    StageTimeoutError,
    StorageError,
)
from verifiable.proofs.protocol import Limits, Observer, StageEvent, ignore

_WORKER = "verifiable.proofs.ezkl.worker"
_ALLOCATION_FAILED = re.compile(
    r"memory allocation of \d+ bytes failed|Cannot allocate memory|MemoryError"
    r"|OpenBLAS error: Memory allocation"
    # A thread that finds no room for its stack.
    r"|Resource temporarily unavailable"
)
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """What a stage returned and used."""

    value: Any
    findings: tuple[Mapping[str, Any], ...]
    """What the stage reported on the way, such as one entry for each probed candidate."""
    seconds: float
    """Wall-clock seconds, the start of the child included."""
    cpu_seconds: float
    """User and system time of ezkl's part."""
    peak_memory: int
    """Bytes, resident, of the whole child."""


def run_stage(
    stage: str,
    args: Mapping[str, object],
    *,
    limits: Limits,
    observer: Observer = ignore,
    expected_memory: int | None = None,
) -> StageResult:
    """Run one stage of ezkl in a child of its own.

    Parameters
    ----------
    stage : str
        One of those in ``worker.py``.
    args : mapping
        JSON values; paths as strings.
    limits : Limits
    observer : Observer
        Told each line of ezkl's log.
    expected_memory : int, optional
        Bytes the plan predicts; named in the message when memory runs out.

    Raises
    ------
    MissingDependencyError, OutOfMemoryError, StageTimeoutError, StorageError, StageFailedError
        As in the table of this module.
    """
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="verifiable-") as home,
        tempfile.TemporaryFile() as stderr,
    ):
        read_end, write_end = os.pipe()
        # A fresh HOME and cache for each run: ezkl feeds tables from there to setup, unchecked.
        environment = os.environ | {"HOME": home, "EZKL_REPO_PATH": home, "RUST_BACKTRACE": "0"}
        child = subprocess.Popen(
            [sys.executable, "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=stderr,
            stderr=stderr,
            env=environment,
            pass_fds=[write_end],
            start_new_session=True,
        )
        os.close(write_end)
        try:
            request = {
                "stage": stage,
                "args": args,
                "reply": write_end,
                "memory": limits.memory,
                "parent": os.getpid(),
            }
            assert child.stdin is not None
            try:
                child.stdin.write(json.dumps(request).encode())
                child.stdin.close()
            except BrokenPipeError:
                pass  # it died before it listened; its ending is read below
            said = _listen(stage, read_end, child, started, limits, observer)
            child.wait()
        finally:
            os.close(read_end)
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        stderr.seek(0)
        last_words = stderr.read()[-20_000:].decode(errors="replace")
    return _conclude(stage, said, child.returncode, last_words, started, limits, expected_memory)


def _listen(
    stage: str,
    read_end: int,
    child: "subprocess.Popen[bytes]",
    started: float,
    limits: Limits,
    observer: Observer,
) -> list[dict[str, Any]]:
    """Messages of the child until it closes its end, or its time is over."""
    said: list[dict[str, Any]] = []
    buffered = b""
    with selectors.DefaultSelector() as selector:
        selector.register(read_end, selectors.EVENT_READ)
        while True:
            left = started + limits.seconds - time.monotonic()
            if left <= 0 or not selector.select(left):
                os.killpg(child.pid, signal.SIGKILL)
                raise StageTimeoutError(
                    f"ezkl's stage `{stage}` was stopped at its limit of {limits.seconds:.0f} s",
                    hint="give it more time, or settings that `verifiable plan` says are cheaper",
                )
            chunk = os.read(read_end, 1 << 16)
            if not chunk:
                return said
            *lines, buffered = (buffered + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "event" in message:
                    text = str(message["event"]).strip()
                    observer(
                        StageEvent(stage=stage, message=text, seconds=time.monotonic() - started)
                    )
                else:
                    said.append(message)


def _conclude(
    stage: str,
    said: list[dict[str, Any]],
    returncode: int,
    last_words: str,
    started: float,
    limits: Limits,
    expected_memory: int | None,
) -> StageResult:
    """Turn the child's ending into a result or the error that names it."""
    last = said[-1] if said else {}
    if "missing" in last:
        raise MissingDependencyError("ezkl is not installed", hint="pip install 'verifiable[ezkl]'")
    if "result" in last and returncode == 0:
        return StageResult(
            value=last["result"],
            findings=tuple(said[:-1]),
            seconds=time.monotonic() - started,
            cpu_seconds=last["usage"]["cpu_seconds"],
            peak_memory=last["usage"]["peak_memory"],
        )
    if returncode == -signal.SIGKILL or _ALLOCATION_FAILED.search(last_words):
        need = (
            ""
            if expected_memory is None
            else f", and the plan says it needs about {_mib(expected_memory)}"
        )
        raise OutOfMemoryError(
            f"ezkl's stage `{stage}` ran out of memory: it may use {_mib(limits.memory)}{need}",
            hint="raise the memory limit, split the model in parts, or allow a larger error",
        )
    reason = str(last["failed"]) if "failed" in last else _panic(last_words)
    if _DISK_FULL.search(reason):
        raise StorageError(f"ezkl's stage `{stage}` cannot write: {reason}", hint="make room")
    raise StageFailedError(f"ezkl's stage `{stage}` failed: {reason}")


def _mib(amount: int) -> str:
    return f"{amount / 2**20:,.0f} MiB"


def _panic(last_words: str) -> str:
    """The line that says most in what a dying child wrote."""
    lines = [line.strip() for line in last_words.splitlines() if line.strip()]
    for line in reversed(lines):
        if "panicked" in line or "Error" in line or "Exception" in line:
            return line
    return lines[-1] if lines else "it ended without a word"


def stage_path(path: Path) -> str:
    """`path` as ezkl wants it: absolute, since the child may run elsewhere."""
    return str(path.resolve())
