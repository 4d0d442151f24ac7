"""The same contracts on a node, through web3.py."""

import threading
import time
from dataclasses import replace

import pytest
from anvil import KEY, Anvil, start
from evm_worlds import PROVIDER, emission, sign, world

from verifiable.chain.deployment import info
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.folder import deploy
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.chain.rpc import RpcChain
from verifiable.claim import claim_id
from verifiable.crypto.signatures import SigningKey
from verifiable.errors import (
    ChainError,
    InsecureSrsError,
    ProofRejectedError,
    RejectedError,
    StatementRejectedError,
)
from verifiable.types import Felt

pytestmark = [pytest.mark.anvil, pytest.mark.evm]


@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["node's account", "own key"])
@pytest.mark.parametrize("kind", ["single", "split"])
def test_claims_are_judged_as_on_the_embedded_chain(
    anvil: Anvil, kind: str, keys: tuple[SigningKey, ...]
) -> None:
    w = world(kind, RpcChain(anvil.url, keys=keys, chain_id=31_337))  # type: ignore[arg-type]
    claim = w.claim()
    felts = [list(values) for values in w.spec.vector.instances]
    felts[-1][-1] += 1
    false = w.claim(instances=felts)
    with pytest.raises(ProofRejectedError):
        w.verifier.check(false, w.proofs, sign(false))
    with pytest.raises(ProofRejectedError):
        w.verifier.verify(false, w.proofs, sign(false))
    sent = w.verifier.verify(claim, w.proofs, sign(claim))
    assert [log.topics[1] for log in sent.logs] == [claim_id(claim)]
    assert w.verifier.claim_of(PROVIDER.address, claim.header.nonce) == claim_id(claim)
    assert w.verifier.outputs(claim) == world(kind).verifier.outputs(claim)  # type: ignore[arg-type]
    with pytest.raises(StatementRejectedError, match="NonceUsed"):
        w.verifier.verify(claim, w.proofs, sign(claim))


@pytest.mark.parametrize("kind", ["single", "split"])
def test_gas_is_what_the_emission_said(anvil: Anvil, kind: str) -> None:
    w = world(kind, RpcChain(anvil.url))  # type: ignore[arg-type]
    claim = w.claim()
    sent = w.verifier.verify(claim, w.proofs, sign(claim))
    said = emission(kind).report["gas"]["verify"]  # type: ignore[arg-type]
    # Signature and addresses have other zero bytes, each worth 12 gas.
    assert abs(sent.gas - said) < 1_000


def test_deploying_a_folder_puts_the_emitted_code_on_the_chain(anvil: Anvil) -> None:
    made = emission("single")
    chain = RpcChain(anvil.url, keys=[KEY])
    with pytest.raises(InsecureSrsError):
        deploy(made.folder, chain)
    deployed = deploy(made.folder, chain, accept_insecure_srs=True)
    said = info(chain, deployed.verifier)
    assert "0x" + said.model.hex() == made.report["model"]
    assert said.insecure_srs
    assert said.input_hashed
    assert said.output_scales == (4, 4)
    embedded = EmbeddedChain()
    twin = deploy(made.folder, embedded, accept_insecure_srs=True)
    assert len(embedded.code(twin.verifier)) == said.code_bytes
    with pytest.raises(ChainError, match="no contract"):
        info(chain, PROVIDER.address)
    with pytest.raises((ChainError, RevertedError)):
        info(chain, deployed.halo2[0])


def test_a_transaction_that_lacks_gas_is_no_refusal(anvil: Anvil) -> None:
    w = world("single", RpcChain(anvil.url))
    claim = w.claim()
    for gas in (100_000, 300_000, 500_000):
        with pytest.raises(ChainError) as caught:
            w.verifier.verify(claim, w.proofs, sign(claim), gas=gas)
        assert not isinstance(caught.value, RejectedError)
    with pytest.raises(OutOfGasError):
        w.chain.send(w.deployment.verifier, b"\0" * 4, gas=21_100)


def test_a_reorganised_transaction_is_waited_for(anvil: Anvil) -> None:
    assert anvil.url
    with start("--no-mining") as node:
        # Receipts of a block that is undone do not count: the transaction is mined again later.
        chain = RpcChain(node.url, confirmations=3, wait_timeout=20)
        done: list[int] = []
        sender, receiver = chain.accounts[:2]

        def send() -> None:
            done.append(chain.send(receiver, b"", sender=sender, value=1, gas=21_000).block)

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(0.5)
        node.ask("anvil_mine", "0x1")
        time.sleep(0.5)
        assert not done
        node.ask("anvil_reorg", 1, [])
        time.sleep(0.5)
        node.ask("anvil_mine", "0x1")
        time.sleep(0.3)
        node.ask("anvil_mine", "0x3")
        thread.join(timeout=25)
        assert not thread.is_alive()
        if done:
            assert chain.balance(receiver) == 10_000 * 10**18 + 1
        assert len(done) <= 1


def test_another_chain_than_expected_is_refused(anvil: Anvil) -> None:
    with pytest.raises(ChainError, match="is of chain 31337, wanted 1"):
        RpcChain(anvil.url, chain_id=1)


def test_a_claim_is_never_accepted_with_a_larger_instance(anvil: Anvil) -> None:
    w = world("single", RpcChain(anvil.url))
    claim = w.claim()
    part = claim.subject.parts[0]
    changed = replace(part, instances=(*part.instances[:-1], Felt(part.instances[-1] ^ 1)))
    false = replace(claim, subject=replace(claim.subject, parts=(changed,)))
    with pytest.raises(ProofRejectedError):
        w.verifier.check(false, w.proofs, sign(false))
