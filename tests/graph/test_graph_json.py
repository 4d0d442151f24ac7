"""What people read of a graph, and the regions that are read again."""

import json
import struct
from dataclasses import replace

import pytest
from graph_zoo import Case, case, cases
from hypothesis import given
from hypothesis import strategies as st

from verifiable.errors import EncodingError
from verifiable.graph.commitment import model_root
from verifiable.graph.ir import (
    Concat,
    Const,
    Dot,
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
from verifiable.graph.json_form import (
    describe,
    graph_json,
    instruction_json,
    instruction_text,
    literal_text,
    parse_regions,
    regions_json,
)
from verifiable.graph.vocabulary import DType, Fold, Scalar
from verifiable.types import Sha256

F32 = DType.F32


@given(cases())
def test_all_of_a_graph_is_json(one: Case) -> None:
    value = graph_json(one.graph)
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert [item["index"] for item in value["instructions"]] == list(
        range(len(one.graph.instructions))
    )
    assert value["model"] == "0x" + model_root(one.graph).hex()


INSTRUCTIONS: list[tuple[Instruction, dict[str, object]]] = [
    (Input(type=TensorType(F32, ())), {"kind": "Input", "type": "f32[]"}),
    (
        Const(type=TensorType(F32, (2,)), root=Sha256(bytes(32))),
        {"kind": "Const", "type": "f32[2]", "root": "0x" + "00" * 32},
    ),
    (
        Dot(type=TensorType(F32, (1, 2, 3)), a=Index(0), b=Index(1)),
        {"kind": "Dot", "type": "f32[1,2,3]", "operands": [0, 1]},
    ),
    (
        Reduce(type=TensorType(F32, (2,)), x=Index(0), fold=Fold.MAX, chunk=64),
        {"kind": "Reduce", "type": "f32[2]", "operands": [0], "fold": "max", "chunk": 64},
    ),
    (
        Map(
            type=TensorType(F32, (2,)),
            operands=(Index(0), Index(1)),
            program=Program(
                literals=(Literal(F32, 0xC0000000),),
                steps=(Step(Scalar.ADD, (0, 1)), Step(Scalar.FMA, (3, 2, 3))),
            ),
        ),
        {
            "kind": "Map", "type": "f32[2]", "operands": [0, 1],
            "program": ["r2 = f32(-2.0)", "r3 = add(r0, r1)", "r4 = fma(r3, r2, r3)"],
        },
    ),
    (
        View(
            type=TensorType(F32, (2, 3)), x=Index(0), offset=0, strides=(3, 1), low=(0, 0),
            high=(2, 3), fill=Literal(F32, 0),
        ),
        {"kind": "View", "type": "f32[2,3]", "operands": [0], "reshape": True},
    ),
    (
        View(
            type=TensorType(F32, (2,)), x=Index(0), offset=1, strides=(-1,), low=(0,), high=(1,),
            fill=Literal(F32, 0xFF800000),
        ),
        {
            "kind": "View", "type": "f32[2]", "operands": [0], "offset": 1, "strides": [-1],
            "low": [0], "high": [1], "fill": "f32(-inf)",
        },
    ),
    (
        Concat(type=TensorType(F32, (2,)), parts=(Index(0), Index(0)), axis=0),
        {"kind": "Concat", "type": "f32[2]", "operands": [0, 0], "axis": 0},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("instruction", "wanted"), INSTRUCTIONS, ids=[str(i) for i in range(len(INSTRUCTIONS))]
)
def test_an_instruction_says_all_it_does(
    instruction: Instruction, wanted: dict[str, object]
) -> None:
    graph = Graph(instructions=(instruction,), inputs=(), outputs=())
    assert instruction_json(graph, Index(0)) == {"index": 0, "operands": [], **wanted}


@given(st.integers(0, 2**32 - 1))
def test_a_float_reads_back_as_itself(bits: int) -> None:
    if bits & 0x7FFFFFFF > 0x7F800000:
        bits = 0x7FC00000
    text = literal_text(Literal(F32, bits)).removeprefix("f32(").removesuffix(")")
    assert struct.unpack(">I", struct.pack(">f", float(text)))[0] == bits


@pytest.mark.parametrize(
    ("dtype", "bits", "text"),
    [
        (DType.I8, 0x80, "i8(-128)"), (DType.U8, 0x80, "u8(128)"), (DType.BOOL, 1, "bool(true)"),
        (DType.I32, 0xFFFFFFFF, "i32(-1)"), (DType.I64, 1 << 63, f"i64({-(2**63)})"),
        (F32, 0x80000000, "f32(-0.0)"), (F32, 0x7FC00000, "f32(nan)"), (F32, 1, "f32(1e-45)"),
    ],
)  # fmt: skip
def test_an_element_is_written_as_people_do(dtype: DType, bits: int, text: str) -> None:
    assert literal_text(Literal(dtype, bits)) == text


def test_a_summary_counts_work_and_bytes() -> None:
    graph = Graph(
        instructions=(
            Input(type=TensorType(F32, (2, 3, 5))),
            Const(type=TensorType(F32, (1, 7, 5)), root=Sha256(bytes(32))),
            Dot(type=TensorType(F32, (2, 3, 7)), a=Index(0), b=Index(1)),
        ),
        inputs=("x",),
        outputs=(("y", Index(2)),),
        regions=(Region(label="MatMul `m`", start=1, stop=3),),
    )
    found = describe(graph)
    assert found["multiply_adds"] == 2 * 3 * 7 * 5
    assert found["weight_bytes"] == 7 * 5 * 4
    assert found["kinds"] == {"Const": 1, "Dot": 1, "Input": 1}
    assert (found["inputs"], found["outputs"]) == ({"x": "f32[2,3,5]"}, {"y": "f32[2,3,7]"})
    text = "instruction 2, Dot of f32[2,3,7], lowered from MatMul `m`"
    assert instruction_text(graph, Index(2)) == text


@given(cases())
def test_regions_are_read_back(one: Case) -> None:
    value = json.loads(json.dumps(regions_json(one.graph.regions)))
    assert parse_regions(value, one.graph) == one.graph.regions
    bare = replace(one.graph, regions=())
    assert parse_regions([], bare) == ()


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({}, "regions is not a list"),
        ([1], r"regions\[0\] is not an object"),
        ([{"label": "a", "start": 0}], "lacks the field `stop`"),
        ([{"label": "", "start": 0, "stop": 1}], "label has 0 characters"),
        ([{"label": "a", "start": -1, "stop": 1}], r"regions\[0\].start is -1"),
        ([{"label": "a", "start": 2, "stop": 1}], r"regions\[0\] is 2..1"),
        ([{"label": "a", "start": 0, "stop": 10**6}], r"regions\[0\] is 0..1000000 of"),
        ([{"label": "a", "start": 0, "stop": 1.5}], "stop is not an integer"),
    ],
)
def test_regions_that_do_not_fit_are_refused(value: object, complaint: str) -> None:
    with pytest.raises(EncodingError, match=complaint):
        parse_regions(value, case(0).graph)
