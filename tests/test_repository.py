"""Rules about the repository itself that no linter knows."""

import ast
import builtins
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from checkout import ROOT, pyproject, tracked
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from zk_material import bundle

from verifiable import errors
from verifiable.cli.exits import Exit, status_of
from verifiable.cli.main import VERBS
from verifiable.errors import VerifiableError
from verifiable.proofs.ezkl.files import PLAIN, REUSABLE

MODULES: Final = [p for p in tracked() if p.startswith("verifiable/") and p.endswith(".py")]
HEAVY: Final = {"torch", "onnx", "onnxruntime", "ezkl", "cupy", "numpy", "web3", "pyrevm"}


def text_of(name: str) -> str | None:
    """Text of a tracked file, None if it is binary."""
    data = (ROOT / name).read_bytes()
    return None if b"\0" in data else data.decode("utf-8", errors="replace")


# Modules


@pytest.mark.parametrize("module", MODULES)
def test_a_module_fits_in_the_head(module: str) -> None:
    assert len((ROOT / module).read_text().splitlines()) <= 400


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition, bool]]:
    """Functions and classes outside function bodies: qualified name, node, is it public."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            name = prefix + child.name
            yield name, child, not any(part.startswith("_") for part in name.split("."))
            if isinstance(child, ast.ClassDef):
                yield from definitions(child, f"{name}.")
        elif isinstance(child, ast.If | ast.Try):
            yield from definitions(child, prefix)


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_has_a_docstring(module: str) -> None:
    tree = ast.parse((ROOT / module).read_text())
    bare = [name for name, node, public in definitions(tree) if public and not doc(node)]
    assert doc(tree)
    assert not bare


def doc(node: Definition | ast.Module) -> str:
    return ast.get_docstring(node) or ""


_RAISES: Final = re.compile(
    r"^Raises\n-{6}\n(.*?)(?=^[A-Z]\w+\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL
)


def documented_errors(docstring: str) -> set[str]:
    """Names at the left margin of the section ``Raises``; what they mean is indented."""
    lines = [line for section in _RAISES.findall(docstring) for line in section.splitlines()]
    return {
        name.strip()
        for line in lines if line and not line[0].isspace()
        for name in line.split(",")
    }  # fmt: skip


@pytest.fixture(scope="module")
def own_errors() -> dict[str, set[str]]:
    """Exceptions the package defines outside errors.py, with the names of their bases."""
    return {
        name: {ast.unparse(base) for base in node.bases}
        for module in MODULES if module != "verifiable/errors.py"
        for name, node, _ in definitions(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
    }  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_the_errors_a_docstring_names_exist(module: str, own_errors: dict[str, set[str]]) -> None:
    tree = ast.parse((ROOT / module).read_text())
    for name, node, _ in definitions(tree):
        for error in documented_errors(doc(node)) - set(own_errors):
            kind = getattr(errors, error, getattr(builtins, error, None))
            assert isinstance(kind, type), f"{name} says it raises {error}"
            assert issubclass(kind, BaseException), f"{name} says it raises {error}"


def test_the_errors_of_a_docstring_are_found() -> None:
    assert documented_errors(doc(ast.parse(inspect.getsource(errors)))) == set()
    assert documented_errors(
        "Do.\n\nRaises\n------\nInputError, StorageError\n    As below.\nKeyError\n    Never.\n\n"
        "Examples\n--------\nValueError\n"
    ) == {"InputError", "StorageError", "KeyError"}


# Errors


def test_the_error_tree_in_the_docstring_is_true() -> None:
    wanted: dict[str, tuple[str, Exit]] = {}
    branch, status = "", Exit.CRASHED
    for mark, name, code in re.findall(
        r"^ *([x-]) (\w+Error)(?: \((\d)\))? ", errors.__doc__ or "", re.MULTILINE
    ):
        if mark == "x":
            branch, status = name, Exit(int(code))
        wanted[name] = ("VerifiableError" if mark == "x" else branch, status)
    defined = {
        name: (kind.__bases__[0].__name__, status_of(kind("said"))[0])
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind is not VerifiableError
    }
    assert defined == wanted


def test_every_other_error_refines_one_of_the_tree(own_errors: dict[str, set[str]]) -> None:
    for name, bases in own_errors.items():
        assert any(hasattr(errors, base) or base in own_errors for base in bases), name


# Start


@pytest.mark.parametrize("module", ["verifiable", "verifiable.cli.main", "verifiable.errors"])
def test_an_import_is_light(module: str) -> None:
    assert not HEAVY & modules_after(f"import {module}")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_starts_light(verb: str) -> None:
    start = f"sys.argv = ['verifiable', {verb!r}, '--help']"
    run = "runpy.run_module('verifiable.cli', run_name='__main__')"
    loaded = modules_after(f"{start}\ntry: {run}\nexcept SystemExit as e: assert e.code == 0")
    assert f"verifiable.cli.{verb}" in loaded
    assert not HEAVY & loaded


def modules_after(script: str) -> set[str]:
    """Names of the modules that a fresh interpreter holds after `script`."""
    program = f"import runpy, sys\n{script}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


# README


def readme_help() -> dict[str, str]:
    """Text between the markers of the README, by verb (and action, where one is named)."""
    text = (ROOT / "README.md").read_text()
    return dict(
        re.findall(r"<!-- help:([a-z ]+) -->\s*```text\n(.*?)```\s*<!-- /help -->", text, re.DOTALL)
    )


def test_the_readme_shows_the_help_of_every_verb() -> None:
    assert set(VERBS) <= set(readme_help())


def test_the_help_in_the_readme_is_what_is_printed() -> None:
    for words, shown in readme_help().items():
        done = subprocess.run(
            [sys.executable, "-m", "verifiable.cli", *words.split(), "--help"],
            env=os.environ | {"COLUMNS": "80", "NO_COLOR": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert shown == done.stdout, f"README, help:{words}"


# Files


@pytest.mark.parametrize(
    "name",
    [
        "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "Makefile",
        "constraints.txt", ".ci/run", "verifiable/py.typed",
    ],
)  # fmt: skip
def test_the_repository_has(name: str) -> None:
    assert name in tracked()


def test_the_license_is_the_one_declared() -> None:
    assert pyproject()["project"]["license"] == "Apache-2.0"
    assert "Apache License\n" in (ROOT / "LICENSE").read_text()


def test_every_solidity_source_has_the_license_in_its_first_line() -> None:
    sources = [name for name in tracked() if name.endswith(".sol")]
    assert sources
    for name in sources:
        first = (ROOT / name).read_text().partition("\n")[0]
        assert first == "// SPDX-License-Identifier: Apache-2.0", name


def test_the_cuda_folder_is_no_python_package() -> None:
    # CuPy imports NVIDIA's `cuda.pathfinder`; a package or folder of that name would shadow it.
    names = [Path(name) for name in tracked() if name.startswith("cuda/")]
    assert not [name for name in names if name.suffix == ".py"]
    assert not [name for name in names if {"bindings", "core", "pathfinder"} & set(name.parts)]


# Brackets, so that this file does not hold what it looks for.
_NOT_OURS: Final = re.compile(
    r"py[p]i\.org|python[h]osted\.|npm[j]s\.|de[b]\.debian|"
    r"/wor[k]/(?:main|steering|shared|\.library)|/far[m]/|/ro[o]t/|/Use[r]s/"
)


def test_no_file_names_a_registry_or_a_place_on_the_machine_it_was_written_on() -> None:
    for name in tracked():
        found = _NOT_OURS.search(text_of(name) or "")
        assert found is None, f"{name}: {found[0] if found else ''}"


def test_no_file_is_key_material_or_large() -> None:
    for name in tracked():
        path = ROOT / name
        assert path.suffix not in {".pk", ".vk", ".vka", ".srs", ".ezkl", ".key", ".compiled"}, name
        assert path.name not in {"pk", "vk", "vka", "kzg.srs"}, name
        assert path.stat().st_size <= 1 << 20, f"{name} has {path.stat().st_size} bytes"


# Helpers that every verifier ezkl emits defines. ezkl's source has no licence to copy.
_HELPERS: Final = ("read_ec_point", "squeeze_challenge", "batch_invert", "ec_add_acc", "ec_pairing")
_KEY_WORD: Final = re.compile(r"mstore\(0x[0-9a-f]{4}, 0x[0-9a-f]{64}\)")
# Generator of halo2's cosets: a constant of each emitted source, and of the code it compiles to.
_DELTA: Final = pow(7, 1 << 28, 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001)


def emitted_by_ezkl(text: str) -> bool:
    return (
        sum(f"function {name}(" in text for name in _HELPERS) >= 2
        or len(_KEY_WORD.findall(text)) >= 3
        or str(_DELTA) in text
        or f"{_DELTA:x}" in text.lower()
    )


def test_no_file_holds_what_ezkl_emits() -> None:
    assert not [name for name in tracked() if emitted_by_ezkl(text_of(name) or "")]


@pytest.mark.parametrize("form", [PLAIN, REUSABLE])
def test_what_ezkl_emits_would_be_recognised(form: str) -> None:
    emitted = (bundle("public").folder / "zk" / "part-0" / form).read_text()
    assert emitted_by_ezkl(emitted)
    # Also where somebody kept a part of it only.
    assert emitted_by_ezkl(emitted[: len(emitted) // 2])


# Packages


def requirements() -> Iterator[tuple[str, Requirement]]:
    project = pyproject()["project"]
    groups = {"": project["dependencies"]} | project["optional-dependencies"]
    for group, texts in groups.items():
        yield from ((group, Requirement(text)) for text in texts)


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_requirements_are_ranges() -> None:
    for group, requirement in requirements():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert not operators & {"==", "==="}, requirement
        if not group:
            assert {">=", "<"} <= operators, f"{requirement} has no lower or no upper bound"


def test_the_versions_tested_lie_in_the_ranges() -> None:
    pinned = pins()
    for group, requirement in requirements():
        name = canonicalize_name(requirement.name)
        if name == "verifiable" or group.startswith("cuda"):
            continue
        assert requirement.specifier.contains(pinned[name]), f"{requirement}, not {pinned[name]}"
    # The newest that has a build for CPUs on the platforms CI knows.
    assert pinned["torch"] == "2.13.0"
