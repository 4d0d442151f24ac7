"""A notebook and its twin never disagree unnoticed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from checkout import ROOT

SOURCE = """# %% [markdown]
# # A title
#
# Some words.

# %%
x = 1
x + 1

# %%
print(x)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository of one notebook, with the script where it looks for them."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "pair_notebooks.py", tmp_path / "scripts")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_some.py").write_text(SOURCE)
    return tmp_path


def pair(folder: Path, *words: str) -> tuple[int, str]:
    script = folder / "scripts" / "pair_notebooks.py"
    done = subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, check=False
    )
    assert not done.stderr
    return done.returncode, done.stdout.strip()


def test_what_was_written_is_in_step_and_is_written_once(folder: Path) -> None:
    assert pair(folder, "--check") == (1, "stale: 01_some.ipynb")
    assert not (folder / "notebooks" / "01_some.ipynb").exists()
    assert pair(folder) == (0, "written: 01_some.ipynb")
    assert pair(folder, "--check") == (0, "stale: none")
    assert pair(folder) == (0, "written: none")


@pytest.mark.parametrize("name", ["01_some.py", "01_some.ipynb"])
def test_a_change_on_either_side_is_found(folder: Path, name: str) -> None:
    pair(folder)
    path = folder / "notebooks" / name
    path.write_text(path.read_text().replace("x + 1", "x + 2"))
    assert pair(folder, "--check") == (1, "stale: 01_some.ipynb")


def test_the_twin_holds_the_same_cells_and_no_outputs(folder: Path) -> None:
    pair(folder)
    twin = json.loads((folder / "notebooks" / "01_some.ipynb").read_text())
    assert [(c["cell_type"], "".join(c["source"])) for c in twin["cells"]] == [
        ("markdown", "# A title\n\nSome words."), ("code", "x = 1\nx + 1"), ("code", "print(x)"),
    ]  # fmt: skip
    code = [cell for cell in twin["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    back = jupytext.writes(jupytext.read(folder / "notebooks" / "01_some.ipynb"), fmt="py:percent")
    assert back.endswith(SOURCE)
