"""The independent verifier accepts what ezkl proves, and nothing else."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from costly import costly
from halo2_circuits import CIRCUITS
from hypothesis import strategies as st

from verifiable.crypto.bn254 import BASE, G2, parse_g2_montgomery
from verifiable.crypto.felt import MODULUS, felt_from_ezkl
from verifiable.errors import EncodingError, ProofRejectedError
from verifiable.proofs.halo2 import VerifyingKey, commitments, read_key, verify
from verifiable.proofs.halo2.argument import Values, evaluate

SCRIPT = Path(__file__).with_name("halo2_circuits.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A proof by ezkl, with all that is needed to verify it."""

    folder: Path
    vk: bytes
    solidity: str
    key: VerifyingKey
    instances: tuple[int, ...]
    proof: bytes
    g2: G2
    tau_g2: G2

    def verify(
        self,
        *,
        key: VerifyingKey | None = None,
        instances: tuple[int, ...] | None = None,
        proof: bytes | None = None,
    ) -> None:
        verify(
            key or self.key,
            self.instances if instances is None else instances,
            self.proof if proof is None else proof,
            g2=self.g2,
            tau_g2=self.tau_g2,
        )


def load(folder: Path) -> Proven:
    proof = json.loads((folder / "proof.json").read_text())
    vk, solidity = (folder / "vk").read_bytes(), (folder / "verifier.sol").read_text()
    srs = (folder / "srs").read_bytes()
    return Proven(
        folder=folder,
        vk=vk,
        solidity=solidity,
        key=read_key(vk, solidity),
        instances=tuple(felt_from_ezkl(x) for column in proof["instances"] for x in column),
        proof=bytes.fromhex(proof["hex_proof"].removeprefix("0x")),
        g2=parse_g2_montgomery(srs[-256:-128]),
        tau_g2=parse_g2_montgomery(srs[-128:]),
    )


