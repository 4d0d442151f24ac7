"""Running the command line: in this process, or as a child."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from cli_calls import Run, called
from documents import KEY
from zk_material import PYTHON, bundle, calibration, case, environment, input_file, model, scratch


@pytest.fixture(autouse=True)
def signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signing key in the environment, as a provider would have it."""
    monkeypatch.setenv("VERIFIABLE_PRIVATE_KEY", "0x" + KEY.secret.hex())


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


__all__ = ["Run", "called"]
