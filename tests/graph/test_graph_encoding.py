"""One encoding to a graph and one graph to an encoding; a referee reads it by the table alone."""

import dataclasses
import hashlib
from dataclasses import replace

import pytest
from graph_zoo import Case, case, cases
from hypothesis import given
from hypothesis import strategies as st

from verifiable.errors import EncodingError, GraphError, OpeningRejectedError
from verifiable.graph.commitment import (
    ModelHeader,
    Section,
    check_instruction,
    model_header,
    model_root,
    open_instruction,
    trace_slots,
)
from verifiable.graph.encoding import descriptor, encode, parse, parse_descriptor
from verifiable.graph.ir import (
    Concat,
    Const,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Map,
    Program,
    Reduce,
    Region,
    Step,
    TensorType,
    View,
)
from verifiable.graph.vocabulary import DType, Fold, Scalar
from verifiable.types import Sha256

F32, I8, I32, I64, BOOL = DType.F32, DType.I8, DType.I32, DType.I64, DType.BOOL
HASH = Sha256(bytes(range(32)))

# Written by hand from the table of encoding.py.
DESCRIPTORS: list[tuple[Instruction, str]] = [
    (Input(type=TensorType(I64, ())), "00 04 00 00"),
    (
        Const(type=TensorType(BOOL, (2, 258)), root=HASH),
        "01 05 02 00 | 00000002 00000102 | " + HASH.hex(),
    ),
    (
        Dot(type=TensorType(F32, (1, 2, 3)), a=Index(7), b=Index(65536), chunk=512),
        "02 00 03 02 | 00000001 00000002 00000003 | 00000007 00010000 | 00000200",
    ),
    (
        Reduce(type=TensorType(I64, (4,)), x=Index(1), fold=Fold.ARGMIN),
        "03 04 01 01 | 00000004 | 00000001 | 04 00000100",
    ),
    (
        Map(
            type=TensorType(I8, (5,)),
            operands=(Index(2), Index(2), Index(3)),
            program=Program(
                literals=(Literal(I32, 0xFFFFFFFF), Literal(F32, 0x3F800000)),
                steps=(Step(Scalar.ADD, (4, 4)), Step(Scalar.REQUANTISE, (0, 1, 2, 3))),
            ),
        ),
        """04 01 01 03 | 00000005 | 00000002 00000002 00000003 | 02 02
        03 00000000ffffffff | 00 000000003f800000 | 00 04 04 00 00 | 40 00 01 02 03""",
    ),
    (
        View(
            type=TensorType(I8, (2, 3)), x=Index(0), offset=-1, strides=(-3, 1), low=(0, 1),
            high=(2, 3), fill=Literal(I8, 0x80),
        ),
        """05 01 02 01 | 00000002 00000003 | 00000000 | ffffffffffffffff
        fffffffffffffffd 0000000000000001 | 00000000 00000001 | 00000002 00000003
        01 0000000000000080""",
    ),
    (
        Gather(type=TensorType(F32, (1, 1, 1)), x=Index(0), index=Index(1)),
        "06 00 03 02 | 00000001 00000001 00000001 | 00000000 00000001",
    ),
    (
        Concat(type=TensorType(F32, (2, 2)), parts=(Index(4), Index(3)), axis=1),
        "07 00 02 02 | 00000002 00000002 | 00000004 00000003 | 01",
    ),
]  # fmt: skip


def by_hand(text: str) -> bytes:
    return bytes.fromhex(text.replace("|", ""))


@pytest.mark.parametrize(
    ("instruction", "text"), DESCRIPTORS, ids=[type(i).__name__ for i, _ in DESCRIPTORS]
)
def test_a_descriptor_is_laid_out_as_the_table_says(instruction: Instruction, text: str) -> None:
    assert descriptor(instruction) == by_hand(text)
    assert parse_descriptor(by_hand(text)) == instruction


