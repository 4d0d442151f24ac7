"""Small ONNX models, one for each operator; written by hand, not by our exporter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node
FLOAT = int(TensorProto.FLOAT)
DOUBLE = int(TensorProto.DOUBLE)
HALF = int(TensorProto.FLOAT16)
INT64 = int(TensorProto.INT64)
BOOL = int(TensorProto.BOOL)


def weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def number(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)


def model(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | str | None],
    constants: Mapping[str, NDArray[Any]] | None = None,
    *,
    opset: int = 18,
    elem: int = FLOAT,
    outputs: Sequence[str] = ("y",),
) -> bytes:
    """A model of input ``x`` with `shape`; ``y`` has the shape that ONNX infers."""
    graph = helper.make_graph(
        nodes,
        "zoo",
        [helper.make_tensor_value_info("x", elem, shape)],
        [
            onnx.ValueInfoProto(name=name)
            if name == "y"
            else helper.make_tensor_value_info(name, elem, shape)
            for name in outputs
        ],
        [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(made)
    return bytes(inferred.SerializeToString())


def one(
    operator: str,
    shape: Sequence[int] = (1, 8),
    more: Mapping[str, NDArray[Any]] | None = None,
    **attributes: Any,
) -> bytes:
    """One operator that reads ``x`` and the constants `more`, in order."""
    return model([node(operator, ["x", *(more or {})], ["y"], **attributes)], shape, more)


def after(operator: str, shape: Sequence[int] = (1, 8)) -> bytes:
    """One operator behind a sigmoid, for those that want 0..1."""
    return model([node("Sigmoid", ["x"], ["s"]), node(operator, ["s"], ["y"])], shape)


def compared(operator: str) -> bytes:
    """A comparison with 0.3, as 0 and 1."""
    nodes = [node(operator, ["x", "c"], ["b"]), node("Cast", ["b"], ["y"], to=FLOAT)]
    return model(nodes, (1, 8), {"c": number(0.3)})


def both(operator: str) -> bytes:
    """A logical operator on ``x > -0.5`` and ``x < 0.5``."""
    nodes = [
        node("Greater", ["x", "low"], ["a"]),
        node("Less", ["x", "high"], ["b"]),
        node(operator, ["a", "b"], ["c"]),
        node("Cast", ["c"], ["y"], to=FLOAT),
    ]
    return model(nodes, (1, 8), {"low": number(-0.5), "high": number(0.5)})


def indexed(operator: str) -> bytes:
    """ArgMax or ArgMin, as float."""
    nodes = [node(operator, ["x"], ["i"], axis=1), node("Cast", ["i"], ["y"], to=FLOAT)]
    return model(nodes, (1, 8))


def recurrent(operator: str, gates: int, **attributes: Any) -> bytes:
    """A recurrent layer of 4 cells over 3 steps."""
    both_ways = 2 if attributes.get("direction") == "bidirectional" else 1
    more = {
        "w": weights(both_ways, 4 * gates, 4),
        "r": weights(both_ways, 4 * gates, 4),
        "b": weights(both_ways, 8 * gates),
    }
    nodes = [node(operator, ["x", *more], ["", "y"], hidden_size=4, **attributes)]
    return model(nodes, (3, 1, 4), more)


CONV = {"w": weights(4, 2, 3, 3), "b": weights(4)}
IMAGE = (1, 2, 6, 6)

ADMITTED: dict[str, bytes] = {
    **{
        op: one(op)
        for op in (
            "Abs", "Atan", "Asinh", "Ceil", "Celu", "Cos", "Cosh", "Dropout", "Elu", "Erf", "Exp",
            "Floor", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "LeakyRelu", "LogSoftmax",
            "Neg", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus",
            "Softsign", "Tanh", "ThresholdedRelu",
        )
    },
    **{op: after(op) for op in ("Acos", "Asin", "Atanh", "Sqrt", "Tan")},
    **{
        op: model(
            [node("Exp", ["x"], ["s"]), node("Add", ["s", "c"], ["t"]), node(op, ["t"], ["y"])],
            (1, 8),
            {"c": number(1)},
        )
        for op in ("Log", "Reciprocal")
    },
    **{op: one(op, more={"c": weights(1, 8)}) for op in ("Add", "Mul", "Min", "PRelu", "Sub")},
    **{op: compared(op) for op in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")},
    **{op: both(op) for op in ("And", "Or", "Xor")},
    **{op: indexed(op) for op in ("ArgMax", "ArgMin")},
    **{
        op: one(op, (1, 3, 4), {"axes": ints(-1)}, keepdims=1)
        for op in (
            "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
            "ReduceProd", "ReduceSum", "ReduceSumSquare",
        )
    },
    "AveragePool": one("AveragePool", IMAGE, kernel_shape=[2, 2], strides=[2, 2]),
    "AveragePool, border counted": one(
        "AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "BatchNormalization": one(
        "BatchNormalization",
        IMAGE,
        {"s": weights(2), "b": weights(2), "m": weights(2), "v": np.abs(weights(2)) + 1},
    ),
    "Clip": one("Clip", more={"low": number(-0.5), "high": number(0.5)}),
    "Concat": one("Concat", (1, 4), {"c": weights(1, 2)}, axis=1),
    "Conv": one("Conv", IMAGE, CONV),
    "Conv, padded": one("Conv", IMAGE, CONV, pads=[0, 1, 1, 0], strides=[2, 2]),
    "Conv, grouped": one("Conv", IMAGE, {"w": weights(4, 1, 3, 3)}, group=2),
    "Conv of one axis": one("Conv", (1, 2, 6), {"w": weights(4, 2, 3)}),
    "ConvTranspose": one("ConvTranspose", (1, 2, 3, 3), {"w": weights(2, 1, 2, 2)}, strides=[2, 2]),
    "CumSum": one("CumSum", (1, 4), {"axis": np.array(1)}),
    "DepthToSpace": one("DepthToSpace", (1, 4, 2, 2), blocksize=2),
    "Div": one("Div", more={"c": number(3)}),
    "Einsum": one("Einsum", (1, 4, 4), {"w": weights(4, 4)}, equation="abc,cd->abd"),
    "Expand": one("Expand", more={"s": ints(3, 8)}),
    "Flatten": one("Flatten", (1, 2, 4)),
    "GRU": recurrent("GRU", 3),
    "Gather": one("Gather", more={"i": ints(1, -1, 3)}, axis=1),
    "GatherElements": one("GatherElements", more={"i": np.array([[1, 3]])}, axis=1),
    "GatherND": one("GatherND", more={"i": np.array([[0, 3], [0, 5]])}),
    "Gelu": model([node("Gelu", ["x"], ["y"])], (1, 8), opset=20),
    "Gemm": one("Gemm", more={"w": weights(4, 8), "b": weights(4)}, transB=1, alpha=0.5),
    "GlobalAveragePool": one("GlobalAveragePool", IMAGE),
    "GlobalMaxPool": one("GlobalMaxPool", IMAGE),
    "InstanceNormalization": one(
        "InstanceNormalization", (1, 2, 3, 3), {"s": weights(2), "b": weights(2)}
    ),
    "LSTM": recurrent("LSTM", 4),
    "LayerNormalization": one(
        "LayerNormalization", (1, 2, 8), {"s": weights(8), "b": weights(8)}, axis=-1
    ),
    "MatMul": one("MatMul", more={"w": weights(8, 4)}),
    "Max": one("Max", more={"c": number(0.5)}),
    "MaxPool": one("MaxPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2]),
    "MaxPool, padded behind Relu": model(
        [
            node("Relu", ["x"], ["r"]),
            node("MaxPool", ["r"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        ],
        (1, 1, 4, 4),
    ),
    "Mean": model([node("Neg", ["x"], ["n"]), node("Mean", ["x", "n", "x"], ["y"])], (1, 8)),
    "Mish": one("Mish"),
    "Not": model(
        [
            node("Greater", ["x", "c"], ["a"]),
            node("Not", ["a"], ["b"]),
            node("Cast", ["b"], ["y"], to=FLOAT),
        ],
        (1, 8),
        {"c": number(0.3)},
    ),
    "OneHot": model(
        [
            node("ArgMax", ["x"], ["i"], axis=1, keepdims=0),
            node("OneHot", ["i", "depth", "values"], ["y"]),
        ],
        (1, 4),
        {"depth": np.array(4), "values": np.array([0, 1], np.float32)},
    ),
    "Pad": one("Pad", (1, 4), {"p": ints(0, 1, 0, 2)}),
    "Pow": one("Pow", more={"c": number(3)}),
    "RMSNormalization": model(
        [node("RMSNormalization", ["x", "s"], ["y"])], (1, 2, 8), {"s": weights(8)}, opset=23
    ),
    "RNN": recurrent("RNN", 1),
    "Reshape": one("Reshape", (1, 2, 4), {"s": ints(1, -1)}),
    "Resize": model(
        [node("Resize", ["x", "", "s"], ["y"], mode="nearest")],
        (1, 1, 3, 3),
        {"s": np.array([1, 1, 2, 2], np.float32)},
    ),
    "Slice": one("Slice", more={"s": ints(-3), "e": ints(2**63 - 1), "a": ints(1)}),
    "Slice, backward": one(
        "Slice", more={"s": ints(7), "e": ints(-(2**63)), "a": ints(1), "step": ints(-1)}
    ),
    "SpaceToDepth": one("SpaceToDepth", (1, 1, 4, 4), blocksize=2),
    "Split": model(
        [
            node("Split", ["x", "n"], ["a", "b"], axis=1),
            node("Concat", ["b", "a"], ["y"], axis=1),
        ],
        (1, 8),
        {"n": ints(3, 5)},
    ),
    "Squeeze": one("Squeeze", (1, 1, 4), {"a": ints(1)}),
    "Sum": model([node("Neg", ["x"], ["n"]), node("Sum", ["x", "n", "x"], ["y"])], (1, 8)),
    "Transpose": one("Transpose", (1, 2, 4), perm=[0, 2, 1]),
    "Trilu": one("Trilu", (1, 4, 4), upper=0),
    "Unsqueeze": one("Unsqueeze", (1, 4), {"a": ints(1)}),
    "Where": model(
        [node("Greater", ["x", "c"], ["b"]), node("Where", ["b", "x", "d"], ["y"])],
        (1, 8),
        {"c": number(0), "d": number(0.1)},
    ),
    "shapes computed from shapes": model(
        [
            node("Shape", ["x"], ["shape"], end=1),
            node("Concat", ["shape", "rest"], ["target"], axis=0),
            node("Reshape", ["x", "target"], ["y"]),
        ],
        (1, 2, 4),
        {"rest": ints(-1)},
    ),
}  # fmt: skip
"""What ezkl proves as ONNX defines it; every admitted operator is in here."""
