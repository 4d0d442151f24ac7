"""A committed run whose every node can be walked to and revealed, by `crypto.tree`'s own nodes."""

import struct
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from graph_zoo import Case
from trace_runs import tensors_of

from verifiable.crypto.merkle import PADS, Tag, rows_of, tagged
from verifiable.crypto.tree import Tree, over
from verifiable.dispute.step import Statement
from verifiable.dispute.terms import NO_DEMAND, Crossing, Demand, Form, Walk, Zone
from verifiable.graph.commitment import (
    ModelHeader,
    Section,
    Slot,
    model_header,
    model_root,
    open_instruction,
    trace_slots,
)
from verifiable.graph.encoding import descriptor
from verifiable.graph.ir import (
    Array,
    Const,
    Graph,
    Index,
    Input,
    Literal,
    Map,
    Program,
    Step,
    TensorType,
    View,
)
from verifiable.graph.layout import big_endian, header, layout
from verifiable.graph.tensors import tensor_root, tensor_tree
from verifiable.graph.vocabulary import DType, Scalar
from verifiable.trace.commit import Trace, roots_of, sections
from verifiable.types import Sha256

GARBAGE = Sha256(bytes([9]) * 32)


def sibling(tree: Tree, level: int, index: int) -> Sha256:
    """A node, or the padding that stands in its place."""
    if tree.is_node(level, index):
        return tree.node(level, index)
    return PADS[level - tree.border if level >= tree.border else level]


@dataclass(frozen=True)
class Site:
    """A graph, what somebody says that it wrote, and all trees over it."""

    graph: Graph
    tensors: tuple[Array, ...]
    trace: Trace

    @property
    def statement(self) -> Statement:
        whole = self.trace.sections
        return Statement(
            model=model_root(self.graph), input=whole.input, body=whole.body, output=whole.output
        )

    @property
    def header(self) -> ModelHeader:
        return model_header(self.graph)

    def preimages(self) -> list[bytes]:
        """Bytes of each instruction, as the model root has them."""
        pairs = zip(trace_slots(self.graph), self.graph.instructions, strict=True)
        return [
            struct.pack(">BI", slot.section, slot.position) + descriptor(i) for slot, i in pairs
        ]

    def zone(self, zone: int) -> Tree:
        """Tree of a zone of the trace, or of the model."""
        if zone == Zone.MODEL:
            leaves = [tagged(Tag.INSTRUCTION, data) for data in self.preimages()]
        else:
            leaves = roots_of(self.graph, self.trace.roots, Section(zone))
        return over(rows_of(leaves)[None])

    def index_at(self, zone: int, position: int) -> Index:
        return Index(trace_slots(self.graph).index(Slot(Section(zone), position)))

    def tensor(self, root: Sha256) -> Array:
        return self.tensors[self.trace.roots.index(root)]

    def walk(self, zone: int, level: int, index: int) -> Walk:
        """Afresh to a node of a zone, with a crossing at a tensor's root."""
        tree = self.zone(zone)
        crossing = None
        if level == 0 and zone < Zone.MODEL:
            crossing = self.crossing(self.index_at(zone, index))
        return Walk(
            header=self.header, node=tree.node(level, index), zone=zone, height=level, index=index,
            siblings=path(tree, level, index, tree.height), crossing=crossing,
        )  # fmt: skip

    def crossing(self, index: Index) -> Crossing:
        return Crossing(place=index, instruction=open_instruction(self.graph, index))

    def into_const(self, index: Index) -> Walk:
        return Walk(
            header=self.header, node=self.trace.roots[index], zone=Zone.TENSOR,
            crossing=self.crossing(index),
        )  # fmt: skip

    def on(self, start: Demand, level: int, index: int) -> Walk:
        """From the node of an answered demand on to one below it."""
        at = start.at
        if at.zone == Zone.TENSOR:
            tree = self.tree_under(start)
            typed = header(self.type_under(start)) if start.form is Form.TENSOR else b""
        else:
            tree, typed = self.zone(at.zone), b""
        crossing = None
        if level == 0 and at.zone < Zone.MODEL:
            crossing = self.crossing(self.index_at(at.zone, index))
        return Walk(
            header=self.header, node=tree.node(level, index), height=level, index=index,
            siblings=path(tree, level, index, at.height), type_header=typed, start=start,
            crossing=crossing,
        )  # fmt: skip

    def tensor_under(self, demand: Demand) -> Array:
        """The tensor that a cursor stands in: the one whose tree has its node there."""
        for root, tensor in zip(self.trace.roots, self.tensors, strict=True):
            if demand.form is Form.TENSOR:
                if root == demand.at.node:
                    return tensor
                continue
            tree = tensor_tree(tensor)
            level, index = demand.at.height, demand.at.index
            inside = level <= tree.height and tree.is_node(level, index)
            if inside and tree.node(level, index) == demand.at.node:
                return tensor
        raise AssertionError("no tensor has this node")

    def tree_under(self, demand: Demand) -> Tree:
        return tensor_tree(self.tensor_under(demand))

    def type_under(self, demand: Demand) -> TensorType:
        tensor = self.tensor_under(demand)
        at = next(i for i, t in enumerate(self.tensors) if t is tensor)
        return self.graph.instructions[at].type

    def answer(self, demand: Demand) -> bytes:
        """What the demand asks for."""
        at = demand.at
        match demand.form:
            case Form.INSTRUCTION:
                return self.preimages()[at.index]
            case Form.LEAF:
                tensor = self.tensor_under(demand)
                held = layout(self.type_under(demand)).elements(
                    tensor_tree(tensor).leaf_number(at.index)
                )
                return bytes(big_endian(tensor.reshape(-1)[held.start : held.stop]))
            case Form.TENSOR:
                tree, typed = self.tree_under(demand), header(self.type_under(demand))
            case _:
                inside = at.zone == Zone.TENSOR
                tree, typed = (self.tree_under(demand) if inside else self.zone(at.zone)), b""
        level, first = at.height - demand.size, at.index << demand.size
        places = range(first, first + (1 << demand.size))
        return typed + b"".join(tree.node(level, i) for i in places if tree.is_node(level, i))


