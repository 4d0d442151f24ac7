"""The first leaf that differs is found by asking for little, and a refutation needs no more."""

import numpy as np
import pytest
from graph_zoo import LONG, Case, case, passed_on
from hypothesis import assume, given
from hypothesis import strategies as st
from trace_preimages import Preimages
from trace_runs import Liar, committed, flipped, held, tensors_of

from verifiable.crypto.merkle import Tag
from verifiable.errors import OpeningRejectedError
from verifiable.graph.commitment import Section, model_header, trace_slots
from verifiable.graph.ir import Array, Const, Graph, Index, Input, Map, Program, Step, TensorType
from verifiable.graph.ir import operands as operands_of
from verifiable.graph.layout import layout
from verifiable.graph.vocabulary import DType, Scalar
from verifiable.trace.compare import first_element
from verifiable.trace.opening import check_trace_leaf, check_trace_row
from verifiable.trace.walk import Ask, MalformedError, Walk, WithheldError
from verifiable.types import Sha256

CASES = [case(seed, steps=6) for seed in range(8)]
CASES += [case(seed, steps=4, extents=LONG, most=1500) for seed in range(8)]
OWN = [held(one) for one in CASES]


def liars(one: Case) -> list[Index]:
    """Instructions whose tensor has an element to lie about."""
    pairs = zip(one.graph.instructions, tensors_of(one), strict=True)
    return [Index(i) for i, (ins, x) in enumerate(pairs) if x.size and not isinstance(ins, Const)]


@given(st.integers(0, len(CASES) - 1), st.integers(1, 6), st.data())
def test_the_first_lie_is_found_and_refuted_from_what_was_asked(
    number: int, span: int, data: st.DataObject
) -> None:
    one, own = CASES[number], OWN[number]
    told = liars(one)
    assume(told)
    index = data.draw(st.sampled_from(told))
    element = data.draw(st.integers(0, own.tensors[index].size - 1))
    wrong = tensors_of(one, Liar(one, index, element))
    nodes = Preimages()
    root = nodes.trace(one, wrong)
    walk = Walk(nodes=nodes, root=root, own=own, span=span)
    found = walk.first_difference()
    assert found is not None
    assert found.difference.instruction == index
    assert found.difference.element == element == first_element(wrong[index], own.tensors[index])
    plan = layout(one.graph.instructions[index].type)
    assert found.leaf == plan.leaf_of(element)
    # Few questions: down to a tensor in each section, and down to a leaf.
    assert len(nodes.asked) <= 2 + 1 + 3 * 6 + plan.height
    header, slots = model_header(one.graph), trace_slots(one.graph)
    check_trace_leaf(root, header, slots[index], plan.type, found.leaf, found.opening)
    for operand in operands_of(one.graph.instructions[index]):
        kind = layout(one.graph.instructions[operand].type)
        if slots[operand].section is not Section.MODEL and kind.leaves:
            leaf = data.draw(st.integers(0, kind.leaves - 1))
            row = data.draw(st.integers(0, kind.rows - 1))
            check_trace_leaf(
                root, header, slots[operand], kind.type, leaf, walk.open_leaf(operand, leaf)
            )
            check_trace_row(
                root, header, slots[operand], kind.type, row, walk.open_row(operand, row)
            )
    with pytest.raises(OpeningRejectedError):
        walk.open_leaf(index, found.leaf)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_true_trace_is_not_asked_about(number: int) -> None:
    nodes = Preimages()
    walk = Walk(nodes=nodes, root=committed(CASES[number]).root, own=OWN[number])
    assert walk.first_difference() is None
    assert not nodes.asked


class Cut(Preimages):
    """Lacks one message, or has another in its place."""

    at: int = 0
    instead: bytes | None = None

    def answer(self, ask: Ask, /) -> bytes:
        said = super().answer(ask)
        if len(self.asked) <= self.at:
            return said
        if self.instead is None:
            raise WithheldError(ask, "it is cut")
        return self.instead


def a_lie(nodes: Preimages) -> Walk:
    number = next(i for i, one in enumerate(CASES) if len(liars(one)) > 4)
    one = CASES[number]
    index = liars(one)[-1]
    root = nodes.trace(one, tensors_of(one, Liar(one, index, 0)))
    return Walk(nodes=nodes, root=root, own=OWN[number])


@pytest.mark.parametrize("instead", [None, b"", b"\x00", b"\x07", b"\x01" + bytes(64), bytes(9999)])
def test_whatever_is_withheld_is_named(instead: bytes | None) -> None:
    whole = Preimages()
    assert a_lie(whole).first_difference() is not None
    assert {ask.tag for ask in whole.asked} == {Tag.TRACE, Tag.NODE, Tag.TENSOR, Tag.LEAF}
    for at, ask in enumerate(whole.asked):
        nodes = Cut()
        nodes.at, nodes.instead = at, instead
        with pytest.raises(WithheldError, match=ask.digest.hex()) as caught:
            a_lie(nodes).first_difference()
        assert caught.value.ask == ask