@pytest.mark.parametrize(
    ("instruction", "text"), DESCRIPTORS, ids=[type(i).__name__ for i, _ in DESCRIPTORS]
)
@given(data=st.data())
def test_a_changed_descriptor_is_refused_or_another_instruction(
    instruction: Instruction, text: str, data: st.DataObject
) -> None:
    changed = mutated(by_hand(text), data)
    try:
        other = parse_descriptor(changed)
    except EncodingError:
        return
    assert other != instruction
    assert descriptor(other) == changed


def mutated(whole: bytes, data: st.DataObject) -> bytes:
    """`whole` with a byte changed, cut out or put in."""
    at = data.draw(st.integers(0, len(whole) - 1))
    match data.draw(st.sampled_from(["change", "cut", "put", "end", "more"])):
        case "change":
            new = bytes((whole[at] ^ data.draw(st.integers(1, 255)),))
            return whole[:at] + new + whole[at + 1 :]
        case "cut":
            return whole[:at] + whole[at + 1 :]
        case "put":
            return whole[:at] + bytes((data.draw(st.integers(0, 255)),)) + whole[at:]
        case "end":
            return whole[:at]
        case _:
            return whole + data.draw(st.binary(min_size=1, max_size=4))


@given(cases())
def test_a_graph_is_read_back(one: Case) -> None:
    assert parse(encode(one.graph)) == replace(one.graph, regions=())


@given(cases(steps=3), st.data())
def test_changed_bytes_are_refused_or_another_graph(one: Case, data: st.DataObject) -> None:
    whole = encode(one.graph)
    changed = mutated(whole, data)
    if changed == whole:
        return  # a byte was put beside its like, or cut out of two
    try:
        other = parse(changed)
    except (EncodingError, GraphError):
        return
    assert other != replace(one.graph, regions=())
    assert encode(other) == changed


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_without_a_crash(data: bytes) -> None:
    for prefix in (b"", b"\x07canon/1"):
        with pytest.raises(EncodingError):
            parse(prefix + data + b"\xff")


def small() -> Graph:
    return Graph(
        instructions=(
            Input(type=TensorType(F32, (2,))),
            Const(type=TensorType(F32, (2,)), root=HASH),
            Map(
                type=TensorType(F32, (2,)),
                operands=(Index(0), Index(1)),
                program=Program(steps=(Step(Scalar.ADD, (0, 1)),)),
            ),
            Map(
                type=TensorType(F32, (2,)),
                operands=(Index(2),),
                program=Program(steps=(Step(Scalar.EXP, (0,)),)),
            ),
        ),
        inputs=("é",),
        outputs=(("y", Index(3)),),
    )


def test_a_graph_is_laid_out_as_the_table_says() -> None:
    graph = small()
    parts = [descriptor(instruction) for instruction in graph.instructions]
    assert encode(graph) == b"".join((
        b"\x07canon/1", bytes((0, 0, 0, 4)),
        *(len(part).to_bytes(4, "big") + part for part in parts),
        by_hand("00000001 | 00000002 c3a9 | 00000001 | 00000001 79 | 00000003"),
    ))  # fmt: skip


def test_the_model_root_is_the_defined_one() -> None:
    def digest(*parts: bytes) -> bytes:
        return hashlib.sha256(b"".join(parts)).digest()

    graph = small()
    slots = ["00 00000000", "03 00000000", "01 00000000", "02 00000000"]
    a, b, c, d = (
        digest(b"\x03", by_hand(slot), descriptor(instruction))
        for slot, instruction in zip(slots, graph.instructions, strict=True)
    )
    tree = digest(b"\x01", digest(b"\x01", a, b), digest(b"\x01", c, d))
    borders = digest(
        b"\x09", by_hand("00000001 | 00000002 c3a9 | 00000001 | 00000001 79 | 00000003")
    )
    counts = by_hand("00000004 | 00000001 00000001 00000001")
    assert model_root(graph) == digest(b"\x07", counts, tree, borders, b"canon/1")


