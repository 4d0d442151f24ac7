"""The emitted verifiers read one calldata only, once they are patched."""

import functools
import re

import pytest
from eth_abi.abi import encode
from evm_worlds import circuit

from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.revert import RevertedError
from verifiable.crypto.hashing import keccak256
from verifiable.errors import ChainError, EncodingError, StageFailedError
from verifiable.proofs.ezkl.evm_patch import parse_key_material, patch_plain, patch_reusable
from verifiable.solidity.compiler import compile_sources
from verifiable.solidity.standard import EZKL_SETTINGS
from verifiable.types import Address

pytestmark = pytest.mark.evm

TYPES = {"plain": ["bytes", "uint256[]"], "reusable": ["bytes", "uint256[]", "bytes32[]"]}
# Selector and one offset per argument come before the first argument's length.
HEAD = {"plain": 4 + 2 * 32, "reusable": 4 + 3 * 32}
FORMS = pytest.mark.parametrize("form", ["plain", "reusable"])


def source(form: str, *, patched: bool) -> str:
    part = circuit("second").part
    if form == "plain":
        return patch_plain(part.plain_source).source if patched else part.plain_source
    assert part.reusable_source is not None
    return patch_reusable(part.reusable_source) if patched else part.reusable_source


@functools.cache
def chain() -> EmbeddedChain:
    return EmbeddedChain()


@functools.cache
def words() -> tuple[bytes, ...]:
    data = circuit("second").part.key_material
    assert data is not None
    return parse_key_material(data)


@functools.cache
def verifier(form: str, *, patched: bool) -> Address:
    (artifact,) = compile_sources({"V.sol": source(form, patched=patched)}, EZKL_SETTINGS).values()
    address = chain().deploy(artifact.bytecode).address
    if form == "reusable":
        selector = keccak256(b"registerVka(bytes32[])")[:4]
        chain().send(address, selector + encode(["bytes32[]"], [words()]))
    return address


def calldata(form: str, proof: bytes | None = None) -> bytes:
    made = circuit("second")
    arguments: list[object] = [made.proof if proof is None else proof, made.instances]
    if form == "reusable":
        arguments.append(words())
    selector = keccak256(f"verifyProof({','.join(TYPES[form])})".encode())[:4]
    return selector + encode(TYPES[form], arguments)


def accepts(form: str, data: bytes, *, patched: bool = True) -> bool:
    try:
        answer = chain().call(verifier(form, patched=patched), data)
    except ChainError:
        return False
    return answer[:32] == (1).to_bytes(32, "big")


def moved(form: str) -> bytes:
    """The honest calldata with a second copy of the proof behind it, to which the offset points.

    Where an argument's offset says, there is a valid proof; at the canonical place, another one.
    """
    data = calldata(form)
    proof = circuit("second").proof
    offset = len(data) - 4
    copy = len(proof).to_bytes(32, "big") + proof
    return data[:4] + offset.to_bytes(32, "big") + data[36:] + copy


@FORMS
def test_the_honest_proof_is_accepted(form: str) -> None:
    assert accepts(form, calldata(form))


@FORMS
def test_the_emitted_verifier_reads_at_two_places_and_the_patched_one_does_not(form: str) -> None:
    data = bytearray(moved(form))
    assert accepts(form, bytes(data), patched=False)
    assert not accepts(form, bytes(data))
    # What the ABI says is the proof stays as it was; only bytes that no argument covers change.
    data[HEAD[form] + 32 + len(circuit("second").proof) - 1] ^= 1
    assert not accepts(form, bytes(data), patched=False)


def test_the_emitted_reusable_verifier_takes_longer_proofs_and_the_patched_one_does_not() -> None:
    longer = calldata("reusable", circuit("second").proof + bytes(32))
    assert accepts("reusable", longer, patched=False)
    assert not accepts("reusable", longer)
    assert not accepts("plain", calldata("plain", circuit("second").proof + bytes(32)))


@FORMS
def test_moved_instances_are_refused(form: str) -> None:
    # A copy of the instances behind everything, which the offset names.
    data = calldata(form)
    felts = encode(["uint256[]"], [circuit("second").instances])[32:]
    other = data[:36] + (len(data) - 4).to_bytes(32, "big") + data[68:] + felts
    assert not accepts(form, other)
    if form == "plain":
        assert accepts(form, other, patched=False)


def test_moved_key_material_is_refused() -> None:
    data = calldata("reusable")
    key = encode(["bytes32[]"], [words()])[32:]
    other = data[:68] + (len(data) - 4).to_bytes(32, "big") + data[100:] + key
    assert not accepts("reusable", other)


@FORMS
@pytest.mark.parametrize("tail", [b"\0", bytes(32), b"\xff" * 100])
def test_trailing_calldata_is_refused(form: str, tail: bytes) -> None:
    assert not accepts(form, calldata(form) + tail)
    assert accepts(form, calldata(form) + tail, patched=False)


@FORMS
def test_any_flipped_byte_outside_the_key_is_refused(form: str) -> None:
    data = calldata(form)
    end = len(calldata("plain")) + HEAD[form] - HEAD["plain"]
    heads = [*range(HEAD[form] + 32), *range(end - 32 * 4, end)]
    for position in [*heads, *range(HEAD[form], end, 41)]:
        flipped = bytearray(data)
        flipped[position] ^= 0x10
        assert not accepts(form, bytes(flipped)), position


@pytest.mark.slow
@FORMS
def test_every_flipped_byte_is_refused(form: str) -> None:
    data = calldata(form)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        assert not accepts(form, bytes(flipped)), position


def test_the_patched_reusable_verifier_answers_with_flag_and_key_digest() -> None:
    answer = chain().call(verifier("reusable", patched=True), calldata("reusable"))
    assert answer == (1).to_bytes(32, "big") + keccak256(b"".join(words()))


def test_an_unregistered_key_is_refused() -> None:
    data = bytearray(calldata("reusable"))
    data[-1] ^= 1
    with pytest.raises(RevertedError, match="VKA not registered"):
        chain().call(verifier("reusable", patched=True), bytes(data))


@FORMS
def test_a_source_that_was_patched_already_or_is_unknown_is_refused(form: str) -> None:
    patch = patch_reusable if form == "reusable" else patch_plain
    text = source(form, patched=False)
    once = text.replace("proof.length)", "proof.size)")
    twice = re.sub(r"(?m)^(.*\beq\(.*proof\.length\)\).*\n)", r"\1\1", text)
    for bad in ("", once, twice, text + text):
        with pytest.raises(StageFailedError, match="times in the emitted verifier"):
            patch(bad)


@pytest.mark.parametrize("data", [b"", bytes(8), b"\x01" + bytes(7), b"\x01" + bytes(40)])
def test_key_material_of_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        parse_key_material(data)