def sums(kind: TensorType, count: int) -> Case:
    """A graph of so many additions, one upon the other; the last is the output."""
    add = Program(steps=(Step(Scalar.ADD, (0, 0)),))
    maps = [Map(type=kind, operands=(Index(i),), program=add) for i in range(count)]
    graph = Graph(
        instructions=(Input(type=kind), *maps), inputs=("x",), outputs=(("y", Index(count)),)
    )
    x = np.ones(kind.shape, kind.dtype.numpy)
    return Case(graph=graph, weights={}, inputs={"x": x}, label="sums")


LONG_ROWS = TensorType(DType.I32, (3, 700))
OTHER = bytes(32)


def malicious(one: Case, nodes: Preimages, change: dict[int, Array] | None = None) -> Walk:
    tensors = [(change or {}).get(i, x) for i, x in enumerate(tensors_of(one))]
    return Walk(nodes=nodes, root=nodes.trace(one, tensors), own=held(one))


@pytest.mark.parametrize(
    ("kind", "count", "tag", "position"),
    [
        (TensorType(DType.I32, (5,)), 4, Tag.NODE, None),  # three tensors of the body want a fourth
        (LONG_ROWS, 3, Tag.NODE, 0),  # the input's three rows of three leaves do
        (TensorType(DType.I32, (5,)), 1, Tag.TRACE, None),  # an empty body
        (TensorType(DType.I32, (0,)), 3, Tag.TENSOR, 0),
    ],
)
def test_padding_that_is_none_is_malformed(
    kind: TensorType, count: int, tag: Tag, position: int | None
) -> None:
    nodes = Preimages(pad=OTHER)
    with pytest.raises(MalformedError) as caught:
        malicious(sums(kind, count), nodes).first_difference()
    assert (caught.value.ask.tag, caught.value.ask.position) == (tag, position)


def test_a_type_or_a_leaf_of_another_length_is_malformed() -> None:
    one = sums(LONG_ROWS, 2)
    for nodes, tag in (
        (Preimages(header=lambda head: head[:-1] + b"\x07"), Tag.TENSOR),
        (Preimages(header=lambda head: b"\x7f" + head[1:]), Tag.TENSOR),
        (Preimages(header=lambda head: head[:1] + b"\x00" + head[2:]), Tag.TENSOR),
        (Preimages(leaf=lambda leaf: leaf + b"\0" if len(leaf) < 1024 else leaf), Tag.LEAF),
        (Preimages(leaf=lambda leaf: leaf[:-1]), Tag.LEAF),
        (Preimages(leaf=lambda _: b""), Tag.LEAF),
    ):
        with pytest.raises(MalformedError) as caught:
            malicious(one, nodes).first_difference()
        assert caught.value.ask.tag is tag


def test_what_is_of_another_kind_is_malformed() -> None:
    # A tensor's root where a node must be, a node where a leaf must be, a leaf for a trace.
    one = sums(LONG_ROWS, 3)
    own = held(one)
    for root, tag in ((b"\x00abc", Tag.TRACE), (b"\x04" + bytes(64), Tag.TRACE)):
        nodes = Preimages()
        with pytest.raises(MalformedError) as caught:
            Walk(nodes=nodes, root=Sha256(nodes.put(root)), own=own).first_difference()
        assert caught.value.ask.tag is tag
    nodes = Preimages()
    x = nodes.tensor(one.inputs["x"])
    body = nodes.put(b"\x02" + bytes(40))
    root = nodes.put(b"\x04" + x + body + own.trace.sections.output)
    with pytest.raises(MalformedError, match="it is a tensor"):
        Walk(nodes=nodes, root=Sha256(root), own=own).first_difference()


def test_elements_that_no_run_has_differ() -> None:
    kind = TensorType(DType.BOOL, (5,))
    graph = passed_on(kind)
    one = Case(graph=graph, weights={}, inputs={"x": np.ones(5, np.bool_)}, label="bools")
    nodes = Preimages(leaf=lambda data: data[:3] + b"\x07" + data[4:])
    found = malicious(one, nodes).first_difference()
    assert found is not None
    assert found.difference.element == 3
    assert found.difference.claimed is not None
    assert found.difference.claimed.bits == 7
    assert "0x7" in found.difference.text(graph)


def test_several_lies_yield_the_first_by_instruction() -> None:
    # The output stands in another section than the body, and behind it in the run.
    one = sums(LONG_ROWS, 5)
    truth = tensors_of(one)
    wrong = {i: flipped(truth[i], 700 * (i % 3) + 3) for i in (2, 4, 5)}
    found = malicious(one, Preimages(), wrong).first_difference()
    assert found is not None
    assert (found.difference.instruction, found.difference.position) == (2, (2, 3))
