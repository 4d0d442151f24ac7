"""The wheel, in an environment with nothing but what it declares, works from any folder."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from checkout import ROOT, pyproject, tracked
from documents import KEY
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from zk_material import case, input_file, model, resigned

from verifiable.cli.main import VERBS
from verifiable.engines import cpu_library
from verifiable.receipt import encode_receipt
from verifiable.solidity.artifacts import SHIPPED, TARGETS

# Of the folder of the Solidity toolchain, which nobody needs who has the artifacts.
NOT_SHIPPED: Final = {"verifiable/contracts/.npmrc"}
K1_DIGEST: Final = "cafb2aa72c200ddc4e28aacabb8066e829207e2484b8d17059a566232f8a297b"
"""SHA-256 of the ceremony's SRS file of level 1, as its publisher states it."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git knows, so that nothing lying about in the checkout gets in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    # What `make setup` leaves in a checkout.
    package = source / "verifiable" / "contracts" / "node_modules" / "solc"
    package.mkdir(parents=True)
    for name in ("package.json", "Left.sol", "left.toml"):
        (package / name).write_text("{}\n")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    run(*build, "--wheel-dir", out, source, cwd=source)
    (made,) = out.iterdir()
    return made


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment, and an unrelated folder to work in."""

    folder: Path
    work: Path

    def python(self, script: str) -> str:
        """Output of a script that sees this environment alone."""
        return run(self.folder / "bin" / "python", "-I", "-c", script, cwd=self.work).stdout

    def verifiable(self, *words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        return run(self.folder / "bin" / "verifiable", *words, cwd=self.work, status=status)

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.verifiable(*words, "--json").stdout)


def run(*words: str | Path, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, capture_output=True, text=True, check=False,
        env=kept | {"VERIFIABLE_CACHE": str(cwd / "cache")},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder, work = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("unrelated")
    venv.create(folder, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=work)
    (site,) = folder.glob("lib/python*/site-packages")
    (info,) = site.glob("verifiable-*.dist-info")
    # Downloading the dependencies again would take minutes; links to ours are as good.
    for name in declared(Distribution.at(info)):
        for entry in contents(name):
            link = site / entry.name
            if not link.exists():
                link.symlink_to(entry)
    return Environment(folder, work)


def declared(root: Distribution) -> set[str]:
    """Names of what `root` requires without extras, and of what that requires, and so on."""
    found: set[str] = set()
    waiting: list[tuple[Distribution, str]] = [(root, "")]
    while waiting:
        dist, extra = waiting.pop()
        for requirement in map(Requirement, dist.requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            if name not in found:
                found.add(name)
                inner = distribution(name)
                waiting += [(inner, wanted) for wanted in ("", *requirement.extras)]
    return found


def contents(name: str) -> set[Path]:
    """Files and folders that a distribution has directly in site-packages."""
    dist = distribution(name)
    tops = {file.parts[0] for file in dist.files or ()} - {"..", "__pycache__"}
    return {Path(str(dist.locate_file(top))) for top in tops}


# The wheel


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {name for name in tracked() if name.startswith("verifiable/")} - NOT_SHIPPED
    kernels = {
        "verifiable/engines/_cuda/" + name.removeprefix("cuda/")
        for name in tracked()
        if name.startswith("cuda/") and name.endswith((".cu", ".h"))
    }
    native = {f"verifiable/native/_{name}.abi3.so" for name in cpu_library.built()}
    assert kernels
    assert shipped == package | kernels | native


def test_the_wheel_carries_license_and_readme(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (license_name,) = (
            n for n in archive.namelist() if n.endswith("dist-info/licenses/LICENSE")
        )
        (metadata,) = (n for n in archive.namelist() if n.endswith("dist-info/METADATA"))
        assert archive.read(license_name) == (ROOT / "LICENSE").read_bytes()
        assert (ROOT / "README.md").read_text().rstrip() in archive.read(metadata).decode()


def test_all_leaves_out_what_needs_a_gpu(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    extras = {line.partition(": ")[2] for line in lines if line.startswith("Provides-Extra")}
    assert extras == {"torch", "ezkl", "evm", "cuda12", "cuda13", "all", "dev"}
    (every,) = map(Requirement, pyproject()["project"]["optional-dependencies"]["all"])
    assert every.extras == {"torch", "ezkl", "evm"}


# The environment


def test_what_is_imported_is_the_wheel(installed: Environment) -> None:
    shown = installed.python("import sys, verifiable; print(verifiable.__file__, *sys.path)")
    origin, *path = shown.split()
    assert Path(origin).is_relative_to(installed.folder)
    assert not [place for place in path if Path(place).is_relative_to(ROOT)]


def test_no_extra_is_there(installed: Environment) -> None:
    names = ("torch", "ezkl", "pyrevm", "web3", "cupy", "py_mini_racer", "sklearn")
    assert installed.python(
        f"from importlib.util import find_spec; print(*map(find_spec, {names}))"
    ).split() == ["None"] * len(names)


def test_every_module_imports_without_extras(installed: Environment) -> None:
    script = """