def variants(graph: Graph) -> dict[str, Graph]:
    first, weight, last, end = graph.instructions
    assert isinstance(first, Input)
    assert isinstance(weight, Const)
    assert isinstance(last, Map)
    return {
        "weights": replace(
            graph, instructions=(first, replace(weight, root=Sha256(bytes(32))), last, end)
        ),
        "operands": replace(
            graph, instructions=(first, weight, replace(last, operands=(Index(1), Index(0))), end)
        ),
        "input name": replace(graph, inputs=("e",)),
        "output name": replace(graph, outputs=(("z", Index(3)),)),
        "output": replace(graph, outputs=(("y", Index(2)),)),
        "two outputs": replace(graph, outputs=(("y", Index(3)), ("z", Index(3)))),
        "dead end": replace(graph, instructions=graph.instructions[:3], outputs=(("y", Index(2)),)),
    }


@pytest.mark.parametrize("name", variants(small()))
def test_another_graph_has_another_model_root(name: str) -> None:
    assert model_root(variants(small())[name]) != model_root(small())


def test_regions_are_not_covered() -> None:
    graph = replace(small(), regions=(Region(label="Exp `e`", start=3, stop=4),))
    assert model_root(graph) == model_root(small())
    assert encode(graph) == encode(small())


@given(cases())
def test_every_tensor_stands_at_one_place(one: Case) -> None:
    slots = trace_slots(one.graph)
    assert len(set(slots)) == len(one.graph.instructions)
    named = {index for _, index in one.graph.outputs}
    header = model_header(one.graph)
    for section in Section:
        held = [i for i, slot in enumerate(slots) if slot.section is section]
        assert [slots[i].position for i in held] == list(range(len(held)))
        if section is not Section.MODEL:
            assert header.tensors[section] == len(held)
        for i in held:
            instruction = one.graph.instructions[i]
            assert (section is Section.INPUT) == isinstance(instruction, Input)
            assert (section is Section.MODEL) == isinstance(instruction, Const)
            if section is Section.BODY:
                assert i not in named
            if section is Section.OUTPUT:
                assert i in named


@given(cases(steps=4))
def test_every_instruction_opens_under_the_model_root(one: Case) -> None:
    graph = one.graph
    root, header, slots = model_root(graph), model_header(graph), trace_slots(graph)
    for i in map(Index, range(len(graph.instructions))):
        opening = open_instruction(graph, i)
        assert opening.slot == slots[i]
        assert check_instruction(root, header, i, opening) == graph.instructions[i]


def test_a_tampered_opening_of_an_instruction_is_rejected() -> None:
    graph = case(5).graph
    root, header = model_root(graph), model_header(graph)
    good = open_instruction(graph, Index(2))
    other = open_instruction(graph, Index(3))
    bad = [
        replace(good, descriptor=other.descriptor),
        replace(good, slot=other.slot),
        replace(good, siblings=good.siblings[:-1]),
        replace(good, siblings=(*good.siblings, root)),
        replace(good, siblings=tuple(reversed(good.siblings))),
        other,
    ]
    assert check_instruction(root, header, Index(2), good) == graph.instructions[2]
    for opening in bad:
        with pytest.raises(OpeningRejectedError):
            check_instruction(root, header, Index(2), opening)
    for index in (-1, 1, len(graph.instructions)):
        with pytest.raises(OpeningRejectedError):
            check_instruction(root, header, Index(index), good)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(ModelHeader)])
def test_another_header_is_rejected(field: str) -> None:
    graph = small()
    header = model_header(graph)
    value = getattr(header, field)
    match value:
        case int():
            value += 1
        case tuple():
            value = (value[1] + 1, *value[1:])
        case bytes():
            value = bytes(32)
        case _:
            value = "canon/2"
    changed: dict[str, object] = {field: value}
    with pytest.raises(OpeningRejectedError, match="the header of the model leads to"):
        check_instruction(
            model_root(graph),
            replace(header, **changed),  # type: ignore[arg-type]
            Index(0),
            open_instruction(graph, Index(0)),
        )
