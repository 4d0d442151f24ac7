"""A leaf or row of any tensor opens up to the trace root, and nothing else does."""

from dataclasses import replace

import pytest
from graph_zoo import LONG, Case, case, cases
from hypothesis import given
from hypothesis import strategies as st
from trace_runs import committed, tensors_of

from verifiable.errors import OpeningRejectedError
from verifiable.graph.commitment import (
    Section,
    Slot,
    check_instruction,
    model_header,
    model_root,
    open_instruction,
    trace_slots,
)
from verifiable.graph.ir import Const, Index
from verifiable.graph.layout import big_endian, layout
from verifiable.graph.tensors import Opening
from verifiable.trace.opening import (
    TraceOpening,
    check_trace_leaf,
    check_trace_row,
    open_trace_leaf,
    open_trace_row,
)
from verifiable.types import Sha256


@given(cases(steps=3))
def test_every_leaf_and_row_of_every_tensor_opens(one: Case) -> None:
    opens_whole(one)


@given(cases(steps=2, extents=LONG, most=1500))
def test_every_leaf_and_row_of_long_tensors_opens(one: Case) -> None:
    opens_whole(one)


def opens_whole(one: Case) -> None:
    graph, trace, model = one.graph, committed(one), model_root(one.graph)
    header = model_header(graph)
    for i, tensor in enumerate(tensors_of(one)):
        index = Index(i)
        # All that a checker knows comes from the two roots.
        known = open_instruction(graph, index)
        kind = check_instruction(model, header, index, known).type
        plan = layout(kind)
        if isinstance(graph.instructions[i], Const):
            continue
        data = []
        for leaf in range(plan.leaves):
            opening = open_trace_leaf(graph, trace, index, tensor, leaf)
            check_trace_leaf(trace.root, header, known.slot, kind, leaf, opening)
            data.append(opening.part.data)
        assert b"".join(data) == bytes(big_endian(tensor))
        for row in {0, plan.rows - 1, plan.rows // 2} & set(range(plan.rows)):
            opening = open_trace_row(graph, trace, index, tensor, row)
            check_trace_row(trace.root, header, known.slot, kind, row, opening)


ONE = next(
    one
    for one in (case(seed, steps=9) for seed in range(1000))
    if min(model_header(one.graph).tensors) > 2
)
TRACE, HEADER, SLOTS, TENSORS = (
    committed(ONE), model_header(ONE.graph), trace_slots(ONE.graph), tensors_of(ONE),
)  # fmt: skip
OPEN = [
    Index(i)
    for i, slot in enumerate(SLOTS)
    if slot.section is not Section.MODEL and TENSORS[i].size
]


def other_hash(known: Sha256) -> Sha256:
    return Sha256(bytes((known[0] ^ 1, *known[1:])))


@given(st.sampled_from(OPEN), st.data())
def test_a_tampered_opening_is_rejected(index: Index, data: st.DataObject) -> None:
    kind, slot = ONE.graph.instructions[index].type, SLOTS[index]
    leaf = data.draw(st.integers(0, layout(kind).leaves - 1))
    good = open_trace_leaf(ONE.graph, TRACE, index, TENSORS[index], leaf)
    check_trace_leaf(TRACE.root, HEADER, slot, kind, leaf, good)
    ways = ["data", "part", "sibling", "more", "fewer", "other", "swap", "slot", "root"]
    way = data.draw(st.sampled_from(ways))
    bad, root = good, TRACE.root
    match way:
        case "part":
            bad = replace(good, part=Opening(good.part.data, (*good.part.siblings, root)))
        case "sibling" if good.siblings:
            at = data.draw(st.integers(0, len(good.siblings) - 1))
            siblings = list(good.siblings)
            siblings[at] = other_hash(siblings[at])
            bad = replace(good, siblings=tuple(siblings))
        case "more":
            bad = replace(good, siblings=(*good.siblings, root))
        case "fewer" if good.siblings:
            bad = replace(good, siblings=good.siblings[:-1])
        case "other":
            bad = replace(good, others=(good.others[0], other_hash(good.others[1])))
        case "swap":
            bad = replace(good, others=(good.others[1], good.others[0]))
        case "slot":
            slot = data.draw(st.sampled_from([s for s in SLOTS if s != slot]))
        case "root":
            root = other_hash(root)
        case _:
            content = bytearray(good.part.data)
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1
            bad = replace(good, part=Opening(bytes(content), good.part.siblings))
    with pytest.raises(OpeningRejectedError):
        check_trace_leaf(root, HEADER, slot, kind, leaf, bad)


def test_a_slot_beyond_its_section_is_rejected() -> None:
    index = OPEN[0]
    kind = ONE.graph.instructions[index].type
    good = open_trace_leaf(ONE.graph, TRACE, index, TENSORS[index], 0)
    for section in Section:
        for position in (-1, 10**6):
            with pytest.raises(OpeningRejectedError, match="no trace holds"):
                check_trace_leaf(TRACE.root, HEADER, Slot(section, position), kind, 0, good)
            with pytest.raises(OpeningRejectedError, match="no trace holds"):
                check_trace_row(TRACE.root, HEADER, Slot(section, position), kind, 0, good)


def test_a_section_root_does_not_pose_as_a_tensor() -> None:
    # The root of a section of several tensors is a node; shown as a tensor it leads elsewhere.
    index = OPEN[0]
    kind = ONE.graph.instructions[index].type
    posing = TraceOpening(
        part=Opening(TRACE.sections.body * (kind.nbytes // 32), ()), siblings=(),
        others=(TRACE.sections.input, TRACE.sections.output),
    )  # fmt: skip
    with pytest.raises(OpeningRejectedError):
        check_trace_leaf(TRACE.root, HEADER, Slot(Section.BODY, 0), kind, 0, posing)
