"""The same contracts on a node, through web3.py."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from anvil import KEY, Anvil, start
from evm_worlds import PROVIDER, Kind, emission, sign, world

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


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    """One node for all tests that only add to its chain."""
    with start() as node:
        yield node


@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["node's account", "own key"])
@pytest.mark.parametrize("kind", ["single", "split"])
def test_claims_are_judged_as_on_the_embedded_chain(
    anvil: Anvil, kind: Kind, keys: tuple[SigningKey, ...]
) -> None:
    w = world(kind, RpcChain(anvil.url, keys=keys, chain_id=31_337))
    claim = w.claim()
    felts: list[list[int]] = [list(values) for values in w.spec.vector.instances]
    felts[-1][-1] += 1
    false = w.claim(instances=felts)
    with pytest.raises(ProofRejectedError):
        w.verifier.check(false, w.proofs, sign(false))
    with pytest.raises(ProofRejectedError):
        w.verifier.verify(false, w.proofs, sign(false))
    sent = w.verifier.verify(claim, w.proofs, sign(claim))
    assert [log.topics[1] for log in sent.logs] == [claim_id(claim)]
    assert w.verifier.claim_of(PROVIDER.address, claim.header.nonce) == claim_id(claim)
    assert w.verifier.outputs(claim) == world(kind).verifier.outputs(claim)
    with pytest.raises(StatementRejectedError, match="NonceUsed"):
        w.verifier.verify(claim, w.proofs, sign(claim))


def test_gas_is_what_the_emission_said() -> None:
    # At the rules it was measured at; Osaka charges more for inversions (EIP-7883).
    with start("--hardfork", "cancun") as node:
        kinds: tuple[Kind, ...] = ("single", "split")
        for kind in kinds:
            w = world(kind, RpcChain(node.url))
            claim = w.claim()
            sent = w.verifier.verify(claim, w.proofs, sign(claim))
            said = emission(kind).report["gas"]["verify"]
            # Signature and addresses have other zero bytes, each worth 12 gas.
            assert abs(sent.gas - said) < 1_000, (kind, sent.gas, said)


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
    for gas in (100_000, 350_000, 500_000):
        with pytest.raises(ChainError) as caught:
            w.verifier.verify(claim, w.proofs, sign(claim), gas=gas)
        assert not isinstance(caught.value, RejectedError)
    with pytest.raises(OutOfGasError):
        w.chain.send(w.deployment.verifier, b"\0" * 4, gas=21_100)


def test_a_transaction_of_an_undone_block_does_not_count() -> None:
    with start("--no-mining") as node:
        chain = RpcChain(node.url, confirmations=3, wait_timeout=3)
        sender, receiver = chain.accounts[:2]
        before = chain.balance(receiver)
        outcome: list[object] = []

        def send() -> None:
            try:
                outcome.append(chain.send(receiver, b"", sender=sender, value=1, gas=21_000))
            except ChainError as e:
                outcome.append(e)

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(0.5)
        node.ask("anvil_mine", "0x1")
        assert chain.balance(receiver) == before + 1
        time.sleep(0.5)
        assert not outcome, "one block is not three"
        node.ask("anvil_reorg", 1, [])
        node.ask("anvil_mine", "0x5")
        thread.join(timeout=10)
        assert chain.balance(receiver) == before
        assert isinstance(outcome[0], ChainError)


def test_a_transaction_counts_after_its_confirmations() -> None:
    with start("--block-time", "1") as node:
        chain = RpcChain(node.url, confirmations=2, wait_timeout=10)
        sender, receiver = chain.accounts[:2]
        sent = chain.send(receiver, b"", sender=sender, value=1)
        assert int(node.ask("eth_blockNumber"), 16) >= sent.block + 1


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
