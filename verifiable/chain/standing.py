"""How a claim that a receipt says is bonded stands with its referee."""

from dataclasses import asdict, dataclass

from verifiable.chain.protocol import Ledger
from verifiable.chain.referee import Referee
from verifiable.claim import CanonClaim, claim_id
from verifiable.dispute.errors import IllegalMoveError
from verifiable.dispute.state import Claim, Reason, Status
from verifiable.errors import ChainError, OpeningRejectedError, StatementRejectedError
from verifiable.expectation import RefereePolicy
from verifiable.receipt import Bond, check_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a bonded claim stands at a chain's latest block."""

    status: Status
    """Open, final or refuted; a claim that the referee does not know has no standing."""
    reason: Reason
    """Why it was refuted."""
    challenges: int
    """How many are open."""
    seconds_left: int
    """Until no challenge may be opened any more; 0 afterwards."""


def standing_of(chain: Ledger, claim: CanonClaim, bond: Bond) -> Standing:
    """Ask the referee about a claim, and hold what the receipt says of its bond against it.

    0. The chain is the claim's, and there is a contract where the claim says its referee is.
    1. The referee knows the claim.
    2. The window ends when the receipt says, and the policy is what the receipt says.

    Parameters
    ----------
    chain : Ledger
    claim : CanonClaim
        Checked by `verifiable.receipt.check_bonded_document`, so that chain and referee are the
        caller's.
    bond : Bond
        The receipt's.

    Returns
    -------
    Standing
        A final one stands for ever, unless the chain is reorganised from below its latest block.

    Raises
    ------
    ChainError
        Step 0; or the node is behind the block that the receipt names, or the contract answers what
        no referee does.
    StatementRejectedError
        Steps 1 and 2: what the receipt says of its bond is false.
    """
    header = claim.header
    if chain.chain_id != header.chain_id:
        raise ChainError(f"the node is of chain {chain.chain_id}, wanted {header.chain_id}")
    if not chain.code(header.verifier):
        raise ChainError(f"there is no contract at {header.verifier} on chain {chain.chain_id}")
    time = chain.block_time()
    final, record, policy = _asked(Referee(chain, header.verifier), claim)
    if record.status is Status.UNKNOWN:
        if time < bond.posted_at:
            raise ChainError(
                f"the node's latest block is of {time}, the claim was posted at {bond.posted_at}",
                hint="ask a node that is up to date",
            )
        raise StatementRejectedError("the referee knows no such claim")
    true = (record.proposer, record.output) == (header.provider, claim.subject.output)
    if not true or (final and record.status is not Status.FINAL):
        raise ChainError(f"the contract at {header.verifier} answers what no referee does")
    if record.window_end != bond.window_end:
        raise StatementRejectedError(
            f"the window ends at {record.window_end}, the receipt says {bond.window_end}"
        )
    check_policy(bond.policy, policy)
    return Standing(
        status=record.status,
        reason=record.reason,
        challenges=record.open,
        seconds_left=max(bond.window_end - time, 0),
    )


def _asked(referee: Referee, claim: CanonClaim) -> tuple[bool, Claim, RefereePolicy]:
    key = claim_id(claim)
    try:
        # In this order: a claim may become final between the two calls, and none ceases to be.
        final, record = referee.is_final(key), referee.claim(key)
        return final, record, RefereePolicy(**asdict(referee.policy()))
    except (IllegalMoveError, OpeningRejectedError, ValueError) as e:
        raise ChainError(
            f"the contract at {referee.address} answers what no referee does: {e}",
            hint="is the address that of another contract?",
        ) from e