def path(tree: Tree, level: int, index: int, top: int) -> tuple[Sha256, ...]:
    """Siblings from a node up to a level, padding included."""
    return tuple(sibling(tree, at, (index >> (at - level)) ^ 1) for at in range(level, top))


def site_of(graph: Graph, tensors: list[Array]) -> Site:
    """Commit to these tensors, right or wrong."""
    roots = tuple(
        ins.root if isinstance(ins, Const) else tensor_root(tensor)
        for ins, tensor in zip(graph.instructions, tensors, strict=True)
    )
    trace = Trace(model=model_root(graph), roots=roots, sections=sections(graph, roots))
    return Site(graph, tuple(tensors), trace)


@cache
def site(maps: int = 70) -> Site:
    """A chain of maps over long rows, then packed ones, an empty tensor and a scalar; a Const."""
    rng = np.random.default_rng(5)
    long, packed = TensorType(DType.F32, (3, 600)), TensorType(DType.F32, (18, 100))
    weights = rng.standard_normal((2, 900)).astype(np.float32)
    negated = Program(steps=(Step(Scalar.NEG, (0,)),))
    zero = Literal(DType.F32, 0)
    instructions: list[Input | Const | Map | View] = [
        Input(type=long), Const(type=TensorType(DType.F32, (2, 900)), root=tensor_root(weights))
    ]  # fmt: skip
    for i in range(maps):
        operand = Index(0 if i == 0 else i + 1)
        instructions.append(Map(type=long, operands=(operand,), program=negated))
    last = Index(len(instructions) - 1)

    def view(shape: tuple[int, ...], strides: tuple[int, ...], stop: tuple[int, ...]) -> View:
        return View(
            type=TensorType(DType.F32, shape), x=last, offset=0, strides=strides,
            low=(0,) * len(shape), high=stop, fill=zero,
        )  # fmt: skip

    instructions += [
        view(packed.shape, (100, 1), packed.shape), view((0, 4), (1, 1), (0, 4)), view((), (), ())
    ]  # fmt: skip
    count = len(instructions)
    graph = Graph(
        instructions=tuple(instructions), inputs=("x",),
        outputs=(("y", Index(count - 1)), ("z", Index(count - 3))),
    )  # fmt: skip
    inputs = {"x": rng.standard_normal(long.shape).astype(np.float32)}
    one = Case(graph=graph, weights={Index(1): weights}, inputs=inputs, label="site")
    return site_of(graph, tensors_of(one))


def spoilt(walk: Walk, odd: str, known: list[Demand]) -> Walk:
    """A walk with one field that does not fit."""
    match odd:
        case "node":
            return replace(walk, node=GARBAGE)
        case "index":
            return replace(walk, index=walk.index ^ 1)
        case "height":
            return replace(walk, height=walk.height + 1)
        case "start":
            return replace(walk, start=known[-1])
        case "zone":
            return replace(walk, zone=(walk.zone + 1) % 6)
        case "siblings":
            return replace(walk, siblings=(*walk.siblings, GARBAGE))
        case "crossing" if walk.crossing is not None:
            return replace(walk, crossing=replace(walk.crossing, place=walk.crossing.place + 1))
        case "crossing":
            return replace(walk, crossing=None)
        case "type":
            return replace(walk, type_header=walk.type_header[:-1] or b"\0\0")
        case "header":
            return replace(walk, header=replace(walk.header, tree=GARBAGE))
    return walk


__all__ = ["GARBAGE", "NO_DEMAND", "Site", "path", "sibling", "site", "site_of", "spoilt"]
