"""Values of the referee's structs as the ABI decodes them, read back into our records.

The inverse of `verifiable.chain.referee_values`.
"""

from collections.abc import Mapping
from typing import Any

from verifiable.chain.step_values import Value
from verifiable.claim import CanonClaim, CanonSubject, Header
from verifiable.crypto.address import parse_address
from verifiable.dispute.moves import (
    Collect,
    CommitTrace,
    DemandBytes,
    DemandPartials,
    Finalize,
    Move,
    OpenChallenge,
    Post,
    Refute,
    RefutePartials,
    RefutePiece,
    Reveal,
    RevealPartials,
    Timeout,
)
from verifiable.dispute.state import Claim, Reason, Status
from verifiable.dispute.step import StepProof, TensorOpening
from verifiable.dispute.terms import Crossing, Cursor, Demand, Form, Job, Walk
from verifiable.errors import EncodingError
from verifiable.graph.commitment import InstructionOpening, ModelHeader, Section, Slot
from verifiable.graph.ir import Index
from verifiable.graph.tensors import Opening
from verifiable.types import Address, Bytes32, Sha256


def job_of(value: Value) -> Job:
    """A ``Job``."""
    requester, referee, model, root, semantics, price, deadline, provider, challengers, salt = value
    return Job(
        requester=parse_address(requester), referee=parse_address(referee), model=Sha256(model),
        input=Sha256(root), semantics=semantics, price=price, deadline=deadline,
        provider=parse_address(provider), challengers=Bytes32(challengers), salt=Bytes32(salt),
    )  # fmt: skip


def canon_claim_of(value: Value, chain_id: int, referee: Address) -> CanonClaim:
    """A ``CanonClaim`` of this chain and contract.

    Raises
    ------
    EncodingError
        If it is one that cannot be posted.
    """
    (venue, semantics, job_id, nonce, expiry, provider), (model, root, output) = value
    return CanonClaim(
        header=Header(
            venue=venue, semantics=semantics, job_id=Bytes32(job_id), nonce=Bytes32(nonce),
            chain_id=chain_id, verifier=referee, expiry=expiry, provider=parse_address(provider),
        ),
        subject=CanonSubject(model=Sha256(model), input=Sha256(root), output=Sha256(output)),
    )  # fmt: skip


def claim_record_of(fields: Mapping[str, Any]) -> Claim:
    """A ``ClaimRecord`` from its fields."""
    kinds = {"status": Status(fields["status"]), "reason": Reason(fields["reason"])}
    return Claim(**{**fields, **kinds})


def demand_of(value: Value) -> Demand:
    """A ``Demand``."""
    claim_id, form, size, extra, at = value
    node, zone, height, index, trees, leaves, leaf_bytes, last_bytes = at
    cursor = Cursor(
        node=Sha256(node), zone=zone, height=height, index=index, trees=trees, leaves=leaves,
        leaf_bytes=leaf_bytes, last_bytes=last_bytes,
    )  # fmt: skip
    return Demand(claim_id=claim_id, form=Form(form), size=size, extra=extra, at=cursor)


def header_of(value: Value) -> ModelHeader:
    """A ``ModelHeader``."""
    instructions, inputs, bodies, outputs, tree, borders = value
    return ModelHeader(
        instructions=instructions, tensors=(inputs, bodies, outputs), tree=Sha256(tree),
        borders=Sha256(borders),
    )  # fmt: skip


def instruction_of(value: Value) -> InstructionOpening:
    """An ``InstructionOpening``.

    Raises
    ------
    EncodingError
        If it names no section.
    """
    section, position, descriptor, siblings = value
    try:
        slot = Slot(Section(section), position)
    except ValueError as e:
        raise EncodingError(f"{section} is no section of a trace") from e
    return InstructionOpening(slot=slot, descriptor=descriptor, siblings=_digests(siblings))


def tensor_of(value: Value) -> TensorOpening:
    """A ``TensorOpening``."""
    instruction, data, siblings, above = value
    part = Opening(data, _digests(siblings))
    return TensorOpening(instruction=instruction_of(instruction), part=part, above=_digests(above))


def proof_of(value: Value) -> StepProof:
    """A ``StepProof``."""
    header, instruction, element, result, operands = value
    return StepProof(
        header=header_of(header), instruction=Index(instruction), element=element,
        result=tensor_of(result), operands=tuple(map(tensor_of, operands)),
    )  # fmt: skip


def walk_of(value: Value) -> Walk:
    """A ``Walk``; of several crossings, which no referee takes, the first."""
    start, header, zone, height, index, node, siblings, type_header, crossings = value
    found = [Crossing(place=place, instruction=instruction_of(i)) for place, i in crossings]
    return Walk(
        start=demand_of(start), header=header_of(header), zone=zone, height=height, index=index,
        node=Sha256(node), siblings=_digests(siblings), type_header=type_header,
        crossing=found[0] if found else None,
    )  # fmt: skip


def move_of(name: str, values: tuple[Any, ...], chain_id: int, referee: Address) -> Move:
    """The move that a call of the referee plays; the inverse of `referee_values.call_of`.

    Raises
    ------
    EncodingError
        If the function is no move, or its arguments are none that the referee takes.
    """
    match name, values:
        case "post", (claim, job, body):
            bonded = canon_claim_of(claim, chain_id, referee)
            return Post(claim=bonded, job=job_of(job), body=body)
        case "challenge", (claim_id, membership):
            return OpenChallenge(claim_id=claim_id, membership=tuple(membership))
        case "commitTrace", (claim_id, body):
            return CommitTrace(claim_id=claim_id, body=body)
        case "reveal", (demand, data):
            return Reveal(demand=demand_of(demand), data=data)
        case "timeout", (claim_id, challenge, job):
            return Timeout(claim_id=claim_id, challenge=challenge, job=job_of(job))
        case "finalize", (claim_id, job):
            return Finalize(claim_id=claim_id, job=job_of(job))
        case "collect", (claim_id, challenge):
            return Collect(claim_id=claim_id, challenge=challenge)
        case _:
            return _evidence(name, values)


def _evidence(name: str, values: tuple[Any, ...]) -> Move:
    match name, values:
        case "refute", (claim_id, job, proof):
            return Refute(claim_id=claim_id, job=job_of(job), proof=proof_of(proof))
        case "demand", (claim_id, challenge, job, answering, walk):
            return DemandBytes(
                claim_id=claim_id, challenge=challenge, job=job_of(job), walk=walk_of(walk),
                answering=answering,
            )  # fmt: skip
        case "demandPartials", (claim_id, challenge, job, answering, proof):
            return DemandPartials(
                claim_id=claim_id, challenge=challenge, job=job_of(job), proof=proof_of(proof),
                answering=answering,
            )  # fmt: skip
        case "revealPartials", (claim_id, instruction, element, partials):
            return RevealPartials(
                claim_id=claim_id, instruction=instruction, element=element, partials=partials
            )
        case "refutePartials", (claim_id, job, proof, partials):
            return RefutePartials(
                claim_id=claim_id, job=job_of(job), proof=proof_of(proof), partials=partials
            )
        case "refutePiece", (claim_id, job, proof, partials, piece):
            return RefutePiece(
                claim_id=claim_id, job=job_of(job), proof=proof_of(proof), partials=partials,
                piece=piece,
            )  # fmt: skip
        case _:
            raise EncodingError(f"{name} is no move of a dispute")


def _digests(values: tuple[bytes, ...]) -> tuple[Sha256, ...]:
    return tuple(Sha256(value) for value in values)
