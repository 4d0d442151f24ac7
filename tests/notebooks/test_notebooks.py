"""The notebooks run as written, and their twins say the same."""

import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
SOURCES = sorted(FOLDER.glob("*.py"))
SECONDS = 300


class ThisPython(AsyncKernelManager):
    """Starts kernels with the interpreter that runs the tests, whichever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
        )


def pair_notebooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "pair_notebooks", ROOT / "scripts" / "pair_notebooks.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def executed(name: str, folder: Path) -> Any:
    """The notebook with its outputs; an error in a cell, such as a false assertion, is raised."""
    path = FOLDER / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    # Sockets in a folder of ours, not TCP ports; their paths must be short, so not in `tmp_path`.
    with tempfile.TemporaryDirectory(prefix="nb-", dir="/tmp") as sockets:
        manager = ThisPython(transport="ipc", connection_file=f"{sockets}/kernel.json")
        return NotebookClient(
            notebook,
            km=manager,
            timeout=SECONDS,
            startup_timeout=60,
            resources={"metadata": {"path": str(folder)}},
        ).execute(cleanup_kc=True)


def text_of(notebook: Any) -> str:
    outputs = (o for cell in notebook.cells for o in cell.get("outputs", ()))
    return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")


def warned(notebook: Any) -> list[str]:
    outputs = (o for cell in notebook.cells for o in cell.get("outputs", ()))
    return [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]


def plots_of(notebook: Any) -> int:
    outputs = (o for cell in notebook.cells for o in cell.get("outputs", ()))
    return sum("image/png" in o.get("data", ()) for o in outputs)


def test_the_promised_notebooks_exist() -> None:
    assert [source.stem for source in SOURCES] == ["01_quickstart", "02_prove", "03_dispute"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_twin_is_what_its_source_pairs_to(source: Path) -> None:
    assert source.with_suffix(".ipynb").read_text() == pair_notebooks().twin(source)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_outputs_are_stored_and_what_is_claimed_is_asserted(source: Path) -> None:
    cells = json.loads(source.with_suffix(".ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in code)
    # A notebook that asserts nothing would pass whatever it printed.
    assert sum("assert" in "".join(cell["source"]).lower() for cell in code) >= 5


@pytest.fixture
def own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary and configuration folders of the kernel's own: nothing of the user's is read."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    return scratch


def left_in(scratch: Path) -> list[str]:
    # onnxruntime leaves the id of its telemetry session there.
    return [path.name for path in scratch.iterdir() if path.name != ".ses"]


@pytest.mark.evm
def test_the_quickstart_runs_and_leaves_nothing_behind(own_scratch: Path) -> None:
    notebook = executed("01_quickstart", FOLDER)
    text = text_of(notebook)
    assert text.count("upheld") == 3
    assert text.count("refused: ") == 2
    assert text.count("refuses: ") == 3
    assert plots_of(notebook) == 1
    assert warned(notebook) == []
    assert left_in(own_scratch) == []


def test_the_notebook_on_costs_runs_from_the_root_too(own_scratch: Path) -> None:
    notebook = executed("02_prove", ROOT)
    assert plots_of(notebook) == 3
    assert warned(notebook) == []
    assert left_in(own_scratch) == []


@pytest.mark.evm
def test_the_notebook_on_disputes_runs_and_leaves_nothing_behind(own_scratch: Path) -> None:
    notebook = executed("03_dispute", FOLDER)
    text = text_of(notebook)
    assert text.count("Refute") == 2
    assert text.count("refused: ") == 1
    assert plots_of(notebook) == 1
    assert warned(notebook) == []
    assert left_in(own_scratch) == []
