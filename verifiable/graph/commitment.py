"""The model root: one digest that binds the program, its weights and its names.

::

    model root   sha256(0x07 | instructions (4 bytes) | input tensors (4) | body tensors (4)
                        | output tensors (4) | root of the instructions (32)
                        | borders (32) | semantics id)
    instruction  sha256(0x03 | section (1) | position (4) | descriptor)
    borders      sha256(0x09 | the last part of the graph's canonical bytes)

The root of the instructions is that of a tree (``crypto.merkle``) over them in their order. Each
says where its tensor stands in a trace, so that a referee who knows two roots finds an operand
without counting: section 0, 1, 2 for a tensor of the inputs, the body, the outputs, and its
position there, in the order of the instructions; section 3 for a Const, whose root stands in its
descriptor. Every tensor stands at one place: an Input at the inputs and a Const in the model even
if they are outputs as well, what two outputs name only once.
"""

import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from verifiable.crypto.merkle import Tag, check_root, climb, path, rows_of, tagged, tree_root
from verifiable.errors import OpeningRejectedError
from verifiable.graph.check import check
from verifiable.graph.encoding import borders, descriptor, parse_descriptor
from verifiable.graph.ir import Const, Graph, Index, Input, Instruction
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.types import Sha256


class Section(IntEnum):
    """Which tree a tensor's root stands in; the value is its code."""

    INPUT = 0
    BODY = 1
    OUTPUT = 2
    MODEL = 3
    """A Const, which is no part of a trace."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the tensor of an instruction stands."""

    section: Section
    position: int


def output_places(graph: Graph) -> list[Index]:
    """Tensors of the output section, in order; an output that is an Input or a Const is none."""
    named = {index for _, index in graph.outputs}
    return sorted(i for i in named if not isinstance(graph.instructions[i], Input | Const))


def trace_slots(graph: Graph) -> tuple[Slot, ...]:
    """Slot of each instruction's tensor."""
    named = set(output_places(graph))
    counts = dict.fromkeys(Section, 0)
    found = []
    for i, instruction in enumerate(graph.instructions):
        match instruction:
            case Input():
                section = Section.INPUT
            case Const():
                section = Section.MODEL
            case _:
                section = Section.OUTPUT if Index(i) in named else Section.BODY
        found.append(Slot(section, counts[section]))
        counts[section] += 1
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHeader:
    """What the model root is the digest of."""

    instructions: int
    tensors: tuple[int, int, int]
    """Of the inputs, the body and the outputs of a trace."""
    tree: Sha256
    """Root over the instructions."""
    borders: Sha256
    semantics: str = SEMANTICS

    @property
    def root(self) -> Sha256:
        """The model root."""
        counts = struct.pack(">4I", self.instructions, *self.tensors)
        return tagged(Tag.MODEL, counts, self.tree, self.borders, self.semantics.encode())


def instruction_message(slot: Slot, data: bytes) -> bytes:
    """What the digest of an instruction is of, but for the tag, by its slot and its descriptor."""
    return struct.pack(">BI", slot.section, slot.position) + data


def instruction_leaf(slot: Slot, data: bytes) -> Sha256:
    """Digest of an instruction, by its slot and its descriptor."""
    return tagged(Tag.INSTRUCTION, instruction_message(slot, data))


def _leaves(graph: Graph, slots: Sequence[Slot]) -> list[Sha256]:
    pairs = zip(slots, graph.instructions, strict=True)
    return [instruction_leaf(slot, descriptor(instruction)) for slot, instruction in pairs]


def model_header(graph: Graph) -> ModelHeader:
    """Header of a graph.

    Raises
    ------
    GraphError
        If the graph is not well formed.
    """
    check(graph)
    slots = trace_slots(graph)
    found = [slot.section for slot in slots]
    return ModelHeader(
        instructions=len(slots),
        tensors=(
            found.count(Section.INPUT),
            found.count(Section.BODY),
            found.count(Section.OUTPUT),
        ),
        tree=tree_root(_leaves(graph, slots)),
        borders=tagged(Tag.BORDERS, borders(graph)),
    )


@functools.lru_cache(maxsize=4)  # a run of a small model takes no longer than its root
def model_root(graph: Graph) -> Sha256:
    """Digest of a graph and of all its weights; its regions are not covered.

    Raises
    ------
    GraphError
        If the graph is not well formed.
    """
    return model_header(graph).root


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionOpening:
    """One instruction, where its tensor stands, and the way to the root of the instructions."""

    slot: Slot
    descriptor: bytes
    siblings: tuple[Sha256, ...]


def open_instruction(graph: Graph, index: Index) -> InstructionOpening:
    """Open an instruction of a checked graph."""
    slots = trace_slots(graph)
    return InstructionOpening(
        slot=slots[index],
        descriptor=descriptor(graph.instructions[index]),
        siblings=path(rows_of(_leaves(graph, slots)), index),
    )


def check_instruction(
    root: bytes, header: ModelHeader, index: Index, opening: InstructionOpening
) -> Instruction:
    """Check that a model has this instruction.

    Parameters
    ----------
    root : bytes
        Model root.
    header : ModelHeader
    index : Index
    opening : InstructionOpening

    Returns
    -------
    Instruction
        The one that the descriptor encodes.

    Raises
    ------
    OpeningRejectedError
        If the header is not the root's, or the opening is malformed or leads elsewhere.
    EncodingError
        If the descriptor is no instruction's; then the model root was never that of a graph.
    """
    check_root(header.root, root, "the header of the model")
    leaf = instruction_leaf(opening.slot, opening.descriptor)
    found = climb(leaf, header.instructions, index, opening.siblings)
    check_root(found, header.tree, f"instruction {index}")
    return parse_descriptor(opening.descriptor)


def check_slot(header: ModelHeader, slot: Slot) -> None:
    """Refuse a place that no trace of the model has.

    Raises
    ------
    OpeningRejectedError
        If the tensor is a Const, or its position is beyond its section.
    """
    if slot.section is Section.MODEL or not 0 <= slot.position < header.tensors[slot.section]:
        raise OpeningRejectedError(
            f"no trace holds tensor {slot.position} of section {slot.section.name}"
        )
