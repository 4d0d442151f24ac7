"""Words of the game that both languages share: policy, job, demand, walk, and their digests.

The structs are those of ``contracts/src/referee/RefereeTypes.sol`` and
``contracts/src/market/IJobRegister.sol``; a digest is the same number in both.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from verifiable.crypto.eip712 import address_word, uint_word
from verifiable.crypto.hashing import keccak256
from verifiable.dispute.errors import PolicyInvalidError
from verifiable.graph.commitment import InstructionOpening, ModelHeader
from verifiable.types import Address, Bytes32, ClaimId, Sha256

WHOLE: Final = 10_000
"""Shares of a bond are in 1/10,000."""
MOST_SECONDS: Final = 2**32 - 1
LEVELS: Final = 6
"""Most levels of a tree that one answer shows; see `levels_shown`."""
MOST_DEMANDS: Final = 64
"""Of one challenge."""
FEES: Final = 8
"""Reveal fees that are reserved at a time."""
SCAN: Final = 8
"""Challenges that are looked at in one go for the one that is rewarded."""
NOBODY: Final = Address("0x0000000000000000000000000000000000000000")
ANYONE: Final = Bytes32(bytes(32))
"""Root over who may challenge, where everyone may."""

NO_SALT: Final = Bytes32(bytes(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Money and time, fixed when a referee is deployed; amounts are in the vault's token.

    Raises
    ------
    PolicyInvalidError
        If a share is above the whole, or a time or a bond is zero or too large.
    """

    window: int
    """Seconds after `post` in which a challenge may be opened."""
    allowance: int
    """Seconds on each side's clock, for each challenge anew."""
    bond: int
    challenge_bond: int
    reveal_fee: int
    """The proposer's once the challenge is lost; given back if the claim is refuted."""
    burnt_share: int
    """Of a forfeit bond, in 1/10,000."""
    requester_share: int
    refuter_gas: int
    """Most that a refuter is given for gas, out of the reward."""

    def __post_init__(self) -> None:
        times = (self.window, self.allowance)
        timed = all(0 < time <= MOST_SECONDS for time in times)
        bonded = self.bond > 0 and self.challenge_bond > 0
        if not timed or not bonded or self.burnt_share + self.requester_share > WHOLE:
            raise PolicyInvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a requester asks for; `job_id` is its digest."""

    requester: Address
    referee: Address
    model: Sha256
    input: Sha256
    semantics: str
    price: int
    deadline: int
    """Last Unix second at which a claim may be posted."""
    provider: Address = NOBODY
    """The only one who may answer; `NOBODY` for anyone."""
    challengers: Bytes32 = ANYONE
    salt: Bytes32 = NO_SALT


def job_id(job: Job, *, chain_id: int, register: Address) -> Bytes32:
    """Id of a job: ``keccak256(abi.encode(chain id, register, job))``."""
    text = job.semantics.encode()
    fields = (
        address_word(job.requester), address_word(job.referee), job.model, job.input,
        # Ten fields of one word each stand before the string.
        uint_word(10 * 32), uint_word(job.price), uint_word(job.deadline),
        address_word(job.provider), job.challengers, job.salt,
        uint_word(len(text)), text, bytes(-len(text) % 32),
    )  # fmt: skip
    head = (uint_word(chain_id), address_word(register), uint_word(3 * 32))
    return Bytes32(keccak256(b"".join((*head, *fields))))


class Zone(IntEnum):
    """Which tree a node stands in; a tensor's own is the last."""

    INPUT = 0
    BODY = 1
    OUTPUT = 2
    MODEL = 3
    TENSOR = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A node of a tree, and how far the tree reaches; numbered as in ``crypto.tree``."""

    node: Sha256
    zone: int
    height: int
    """Above the leaves."""
    index: int
    """Among the nodes of its height."""
    trees: int
    """Lower trees; 1 outside a tensor."""
    leaves: int
    """Of each of them."""
    leaf_bytes: int = 0
    last_bytes: int = 0
    """Length of the last leaf of a tree."""


class Form(IntEnum):
    """What a demand asks for."""

    NONE = 0
    NODES = 1
    TENSOR = 2
    LEAF = 3
    INSTRUCTION = 4
    PARTIALS = 5


def levels_shown(height: int) -> int:
    """Levels that the answer to a demand shows, of a node of this height.

    They lead to the leaves in as few answers as can be, the largest of which is as small as can be.

    Examples
    --------
    >>> [levels_shown(height) for height in (0, 6, 10, 5, 13)]
    [0, 6, 5, 5, 5]
    """
    if height == 0:
        return 0
    answers = -(-height // LEVELS)
    return -(-height // answers)


_NO_CURSOR: Final = Cursor(node=Sha256(bytes(32)), zone=0, height=0, index=0, trees=0, leaves=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The bytes that hash to a node."""

    claim_id: ClaimId
    form: Form
    size: int = 0
    """Levels of NODES and TENSOR, bytes of a LEAF."""
    extra: bytes = bytes(32)
    """Digest of the type that a TENSOR must have; of PARTIALS 2**96 times their bytes, plus 2**64
    times the instruction, plus the element."""
    at: Cursor = _NO_CURSOR

    @property
    def id(self) -> Bytes32:
        """``keccak256(abi.encode(demand))``: the same for all challenges of a claim."""
        at = self.at
        numbers = (at.zone, at.height, at.index, at.trees, at.leaves, at.leaf_bytes, at.last_bytes)
        words = (
            self.claim_id, uint_word(self.form), uint_word(self.size), self.extra, at.node,
            *map(uint_word, numbers),
        )  # fmt: skip
        return Bytes32(keccak256(b"".join(words)))


NO_DEMAND: Final = Demand(claim_id=ClaimId(bytes(32)), form=Form.NONE)
"""Where a walk starts afresh."""


def partials_demand(claim_id: ClaimId, instruction: int, element: int, length: int) -> Demand:
    """Demand for the results of the pieces of an element's row, so many bytes."""
    extra = (length << 96 | instruction << 64 | element).to_bytes(32, "big")
    return Demand(claim_id=claim_id, form=Form.PARTIALS, extra=extra)


def partials_place(demand: Demand) -> tuple[int, int, int]:
    """Instruction, element and bytes of a demand for PARTIALS."""
    rest, element = divmod(int.from_bytes(demand.extra, "big"), 1 << 64)
    length, instruction = divmod(rest, 1 << 32)
    return instruction, element, length


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """What ties a tensor's root to its type: the instruction that gives it."""

    place: int
    """Of the instruction in the graph."""
    instruction: InstructionOpening


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How a demand reaches the node that it asks about."""

    header: ModelHeader
    """Read where the walk starts afresh or has a crossing."""
    node: Sha256
    zone: int = 0
    """Of a fresh start; TENSOR for the root of a Const, which stands in no tree."""
    height: int = 0
    index: int = 0
    siblings: tuple[Sha256, ...] = ()
    """From the node up to where the walk starts, padding included."""
    type_header: bytes = b""
    """Of the tensor, where the walk starts at a tensor's root; else empty."""
    crossing: Crossing | None = None
    """Where the walk ends at a tensor's root."""
    start: Demand = field(default=NO_DEMAND)
    """A demand that somebody made about the claim, or `NO_DEMAND` for a fresh start."""
