"""What a demand may ask for, and what answers it; ``contracts/src/referee/Walks.sol`` mirrors it.

Everything is proven by hashes from the roots that a claim and its trace fix. A walk ends at

* a node above the leaves: the answer is the nodes below it;
* a tensor's root, with a crossing that says its type: the answer is that type, and the top nodes
  of its tree;
* an instruction of the model: the answer is its bytes;
* a leaf of a tensor: the answer is its elements.

A root that hides another type, padding that is none, or a leaf of another length have no answer,
so whoever committed to one loses by the clock.
"""

from dataclasses import replace

from verifiable.crypto.hashing import keccak256
from verifiable.crypto.merkle import Tag, check_root, height, tagged
from verifiable.dispute.errors import (
    IntoPaddingError,
    RevealLengthError,
    RevealMismatchError,
    WalkMalformedError,
    WalkMismatchError,
)
from verifiable.dispute.nodes import fold, is_padding, root_of_below
from verifiable.dispute.step import Statement
from verifiable.dispute.terms import Cursor, Demand, Form, Walk, Zone, levels_shown
from verifiable.graph.commitment import ModelHeader, Section, check_instruction
from verifiable.graph.ir import Const, Index, TensorType
from verifiable.graph.layout import header, layout
from verifiable.types import ClaimId, Sha256


def target(statement: Statement, claim_id: ClaimId, walk: Walk) -> Demand:
    """The demand that a walk leads to.

    Raises
    ------
    WalkMalformedError, WalkMismatchError, IntoPaddingError
        If the walk is none.
    OpeningRejectedError, EncodingError
        If its header or its crossing is not the model's.
    """
    fresh = walk.start.form is Form.NONE
    if fresh or walk.crossing is not None:
        check_root(walk.header.root, statement.model, "the header of the model")
    constant = fresh and walk.zone == Zone.TENSOR
    at = _const(walk) if constant else _reach(statement, walk)
    enters = constant or (at.height == 0 and at.zone < Zone.MODEL)
    if enters != (walk.crossing is not None):
        raise WalkMalformedError
    if enters:
        return _tensor(statement, claim_id, at, walk)
    if at.height:
        return Demand(claim_id=claim_id, form=Form.NODES, size=levels_shown(at.height), at=at)
    if at.zone == Zone.MODEL:
        return Demand(claim_id=claim_id, form=Form.INSTRUCTION, at=at)
    return Demand(claim_id=claim_id, form=Form.LEAF, size=_leaf_bytes(at), at=at)


def check_answer(demand: Demand, data: bytes) -> None:
    """Check that bytes answer a demand.

    Raises
    ------
    RevealLengthError
        If they have another length than they must have.
    RevealMismatchError
        If they hash to something else.
    WalkMalformedError
        If the demand is for no bytes.
    """
    match demand.form:
        case Form.NODES:
            got = root_of_below(demand.at, demand.size, data)
        case Form.TENSOR:
            got = _tensor_root(demand, data)
        case Form.LEAF:
            if len(data) != demand.size:
                raise RevealLengthError(len(data), demand.size)
            got = tagged(Tag.LEAF, data)
        case Form.INSTRUCTION:
            got = tagged(Tag.INSTRUCTION, data)
        case _:
            raise WalkMalformedError
    if got != demand.at.node:
        raise RevealMismatchError(got, demand.at.node)


def _tensor_root(demand: Demand, data: bytes) -> Sha256:
    if len(data) < 2:
        raise RevealLengthError(len(data), 2)
    cut = 2 + 4 * data[1]
    if len(data) < cut:
        raise RevealLengthError(len(data), cut)
    typed = keccak256(data[:cut])
    if typed != demand.extra:
        raise RevealMismatchError(typed, demand.extra)
    return tagged(Tag.TENSOR, data[:cut], root_of_below(demand.at, demand.size, data[cut:]))


def _reach(statement: Statement, walk: Walk) -> Cursor:
    form = walk.start.form
    if form is Form.NONE:
        at = zone_root(statement, walk.header, walk.zone)
    elif form in (Form.NODES, Form.TENSOR):
        at = walk.start.at
    else:
        raise WalkMalformedError
    levels = at.height - walk.height
    stays = form is Form.NODES and levels == 0
    typed = (form is Form.TENSOR) == bool(walk.type_header)
    if levels < 0 or stays or not typed or len(walk.siblings) != levels:
        raise WalkMalformedError
    if walk.index >> levels != at.index:
        raise WalkMalformedError
    if is_padding(at, walk.height, walk.index):
        raise IntoPaddingError(at.zone, walk.height, walk.index)
    top = fold(walk.node, walk.index, walk.siblings)
    if form is Form.TENSOR:
        top = tagged(Tag.TENSOR, walk.type_header, top)
    if top != at.node:
        raise WalkMismatchError(top, at.node)
    return replace(at, node=walk.node, height=walk.height, index=walk.index)


def zone_root(statement: Statement, model: ModelHeader, zone: int) -> Cursor:
    """Root of the inputs, the body, the outputs or the instructions.

    Raises
    ------
    WalkMalformedError
        If `zone` is none of these.
    """
    if zone == Zone.MODEL:
        node, leaves = model.tree, model.instructions
    elif 0 <= zone < Zone.MODEL:
        node, leaves = statement.section(Section(zone)), model.tensors[zone]
    else:
        raise WalkMalformedError
    return Cursor(node=node, zone=zone, height=height(leaves), index=0, trees=1, leaves=leaves)


def _const(walk: Walk) -> Cursor:
    if walk.height or walk.index or walk.siblings or walk.type_header:
        raise WalkMalformedError
    return Cursor(node=walk.node, zone=Zone.MODEL, height=0, index=0, trees=0, leaves=0)


def _tensor(statement: Statement, claim_id: ClaimId, at: Cursor, walk: Walk) -> Demand:
    crossing = walk.crossing
    assert crossing is not None
    opening = crossing.instruction
    place = Index(crossing.place)
    instruction = check_instruction(statement.model, walk.header, place, opening)
    constant = at.zone == Zone.MODEL
    here = isinstance(instruction, Const) if constant else opening.slot.position == at.index
    if opening.slot.section != at.zone or not here:
        raise WalkMalformedError
    if constant and isinstance(instruction, Const) and at.node != instruction.root:
        raise WalkMismatchError(at.node, instruction.root)
    return tensor_demand(claim_id, instruction.type, at.node)


def tensor_demand(claim_id: ClaimId, kind: TensorType, root: Sha256) -> Demand:
    """Demand for a tensor of this type and the top of its tree."""
    into = tensor_cursor(kind, root)
    extra, size = keccak256(header(kind)), levels_shown(into.height)
    return Demand(claim_id=claim_id, form=Form.TENSOR, size=size, extra=extra, at=into)


def tensor_cursor(kind: TensorType, root: Sha256) -> Cursor:
    """Where a walk stands at the root of a tensor of this type."""
    plan = layout(kind)
    if not plan.leaves:
        return Cursor(node=root, zone=Zone.TENSOR, height=0, index=0, trees=0, leaves=0)
    leaves, width = plan.leaves_of_tree, kind.dtype.itemsize
    return Cursor(
        node=root, zone=Zone.TENSOR, height=plan.height, index=0, trees=plan.trees, leaves=leaves,
        leaf_bytes=plan.leaf * width, last_bytes=(plan.span - (leaves - 1) * plan.leaf) * width,
    )  # fmt: skip


def _leaf_bytes(at: Cursor) -> int:
    place = at.index % (1 << height(at.leaves))
    return at.last_bytes if place == at.leaves - 1 else at.leaf_bytes
