"""Every rule of well-formedness is broken by some graph, and says so."""

import ast
import inspect
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from graph_zoo import LONG, Case, cases, row_major
from hypothesis import given
from hypothesis import strategies as st

from verifiable.errors import GraphError
from verifiable.graph import check as rules
from verifiable.graph.check import broadcast_shape, check, input_types, output_types
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

F32, I8, U8, I32, I64, BOOL = (
    DType.F32, DType.I8, DType.U8, DType.I32, DType.I64, DType.BOOL,
)  # fmt: skip


def graph(last: Instruction, *before: TensorType) -> Graph:
    """Inputs of these types, and one instruction that reads them."""
    inputs = tuple(Input(type=kind) for kind in before)
    named = (("y", Index(len(inputs))),)
    names = tuple(f"x{i}" for i in range(len(inputs)))
    return Graph(instructions=(*inputs, last), inputs=names, outputs=named)


def t(dtype: DType, *shape: int) -> TensorType:
    return TensorType(dtype, shape)


def dot(a: TensorType, b: TensorType, gives: TensorType, chunk: int = 256) -> Graph:
    return graph(Dot(type=gives, a=Index(0), b=Index(1), chunk=chunk), a, b)


def reduce(x: TensorType, fold: Fold, gives: TensorType, chunk: int = 256) -> Graph:
    return graph(Reduce(type=gives, x=Index(0), fold=fold, chunk=chunk), x)


def scalar_map(
    gives: TensorType,
    *taken: TensorType,
    steps: tuple[Step, ...] = (Step(Scalar.TO_F32, (0,)),),
    literals: tuple[Literal, ...] = (),
) -> Graph:
    program = Program(literals=literals, steps=steps)
    read = tuple(map(Index, range(len(taken))))
    return graph(Map(type=gives, operands=read, program=program), *taken)


def view(x: TensorType, gives: TensorType, **fields: Any) -> Graph:
    shape = gives.shape
    whole = {
        "offset": 0, "strides": row_major(shape), "low": (0,) * len(shape), "high": shape,
        "fill": Literal(x.dtype, 0), **fields,
    }  # fmt: skip
    return graph(View(type=gives, x=Index(0), **whole), x)


def gather(x: TensorType, index: TensorType, gives: TensorType) -> Graph:
    return graph(Gather(type=gives, x=Index(0), index=Index(1)), x, index)


def concat(gives: TensorType, axis: int, *parts: TensorType) -> Graph:
    read = tuple(map(Index, range(len(parts))))
    return graph(Concat(type=gives, parts=read, axis=axis), *parts)


def given_type(kind: TensorType) -> Graph:
    return Graph(instructions=(Input(type=kind),), inputs=("x",), outputs=(("y", Index(0)),))


GIVEN = given_type(t(F32, 2))
FINE = view(t(F32, 2), t(F32, 2))
A_BIG_STEP = tuple(Step(Scalar.TO_F32, (0,)) for _ in range(65))
MANY = tuple(Literal(F32, 0) for _ in range(127))

