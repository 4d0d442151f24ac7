"""Planted bugs: ``mutants.py [--only NAME ...] [--sample N] [--seed N] [--json FILE]``.

Each mutant of ``tests/mutants/*.toml`` exchanges a few lines of a copy of the tree, in which then
the tests of what they belong to are run. A mutant is killed if one of them fails; one that changes
nothing that a test can see has survived, whatever the reason. Exit status 1 if fewer than 90 % are
killed, 2 if a mutant does not apply or does not compile, or the tests fail without any.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MUTANTS: Final = ROOT / "tests" / "mutants"
PARTS: Final = ("verifiable", "tests", "scripts", "cuda", "pyproject.toml")
NODE_MODULES: Final = Path("verifiable/contracts/node_modules")
WANTED: Final = 0.9
"""Least share that must be killed."""
TIMEOUT: Final = 900
"""Seconds for the tests of one mutant; one that hangs them is killed."""

GAME: Final = (
    "tests/contracts/test_referee_game.py", "tests/contracts/test_referee_money.py",
    "tests/dispute/test_rules_machine.py",
)  # fmt: skip
WALKS: Final = ("tests/dispute/test_rules_walk.py", *GAME)
STEPS: Final = (
    "tests/contracts/test_step_openings.py", "tests/contracts/test_step_trees.py",
    "tests/contracts/test_step_verdicts.py",
)  # fmt: skip
TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "verifiable/dispute/step.py": ("tests/dispute/test_step.py",),
    "verifiable/dispute/walk.py": WALKS,
    "verifiable/dispute/nodes.py": WALKS,
    "verifiable/dispute/": GAME,
    "verifiable/contracts/src/referee/Walks.sol": WALKS,
    "verifiable/contracts/src/referee/Trees.sol": WALKS,
    "verifiable/contracts/src/referee/": GAME,
    "verifiable/contracts/src/market/StakeVault.sol": ("tests/contracts/test_stake_vault.py",),
    "verifiable/contracts/src/market/JobRegister.sol": ("tests/contracts/test_job_register.py",),
    "verifiable/contracts/src/step/lib/SoftFloat.sol": ("tests/contracts/test_soft_float.py",),
    "verifiable/contracts/src/step/lib/DotKernel.sol": ("tests/contracts/test_dot_kernel.py",),
    "verifiable/contracts/src/step/": STEPS,
}
"""Tests that are run for a file; the first beginning that fits counts."""


class MutantError(Exception):
    """A mutant cannot be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A bug: a text that stands once in a file, and what is put in its place."""

    name: str
    says: str
    file: str
    find: str
    put: str

    @property
    def tests(self) -> tuple[str, ...]:
        """Files of the tests that ought to kill it."""
        return next(tests for start, tests in TESTS.items() if self.file.startswith(start))

    def apply(self, text: str) -> str:
        """The file with the bug in it.

        Raises
        ------
        MutantError
            If the text does not stand there, or more than once.
        """
        count = text.count(self.find)
        if count != 1:
            raise MutantError(f"{self.name}: its text stands {count} times in {self.file}")
        return text.replace(self.find, self.put)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    killer: str | None
    """The test that failed; None if it survived."""
    seconds: float


def mutants() -> list[Mutant]:
    """All of them, in the order of their files: what compiles alike stands together."""
    found = [
        Mutant(**entry)
        for path in sorted(MUTANTS.glob("*.toml"))
        for entry in tomllib.loads(path.read_text())["mutant"]
    ]
    names = [one.name for one in found]
    assert len(set(names)) == len(names), "two mutants have one name"
    return found


class Copy:
    """A copy of the tree to plant bugs in."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "tree"
        self._root.mkdir()
        self._environment = os.environ | {
            "PYTHONPATH": str(self._root),
            # Contracts that a mutant does not touch are compiled once for all of them.
            "VERIFIABLE_TEST_RUN": os.environ.get("VERIFIABLE_TEST_RUN", str(folder / "run")),
            "VERIFIABLE_TEST_CACHE": os.environ.get("VERIFIABLE_TEST_CACHE", str(folder / "cache")),
            "HYPOTHESIS_PROFILE": "mutants",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        (folder / "run").mkdir()
        skipped = shutil.ignore_patterns("node_modules", "__pycache__")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, self._root / part, ignore=skipped)
            else:
                shutil.copy2(source, self._root / part)
        (self._root / NODE_MODULES).symlink_to(ROOT / NODE_MODULES)

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """The copy with one bug.

        Raises
        ------
        MutantError
            If it does not apply.
        """
        path = self._root / mutant.file
        text = path.read_text()
        path.write_text(mutant.apply(text))
        try:
            yield
        finally:
            path.write_text(text)

    def run(self, tests: Sequence[str]) -> str | None:
        """Name of the first test that fails; None if none does.

        Raises
        ------
        MutantError
            If the tests cannot be run, or the contracts do not compile.
        """
        marks = "not slow and not gpu and not anvil"
        options = ("-x", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider", "-m", marks)
        command = [sys.executable, "-m", "pytest", *options, *tests]
        try:
            done = subprocess.run(
                command, cwd=self._root, env=self._environment, capture_output=True, text=True,
                timeout=TIMEOUT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "(the tests hang)"
        if done.returncode == 0:
            return None
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        if done.returncode != 1 or failed is None or "solc refused" in done.stdout:
            raise MutantError(done.stdout[-3000:] + done.stderr[-1000:])
        return failed[1]


def judged(chosen: Sequence[Mutant]) -> Iterator[Outcome]:
    """What becomes of each mutant, in turn.

    Raises
    ------
    MutantError
        If one cannot be judged, or the tests fail without any.
    """
    for mutant in chosen:
        mutant.apply((ROOT / mutant.file).read_text())
    with tempfile.TemporaryDirectory(prefix="verifiable-mutants-") as folder:
        copy = Copy(Path(folder))
        files = sorted({test for mutant in chosen for test in mutant.tests})
        failed = copy.run(files)
        if failed is not None:
            raise MutantError(f"{failed} fails without any bug")
        for mutant in chosen:
            started = time.monotonic()
            with copy.planted(mutant):
                killer = copy.run(mutant.tests)
            yield Outcome(mutant=mutant, killer=killer, seconds=time.monotonic() - started)


def chosen_of(found: Sequence[Mutant], args: argparse.Namespace) -> list[Mutant]:
    """Those that were asked for."""
    unknown = set(args.only) - {one.name for one in found}
    if unknown:
        raise MutantError(f"no such mutant: {', '.join(sorted(unknown))}")
    chosen = [one for one in found if not args.only or one.name in args.only]
    if args.sample is None:
        return chosen
    picked = random.Random(args.seed).sample(chosen, min(args.sample, len(chosen)))
    return sorted(picked, key=chosen.index)


def main() -> int:
    """Judge the mutants that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="show them and run nothing")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    outcomes = []
    try:
        chosen = chosen_of(mutants(), args)
        if args.list:
            for mutant in chosen:
                print(f"{mutant.name}: {mutant.says}")
            return 0
        for outcome in judged(chosen):
            outcomes.append(outcome)
            fate = "survived" if outcome.killer is None else f"killed by {outcome.killer}"
            print(f"{outcome.mutant.name}: {fate} ({outcome.seconds:.0f} s)", flush=True)
    except MutantError as e:
        print(e, file=sys.stderr)
        return 2
    killed = sum(outcome.killer is not None for outcome in outcomes)
    print(f"{killed} of {len(outcomes)} killed, {killed / len(outcomes):.0%}")
    if args.json is not None:
        rows = [{"name": o.mutant.name, "killer": o.killer} for o in outcomes]
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if killed >= WANTED * len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
