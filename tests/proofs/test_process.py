"""ezkl in child processes: each way a child can end has a name, and none leaves anything."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from documents import KEY
from zk_material import (
    JOB,
    KINDS,
    bundle,
    calibration,
    circuits,
    environment,
    model,
    policy,
    proven,
    tensors,
)

from verifiable.errors import (
    MissingDependencyError,
    OutOfMemoryError,
    StageFailedError,
    StageTimeoutError,
)
from verifiable.proofs.compile import compile_model
from verifiable.proofs.ezkl.files import read_circuit
from verifiable.proofs.ezkl.process import run_stage, stage_path
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.protocol import Limits, StageEvent
from verifiable.proofs.prove import prove

WORKER = "verifiable.proofs.ezkl.worker"


def workers() -> list[psutil.Process]:
    """Running workers that are children of this process."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if WORKER in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


@contextmanager
def killing(nth: int) -> Iterator[list[int]]:
    """Kill the worker that is started as the `nth` from now, 0 for the first."""
    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for child in workers():
                if child.pid not in seen:
                    seen.append(child.pid)
                    if len(seen) == nth + 1:
                        child.kill()
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def test_a_missing_ezkl_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ezkl.py").write_text("raise ImportError('shadowed')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MissingDependencyError) as missing:
        run_stage("srs", {"srs_path": str(tmp_path / "srs"), "logrows": 2}, limits=Limits())
    assert "verifiable[ezkl]" in (missing.value.hint or "")


def test_a_real_memory_limit_is_reported_with_what_the_plan_says_it_needs(tmp_path: Path) -> None:
    with pytest.raises(OutOfMemoryError, match=r"`srs`.* may use 64 MiB.* needs about 300 MiB"):
        run_stage(
            "srs",
            {"srs_path": str(tmp_path / "srs"), "logrows": 20},
            limits=Limits(memory=64 << 20),
            expected_memory=300 << 20,
        )


@pytest.mark.parametrize("kind", ["public", "split"])
def test_compiling_within_too_little_memory_says_so_and_leaves_nothing(
    kind: str, tmp_path: Path
) -> None:
    visibility, cuts = KINDS[kind]
    with pytest.raises(OutOfMemoryError):
        compile_model(
            model(),
            calibration(),
            policy(visibility, limits=Limits(memory=4 << 20)),
            tmp_path / "bundle",
            at=cuts,
            allow_insecure_srs=True,
        )
    assert list(tmp_path.iterdir()) == []


def test_proving_within_too_little_memory_says_what_it_needs() -> None:
    with pytest.raises(OutOfMemoryError, match="may use 4 MiB"):
        prove(bundle("public"), tensors(), JOB, KEY, limits=Limits(memory=4 << 20))


# The stages of a compilation, one child each; the SRS is in the cache by then.
@pytest.mark.parametrize(
    ("nth", "stage"), [(0, "probe"), (1, "compile"), (2, "setup"), (3, "emit")]
)
def test_kill_9_while_compiling_leaves_no_bundle(nth: int, stage: str, tmp_path: Path) -> None:
    bundle("public")
    visibility, _ = KINDS["public"]
    with killing(nth), pytest.raises(OutOfMemoryError, match=f"`{stage}`"):
        compile_model(
            model(), calibration(), policy(visibility), tmp_path / "bundle", allow_insecure_srs=True
        )
    assert list(tmp_path.iterdir()) == []
    assert workers() == []


@pytest.mark.parametrize(("nth", "stage"), [(0, "witness"), (1, "prove"), (2, "verify")])
def test_kill_9_while_proving_gives_no_proof(nth: int, stage: str) -> None:
    found = bundle("public")
    with killing(nth), pytest.raises(OutOfMemoryError, match=f"`{stage}`"):
        prove(found, tensors(), JOB, KEY)
    assert workers() == []


def test_kill_9_while_verifying_refutes_nothing() -> None:
    part = circuits("public").parts[0]
    honest = proven("public").receipt
    circuit = read_circuit(part.folder, part.layout)
    with killing(0), pytest.raises(OutOfMemoryError, match="`verify`"):
        Ezkl().verify(circuit, honest.claim.subject.parts[0].instances, honest.proofs[0])


