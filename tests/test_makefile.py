"""The commands a person and CI type."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from checkout import ROOT, tracked

TARGETS = ("setup", "demo", "test", "test-slow", "check", "bench", "clean")


def make(*words: str, folder: Path = ROOT) -> str:
    """What `make` prints; it is not to pass on the options of a `make` that runs the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", *words], cwd=folder, env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_can_be_made(target: str) -> None:
    assert make("--dry-run", target).strip()
    assert target in make("help")


def test_a_check_is_what_ci_runs() -> None:
    planned = make("--dry-run", "test")
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "run_tests.py"):
        assert tool in planned


def test_ci_runs_nothing_but_make() -> None:
    path = ROOT / ".ci" / "run"
    assert os.access(path, os.X_OK)
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    commands = [line for line in lines if not line.startswith(("set -", 'cd "$(dirname "$0")'))]
    assert commands
    for command in commands:
        assert re.fullmatch(r"make( [a-z-]+)+", command), command
        assert set(command.split()[1:]) <= set(TARGETS)


def test_the_interpreter_it_finds_runs_and_is_one_we_support() -> None:
    # A name on the path may be a shim of a version manager with no version behind it.
    command = f"echo-python:\n\t@echo $(PYTHON)\ninclude {ROOT / 'Makefile'}\n"
    # Under `make test` this make is a child, and would tell which folder it enters.
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", "-", "echo-python"], input=command, cwd=ROOT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    python = done.stdout.strip()
    told = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout
    assert re.match(r"Python 3\.1[12]\.", told), f"{python} is {told}"


def test_cleaning_removes_nothing_that_is_tracked() -> None:
    words = make("--dry-run", "clean").split()
    assert words[:2] == ["rm", "-rf"]
    for word in words[2:]:
        doomed = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(word)}
        assert not [name for name in tracked() if name.startswith(tuple(doomed) or ("\0",))]
