"""The referee, called with typed moves and read into a `GameView`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from verifiable.chain.contract import Contract, NamedEvent, named_events
from verifiable.chain.market import JobRegister, StakeVault
from verifiable.chain.protocol import Ledger, Sent
from verifiable.chain.referee_reading import (
    canon_claim_of,
    claim_record_of,
    demand_of,
)
from verifiable.chain.referee_values import call_of
from verifiable.claim import CanonClaim, claim_id
from verifiable.crypto.address import parse_address
from verifiable.dispute.errors import IllegalMoveError
from verifiable.dispute.jobs import Register
from verifiable.dispute.moves import Move
from verifiable.dispute.state import NO_ID, Answer, Challenge, Claim, Reason, State
from verifiable.dispute.terms import Demand, Form, Job, Policy, partials_place
from verifiable.dispute.vault import Vault
from verifiable.dispute.view import GameView
from verifiable.dispute.walk import check_answer
from verifiable.errors import ChainError, EncodingError
from verifiable.types import Address, Bytes32, ClaimId, Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A claim was bonded."""

    claim_id: ClaimId
    job_id: Bytes32
    claim: CanonClaim | None
    """None if it holds a number that no document can (``claim.Header``), which our referee does not
    take."""
    window_end: int
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenged:
    """A challenge was opened."""

    claim_id: ClaimId
    challenge: int
    challenger: Address
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceCommitted:
    """The proposer committed the trace."""

    claim_id: ClaimId
    body: Sha256
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demanded:
    """A challenger asked for bytes."""

    claim_id: ClaimId
    challenge: int
    demand: Demand
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """A demand was answered."""

    claim_id: ClaimId
    id: Bytes32
    by: Address
    data: bytes
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuted:
    """A claim was refuted; `instruction` and `element` are of Element and Piece alone."""

    claim_id: ClaimId
    reason: Reason
    instruction: int
    element: int
    by: Address
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewarded:
    """What was left of a bond went to this challenge; was burnt, if it is 0."""

    claim_id: ClaimId
    challenge: int
    amount: int
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeLost:
    """A challenger let his clock run out."""

    claim_id: ClaimId
    challenge: int
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A challenger of a refuted claim was given back what he paid."""

    claim_id: ClaimId
    challenge: int
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """A claim stands for ever."""

    claim_id: ClaimId
    block: int


RefereeEvent = (
    Posted
    | Challenged
    | TraceCommitted
    | Demanded
    | Revealed
    | Refuted
    | Rewarded
    | ChallengeLost
    | Collected
    | Finalized
)

_Make = Callable[..., RefereeEvent]
_EVENTS: Final[Mapping[str, _Make]] = {
    kind.__name__: kind
    for kind in (
        Challenged,
        TraceCommitted,
        Revealed,
        Refuted,
        Rewarded,
        ChallengeLost,
        Collected,
        Finalized,
    )
}
_NAMES: Final = {"claimId": "claim_id"}


@dataclass(frozen=True, slots=True)
class Referee:
    """The contract at `address`; refusals raise as `contract.refusal_of`."""

    chain: Ledger
    address: Address

    @property
    def _contract(self) -> Contract:
        return Contract(self.chain, self.address, "Referee")

    def play(self, move: Move, *, sender: Address) -> Sent:
        """Make a move.

        Raises
        ------
        IllegalMoveError
            If the referee refuses it; its class says why.
        OpeningRejectedError
            If a proof shows nothing.
        ChainError
            If nothing was decided.
        """
        name, arguments = call_of(move)
        return self._contract.send(name, *arguments, sender=sender)

    def policy(self) -> Policy:
        """Money and time.

        Raises
        ------
        ChainError
            If it is none that a referee has: there is another contract at the address.
        """
        fields = self._contract.ask_struct("policy")
        try:
            return Policy(**fields)
        except IllegalMoveError as e:
            raise ChainError(f"the contract at {self.address} has no policy: {e}") from e

    def vault(self) -> StakeVault:
        """Where it holds money."""
        return StakeVault(self.chain, parse_address(self._contract.ask("vault")[0]))

    def register(self) -> JobRegister:
        """Where its jobs are."""
        return JobRegister(self.chain, parse_address(self._contract.ask("jobs")[0]))

    def claim(self, key: ClaimId) -> Claim:
        """What is recorded of a claim."""
        return claim_record_of(self._contract.ask_struct("claimOf", key))

    def challenge(self, key: ClaimId, number: int) -> Challenge:
        """What is recorded of a challenge."""
        return Challenge(**self._contract.ask_struct("challengeOf", key, number))

    def answer(self, demand: Bytes32) -> Answer:
        """Which challenge made a demand first, and when it was answered."""
        return Answer(**self._contract.ask_struct("answerOf", demand))

    def is_final(self, key: ClaimId) -> bool:
        """Whether a claim stands for ever."""
        return bool(self._contract.ask("isFinal", key)[0])

    def events(self, first: int, last: int) -> Iterator[RefereeEvent]:
        """What happened in the blocks ``first..last``, in its order.

        Raises
        ------
        ChainError
            If the node gives an event that contradicts itself.
        """
        for one in self.named(first, last):
            yield self._event(one)

    def named(self, first: int, last: int) -> Iterator[NamedEvent]:
        """The same as the ABI has it, with the transactions."""
        found = self.chain.events(self.address, first, last)
        return named_events(self._contract.abi, iter(found))

    def _event(self, one: NamedEvent) -> RefereeEvent:
        values, block = one.values, one.event.block
        if one.name == "Posted":
            return self._posted(values, block)
        if one.name == "Demanded":
            demand = demand_of(values["demand"])
            if demand.id != values["id"]:
                raise ChainError("the node gave a demand of another id than it says")
            return Demanded(
                claim_id=demand.claim_id, challenge=values["challenge"], demand=demand, block=block
            )
        plain = {_NAMES.get(name, name): _typed(name, x) for name, x in values.items()}
        return _EVENTS[one.name](**plain, block=block)

    def _posted(self, values: Mapping[str, Any], block: int) -> Posted:
        try:
            claim = canon_claim_of(values["claim"], self.chain.chain_id, self.address)
        except EncodingError:
            claim = None
        if claim is not None and claim_id(claim) != values["claimId"]:
            raise ChainError("the node gave a claim of another id than it says")
        return Posted(
            claim_id=ClaimId(values["claimId"]), job_id=Bytes32(values["jobId"]), claim=claim,
            window_end=values["windowEnd"], block=block,
        )  # fmt: skip

    def view(self, key: ClaimId, job: Job, first: int) -> GameView:
        """What the chain says of a claim now.

        Parameters
        ----------
        key : ClaimId
        job : Job
            That the claim answers.
        first : int
            A block before the first demand; that of `Posted` is one.

        Raises
        ------
        ChainError
            If the node fails or contradicts itself.
        """
        now, last = self.chain.block_time(), self.chain.block_number()
        mine = [e for e in self.events(first, last) if e.claim_id == key]
        demands = {e.demand.id: e.demand for e in mine if isinstance(e, Demanded)}
        reveals = {e.id: e.data for e in mine if isinstance(e, Revealed)}
        _check_reveals(demands, reveals)
        state = self._state(key, job, demands)
        if any(c.pending not in {NO_ID, *demands} for c in state.records.values()):
            raise ChainError(
                f"the node does not show all demands since block {first}",
                hint="begin with an earlier block",
            )
        return GameView(
            state=state, now=now, claim_id=key, job=job, demands=demands,
            reveals=reveals,
        )  # fmt: skip

    def _state(self, key: ClaimId, job: Job, demands: Mapping[Bytes32, Demand]) -> State:
        claim, register = self.claim(key), self.register()
        place = register.id_of(job)
        answering = register.claim_of(place)
        numbers = range(1, claim.challenges + 1)
        return State(
            referee=self.address,
            policy=self.policy(),
            register=Register(
                chain_id=self.chain.chain_id,
                address=register.address,
                states={place: register.state_of(place)},
                claims={} if answering is None else {place: answering},
            ),
            vault=Vault(),
            claims={key: claim},
            records={(key, number): self.challenge(key, number) for number in numbers},
            answers=self._answers(demands),
            unpaid={key: int(self._contract.ask("unpaidOf", key)[0])},
        )

    def _answers(self, demands: Iterable[Bytes32]) -> dict[Bytes32, Answer]:
        found = {key: self.answer(key) for key in demands}
        return {key: answer for key, answer in found.items() if answer.challenge}


def _typed(name: str, value: Any) -> Any:
    if name == "reason":
        return Reason(value)
    return parse_address(value) if isinstance(value, str) else value


def _check_reveals(demands: Mapping[Bytes32, Demand], reveals: Mapping[Bytes32, bytes]) -> None:
    for key, data in reveals.items():
        if key not in demands:
            raise ChainError(f"the node shows the answer to 0x{key.hex()}, but not the demand")
        if demands[key].form is Form.PARTIALS:
            *_, wanted = partials_place(demands[key])
            if len(data) != wanted:
                raise ChainError(f"the node shows {len(data)} bytes of partial results of {wanted}")
            continue
        try:
            check_answer(demands[key], data)
        except IllegalMoveError as e:
            raise ChainError(f"the node shows an answer that no referee takes: {e}") from e
