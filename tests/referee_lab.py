"""The referee and its contracts on an embedded chain, played in lock-step with the Python rules."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from compiled import compiled
from walk_material import site

from verifiable.chain.abi import (
    canonical_type,
    decode_result,
    encode_call,
    encode_constructor,
)
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.protocol import Sent
from verifiable.chain.referee_values import call_of, job_value, policy_value
from verifiable.chain.revert import RevertedError, error_selectors
from verifiable.claim import CanonClaim, CanonSubject, Header, claim_id
from verifiable.crypto.address import checksum_address, parse_address
from verifiable.dispute import rules
from verifiable.dispute.errors import IllegalMoveError
from verifiable.dispute.jobs import Register
from verifiable.dispute.moves import DemandBytes, Move, OpenChallenge, Post
from verifiable.dispute.rules import Context
from verifiable.dispute.state import NO_ROOT, Answer, Challenge, Claim, State
from verifiable.dispute.step import Statement, StepProof, TensorOpening
from verifiable.dispute.terms import NOBODY, Demand, Job, Policy
from verifiable.dispute.vault import Vault
from verifiable.dispute.walk import target
from verifiable.errors import EncodingError, OpeningRejectedError
from verifiable.graph.commitment import InstructionOpening, ModelHeader, Section, Slot
from verifiable.graph.ir import Index
from verifiable.graph.tensors import Opening
from verifiable.solidity.artifacts import sources, with_libraries
from verifiable.solidity.standard import Artifact, EvmVersion, Settings
from verifiable.types import Address, Bytes32, ClaimId, Sha256

HARNESS = Path(__file__).parent / "contracts" / "harness" / "VerdictStep.sol"
ROOTS = (
    "market/StakeVault.sol", "market/JobRegister.sol", "referee/Referee.sol", "referee/Walks.sol",
    "harness/VerdictStep.sol",
)  # fmt: skip
OPENING_ERRORS = frozenset({"RootMismatch", "PathLength", "NoSuchLeaf", "DescriptorMalformed"})
"""What the contracts' openings say where Python raises one error."""
VERDICT_ERRORS = frozenset({"NoOpening", "NoPieces"})

POLICY = Policy(
    window=100, allowance=50, bond=10_000, challenge_bond=1_000, reveal_fee=7, burnt_share=3_000,
    requester_share=1_001, refuter_gas=500,
)  # fmt: skip
START = 1_000_000
DEPOSIT = 1_000_000


def account(number: int) -> Address:
    """An account without code."""
    return checksum_address(hashlib.sha256(b"account %d" % number).digest()[:20])


REQUESTER, PROPOSER, ALICE, BOB, CAROL, STRANGER = (account(i) for i in range(6))
PEOPLE = (REQUESTER, PROPOSER, ALICE, BOB, CAROL, STRANGER)


@cache
def artifacts(evm: EvmVersion = "cancun") -> Mapping[str, Artifact]:
    """By contract name, compiled once per run."""
    text = {**sources(evm), "harness/VerdictStep.sol": HARNESS.read_text()}
    return compiled(with_libraries(text), ROOTS, Settings(evm=evm))


class NoOpeningError(Exception):
    """`Verdict` was shown no opening."""


class Verdict:
    """What ``VerdictStep.sol`` says: the verdict stands in the number of the element."""

    def differs(self, _: Statement, proof: StepProof, /) -> bool:
        self._check(proof)
        return bool(proof.element & 1)

    def partials_length(self, _: Statement, proof: StepProof, /) -> int:
        self._check(proof)
        if not proof.element & 4:
            raise NoOpeningError
        return 8

    def combines(self, _: Statement, proof: StepProof, partials: bytes, /) -> bool:
        self._check(proof)
        return partials[0] == 0

    def piece_differs(self, _: Statement, proof: StepProof, __: bytes, piece: int, /) -> bool:
        self._check(proof)
        return bool(piece & 1)

    def _check(self, proof: StepProof) -> None:
        if proof.element & 2:
            raise NoOpeningError


