"""The artifacts that ship are what the sources compile to."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from verifiable.errors import EncodingError, InputError
from verifiable.solidity.artifacts import SHIPPED, TARGETS, build, load, sources
from verifiable.solidity.standard import MAX_RUNTIME, EvmVersion, parse_output

FOLDER = Path(str(files("verifiable"))) / "contracts"


@pytest.mark.evm
@pytest.mark.parametrize("evm", ["cancun", pytest.param("osaka", marks=pytest.mark.slow)], ids=str)
def test_shipped_artifacts_are_compiled_from_the_shipped_sources(evm: EvmVersion) -> None:
    for name, document in build(evm).items():
        shipped = json.loads((FOLDER / "artifacts" / evm / f"{name}.json").read_text())
        assert shipped == document, f"{name}: run scripts/build_contracts.py"


@pytest.mark.parametrize("evm", TARGETS)
def test_every_shipped_contract_fits_and_holds_no_metadata(evm: EvmVersion) -> None:
    for name in SHIPPED:
        artifact = load(name, evm)
        assert len(artifact.deployed) <= MAX_RUNTIME
        # CBOR metadata names solc or a hash.
        assert b"solc" not in artifact.deployed
        assert b"ipfs" not in artifact.deployed


def test_every_artifact_file_is_one_that_is_loaded() -> None:
    for evm in TARGETS:
        found = {path.stem for path in (FOLDER / "artifacts" / evm).iterdir()}
        assert found == set(SHIPPED)


@pytest.mark.parametrize("evm", TARGETS)
def test_a_source_file_stays_small(evm: EvmVersion) -> None:
    for name, text in sources(evm).items():
        assert len(text.splitlines()) <= 400, name


def test_no_committed_file_names_a_registry_host() -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        text = (FOLDER / name).read_text()
        assert 'resolved"' not in text, name
        assert "registry=" not in text, name


def test_an_unknown_contract_is_said_to_be_so() -> None:
    with pytest.raises(InputError, match="no contract Nothing is shipped"):
        load("Nothing")


def test_output_with_unlinked_or_repeated_code_is_refused() -> None:
    code = {"bytecode": {"object": "60__$x$__"}, "deployedBytecode": {"object": ""}}
    one = {"abi": [], "evm": code}
    with pytest.raises(EncodingError, match="lacks or mars"):
        parse_output(json.dumps({"contracts": {"A.sol": {"A": one}}}))
    code["bytecode"] = {"object": ""}
    with pytest.raises(EncodingError, match=r"is in A\.sol and B\.sol"):
        parse_output(json.dumps({"contracts": {"A.sol": {"A": one}, "B.sol": {"A": one}}}))