# Name of the rule, complaint, graph that breaks it.
BROKEN: list[tuple[str, str, Graph]] = [
    ("operands stand before", r"reads \[1, 0\]", graph(
        Dot(type=t(F32, 1, 1, 1), a=Index(1), b=Index(0)), t(F32, 1, 1, 1))),
    ("operands stand before", r"reads \[-1\]", graph(
        Reduce(type=t(F32), x=Index(-1), fold=Fold.SUM), t(F32, 1))),
    ("type is bounded", "rank 9 is above 8", given_type(t(F32, *[1] * 9))),
    ("type is bounded", "an extent of .* is not in 0..2147483647", given_type(t(F32, 1 << 31))),
    ("type is bounded", "an extent of .* is not in", given_type(t(F32, -1))),
    ("type is bounded", "elements are above", given_type(t(F32, 1 << 30, 1 << 11))),
    ("const has a root", "the root has 31 bytes", graph(
        Const(type=t(F32, 1), root=Sha256(bytes(31))))),
    ("dot fits", "wanted three axes each", dot(t(F32, 1, 1), t(F32, 1, 1, 1), t(F32, 1, 1, 1))),
    ("dot fits", "no Dot of i8 and u8", dot(t(I8, 1, 1, 1), t(U8, 1, 1, 1), t(I32, 1, 1, 1))),
    ("dot fits", "differ in length", dot(t(F32, 1, 1, 2), t(F32, 1, 1, 3), t(F32, 1, 1, 1))),
    ("dot fits", "do not divide", dot(t(F32, 2, 1, 1), t(F32, 3, 1, 1), t(F32, 3, 1, 1))),
    ("dot fits", r"says .*, gives f32\[4,3,5\]", dot(
        t(F32, 2, 3, 1), t(F32, 4, 5, 1), t(F32, 2, 3, 5))),
    ("dot fits", "could overflow i32", dot(
        t(U8, 1, 1, 65794), t(I8, 1, 1, 65794), t(I32, 1, 1, 1))),
    ("reduce fits", "a scalar has no axis", reduce(t(F32), Fold.SUM, t(F32))),
    ("reduce fits", "no SUM of i8", reduce(t(I8, 2), Fold.SUM, t(I8))),
    ("reduce fits", "MAX of an empty row", reduce(t(F32, 3, 0), Fold.MAX, t(F32, 3))),
    ("reduce fits", r"says i32\[2\], gives i64\[2\]", reduce(
        t(I32, 2, 3), Fold.ARGMAX, t(I32, 2))),
    ("chunk is a power of two", "chunk 96 is no power of two", reduce(
        t(F32, 2), Fold.SUM, t(F32), 96)),
    ("chunk is a power of two", "chunk 0 is no power of two", dot(
        t(F32, 1, 1, 1), t(F32, 1, 1, 1), t(F32, 1, 1, 1), 0)),
    ("chunk is a power of two", "chunk 2097152 is no power of two in", dot(
        t(F32, 1, 1, 1), t(F32, 1, 1, 1), t(F32, 1, 1, 1), 1 << 21)),
    ("chunk is a power of two", "below the 32 lanes", reduce(t(F32, 2), Fold.SUM, t(F32), 16)),
    ("map fits", "0 operands are not in 1..3", scalar_map(t(F32))),
    ("map fits", "4 operands are not in", scalar_map(t(F32), *[t(F32)] * 4)),
    ("map fits", "cannot be broadcast", scalar_map(t(F32, 3), t(F32, 2), t(F32, 3))),
    ("map fits", "bits 0x100 do not fit u8", scalar_map(
        t(F32), t(F32), literals=(Literal(U8, 256),))),
    ("map fits", "bool 0x2 is neither", scalar_map(t(F32), t(F32), literals=(Literal(BOOL, 2),))),
    ("map fits", "NaN 0x7f800001 is not the canonical", scalar_map(
        t(F32), t(F32), literals=(Literal(F32, 0x7F800001),))),
    ("map fits", "0 steps are not in 1..64", scalar_map(t(F32), t(F32), steps=())),
    ("map fits", "65 steps are not in", scalar_map(t(F32), t(F32), steps=A_BIG_STEP)),
    ("map fits", "more than 128 registers", scalar_map(t(F32), t(F32), literals=MANY)),
    ("map fits", r"step 0 reads registers \[1\] of 1", scalar_map(
        t(F32), t(F32), steps=(Step(Scalar.NEG, (1,)),))),
    ("map fits", r"step 0 reads registers \[-1\] of 1", scalar_map(
        t(F32), t(F32), steps=(Step(Scalar.NEG, (-1,)),))),
    ("map fits", r"step 0: ADD does not take \(f32, i32\)", scalar_map(
        t(F32), t(F32), t(I32), steps=(Step(Scalar.ADD, (0, 1)),))),
    ("map fits", r"step 0: SELECT does not take \(f32, f32, f32\)", scalar_map(
        t(F32), t(F32), steps=(Step(Scalar.SELECT, (0, 0, 0)),))),
    ("map fits", r"says f32\[2\], gives f32\[1,2\]", scalar_map(t(F32, 2), t(F32, 1, 2))),
    ("view stays inside", "have another rank", view(t(F32, 2), t(F32, 2), strides=())),
    ("view stays inside", "f32 becomes i32 or f32", view(
        t(F32, 2), t(I32, 2))),
    ("view stays inside", "f32 becomes f32 or i32", view(
        t(F32, 2), t(F32, 2), fill=Literal(I32, 0))),
    ("view stays inside", "bits -0x1 do not fit f32", view(
        t(F32, 2), t(F32, 2), fill=Literal(F32, -1))),
    ("view stays inside", "is beyond 1099511627776", view(
        t(F32, 2), t(F32, 1), strides=(1 << 41,))),
    ("view stays inside", "is beyond 1099511627776", view(
        t(F32, 2), t(F32, 1), offset=-(1 << 41), high=(0,))),
    ("view stays inside", r"box \[0\]..\[3\] leaves \[2\]", view(t(F32, 9), t(F32, 2), high=(3,))),
    ("view stays inside", r"box \[2\]..\[1\] leaves", view(
        t(F32, 9), t(F32, 2), low=(2,), high=(1,))),
    ("view stays inside", r"reads elements 1..2 of 2", view(t(F32, 2), t(F32, 2), offset=1)),
    ("view stays inside", r"reads elements -1..0 of 2", view(
        t(F32, 2), t(F32, 2), strides=(-1,))),
    ("view stays inside", r"reads elements 0..0 of 0", view(t(F32, 0), t(F32))),
    ("gather fits", "wanted three axes and two", gather(t(F32, 1, 1), t(I32, 1, 1), t(F32, 1))),
    ("gather fits", "the index is f32", gather(
        t(F32, 1, 1, 1), t(F32, 1, 1), t(F32, 1, 1, 1))),
    ("gather fits", "batches of .* differ", gather(
        t(F32, 3, 1, 1), t(I32, 2, 1), t(F32, 3, 1, 1))),
    ("gather fits", r"says .*, gives f32\[3,5,4\]", gather(
        t(F32, 3, 2, 4), t(I32, 1, 5), t(F32, 3, 2, 4))),
    ("concat fits", "0 parts are not in 1..255", concat(t(F32, 1), 0)),
    ("concat fits", "256 parts are not in", concat(t(F32, 256), 0, *[t(F32, 1)] * 256)),
    ("concat fits", r"axis 1 is not in 0..0", concat(t(F32, 2), 1, t(F32, 1), t(F32, 1))),
    ("concat fits", "differ off the axis", concat(t(F32, 2, 2), 0, t(F32, 1, 2), t(F32, 1, 3))),
    ("concat fits", "differ off the axis", concat(t(F32, 2), 0, t(F32, 1), t(I32, 1))),
    ("concat fits", r"says f32\[3\], gives f32\[2\]", concat(t(F32, 3), 0, t(F32, 1), t(F32, 1))),
    ("borders", "1 Inputs have 2 names", replace(FINE, inputs=("a", "b"))),
    ("borders", "there is no output", replace(FINE, outputs=())),
    ("borders", "a name occurs twice", replace(FINE, outputs=(("y", Index(0)), ("y", Index(0))))),
    ("borders", "is not Unicode", replace(FINE, inputs=("\ud800",))),
    ("borders", "output `y` is tensor 2 of 2", replace(FINE, outputs=(("y", Index(2)),))),
    ("borders", "no output is computed: all are inputs or constants", GIVEN),
    ("borders", "no output is computed: all are inputs or constants", replace(
        GIVEN, instructions=(*GIVEN.instructions, Const(type=t(F32, 2), root=Sha256(bytes(32)))),
        outputs=(("x", Index(0)), ("y", Index(1))))),
    ("borders", "region R is 0..3 of 2", replace(
        FINE, regions=(Region(label="R", start=0, stop=3),))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "complaint", "broken"), BROKEN, ids=[f"{r}: {c}" for r, c, _ in BROKEN]
)
def test_a_broken_rule_is_named(rule: str, complaint: str, broken: Graph) -> None:
    with pytest.raises(GraphError, match=f"breaks `{rule}`: .*{complaint}") as caught:
        check(broken)
    if rule != "borders":
        kinds = "|".join(type(ins).__name__ for ins in broken.instructions)
        assert re.match(rf"instruction \d+ \(({kinds})\) breaks", str(caught.value))