def verdict_proof(element: int, instruction: int = 0) -> StepProof:
    """A proof that `Verdict` reads."""
    nothing = InstructionOpening(slot=Slot(Section.BODY, 0), descriptor=b"", siblings=())
    opening = TensorOpening(instruction=nothing, part=Opening(b"", ()), above=())
    zero = Sha256(bytes(32))
    header = ModelHeader(instructions=0, tensors=(0, 0, 0), tree=zero, borders=zero)
    return StepProof(
        header=header, instruction=Index(instruction), element=element, result=opening, operands=()
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Names that a refusal may have, and its arguments where both languages give them."""

    names: frozenset[str] = frozenset()
    arguments: tuple[Any, ...] | None = ()


@dataclass(slots=True)
class Game:
    """The contracts on a chain, and the state that the rules give; they never part."""

    chain: EmbeddedChain
    addresses: dict[str, Address]
    state: State
    deposited: int = 0
    withdrawn: int = 0
    jobs: dict[Bytes32, Job] = field(default_factory=dict)

    @property
    def now(self) -> int:
        return self.chain.block_time()

    def call(self, contract: str, name: str, *arguments: Any) -> Any:
        """The one value that a view returns, or all of them."""
        abi = artifacts()[contract].abi
        raw = self.chain.call(self.addresses[contract], encode_call(abi, name, arguments))
        values = decode_result(abi, name, raw)
        return values[0] if len(values) == 1 else values

    def send(self, contract: str, name: str, *arguments: Any, **options: Any) -> Sent:
        """A transaction."""
        data = encode_call(artifacts()[contract].abi, name, arguments)
        return self.chain.send(self.addresses[contract], data, **options)

    def fund(self, who: Address, amount: int = DEPOSIT) -> None:
        """Deposit, and let referee and register reserve."""
        rich = self.chain.accounts[0]
        self.send("StakeVault", "deposit", who, amount, sender=rich, value=amount)
        self.deposited += amount
        vault = self.state.vault.deposit(who, amount)
        for name in ("Referee", "JobRegister"):
            self.send("StakeVault", "allow", self.addresses[name], True, sender=who)
            vault = vault.allow(who, self.addresses[name])
        self.state = replace(self.state, vault=vault)

    def job(self, number: int = 0, **changes: Any) -> Job:
        """Open a job; the same number is the same job."""
        told: dict[str, Any] = {
            "requester": REQUESTER, "referee": self.addresses["Referee"],
            "model": Sha256(bytes([1]) * 32), "input": Sha256(bytes([2]) * 32),
            "semantics": "canon/1", "price": 333, "deadline": self.now + 10_000,
            "salt": Bytes32(number.to_bytes(32, "big")),
        }  # fmt: skip
        job = Job(**{**told, **changes})
        self.send("JobRegister", "open", job_value(job), sender=job.requester)
        register, vault = self.state.register.open(job, self.state.vault, job.requester, self.now)
        self.state = replace(self.state, register=register, vault=vault)
        self.jobs[register.id_of(job)] = job
        return job

    def claim(self, job: Job, *, nonce: int = 0, **changes: Any) -> CanonClaim:
        """A claim that answers a job."""
        header: dict[str, Any] = {
            "venue": "optimistic", "semantics": "canon/1",
            "job_id": self.state.register.id_of(job), "nonce": Bytes32(nonce.to_bytes(32, "big")),
            "chain_id": self.chain.chain_id, "verifier": self.addresses["Referee"],
            "expiry": self.now + 10**6, "provider": PROPOSER,
        }  # fmt: skip
        subject: dict[str, Any] = {
            "model": job.model,
            "input": job.input,
            "output": Sha256(bytes([3]) * 32),
        }
        header |= {k: v for k, v in changes.items() if k in header}
        subject |= {k: v for k, v in changes.items() if k in subject}
        return CanonClaim(header=Header(**header), subject=CanonSubject(**subject))

    def post(self, job: Job, body: Sha256 = NO_ROOT, **changes: Any) -> ClaimId:
        """Post a claim; whoever it names as the provider does."""
        claim = self.claim(job, **changes)
        self.must(Post(claim=claim, job=job, body=body), claim.header.provider)
        return claim_id(claim)

    def challenge(self, claim: ClaimId, who: Address) -> int:
        """Open a challenge and give its number."""
        self.must(OpenChallenge(claim_id=claim), who)
        return self.state.claim(claim).challenges

    def must(self, move: Move, sender: Address) -> None:
        """Play a move that both must take."""
        refused = self.play(move, sender)
        assert not refused.names, refused

    def refuses(self, move: Move, sender: Address, error: str) -> tuple[Any, ...] | None:
        """Play a move that both must refuse by this name; nothing changes."""
        before = self.state
        refused = self.play(move, sender)
        assert error in refused.names, refused
        assert self.state is before
        return refused.arguments

    def play(self, move: Move, sender: Address) -> Outcome:
        """Play a move in both, and hold all that can be seen of one against the other."""
        ours, after = self._rules(move, sender)
        theirs = self._contract(move, sender)
        assert bool(ours.names) == bool(theirs.names), (move, ours, theirs)
        assert theirs.names <= ours.names, (move, ours, theirs)
        if ours.arguments is not None:
            assert _plain(ours.arguments) == _plain(theirs.arguments), (move, ours, theirs)
        self.state = after
        self.check()
        return ours

    def _rules(self, move: Move, sender: Address) -> tuple[Outcome, State]:
        context = Context(sender=sender, now=self.now, judge=Verdict())
        try:
            return Outcome(), rules.advance(self.state, move, context)
        except IllegalMoveError as e:
            return Outcome(frozenset({e.error}), e.arguments), self.state
        except (OpeningRejectedError, EncodingError):
            return Outcome(OPENING_ERRORS, None), self.state
        except NoOpeningError:
            return Outcome(VERDICT_ERRORS, None), self.state

    def _contract(self, move: Move, sender: Address) -> Outcome:
        name, arguments = call_of(move)
        try:
            self.send("Referee", name, *arguments, sender=sender)
        except RevertedError as e:
            return refusal(e.data)
        return Outcome()

    def check(self) -> None:
        """Every record and every balance is the same on both sides, and no wei is lost."""
        state = self.state
        vault = state.vault
        assert vault.held == self.deposited - self.withdrawn
        assert self.chain.balance(self.addresses["StakeVault"]) == vault.held
        assert self.call("StakeVault", "burnt") == vault.burnt
        for who in PEOPLE:
            assert self.call("StakeVault", "free", who) == vault.free_of(who), who
            for name in ("Referee", "JobRegister"):
                holder = self.addresses[name]
                held = self.call("StakeVault", "reserved", who, holder)
                assert held == vault.reserved_of(who, holder), (who, name)
        for key, claim in state.claims.items():
            assert self.call("Referee", "claimOf", key) == _record(claim)
            assert self.call("Referee", "unpaidOf", key) == state.unpaid.get(key, 0)
        for (key, number), record in state.records.items():
            assert self.call("Referee", "challengeOf", key, number) == _record(record)
        for demand, answer in state.answers.items():
            assert self.call("Referee", "answerOf", demand) == _record(answer)
        for job in self.jobs:
            assert self.call("JobRegister", "stateOf", job) == state.register.states[job]
            answering = state.register.claims.get(job, bytes(32))
            assert self.call("JobRegister", "claimOf", job) == answering


def _record(record: Claim | Challenge | Answer) -> tuple[Any, ...]:
    """A record as the ABI decodes it: fields stand in the same order."""
    return _plain(getattr(record, f.name) for f in fields(record))


def _plain(values: Any) -> tuple[Any, ...]:
    found = []
    for value in values:
        plain = value.lower() if isinstance(value, str) and value.startswith("0x") else value
        found.append(int(plain) if isinstance(plain, int) else plain)
    return tuple(found)


@cache
def _errors() -> dict[bytes, Mapping[str, Any]]:
    known: dict[bytes, Mapping[str, Any]] = {}
    for artifact in artifacts().values():
        known |= error_selectors(artifact.abi)
    return known


def refusal(data: bytes) -> Outcome:
    """Decode the reason of a revert."""
    from eth_abi.abi import decode

    entry = _errors().get(data[:4])
    if entry is None:
        return Outcome(frozenset({"0x" + data.hex()}), None)
    values = decode([canonical_type(i) for i in entry["inputs"]], data[4:])
    return Outcome(frozenset({entry["name"]}), tuple(values))


def deploy(chain: EmbeddedChain, step: Address | None = None, policy: Policy = POLICY) -> Game:
    """A vault, a register and a referee; its step is `VerdictStep` by default."""
    made = artifacts()

    def create(name: str, arguments: Sequence[Any] = ()) -> Address:
        artifact = made[name]
        code = artifact.bytecode + encode_constructor(artifact.abi, arguments)
        return chain.deploy(code).address

    addresses = {"StakeVault": create("StakeVault", [NOBODY])}
    addresses["JobRegister"] = create("JobRegister", [addresses["StakeVault"]])
    addresses["Walks"] = create("Walks")
    addresses["Step"] = step or create("VerdictStep")
    parts = [addresses[n] for n in ("StakeVault", "JobRegister", "Step", "Walks")]
    addresses["Referee"] = create("Referee", [policy_value(policy), *parts])
    register = Register(chain_id=chain.chain_id, address=addresses["JobRegister"])
    referee = parse_address(addresses["Referee"])
    state = State(referee=referee, policy=policy, register=register, vault=Vault())
    return Game(chain, addresses, state)


def new_game(policy: Policy = POLICY) -> Game:
    """A game on a chain of its own, where everybody has money."""
    game = deploy(EmbeddedChain(time=START), policy=policy)
    for who in PEOPLE:
        game.fund(who)
    game.check()
    return game


@cache
def _base() -> Game:
    return new_game()


@contextmanager
def playing() -> Iterator[Game]:
    """A game of `POLICY` that is undone when it is over; one at a time."""
    game = replace(_base(), jobs={})
    chain, start = game.chain, game.now
    undo: Any = chain._evm.snapshot()
    try:
        yield game
    finally:
        chain._evm.revert(undo)
        chain.advance(start - chain.block_time())


BODY = Sha256(bytes([7]) * 32)
"""A body root that nobody can open."""
WRONG, RIGHT = verdict_proof(1), verdict_proof(0)


def gains(game: Game, before: Any) -> dict[str, int]:
    """What everybody won or lost since, by what is free."""
    names = {"proposer": PROPOSER, "alice": ALICE, "bob": BOB, "requester": REQUESTER,
             "stranger": STRANGER}  # fmt: skip
    after = game.state.vault
    found = {n: after.free_of(who) - before.free_of(who) for n, who in names.items()}
    return {name: amount for name, amount in found.items() if amount}


def in_dispute(game: Game, body: Sha256 = BODY) -> tuple[Job, ClaimId]:
    """A job and a claim that answers it."""
    job = game.job()
    return job, game.post(job, body)


def asked(game: Game, number: int = 0) -> tuple[Job, ClaimId, Demand]:
    """A claim over the real site, and the demand for the top of its body."""
    said = site(70).statement
    job = game.job(number, model=said.model, input=said.input)
    claim = game.post(job, said.body, output=said.output)
    walk = site(70).walk(1, 7, 0)
    return job, claim, target(said, claim, walk)


def demand_top(game: Game, job: Job, claim: ClaimId, number: int, **changes: Any) -> DemandBytes:
    """The move that asks for the top of the body."""
    walk = site(70).walk(1, 7, 0)
    pending = game.state.challenge(claim, number).pending
    move = DemandBytes(claim_id=claim, challenge=number, job=job, walk=walk, answering=pending)
    return replace(move, **changes)
