"""The emitted folder is complete, true, and there whole or not at all."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from evm_worlds import PROVIDER, Kind, circuit, emission, public_build, spec

from verifiable.chain import build
from verifiable.chain import emission as emission_module
from verifiable.chain.abi import encode_constructor
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.emission import emit
from verifiable.chain.folder import deploy, read_plan
from verifiable.chain.measure import VECTOR_KEY, measure
from verifiable.chain.model_contract import PinnedPart, model_contract
from verifiable.chain.revert import RevertedError
from verifiable.chain.spec import PartSpec, Vector
from verifiable.claim import claim_from_json, claim_id
from verifiable.crypto.hashing import keccak256
from verifiable.crypto.signatures import recover
from verifiable.errors import (
    HostError,
    InputError,
    InsecureSrsError,
    LockError,
    ProofRejectedError,
    StageFailedError,
    StorageError,
)
from verifiable.proofs.statement import Joint, Layout, Slot
from verifiable.solidity.standard import MAX_RUNTIME
from verifiable.types import Felt

pytestmark = pytest.mark.evm
KINDS = pytest.mark.parametrize("kind", ["single", "split"])


@KINDS
def test_the_folder_says_what_it_holds(kind: Kind) -> None:
    made = emission(kind)
    report = json.loads((made.folder / "emission.json").read_text())
    assert report == made.report
    found = {str(p.relative_to(made.folder)) for p in made.folder.rglob("*") if p.is_file()}
    assert found == {*report["files"], "emission.json"}
    assert report["form"] == {"single": "plain", "split": "reusable"}[kind]
    assert all(contract["bytes"] <= MAX_RUNTIME for contract in report["contracts"])
    readme = (made.folder / "README.md").read_text()
    for number in (report["gas"]["verify"], *(c["bytes"] for c in report["contracts"])):
        assert f"{number:,}" in readme


@KINDS
def test_an_insecure_srs_is_marked_wherever_one_may_look(kind: Kind) -> None:
    folder = emission(kind).folder
    name = spec(kind).name
    for path in ("README.md", f"src/{name}Verifier.sol"):
        assert "INSECURE SRS" in (folder / path).read_text(), path
    assert "INSECURE_SRS = true" in (folder / f"src/{name}Verifier.sol").read_text()
    assert "ACCEPT_INSECURE_SRS" in (folder / "script/Deploy.s.sol").read_text()
    with pytest.raises(InsecureSrsError):
        deploy(folder, EmbeddedChain())


def test_the_constructor_refuses_an_insecure_srs_that_was_not_accepted() -> None:
    plan = read_plan(emission("single").folder)
    chain = EmbeddedChain()
    halo2 = chain.deploy(plan.verifiers[0].bytecode).address
    arguments = encode_constructor(plan.wrapper.abi, [[halo2], False])
    with pytest.raises(RevertedError, match="InsecureSrs"):
        chain.deploy(plan.wrapper.bytecode + arguments)


@KINDS
def test_the_vectors_are_signed_claims_and_do_what_they_say(kind: Kind) -> None:
    folder = emission(kind).folder
    chain = EmbeddedChain()
    deployed = deploy(folder, chain, accept_insecure_srs=True)
    vectors = sorted((folder / "vectors").iterdir())
    assert len(vectors) == 1 + len(spec(kind).parts)
    for path in vectors:
        vector = json.loads(path.read_text())
        claim = claim_from_json(vector["claim"])
        assert claim.header.verifier == deployed.verifier, "creation is deterministic"
        digest = bytes.fromhex(vector["claim_id"][2:])
        assert digest == claim_id(claim)
        assert recover(digest, bytes.fromhex(vector["signature"][2:])) == VECTOR_KEY.address
        data = bytes.fromhex(vector["calldata"][2:])
        if vector["refused_as"] is None:
            assert chain.call(deployed.verifier, data) == digest
        else:
            with pytest.raises(RevertedError) as caught:
                chain.call(deployed.verifier, data)
            assert caught.value.name == vector["refused_as"]


@KINDS
def test_reading_back_gives_the_code_that_was_emitted(kind: Kind) -> None:
    made = emission(kind)
    plan = read_plan(made.folder)
    for part, index in zip(made.report["parts"], plan.part_verifiers, strict=True):
        assert part["verifier_codehash"] == "0x" + keccak256(plan.verifiers[index].deployed).hex()


@pytest.mark.parametrize("name", ["TinySplitVerifier", "TinySplitHalo2Reusable", "Key1"])
def test_a_changed_artifact_is_not_deployed(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(emission("split").folder, folder)
    path = folder / "abi" / f"{name}.json"
    text = path.read_text()
    path.write_text(text.replace('"deployedBytecode": "0x', '"deployedBytecode": "0x00', 1))
    with pytest.raises(LockError, match=name):
        deploy(folder, EmbeddedChain(), accept_insecure_srs=True)
    path.unlink()
    with pytest.raises(LockError, match=name):
        read_plan(folder)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": "verifiable/emission/1"}', "\xff"])
def test_what_is_no_emission_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        read_plan(tmp_path)
    (tmp_path / "emission.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError):
        read_plan(tmp_path)


# Nothing half-written -----------------------------------------------------------------------------


class NoSolc:
    label = "none"

    def run(self, text: str) -> str:
        assert text
        raise HostError("solc is gone")


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="exists already"):
        emit(spec("single"), tmp_path / "mine", solc=NoSolc())
    assert list((tmp_path / "mine").iterdir()) == []


def test_nothing_is_left_of_an_emission_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HostError):
        emit(spec("single"), tmp_path / "out", solc=NoSolc())
    assert list(tmp_path.iterdir()) == []

    def full(path: Path, text: str, *, executable: bool = False) -> None:
        assert text
        assert not executable
        raise OSError(28, "No space left on device", str(path))

    built = spec("single")
    monkeypatch.setattr(emission_module, "build", lambda *_: None)
    monkeypatch.setattr(emission_module, "measure", lambda *_: None)
    monkeypatch.setattr(emission_module, "_report", lambda *_: {})
    monkeypatch.setattr(emission_module, "_texts", lambda *_: {"a": "b"})
    monkeypatch.setattr(emission_module, "_write", full)
    with pytest.raises(StorageError, match="no space"):
        emit(built, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def part(**changes: object) -> PartSpec:
    return replace(circuit("second").part, **changes)  # type: ignore[arg-type]


def test_a_part_too_large_for_a_contract_is_said_to_be_so(tmp_path: Path) -> None:
    bare = part(reusable_source=None, key_material=None)
    form = replace(spec("single"), parts=(bare,), form="reusable")
    with pytest.raises(InputError, match="takes the reusable form") as caught:
        build.build(form)
    assert "split the model" in (caught.value.hint or "")
    assert not list(tmp_path.iterdir())


def test_a_proof_of_another_key_is_found_before_anything_is_written(tmp_path: Path) -> None:
    public = spec("public")
    proof = bytearray(public.vector.proofs[0])
    proof[-1] ^= 1
    vector = Vector(instances=public.vector.instances, proofs=(bytes(proof),))
    with pytest.raises(ProofRejectedError):
        measure(replace(public_build(), spec=replace(public, vector=vector)))
    short = Vector(instances=spec("single").vector.instances, proofs=(bytes(proof[:-32]),))
    with pytest.raises(InputError, match="its verifier takes"):
        emit(replace(spec("single"), vector=short), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_source_is_not_emitted(tmp_path: Path) -> None:
    unknown = replace(spec("single"), parts=(part(plain_source="contract Halo2Verifier {}"),))
    with pytest.raises(StageFailedError, match="0 times"):
        emit(unknown, tmp_path / "out")


@pytest.mark.parametrize("name", ["tiny", "Tiny-Cnn", "", "Tiny {}", "T" * 65, "Tiny\n"], ids=repr)
def test_a_name_that_is_no_contract_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="contract name"):
        replace(spec("single"), name=name)


@pytest.mark.parametrize("text", ['ezkl"; //', "", "ezkl\\", "é/1"])
def test_semantics_that_would_break_out_of_a_string_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="semantics"):
        replace(spec("single"), semantics=text)


def test_weights_that_nothing_binds_are_refused() -> None:
    slots = (
        Slot(role="weights", name="w", form="hash", start=0, count=1, shape=(3,), scale=4),
        Slot(role="output", name="y", form="felts", start=1, count=2, shape=(2,), scale=4),
    )
    layout = Layout(slots=slots)
    with pytest.raises(InputError, match="not bound to this model"):
        replace(spec("single"), parts=(part(layout=layout),))
    replace(spec("single"), parts=(part(layout=layout, fixed=((0, Felt(5)),)),))
    committed = replace(slots[0], form="commitment", count=0)
    shifted = replace(slots[1], start=0, count=3)
    with pytest.raises(InputError, match="not bound to this model"):
        replace(spec("single"), parts=(part(layout=Layout(slots=(committed, shifted))),))


@pytest.mark.parametrize(
    "joint",
    [
        Joint(from_part=0, from_slot=1, to_part=1, to_slot=1),
        Joint(from_part=0, from_slot=0, to_part=1, to_slot=1),
        Joint(from_part=0, from_slot=5, to_part=1, to_slot=0),
        Joint(from_part=0, from_slot=1, to_part=2, to_slot=0),
        Joint(from_part=-1, from_slot=1, to_part=1, to_slot=0),
    ],
    ids=str,
)
def test_a_joint_that_does_not_fit_is_refused(joint: Joint) -> None:
    with pytest.raises(InputError, match="joint"):
        replace(spec("split"), joints=(joint,))


def test_an_input_that_two_slices_read_is_one_input_of_the_model() -> None:
    shared = Joint(from_part=0, from_slot=0, to_part=1, to_slot=0)
    tied = replace(spec("split"), joints=(shared,))
    assert [part for part, _ in tied.inputs] == [0]


def test_a_tensors_name_cannot_leave_its_comment() -> None:
    pinned = PinnedPart(
        verifier="V", proof_bytes=32, verifier_hash=bytes(32), key_hash=None, key_digest=None
    )
    evil = Slot(
        role="output", name="y\n    function model() {}\u2028//", form="felts", start=0, count=3,
        shape=(3,), scale=4,
    )  # fmt: skip
    text = model_contract(
        replace(spec("single"), parts=(part(layout=Layout(slots=(evil,))),)), (pinned,)
    )
    assert "function model() {}" not in text
    assert text.isascii()


@pytest.mark.slow
@KINDS
def test_forge_builds_and_tests_the_folder_as_it_stands(tmp_path: Path, kind: Kind) -> None:
    contracts = Path(str(files("verifiable"))) / "contracts"
    forge = contracts / "node_modules/.bin/forge"
    if not forge.exists():
        pytest.skip("no forge: run `npm ci --prefix verifiable/contracts`")
    folder = tmp_path / "project"
    shutil.copytree(emission(kind).folder, folder)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "FOUNDRY_SOLC": "tools/solc",
        "FOUNDRY_OFFLINE": "true",
        "SOLC_MODULE": str(contracts / "node_modules/solc"),
    }
    done = subprocess.run(
        [str(forge), "test", "--json"],
        cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (suite,) = json.loads(done.stdout).values()
    results = suite["test_results"]
    assert len(results) == 9
    assert all(result["status"] == "Success" for result in results.values())
    # The wrapper checks code hashes, so forge has made the very bytes that were measured.
    assert PROVIDER.address != VECTOR_KEY.address
