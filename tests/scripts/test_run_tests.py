"""No test is skipped in silence."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from checkout import ROOT

WORKERS = pytest.mark.parametrize("more", [(), ("-p", "xdist.plugin", "-n", "2")], ids=len)


def run(folder: Path, source: str, more: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    (folder / "test_some.py").write_text(source)
    command = [
        sys.executable,
        str(ROOT / "scripts" / "run_tests.py"),
        "-q",
        "--rootdir",
        str(folder),
        *more,
    ]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "test_some.py"],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # half the time is theirs
    )  # fmt: skip


SKIPS = """
import pytest

@pytest.mark.parametrize("i", range(2))
def test_with_a_device(i): pytest.skip("no device")

@pytest.mark.skip(reason="no node")
def test_with_a_node(): pass

@pytest.fixture
def absent(): pytest.skip("no device")

def test_with_a_fixture(absent): pass

def test_that_runs(): pass

@pytest.mark.xfail(reason="known")
def test_that_fails_as_expected(): assert False
"""


@WORKERS
def test_skips_are_counted_by_reason(tmp_path: Path, more: Sequence[str]) -> None:
    done = run(tmp_path, SKIPS, more)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-3:] == [
        "skipped: 4", "  3 x Skipped: no device", "  1 x Skipped: no node",
    ]  # fmt: skip


@WORKERS
@pytest.mark.parametrize(
    "line",
    ["pytest.skip('no compiler', allow_module_level=True)", "pytest.importorskip('no_such')"],
)
def test_a_module_skipped_as_a_whole_is_counted(
    tmp_path: Path, line: str, more: Sequence[str]
) -> None:
    reason = "no compiler" if "compiler" in line else "could not import 'no_such'"
    done = run(tmp_path, f"import pytest\n{line}\ndef test_some(): pass\n", more)
    last = done.stdout.splitlines()
    assert last[-2] == "skipped: 1"
    assert reason in last[-1]


@pytest.mark.parametrize(
    ("source", "status"), [("def test_a(): pass", 0), ("def test_a(): assert 0", 1), ("(", 2)]
)
def test_the_status_is_that_of_pytest(tmp_path: Path, source: str, status: int) -> None:
    done = run(tmp_path, source)
    assert done.returncode == status
    assert done.stdout.splitlines()[-1] == "skipped: 0"
