"""What is refused: never a wrong answer, always with a name and something to do."""

import ast
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import verifiable.frontend
from verifiable.errors import InputError, ModelError, UnsupportedError
from verifiable.frontend.facts import infer
from verifiable.frontend.lower import builder, lower, lower_model, survey, walk
from verifiable.frontend.opsets import NEWEST
from verifiable.graph.ir import Concat

FRONTEND = Path(verifiable.frontend.__file__).parent
FLOAT = TensorProto.FLOAT


def of(
    *nodes: onnx.NodeProto,
    given: Sequence[tuple[str, int, Sequence[Any]]] = (("x", FLOAT, (2, 3)),),
    gives: Sequence[onnx.ValueInfoProto] = (),
    functions: Sequence[onnx.FunctionProto] = (),
    opsets: dict[str, int] | None = None,
    **constants: Any,
) -> onnx.ModelProto:
    """A model of these operators, whose last one makes the output `y`."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(*info) for info in given],
        list(gives) or [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    versions = {"": 22, "test": 1} | (opsets or {})
    return helper.make_model(
        graph,
        functions=list(functions),
        opset_imports=[helper.make_opsetid(d, v) for d, v in versions.items()],
    )


def node(op: str, *inputs: str, makes: str = "y", domain: str = "", **given: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, makes.split(), name="it", domain=domain, **given)


def refusal(model: onnx.ModelProto, kind: type[InputError] = UnsupportedError) -> InputError:
    with pytest.raises(kind) as caught:
        lower(model)
    assert caught.value.hint
    return caught.value


HUGE = {
    "HannWindow": of(node("HannWindow", "n"), n=10**11),
    "MelWeightMatrix": of(node("MelWeightMatrix", *"abcde"), a=10**9, b=8, c=8, d=0.0, e=4.0),
    "OneHot": of(
        node("Cast", "x", makes="i", to=TensorProto.INT64), node("OneHot", "i", "n", "v"),
        n=10**12, v=np.array([0, 1], np.float32),
    ),
    "Range": of(node("Range", *"abc"), a=0, b=2**30, c=1),
    "EyeLike": of(
        node("ConstantOfShape", "n", makes="big"), node("EyeLike", "big"), n=[2**30, 2]
    ),
    "Tile": of(node("Tile", "x", "n"), n=[10**9, 10**9]),
    "Expand": of(node("Expand", "x", "n"), n=[10**6, 10**6, 2, 3]),
    "Pad": of(node("Pad", "x", "n"), n=[10**9, 0, 10**9, 10**9]),
    "Pad, edge": of(node("Pad", "x", "n", mode="edge"), n=[10**9, 0, 0, 0]),
    "Resize": of(
        node("Resize", "x", "", "n", mode="cubic"), n=np.array([1e8, 1], np.float32)
    ),
    "AffineGrid": of(
        node("AffineGrid", "x", "n"), n=[2, 1, 10**5, 10**5],
        given=[("x", FLOAT, (2, 2, 3))],
    ),
    "Split": of(node("Split", "x", makes="y z", num_outputs=10**6, axis=1)),
    "Conv": of(
        node("Conv", "x", "w", pads=[10**9] * 4),
        given=[("x", FLOAT, (1, 1, 5, 5))], w=np.ones((1, 1, 3, 3), np.float32),
    ),
}  # fmt: skip


@pytest.mark.parametrize("op", HUGE)
def test_what_would_be_too_large_is_refused_before_it_is_made(op: str) -> None:
    tracemalloc.start()
    try:
        assert op.partition(",")[0] in str(refusal(HUGE[op]))
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_functions_that_call_each_other_twice_are_not_followed_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walk, "MOST_OPERATORS", 1000)
    opsets = [helper.make_opsetid("test", 1), helper.make_opsetid("", 22)]
    functions = [
        helper.make_function(
            "test", f"F{i}", ["a"], ["c"],
            [node(f"F{i + 1}", "a", makes="b", domain="test"),
             node(f"F{i + 1}", "b", makes="c", domain="test")],
            opsets,
        )
        for i in range(24)
    ]  # fmt: skip
    last = helper.make_function("test", "F24", ["a"], ["b"], [node("Neg", "a", makes="b")], opsets)
    bomb = of(node("F0", "x", domain="test"), functions=[*functions, last])
    assert "more than 1000 operators" in str(refusal(bomb, ModelError))


NAN = float("nan")
IN_A_FUNCTION = helper.make_function(
    "test", "F", ["a"], ["b"],
    [node("Constant", makes="n", value_float=NAN), node("Add", "a", "n", makes="b")],
    [helper.make_opsetid("", 22)],
)  # fmt: skip
TAKES_ALPHA = helper.make_function(
    "test", "F", ["a"], ["b"],
    [node("LeakyRelu", "a", makes="b")], [helper.make_opsetid("", 22)], attributes=["alpha"],
)  # fmt: skip
NANS = {
    "attribute value_floats[1]": of(
        node("Constant", makes="w", value_floats=[1, NAN, 2]), node("Add", "x", "w")
    ),
    "attribute value_float": of(
        node("Constant", makes="w", value_float=NAN), node("Add", "x", "w")
    ),
    "attribute value[0, 1]": of(
        node(
            "Constant",
            makes="w",
            value=numpy_helper.from_array(np.array([[1, NAN, 2]], np.float32)),
        ),
        node("Add", "x", "w"),
    ),
    "F `it` (node 1 of 1): in its definition, Constant `it` (node 1 of 2): attribute value_float":
        of(node("F", "x", domain="test"), functions=[IN_A_FUNCTION]),
    "F `it` (node 1 of 1): attribute alpha":
        of(node("F", "x", domain="test", alpha=NAN), functions=[TAKES_ALPHA]),
    "LeakyRelu `it` (node 1 of 1): attribute alpha": of(node("LeakyRelu", "x", alpha=NAN)),
    "constant `w`[1]": of(node("Add", "x", "w"), w=np.array([1, NAN, 2], np.float32)),
}  # fmt: skip


@pytest.mark.parametrize("what", NANS)
def test_a_nan_is_refused_wherever_it_stands(what: str) -> None:
    assert f"{what} is NaN" in str(refusal(NANS[what], InputError))


HALF = np.array([60000, 1, 2], np.float16)
COMPUTED = helper.make_function(
    "test", "F", ["a"], ["b"], [node("Transpose", "a", makes="b")], [helper.make_opsetid("", 22)]
)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Add", "w", "w", makes="s"), node("Cast", "s", makes="c", to=FLOAT)],
        [node("Identity", "w", makes="i"), node("Mul", "x", "i", makes="c")],
        [node("F", "w", makes="t", domain="test"), node("Relu", "t", makes="c")],
        [
            node("Constant", makes="k", value=numpy_helper.from_array(HALF)),
            node("Neg", "k", makes="c"),
        ],
    ],
)
def test_arithmetic_in_half_precision_is_not_done_in_float(nodes: list[onnx.NodeProto]) -> None:
    model = of(*nodes, node("Add", "x", "c"), functions=[COMPUTED], w=HALF)
    assert "computes in half precision" in str(refusal(model))


def test_constants_in_half_precision_may_be_moved_and_cast() -> None:
    model = of(
        node("Unsqueeze", "w", "axis", makes="row"),
        node("F", "row", makes="column", domain="test"),
        node("Squeeze", "column", makes="line"),
        node("Cast", "line", makes="c", to=FLOAT),
        node("Add", "x", "c"),
        functions=[COMPUTED], w=HALF, axis=[0],
    )  # fmt: skip
    _, weights = lower(model)
    assert [array.tolist() for array in weights.values()] == [[60000.0, 1.0, 2.0]]


def test_constants_that_double_at_each_step_are_left_to_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builder, "_FOLD_MOST", 2**20)
    steps = [node("Concat", f"c{i}", f"c{i}", makes=f"c{i + 1}", axis=0) for i in range(20)]
    last = node("Gather", "c20", "i", makes="g"), node("Add", "x", "g")
    graph, weights = lower(of(*steps, *last, c0=np.ones((1024, 3), np.float32), i=5))
    assert max(array.nbytes for array in weights.values()) <= 2**20
    assert sum(isinstance(i, Concat) for i in graph.instructions) > 10


@pytest.mark.parametrize("domain", NEWEST)
def test_a_future_opset_is_refused(domain: str) -> None:
    newest = NEWEST[domain]
    lower(of(node("Relu", "x"), opsets={domain: newest}))
    error = refusal(of(node("Relu", "x"), opsets={domain: newest + 1}), ModelError)
    assert f"opset {newest + 1}" in str(error)
    assert str(newest) in str(error.hint)


def test_a_future_opset_of_a_function_is_refused() -> None:
    future = [helper.make_opsetid("", NEWEST[""] + 1)]
    function = helper.make_function(
        "test", "F", ["a"], ["b"], [node("Relu", "a", makes="b")], future
    )
    error = refusal(of(node("F", "x", domain="test"), functions=[function]), ModelError)
    assert "function `F`" in str(error)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ((TensorProto.INT64, (2, 3)), "int64[2, 3]"),
        ((FLOAT, (5, 7)), "float[5, 7]"),
        ((FLOAT, ("batch", 7)), "float[batch, 7]"),
        ((FLOAT, (2, 3, 1)), "float[2, 3, 1]"),
    ],
)
def test_an_output_that_is_declared_otherwise_is_refused(declared: Any, said: str) -> None:
    output = helper.make_tensor_value_info("y", *declared)
    error = refusal(of(node("Relu", "x"), gives=[output]), ModelError)
    assert f"output `y` is declared as {said}, and the graph gives float[2, 3]" in str(error)


@pytest.mark.parametrize("shape", [(2, 3), ("batch", 3), (None, None)])
def test_an_output_may_leave_axes_open(shape: Any) -> None:
    lower(of(node("Relu", "x"), gives=[helper.make_tensor_value_info("y", FLOAT, shape)]))


def test_an_output_that_is_made_by_no_operator_or_listed_twice_is_refused() -> None:
    infos = [onnx.ValueInfoProto(name=name) for name in ("y", "z")]
    assert "output `z`" in str(refusal(of(node("Relu", "x"), gives=infos), ModelError))
    twice = of(node("Relu", "x"), gives=[infos[0], infos[0]])
    assert "output `y` is listed twice" in str(refusal(twice, ModelError))
    wide = of(node("Relu", "x"), gives=infos, z=np.ones(3))
    assert "output `z` is a constant of double" in str(refusal(wide, ModelError))


def test_a_weight_in_float64_is_called_one() -> None:
    error = refusal(of(node("Add", "x", "w"), w=np.ones(3)))
    assert "constant `w`, which is double" in str(error)
    assert "module.float()" in str(error.hint)


@pytest.mark.parametrize(
    ("shape", "sizes", "said", "hint"),
    [
        ((None, 3), {}, "input `x`: axis 0 (`x:0`)", "--dim x:0=N"),
        ((-1, 3), {}, "input `x`: axis 0 (`x:0`)", "--dim x:0=N"),
        ((2, "time"), {}, "input `x`: axis 1 (`time`)", "--dim time=N"),
        (("batch", 3), {"batch": 2**31}, "input `x` is f32[2147483648,3]", "fewer elements"),
        (("batch", 3), {"zzz": 3}, "called `zzz`", "open are `batch`"),
        ((2, 3), {"x:1": 3}, "called `x:1`", "every axis of the model has a size"),
        ((1,) * 9, {}, "rank 9 is above 8", "axes"),
    ],
)
def test_an_axis_is_named_and_can_be_sized(
    shape: Any, sizes: dict[str, int], said: str, hint: str
) -> None:
    model = of(node("Relu", "x"), given=[("x", FLOAT, shape)])
    with pytest.raises(ModelError) as caught:
        lower(model, sizes=sizes)
    assert said in str(caught.value)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(("shape", "name"), [((None, 3), "x:0"), ((-1, 3), "x:0"), (("n", 3), "n")])
def test_an_open_axis_takes_a_size_by_name_or_place(shape: Any, name: str) -> None:
    graph, _ = lower(of(node("Relu", "x"), given=[("x", FLOAT, shape)]), sizes={name: 4})
    assert graph.instructions[0].type.shape == (4, 3)


CRASHES = {
    "num_outputs is 1, and it has 2": node("Split", "x", makes="y z", num_outputs=1),
    "axis -9 is not in -2..1": node("LayerNormalization", "x", "w", axis=-9),
    "axis 2 is not in -2..1": node("LayerNormalization", "x", "w", axis=2),
    "batch_dims is -5": node("GatherND", "x", "i", batch_dims=-5),
}


@pytest.mark.parametrize("said", CRASHES)
def test_what_brings_shape_inference_down_is_not_asked_of_it(said: str) -> None:
    constants: dict[str, Any] = {"w": np.ones(3, np.float32), "i": [[0], [1]]}
    assert said in str(refusal(of(CRASHES[said], **constants)).hint)
    hidden = of(
        node("Relu", "h", makes="x"), CRASHES[said], given=[("h", FLOAT, (2, 3))], **constants
    )
    with pytest.raises(ModelError, match=f"`it` .node 2 of 2.: {said}"):
        infer(hidden)


HINTED = {
    "`Relu`s": (of(node("Relus", "x", domain="com.microsoft")), "supported are Relu"),
    "contrib": (of(node("Gelu", "x", domain="com.microsoft")), "ONNX's own Gelu is supported"),
    "flow": (of(node("Loop", "", "", "x")), "loops unrolled"),
    "random": (of(node("RandomNormalLike", "x")), "make them an input"),
    "ONNX": (of(node("Softmax", "x", axis=7)), "ONNX's own rules refuse it too ('axis' must be"),
    "dtype": (of(node("Not", "x")), "is float, and ONNX takes bool there"),
    "limit": (of(node("Gather", "x", "i"), i=[99]), "if ONNX's definition of Gather allows it"),
}


@pytest.mark.parametrize("case", HINTED)
def test_a_hint_says_whose_fault_it_is(case: str) -> None:
    model, wanted = HINTED[case]
    assert wanted in str(refusal(model).hint)


def test_a_function_that_does_not_make_its_output_is_refused() -> None:
    function = helper.make_function(
        "test", "F", ["a"], ["b"], [node("Relu", "a", makes="c")], [helper.make_opsetid("", 22)]
    )
    model = of(node("F", "x", makes="h", domain="test"), node("Neg", "h"), functions=[function])
    assert "F `it` (node 1 of 2): does not make its output `h`" in str(refusal(model))


def test_what_waits_for_a_refused_operator_is_told_from_what_is_refused() -> None:
    made = lower_model(
        of(
            node("Frob", "x", makes="a", domain="test"),
            node("Frob2", "a", makes="b", domain="test"),
            node("Relu", "b", makes="c"),
            node("Neg", "x"),
        )
    )
    assert [refused.op for refused in made.refusals] == ["Frob", "Frob2"]
    assert made.unreached == {"Relu": 1}


def test_a_survey_goes_on_past_what_is_wrong_with_the_model() -> None:
    given = [("x", TensorProto.FLOAT16, ("batch", 3))]
    model = of(
        node("Add", "x", "w", makes="a"), node("Frob", "a", domain="test"), given=given,
        w=np.array([NAN, 1, 2], np.float32),
    )  # fmt: skip
    made = survey(model)
    assert made.graph is None
    said = [str(problem) for problem in made.problems]
    assert ["is float16" in said[0], "axis 0" in said[1], "NaN" in said[2]] == [True] * 3
    assert [refused.op for refused in made.refusals] == ["Frob"]


def errors(tree: ast.AST) -> Iterator[ast.Call]:
    for found in ast.walk(tree):
        match found:
            case ast.Call(func=ast.Name(id="ModelError" | "UnsupportedError")):
                yield found


def test_every_error_of_the_frontend_is_written_with_a_hint() -> None:
    bare = [
        f"{path.name}:{call.lineno}"
        for path in sorted(FRONTEND.rglob("*.py"))
        for call in errors(ast.parse(path.read_text()))
        if not any(keyword.arg == "hint" for keyword in call.keywords)
    ]
    assert bare == []


def test_only_one_module_counts_to_what_a_model_says() -> None:
    named = [
        path.name
        for path in sorted((FRONTEND / "lower").glob("*.py"))
        if any(word in path.read_text() for word in ("np.arange", "numpy.arange(", "np.linspace"))
    ]
    assert named == ["made.py"]