@pytest.fixture(scope="session")
def circuits(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Proven]:
    pytest.importorskip("ezkl", reason="needs `verifiable[ezkl]`")
    root = tmp_path_factory.mktemp("halo2")
    made = subprocess.run(
        [sys.executable, str(SCRIPT), str(root)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr[-4000:]
    return {name: load(root / name) for name in CIRCUITS}


@pytest.fixture(params=list(CIRCUITS))
def circuit(request: pytest.FixtureRequest, circuits: Mapping[str, Proven]) -> Proven:
    return circuits[request.param]


@pytest.fixture(scope="session")
def hashed(circuits: Mapping[str, Proven]) -> Proven:
    return circuits["hashed"]


def flipped(proof: bytes, position: int, bit: int = 0) -> bytes:
    return proof[:position] + bytes([proof[position] ^ 1 << bit]) + proof[position + 1 :]


def sections(key: VerifyingKey) -> Iterator[tuple[str, int]]:
    """First byte of every kind of thing in a proof."""
    system = key.system
    at = 0
    for i, phase in enumerate(system.phases):
        if phase.points:
            yield f"phase {i}", 64 * at
        at += phase.points
    yield "random polynomial", 64 * (system.committed - 1)
    yield "first evaluation", 64 * at
    yield "last evaluation", 64 * at + 32 * len(system.queries) - 32
    yield "W", system.proof_bytes - 128
    yield "W'", system.proof_bytes - 64


def gate_values(key: VerifyingKey, proof: bytes) -> list[int]:
    """Values of the gates of a circuit without challenges of its own."""
    start = 64 * (key.system.committed + key.system.pieces)
    words = [proof[i : i + 32] for i in range(start, len(proof) - 128, 32)]
    evaluations = [int.from_bytes(word, "big") for word in words]
    values = Values(evaluations=evaluations, challenges=[], known={})
    return [value for gate in key.system.gates for value in evaluate(gate, values)]


def test_accepts_what_ezkl_proves(circuit: Proven) -> None:
    circuit.verify()


def test_circuits_cover_instances_challenges_and_columns(circuits: Mapping[str, Proven]) -> None:
    systems = {name: proven.key.system for name, proven in circuits.items()}
    assert systems["silent"].instances == 0
    assert systems["committed-all"].instances == 0
    assert systems["public"].instances == 3 + 2
    assert systems["hashed-output"].instances == 3 + 1
    assert systems["challenged"].challenges == 2
    assert len(systems["challenged"].phases) == 5
    assert any(len(lookup.table.roots) > 1 for lookup in systems["table"].lookups)
    assert len({len(system.permutation) for system in systems.values()}) > 2


def test_proof_begins_with_the_commitment_that_ezkl_names(circuits: Mapping[str, Proven]) -> None:
    committed = circuits["committed"]
    witness = json.loads((committed.folder / "witness.json").read_text())
    (named,) = witness["processed_inputs"]["polycommit"][0]
    # Compressed: x, little-endian, with flags in the two highest bits.
    x = int.from_bytes(bytes.fromhex(named), "little") % (1 << 254)
    found = commitments(committed.key, committed.proof)
    assert found[0][0] == x
    assert len(found) == committed.key.system.advice


@pytest.mark.parametrize("byte", [0, 31])
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_rejects_a_flipped_byte_in_every_section(circuit: Proven, byte: int, step: int) -> None:
    # One section in four of each circuit, and of the next circuit the sections after those.
    first = list(CIRCUITS).index(circuit.folder.name) % step
    for _, position in list(sections(circuit.key))[first::step]:
        with pytest.raises(ProofRejectedError):
            circuit.verify(proof=flipped(circuit.proof, position + byte))


@costly(data=st.data())
def test_rejects_any_flipped_bit(hashed: Proven, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(hashed.proof) - 1))
    bit = data.draw(st.integers(0, 7))
    with pytest.raises(ProofRejectedError):
        hashed.verify(proof=flipped(hashed.proof, position, bit))


@pytest.mark.slow
def test_rejects_every_flipped_byte(hashed: Proven) -> None:
    for position in range(len(hashed.proof)):
        with pytest.raises(ProofRejectedError):
            hashed.verify(proof=flipped(hashed.proof, position, position % 8))


@pytest.mark.parametrize("change", ["trailing", "truncated", "leading", "empty", "twice"])
def test_rejects_another_length(hashed: Proven, change: str) -> None:
    proof = {
        "trailing": hashed.proof + b"\0",
        "truncated": hashed.proof[:-1],
        "leading": b"\0" + hashed.proof,
        "empty": b"",
        "twice": hashed.proof * 2,
    }[change]
    with pytest.raises(ProofRejectedError, match=f"the proof is {len(proof)} bytes long"):
        hashed.verify(proof=proof)
    with pytest.raises(ProofRejectedError, match=f"the proof is {len(proof)} bytes long"):
        commitments(hashed.key, proof)


def test_rejects_a_second_encoding_of_every_number(hashed: Proven) -> None:
    system = hashed.key.system
    numbers = 64 * (system.committed + system.pieces)
    for at in range(0, len(hashed.proof), 32):
        is_felt = numbers <= at < len(hashed.proof) - 128
        value = int.from_bytes(hashed.proof[at : at + 32], "big") + (MODULUS if is_felt else BASE)
        word = value.to_bytes(32, "big")
        wanted = "not a field element" if is_felt else "not below the field's modulus"
        with pytest.raises(ProofRejectedError, match=wanted):
            hashed.verify(proof=hashed.proof[:at] + word + hashed.proof[at + 32 :])


def test_rejects_the_point_at_infinity(hashed: Proven) -> None:
    for at in (0, 64 * hashed.key.system.committed, len(hashed.proof) - 64):
        proof = hashed.proof[:at] + bytes(64) + hashed.proof[at + 64 :]
        with pytest.raises(ProofRejectedError, match="not on the curve"):
            hashed.verify(proof=proof)


@pytest.mark.parametrize("count", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_rejects_other_instances(circuit: Proven, count: int) -> None:
    places = range(len(circuit.instances))
    for i in Random(count).sample(places, min(count, len(places))):
        value = circuit.instances[i]
        wrong = (*circuit.instances[:i], (value + 1) % MODULUS, *circuit.instances[i + 1 :])
        with pytest.raises(ProofRejectedError, match="does not satisfy"):
            circuit.verify(instances=wrong)
    with pytest.raises(ProofRejectedError, match=f"{len(circuit.instances)} instances, got"):
        circuit.verify(instances=(*circuit.instances, 0))


@pytest.mark.parametrize("change", [MODULUS, -MODULUS])
def test_rejects_a_second_encoding_of_an_instance(circuit: Proven, change: int) -> None:
    for i, value in enumerate(circuit.instances):
        wrong = (*circuit.instances[:i], value + change, *circuit.instances[i + 1 :])
        with pytest.raises(ProofRejectedError, match=f"instance {i} is .* not a field element"):
            circuit.verify(instances=wrong)


def test_rejects_proofs_under_the_keys_of_all_other_circuits(
    circuits: Mapping[str, Proven],
) -> None:
    for ours in circuits.values():
        for theirs in circuits.values():
            if ours is not theirs:
                with pytest.raises(ProofRejectedError):
                    ours.verify(key=replace(theirs.key, g2=ours.g2, tau_g2=ours.tau_g2))


def test_rejects_a_key_that_differs_in_one_thing(hashed: Proven) -> None:
    key, system = hashed.key, hashed.key.system
    others = [
        replace(key, fixed=(*key.fixed[1:], key.fixed[0])),
        replace(key, permutation=key.permutation[::-1]),
        replace(key, system=replace(system, digest=type(system.digest)(system.digest + 1))),
        replace(key, system=replace(system, gates=system.gates[1:])),
        replace(key, system=replace(system, lookups=system.lookups[:-1])),
        replace(key, system=replace(system, blinded=system.blinded + 1)),
        replace(key, system=replace(system, k=system.k + 1)),
    ]
    for other in others:
        with pytest.raises(ProofRejectedError):
            hashed.verify(key=other)


def test_rejects_another_tau(hashed: Proven) -> None:
    with pytest.raises(ProofRejectedError, match="made for another SRS"):
        verify(hashed.key, hashed.instances, hashed.proof, g2=hashed.g2, tau_g2=hashed.g2)
    # Even where the key itself was made to agree, the pairing does not.
    forged = replace(hashed.key, tau_g2=hashed.g2)
    with pytest.raises(ProofRejectedError, match="does not satisfy"):
        verify(forged, hashed.instances, hashed.proof, g2=hashed.g2, tau_g2=hashed.g2)


def test_reads_the_same_key_from_the_same_text(hashed: Proven) -> None:
    assert read_key(hashed.vk, hashed.solidity) == hashed.key


def test_rejects_a_proof_under_altered_gates(hashed: Proven) -> None:
    first = hashed.solidity.index("let quotient_eval_numer")
    at = hashed.solidity.index("addmod(", first)
    altered = hashed.solidity[:at] + "mulmod(" + hashed.solidity[at + 7 :]
    key = read_key(hashed.vk, altered)
    assert key.system.gates != hashed.key.system.gates
    with pytest.raises(ProofRejectedError, match="does not satisfy"):
        hashed.verify(key=key)


@pytest.mark.parametrize("group", ["fixed", "permutation"])
def test_names_a_commitment_that_is_not_the_files(hashed: Proven, group: str) -> None:
    # Swapping two points leaves both on the curve.
    a, b = (hashed.key.fixed if group == "fixed" else hashed.key.permutation)[:2]
    words = [f"{x:064x}" for x in (*a, *b)]
    text = hashed.solidity
    for word, other in zip(words, [*words[2:], *words[:2]], strict=True):
        text = text.replace(f"0x{word}) //", f"0x{other})# //", 1)
    with pytest.raises(EncodingError, match=f"{group} commitment 0 is .*the verifying key has"):
        read_key(hashed.vk, text.replace(")# //", ") //"))


def test_names_a_commitment_off_the_curve(hashed: Proven) -> None:
    word = f"0x{hashed.key.fixed[0][0]:064x}"
    other = f"0x{hashed.key.fixed[0][0] ^ 1:064x}"
    with pytest.raises(EncodingError, match="fixed commitment 0 is not on the curve"):
        read_key(hashed.vk, hashed.solidity.replace(word, other))


@costly(data=st.data())
def test_an_altered_line_is_refused_or_rejects_the_proof_or_is_not_read(
    hashed: Proven, data: st.DataObject
) -> None:
    lines = hashed.solidity.split("\n")
    i = data.draw(st.integers(0, len(lines) - 1))
    match data.draw(st.sampled_from(["drop", "repeat", "alter", "swap"])):
        case "drop":
            del lines[i]
        case "repeat":
            lines.insert(i, lines[i])
        case "alter" if lines[i]:
            at = data.draw(st.integers(0, len(lines[i]) - 1))
            other = data.draw(st.sampled_from("0123456789abcdef(),{}x_ "))
            lines[i] = lines[i][:at] + other + lines[i][at + 1 :]
        case _:
            j = data.draw(st.integers(0, len(lines) - 1))
            lines[i], lines[j] = lines[j], lines[i]
    try:
        key = read_key(hashed.vk, "\n".join(lines))
    except EncodingError:
        return
    gates = hashed.key.system.gates
    if replace(key, system=replace(key.system, gates=gates)) == hashed.key:
        # A gate behind a selector that is zero everywhere may say anything.
        ours, theirs = (gate_values(k, hashed.proof) for k in (hashed.key, key))
        if ours == theirs:
            return
    with pytest.raises(ProofRejectedError):
        hashed.verify(key=key)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("// k\n", "// l\n", "wanted `k`"),
        ("let theta := mload(THETA_MPTR)", "let theta := timestamp()", "line [0-9]+: got"),
        ("pop(y)", "", "wanted"),
        ("// Compute quotient evavluation", "", "0 lines start"),
        ("mload(L_LAST_MPTR), mload(L_BLIND_MPTR)", "mload(L_LAST_MPTR), 0x0", "argument"),
        ("DELTA = 41", "DELTA = 42", "wanted DELTA"),
        ("squeeze_challenge_cont(challenge_mptr, r)\n", "0\n", "wanted points to be read"),
    ],
)
def test_says_what_is_unexpected(hashed: Proven, old: str, new: str, match: str) -> None:
    assert old in hashed.solidity
    with pytest.raises(EncodingError, match=match):
        read_key(hashed.vk, hashed.solidity.replace(old, new, 1))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda vk: vk[:5], "5 bytes long"),
        (lambda vk: b"\4" + vk[1:], "has format 4"),
        (lambda vk: vk[:1] + b"\0" + vk[2:], "k = 0"),
        (lambda vk: vk[:1] + bytes([vk[1] + 1]) + vk[2:], "k|whole selectors"),
        (lambda vk: vk[:2] + b"\2" + vk[3:], "byte 2 is 2"),
        (lambda vk: vk[:-1], "whole selectors"),
        (lambda vk: vk + b"\0", "whole selectors"),
        (lambda vk: vk[:7] + bytes([vk[7] ^ 1]) + vk[8:], "fixed commitment 0: .*on the curve"),
        (lambda vk: vk[:3] + b"\1" + vk[4:], "fixed commitments|whole selectors"),
    ],
)
def test_refuses_a_malformed_key_file(hashed: Proven, change, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EncodingError, match=match):
        read_key(change(hashed.vk), hashed.solidity)


def test_verifies_without_ezkl_web3_and_an_evm(hashed: Proven) -> None:
    script = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"ezkl", "web3", "pyrevm", "torch", "onnx", "solcx"}}:
            raise ImportError(name + " is refused here")

sys.meta_path.insert(0, Refuse())
import json
from pathlib import Path
from verifiable.crypto.bn254 import parse_g2_montgomery
from verifiable.crypto.felt import felt_from_ezkl
from verifiable.proofs.halo2 import read_key, verify

folder = Path({str(hashed.folder)!r})
proof = json.loads((folder / "proof.json").read_text())
srs = (folder / "srs").read_bytes()
verify(
    read_key((folder / "vk").read_bytes(), (folder / "verifier.sol").read_text()),
    [felt_from_ezkl(x) for column in proof["instances"] for x in column],
    bytes.fromhex(proof["hex_proof"][2:]),
    g2=parse_g2_montgomery(srs[-256:-128]),
    tau_g2=parse_g2_montgomery(srs[-128:]),
)
print(*sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert not loaded & {"ezkl", "web3", "pyrevm", "solcx", "torch", "onnx", "numpy"}
