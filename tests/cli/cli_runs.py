"""Running the command line: in this process, or as a child."""

import contextlib
import io
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from documents import KEY
from zk_material import PYTHON, bundle, calibration, case, environment, input_file, model, scratch

from verifiable.cli.main import main


@pytest.fixture(autouse=True)
def signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signing key in the environment, as a provider would have it."""
    monkeypatch.setenv("VERIFIABLE_PRIVATE_KEY", "0x" + KEY.secret.hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run of the command line ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The last JSON line on stderr."""
        return json.loads(self.err.splitlines()[-1])


def called(*words: object) -> Run:
    """Run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(word) for word in words])
        except SystemExit as e:  # --help and --version end so
            status = int(e.code or 0)
    return Run(status=status, out=out.getvalue(), err=err.getvalue())


def spawned(
    words: Sequence[object], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Run:
    """Run as a child process."""
    done = subprocess.run(
        [PYTHON, "-m", "verifiable.cli", *map(str, words)],
        cwd=cwd,
        env=environment() if env is None else dict(env),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Run(status=done.returncode, out=done.stdout, err=done.stderr)


def model_file() -> Path:
    path = scratch() / "model.onnx"
    path.write_bytes(model())
    return path


def data_file() -> Path:
    path = scratch() / "calibration.npz"
    np.savez(path, x=calibration()["x"])
    return path


def receipt_file(kind: str = "public") -> Path:
    path = scratch() / f"receipt-{kind}.json"
    path.write_bytes(case(kind).document)
    return path


def expectation(kind: str = "public", **changes: object) -> dict[str, object]:
    """Content of an expectation file."""
    header = case(kind).claim.header
    return {
        "schema": "verifiable/expectation/1",
        "bundle": str(bundle(kind).folder),
        "provider": header.provider,
        "job_id": "0x" + header.job_id.hex(),
        "nonce": "0x" + header.nonce.hex(),
        "chain_id": header.chain_id,
        "verifier": header.verifier,
        "input": str(input_file()),
        "output": None,
        "lock": "0x" + bundle(kind).digest.hex(),
    } | changes


def expectation_file(folder: Path, kind: str = "public", **changes: object) -> Path:
    path = folder / "expectation.json"
    path.write_text(json.dumps(expectation(kind, **changes)))
    return path