import importlib, pkgutil, verifiable
for found in pkgutil.walk_packages(verifiable.__path__, "verifiable."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
        print(found.name)
"""
    imported = set(installed.python(script).split())
    assert imported >= {f"verifiable.cli.{verb}" for verb in VERBS} | {"verifiable.proofs.check"}


def test_the_data_of_the_package_are_there(installed: Environment) -> None:
    script = f"""
import hashlib, json
from importlib.resources import files
from verifiable.crypto.srs import rebuild_k1
from verifiable.solidity import artifacts

sizes = {{
    f"{{evm}}/{{name}}": len(artifacts.load(name, evm).bytecode)
    for evm in {TARGETS} for name in {SHIPPED}
}}
schemas = [json.loads(p.read_text())["$id"] for p in (files("verifiable") / "schemas").iterdir()]
k1 = hashlib.sha256(rebuild_k1()).hexdigest()
sources = sorted(artifacts.sources())
print(json.dumps({{"sizes": sizes, "schemas": sorted(schemas), "k1": k1, "sources": sources}}))
"""
    found = json.loads(installed.python(script))
    assert found["k1"] == K1_DIGEST
    committed = (Path(n) for n in tracked() if n.startswith("verifiable/schemas/"))
    wanted = {f"urn:verifiable:schema:{path.stem.replace('-', ':')}" for path in committed}
    assert set(found["schemas"]) == wanted
    for name, size in found["sizes"].items():
        contract = name.partition("/")[2]
        interface = contract[0] == "I" and contract[1].isupper()
        abstract = contract == "InferenceVerifier"
        assert (size > 0) != (interface or abstract), name
    below = "verifiable/contracts/src/"
    names = {n.removeprefix(below) for n in tracked() if below in n}
    # Of what differs between targets, that of one; its name is not said.
    chosen = {n.replace("evm/cancun/", "evm/") for n in names if not n.startswith("evm/osaka/")}
    assert found["sources"] == sorted(chosen)


# The command line


def test_help_lists_the_verbs(installed: Environment) -> None:
    shown = installed.verifiable("--help").stdout
    assert all(f"\n    {verb} " in shown for verb in VERBS)
    assert installed.verifiable("--version").stdout.split()[0] == "verifiable"


def test_doctor_says_what_is_missing(installed: Environment) -> None:
    report = installed.json("doctor")
    assert report["schema"] == "verifiable/doctor/1"
    found = {check["what"]: check["found"] for check in report["checks"]}
    assert found["ezkl"] is found["torch"] is found["pyrevm"] is found["web3"] is None
    assert found["onnxruntime"] == distribution("onnxruntime").version


def test_a_model_is_compiled_run_and_replayed_by_the_native_engine(installed: Environment) -> None:
    (installed.work / "canon.onnx").write_bytes(model())
    shutil.copyfile(input_file(), installed.work / "canon.npz")
    assert installed.json("compile", "canon.onnx", "-o", "canon")["semantics"] == "canon/1"
    words = ("canon.npz", "--device", "cpu")
    assert installed.json("run", "canon", *words, "-o", "canon.claim")["engine"] == "cpu"
    assert installed.json("replay", "canon.claim", "canon", *words)["verdict"] == "upheld"


def test_a_model_is_inspected(installed: Environment) -> None:
    (installed.work / "model.onnx").write_bytes(model())
    shown = installed.json("inspect", "model.onnx")
    assert shown["kind"] == "model"
    assert shown["zk"]["parameters"] == 4 * 3 + 3 * 2


def test_a_missing_extra_is_named(installed: Environment) -> None:
    (installed.work / "plain.onnx").write_bytes(model())
    np.savez(installed.work / "data.npz", x=np.zeros((4, 1, 4), np.float32))
    told = installed.verifiable("plan", "plain.onnx", "data.npz", "--error", "1", status=4).stderr
    assert "verifiable[ezkl]" in told


def test_a_receipt_is_verified_where_there_is_no_ezkl(installed: Environment) -> None:
    given = case("hashed")
    claim = replace(given.claim, header=replace(given.claim.header, expiry=2**40))
    (installed.work / "receipt.json").write_bytes(encode_receipt(resigned(given.receipt, claim)))
    expect = {
        "schema": "verifiable/expectation/1",
        "bundle": str(given.expectation.bundle),
        "provider": KEY.address,
        "job_id": "0x" + claim.header.job_id.hex(),
        "nonce": "0x" + claim.header.nonce.hex(),
        "chain_id": claim.header.chain_id,
        "verifier": claim.header.verifier,
        "input": str(input_file()),
        "output": None,
    }
    (installed.work / "expect.json").write_text(json.dumps(expect))
    words = ("verify", "receipt.json", "--expect", "expect.json", "--allow-insecure-srs")
    assert installed.json(*words, "--independent")["verdict"] == "upheld"
    assert "verifiable[ezkl]" in installed.verifiable(*words, status=4).stderr
    (installed.work / "expect.json").write_text(json.dumps(expect | {"chain_id": 5}))
    installed.verifiable(*words, "--independent", status=3)