def test_kill_9_while_making_an_srs_leaves_none_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verifiable.proofs.srs_store import insecure_srs

    monkeypatch.setenv("VERIFIABLE_CACHE", str(tmp_path))
    with killing(0), pytest.raises(OutOfMemoryError, match="`srs`"):
        insecure_srs(12, Limits())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_stage_ends_at_its_time_limit_and_leaves_no_child(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(StageTimeoutError, match=r"`srs`.*limit of 1 s"):
        run_stage(
            "srs",
            {"srs_path": str(tmp_path / "srs"), "logrows": 22},
            limits=Limits(seconds=1.0),
        )
    assert time.monotonic() - started < 10
    assert workers() == []


def test_an_observer_that_raises_leaves_no_child(tmp_path: Path) -> None:
    part = bundle("public").folder / "zk" / "part-0"

    def stop(_event: StageEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(
            "setup",
            {
                "model": stage_path(part / "circuit.ezkl"),
                "vk_path": str(tmp_path / "vk"),
                "pk_path": str(tmp_path / "pk"),
                "srs_path": str(next(srs_files())),
            },
            limits=Limits(),
            observer=stop,
        )
    assert workers() == []


def srs_files() -> Iterator[Path]:
    from verifiable.proofs.srs_store import srs_folder

    bundle("public")
    yield from sorted(srs_folder().glob("*.srs"))


def test_what_ezkl_raises_is_told(tmp_path: Path) -> None:
    with pytest.raises(StageFailedError, match=r"`verify` failed: .*No such file"):
        run_stage(
            "verify",
            {
                "proof_path": str(tmp_path / "none"),
                "settings_path": str(tmp_path / "none"),
                "vk_path": str(tmp_path / "none"),
                "srs_path": str(tmp_path / "none"),
                "reduced_srs": True,
            },
            limits=Limits(),
        )


def test_a_child_that_ends_by_an_exception_of_its_own_fails_with_its_last_line() -> None:
    # ezkl's panics and a changed interface of ezkl end the child in this way.
    with pytest.raises(StageFailedError, match="no stage 'nonsense'"):
        run_stage("nonsense", {}, limits=Limits())
    with pytest.raises(StageFailedError, match="`compile` failed: TypeError"):
        run_stage("compile", {"no_such_argument": 1}, limits=Limits())


def test_the_cache_of_the_user_is_neither_read_nor_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tables in ezkl's cache feed setup and nobody checks them: poisoned ones must not matter.
    honest = bundle("public").folder / "zk" / "part-0" / "vk"
    home = tmp_path / "home"
    for folder in (home / ".ezkl" / "cache", home / "repo" / "cache"):
        folder.mkdir(parents=True)
        for i in range(4):
            (folder / f"poison-{i}").write_bytes(b"\xff" * 4096)
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("EZKL_REPO_PATH", str(home / "repo"))
    made = compile_model(
        model(),
        calibration(),
        policy(KINDS["public"][0]),
        tmp_path / "bundle",
        allow_insecure_srs=True,
    )
    assert (made.bundle.folder / "zk" / "part-0" / "vk").read_bytes() == honest.read_bytes()
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_a_killed_parent_takes_its_child_along(tmp_path: Path) -> None:
    script = (
        "from verifiable.proofs.ezkl.process import run_stage\n"
        "from verifiable.proofs.protocol import Limits\n"
        f"run_stage('srs', {{'srs_path': {str(tmp_path / 'srs')!r}, 'logrows': 22}},"
        " limits=Limits())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], env=environment()) as parent:
        try:
            children: list[psutil.Process] = []
            deadline = time.monotonic() + 20
            while not children and time.monotonic() < deadline:
                children = psutil.Process(parent.pid).children()
                time.sleep(0.02)
            (child,) = children
            # Its seconds of work have begun: it listens and has told the kernel whose child it is.
            while child.cpu_times().user < 0.5 and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            parent.kill()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_worker_whose_parent_died_before_it_listened_does_nothing(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    request = {
        "stage": "srs",
        "args": {"srs_path": str(tmp_path / "srs"), "logrows": 4},
        "reply": write_end,
        "memory": 0,
        "parent": os.getpid() + 1,
    }
    done = subprocess.run(
        [sys.executable, "-m", WORKER],
        input=json.dumps(request).encode(),
        pass_fds=[write_end],
        env=environment(),
        check=False,
        timeout=60,
    )
    os.close(write_end)
    with os.fdopen(read_end, "rb") as reply:
        assert reply.read() == b""
    assert done.returncode == 0
    assert not (tmp_path / "srs").exists()


def test_progress_arrives_while_a_stage_runs() -> None:
    events: list[StageEvent] = []
    part = circuits("public").parts[0]
    honest = proven("public").receipt
    system = Ezkl(observer=events.append)
    system.verify(
        read_circuit(part.folder, part.layout),
        honest.claim.subject.parts[0].instances,
        honest.proofs[0],
    )
    assert events
    assert {event.stage for event in events} == {"verify"}
