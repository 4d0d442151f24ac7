"""How a bonded claim stands is what its referee says, and a receipt must agree with it."""

import dataclasses
from typing import Any

import pytest
from referee_lab import ALICE, PEOPLE, POLICY, PROPOSER, Game, new_game

from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.standing import Standing, standing_of
from verifiable.claim import CanonClaim
from verifiable.crypto.address import checksum_address
from verifiable.dispute.moves import Finalize, Timeout
from verifiable.dispute.state import Reason, Status
from verifiable.dispute.terms import Job
from verifiable.errors import ChainError, StatementRejectedError
from verifiable.expectation import RefereePolicy
from verifiable.receipt import Bond

pytestmark = pytest.mark.evm

NUMBERS = RefereePolicy(**dataclasses.asdict(POLICY))


@dataclasses.dataclass(frozen=True)
class Posted:
    game: Game
    job: Job
    claim: CanonClaim
    key: Any
    bond: Bond

    def standing(self, **changes: Any) -> Standing:
        bond = dataclasses.replace(self.bond, **changes)
        return standing_of(self.game.chain, self.claim, bond)


@pytest.fixture
def posted() -> Posted:
    """A claim in the first second of its window."""
    game = new_game()
    job = game.job()
    claim = game.claim(job)
    key = game.post(job)
    bond = Bond(
        transaction=None, block=1, window_end=game.now + POLICY.window, policy=NUMBERS, outputs=None
    )
    return Posted(game, job, claim, key, bond)


def test_a_claim_is_open_until_it_is_finalised_and_final_for_ever_after(posted: Posted) -> None:
    game = posted.game
    assert posted.standing() == Standing(
        status=Status.OPEN, reason=Reason.NONE, challenges=0, seconds_left=POLICY.window
    )
    game.chain.advance(POLICY.window + 1)
    # The window is over, and yet nobody may call it final.
    assert (posted.standing().status, posted.standing().seconds_left) == (Status.OPEN, 0)
    game.must(Finalize(claim_id=posted.key, job=posted.job), PROPOSER)
    assert posted.standing().status is Status.FINAL
    game.chain.advance(10**9)
    assert posted.standing().status is Status.FINAL


def test_a_refuted_claim_is_refuted_for_a_reason(posted: Posted) -> None:
    game = posted.game
    number = game.challenge(posted.key, ALICE)
    assert posted.standing().challenges == 1
    game.chain.advance(POLICY.allowance + 1)
    game.must(Timeout(claim_id=posted.key, challenge=number, job=posted.job), ALICE)
    found = posted.standing()
    assert (found.status, found.reason) == (Status.REFUTED, Reason.TRACE_WITHHELD)


def test_a_claim_that_was_never_posted_is_unknown(posted: Posted) -> None:
    other = dataclasses.replace(posted, claim=posted.game.claim(posted.job, nonce=1))
    with pytest.raises(StatementRejectedError, match="the referee knows no such claim"):
        other.standing()
    # A node that is behind cannot know it.
    late = posted.bond.window_end + 1
    with pytest.raises(ChainError, match="the node's latest block is of"):
        other.standing(window_end=late)


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_receipt_must_name_the_end_of_the_window(posted: Posted, shift: int) -> None:
    with pytest.raises(StatementRejectedError, match="the window ends at"):
        posted.standing(window_end=posted.bond.window_end + shift)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(RefereePolicy)])
def test_a_receipt_must_name_the_policy(posted: Posted, name: str) -> None:
    changes: dict[str, Any] = {name: getattr(NUMBERS, name) + 1}
    other = dataclasses.replace(NUMBERS, **changes)
    with pytest.raises(StatementRejectedError, match=f"policy: {name.replace('_', ' ')} is"):
        posted.standing(policy=other)


def test_another_chain_or_contract_decides_nothing(posted: Posted) -> None:
    with pytest.raises(ChainError, match="of chain 1, wanted 31337"):
        standing_of(EmbeddedChain(chain_id=1), posted.claim, posted.bond)
    for address, message in (
        (checksum_address(b"n" * 20), "no contract at"),
        (PEOPLE[0], "no contract at"),
        (posted.game.addresses["StakeVault"], "reverted"),
    ):
        header = dataclasses.replace(posted.claim.header, verifier=address)
        claim = dataclasses.replace(posted.claim, header=header)
        with pytest.raises(ChainError, match=message):
            standing_of(posted.game.chain, claim, posted.bond)


def returning(*words: int) -> bytes:
    """Creation code of a contract that answers every call with these words."""
    code = b"".join(
        b"\x7f" + word.to_bytes(32, "big") + b"\x61" + (32 * i).to_bytes(2, "big") + b"\x52"
        for i, word in enumerate(words)
    )
    code += b"\x61" + (32 * len(words)).to_bytes(2, "big") + b"\x5f\xf3"
    # PUSH2 size, DUP1, PUSH1 offset, PUSH0, CODECOPY, PUSH0, RETURN
    return b"\x61" + len(code).to_bytes(2, "big") + b"\x80\x60\x0a\x5f\x39\x5f\xf3" + code


@pytest.mark.parametrize(
    "words", [(), (2,), (0,) * 12, (1,) * 13, (1, 0, 9, *(0,) * 10), (2**255,) * 13, (1,) * 40]
)
def test_a_contract_that_is_no_referee_decides_nothing(
    posted: Posted, words: tuple[int, ...]
) -> None:
    chain = posted.game.chain
    address = chain.deploy(returning(*words)).address
    header = dataclasses.replace(posted.claim.header, verifier=address)
    claim = dataclasses.replace(posted.claim, header=header)
    with pytest.raises(ChainError):
        standing_of(chain, claim, posted.bond)