def complaints() -> list[str]:
    """Each complaint that check.py can make, as a regular expression."""
    found = []
    for node in ast.walk(ast.parse(inspect.getsource(rules))):
        if isinstance(node, ast.Yield) and node.value is not None:
            match node.value:
                case ast.Constant(value=str(text)):
                    found.append(re.escape(text))
                case ast.JoinedStr(values=parts):
                    found.append("".join(
                        re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*"
                        for part in parts
                    ))  # fmt: skip
    return found


def test_every_complaint_has_an_example() -> None:
    messages = []
    for _, _, broken in BROKEN:
        with pytest.raises(GraphError) as caught:
            check(broken)
        messages.append(str(caught.value).partition("`: ")[2])
    assert len(complaints()) > 25
    for pattern in complaints():
        assert any(re.fullmatch(pattern, message) for message in messages), pattern


def test_every_rule_has_an_example() -> None:
    named = {rule.__name__.strip("_").replace("_", " ") for rule in rules.RULES}
    assert {rule for rule, _, _ in BROKEN} == named | {"operands stand before", "borders"}


def test_a_complaint_names_the_region() -> None:
    broken = replace(
        reduce(t(I8, 2), Fold.SUM, t(I8)), regions=(Region(label="Sum `s`", start=1, stop=2),)
    )
    with pytest.raises(GraphError, match=r"instruction 1 \(Reduce, of Sum `s`\) breaks"):
        check(broken)


@given(cases())
def test_the_zoo_is_well_formed(one: Case) -> None:
    check(one.graph)
    assert list(input_types(one.graph)) == list(one.inputs)
    assert list(output_types(one.graph)) == [name for name, _ in one.graph.outputs]


@given(cases(extents=LONG, steps=4))
def test_the_zoo_of_long_rows_is_well_formed(one: Case) -> None:
    check(one.graph)


@given(st.lists(st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=3).map(tuple), min_size=1))
def test_shapes_are_broadcast_as_numpy_does(shapes: list[tuple[int, ...]]) -> None:
    try:
        wanted: tuple[int, ...] | None = np.broadcast_shapes(*shapes)
    except ValueError:
        wanted = None
    assert broadcast_shape(shapes) == wanted
