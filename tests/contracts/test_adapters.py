"""The ERC faces say what the verifier says, about their own arguments only."""

import pytest
from eth_abi.abi import encode
from evm_worlds import STRANGER, World, sign, with_subject, world

from verifiable.chain.abi import (
    CLAIM_TYPE,
    claim_value,
    decode_result,
    encode_call,
    encode_evidence,
)
from verifiable.chain.bindings import meaning_of
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.claim import Claim
from verifiable.crypto.hashing import keccak256
from verifiable.errors import ChainError, StatementRejectedError
from verifiable.solidity.artifacts import load
from verifiable.types import Sha256

pytestmark = pytest.mark.evm

ERC7007 = load("IErc7007Verifier").abi
ERC7992 = load("Erc7992Adapter").abi


def evidence(w: World, claim: Claim, signature: bytes | None = None) -> bytes:
    inner = encode_evidence(w.proofs, sign(claim) if signature is None else signature)
    return encode([CLAIM_TYPE, "bytes"], [claim_value(claim), inner])


def prompt(w: World, claim: Claim) -> bytes:
    return encode(["uint256[]"], [w.verifier.inputs(claim)])


def output(w: World, claim: Claim) -> bytes:
    return encode(["int256[]"], [w.verifier.outputs(claim)])


def ask_7007(w: World, *arguments: bytes, gas: int | None = None) -> bool:
    address = w.deployment.adapters["Erc7007Adapter"]
    data = w.chain.call(address, encode_call(ERC7007, "verify", arguments), gas=gas)
    (answer,) = decode_result(ERC7007, "verify", data)
    return bool(answer)


def test_erc7007_is_true_for_the_claims_own_input_and_output(each: World) -> None:
    claim = each.claim()
    assert ask_7007(each, prompt(each, claim), output(each, claim), evidence(each, claim))


def test_erc7007_is_false_for_substituted_arguments(each: World) -> None:
    claim = each.claim()
    p, o, e = prompt(each, claim), output(each, claim), evidence(each, claim)
    numbers = each.verifier.outputs(claim)
    changed = encode(["int256[]"], [(numbers[0] + 1, *numbers[1:])])
    for arguments in (
        (b"", o, e),
        (p[:-1] + bytes([p[-1] ^ 1]), o, e),
        (p + bytes(32), o, e),
        (p, changed, e),
        (p, encode(["int256[]"], [numbers[:-1]]), e),
        (o, p, e),
        # Concatenation of the two is the same; their border is not.
        (p + o[:32], o[32:], e),
        (p, o, evidence(each, claim, sign(claim, STRANGER))),
        (p, o, evidence(each, with_subject(claim, model=Sha256(bytes(32))))),
        (p, o, e + bytes(32)),
    ):
        assert not ask_7007(each, *arguments)


def test_erc7007_never_says_false_for_want_of_gas(single: World) -> None:
    claim = single.claim()
    arguments = (prompt(single, claim), output(single, claim), evidence(single, claim))
    answers = set()
    refusals = []
    for gas in range(80_000, 2_000_000, 23_456):
        try:
            answers.add(ask_7007(single, *arguments, gas=gas))
        except RevertedError as e:
            refusals.append(meaning_of(e))
        except ChainError:
            continue
    assert refusals
    assert all(isinstance(refusal, OutOfGasError) for refusal in refusals)
    assert answers == {True}


def test_erc7007_reverts_on_what_is_no_claim(single: World) -> None:
    with pytest.raises(ChainError):
        ask_7007(single, b"", b"", b"")


def send_7992(w: World, claim: Claim, **changes: object) -> None:
    address = w.deployment.adapters["Erc7992Adapter"]
    (model,) = decode_result(ERC7992, "modelId", w.chain.call(address, selector("modelId")))
    inputs = w.verifier.inputs(claim)
    commitment = keccak256(prompt(w, claim)) if len(inputs) > 1 else inputs[0].to_bytes(32, "big")
    arguments = {
        "model": model,
        "commitment": commitment,
        "output": output(w, claim),
        "proof": evidence(w, claim),
    } | changes
    try:
        w.chain.send(address, encode_call(ERC7992, "verifyInference", list(arguments.values())))
    except RevertedError as e:
        raise meaning_of(e) from e


def selector(name: str) -> bytes:
    return encode_call(ERC7992, name)


@pytest.mark.parametrize("kind", ["single", "split", "public"])
def test_erc7992_accepts_an_inference_once(kind: str) -> None:
    w = world(kind)  # type: ignore[arg-type]
    claim = w.claim()
    numbers = w.verifier.outputs(claim)
    other = encode(["int256[]"], [(numbers[0] + 1, *numbers[1:])])
    for error, changes in (
        ("ModelNotFound", {"model": 1}),
        ("InputCommitmentMismatch", {"commitment": bytes(32)}),
        ("OutputMismatch", {"output": other}),
        ("InvalidProof", {"proof": evidence(w, claim) + bytes(32)}),
    ):
        with pytest.raises(StatementRejectedError, match=error):
            send_7992(w, claim, **changes)
    send_7992(w, claim)
    with pytest.raises(StatementRejectedError, match="NonceUsed"):
        send_7992(w, claim)


def test_erc7992_shows_the_models_commitment(single: World) -> None:
    address = single.deployment.adapters["Erc7992Adapter"]
    (model,) = decode_result(ERC7992, "modelId", single.chain.call(address, selector("modelId")))
    data = single.chain.call(address, encode_call(ERC7992, "getModel", [model]))
    (commitment, deprecated, owner) = decode_result(ERC7992, "getModel", data)
    part = single.spec.parts[0]
    name = b"halo2-kzg-bn254-ezkl-v23"
    assert commitment == (single.spec.model, part.settings, part.vk, keccak256(name)[:4], "")
    assert not deprecated
    assert int(owner, 16) == 0
    with pytest.raises(RevertedError, match="ModelNotFound"):
        single.chain.call(address, encode_call(ERC7992, "getModel", [model + 1]))


@pytest.mark.parametrize("name", ["Erc7007Adapter", "Erc7992Adapter"])
def test_adapters_know_erc165(single: World, name: str) -> None:
    address, abi = single.deployment.adapters[name], load(name).abi

    def supports(interface: str) -> bool:
        data = encode_call(abi, "supportsInterface", [bytes.fromhex(interface)])
        return any(single.chain.call(address, data))

    assert supports("01ffc9a7")
    assert not supports("ffffffff")
