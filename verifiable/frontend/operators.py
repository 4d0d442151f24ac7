"""Which ONNX operators ezkl 23 proves as ONNX defines them, and under which conditions.

Measured: each operator was compiled, run and mock-proven by ezkl 23.0.5 and its result compared
with onnxruntime's. Conditions exist where ezkl fails, or silently computes something else: a
padded MaxPool takes zeros for the border, an averaging one counts it, casts to integers round
down instead of to zero, recurrent layers run forward whatever their direction.
``tests/frontend/test_operators.py`` repeats the measurement for every entry.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import onnx

from verifiable.frontend.facts import Facts, attributes

Condition = Callable[[Facts, onnx.NodeProto], str | None]
"""Says what is wrong with a node, or None."""

FLOAT: Final = int(onnx.TensorProto.FLOAT)
INTEGERS: Final = frozenset(
    int(t) for t in (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
)
NONNEGATIVE: Final = frozenset(
    {"Relu", "Sigmoid", "Softmax", "Abs", "HardSigmoid", "Exp", "Softplus"}
)

PLAIN: Final = frozenset(
    {
        "Abs", "Acos", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip",
        "Concat", "Cos", "Cosh", "DepthToSpace", "Div", "Dropout", "Einsum", "Elu", "Erf", "Exp",
        "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gemm",
        "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid",
        "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "LayerNormalization",
        "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Mean", "Min", "Mul",
        "Neg", "Not", "OneHot", "Or", "PRelu", "Reciprocal", "ReduceL1", "ReduceL2",
        "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare", "Relu", "Reshape", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh",
        "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze",
        "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Transpose", "Trilu", "Unsqueeze", "Where",
        "Xor",
    }
)  # fmt: skip
"""Proven as defined, whatever their attributes."""


def undilated(_: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for windows without gaps."""
    dilations = attributes(node).get("dilations", [])
    return f"dilations {list(dilations)} are not 1" if any(d != 1 for d in dilations) else None


def ungrouped(_: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for transposed convolutions in one group."""
    group = attributes(node).get("group", 1)
    return f"group {group} is not 1" if group != 1 else None


def floor_sized(_: Facts, node: onnx.NodeProto) -> str | None:
    """Hold unless the window may hang over the edge."""
    return "ceil_mode is not supported" if attributes(node).get("ceil_mode", 0) else None


def max_border(facts: Facts, node: onnx.NodeProto) -> str | None:
    """Hold unless ezkl's border of zeros could win over negative elements."""
    if not _padded(node):
        return None
    maker = facts.producers.get(node.input[0])
    if maker is not None and facts.model.graph.node[maker].op_type in NONNEGATIVE:
        return None
    return "padding counts as 0 in ezkl, which is above negative elements"


def mean_border(_: Facts, node: onnx.NodeProto) -> str | None:
    """Hold unless the border must be left out of the mean."""
    if _padded(node) and not attributes(node).get("count_include_pad", 0):
        return "ezkl counts the padding in the mean; count_include_pad is 0"
    return None


def no_indices(_: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for one output."""
    return "its second output is not supported" if len([o for o in node.output if o]) > 1 else None


def positive_power(facts: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for a constant positive exponent or a constant base."""
    base, exponent = (facts.constants.get(name) for name in node.input)
    if exponent is None:
        return None if base is not None and base.size == 1 else "its exponent is not constant"
    if exponent.size != 1:
        return "its exponent is not a single number"
    power = float(exponent.ravel()[0])
    return None if power > 0 else f"exponent {power:g} is not positive; ezkl gets it wrong"


def scalar_bound(facts: Facts, node: onnx.NodeProto) -> str | None:
    """Hold if constants in a Max are single numbers."""
    wide = [n for n in node.input if n in facts.constants and facts.constants[n].size != 1]
    return f"constant `{wide[0]}` is not a single number" if wide else None


def exact_cast(facts: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for casts that ezkl does not round its own way."""
    source, target = facts.elem(node.input[0]), int(attributes(node)["to"])
    if source in INTEGERS and target in {FLOAT, *INTEGERS - {int(onnx.TensorProto.BOOL)}}:
        return None
    if target in INTEGERS:
        return "ezkl rounds down where ONNX truncates or tests against zero"
    return None  # other element types are refused by name


def inference(_: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for normalisation with stored statistics."""
    return "training_mode is set" if attributes(node).get("training_mode", 0) else None


def forward_only(facts: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for plain recurrent layers: ezkl ignores every option, and one batch axis of 1."""
    given = attributes(node)
    if given.get("direction", b"forward") != b"forward":
        return f"direction {given['direction'].decode(errors='replace')} is run forward by ezkl"
    ignored = [a for a in ("activations", "clip", "input_forget", "layout") if given.get(a)]
    if "activations" in ignored and _default_activations(node, given["activations"]):
        ignored.remove("activations")
    if ignored:
        return f"attribute {ignored[0]} is ignored by ezkl"
    if len(node.input) > 4 and node.input[4]:
        return "sequence_lens is not supported"
    shape = facts.shape(node.input[0])
    return None if shape is not None and shape[1] == 1 else "batch size is not 1"


def zero_padding(facts: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for padding by zeros, all axes given."""
    if attributes(node).get("mode", b"constant") != b"constant":
        return "only padding by a constant is supported"
    pads = facts.constants.get(node.input[1])
    if pads is None or np.any(pads < 0):
        return "its pads are not constant and non-negative"
    given = [name for name in node.input[2:4] if name]
    if len(node.input) > 3 and node.input[3]:
        return "input axes is not supported"
    value = facts.constants.get(given[0]) if given else np.zeros(1)
    return None if value is not None and not np.any(value) else "it pads with other than 0"


def nearest_upsampling(facts: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for repeating each element a whole number of times."""
    given = attributes(node)
    grid = given.get("coordinate_transformation_mode", b"half_pixel")
    nearest = given.get("nearest_mode", b"round_prefer_floor")
    repeats = {(b"half_pixel", b"round_prefer_floor"), (b"asymmetric", b"floor")}
    if given.get("mode", b"nearest") != b"nearest" or (grid, nearest) not in repeats:
        return "only nearest (half_pixel, or asymmetric with floor) is supported"
    scales = facts.constants.get(node.input[2]) if len(node.input) > 2 else None
    if scales is None or not scales.size or np.any(scales < 1) or np.any(scales % 1):
        return "its scales are not constant whole numbers"
    return None


def running_sum(_: Facts, node: onnx.NodeProto) -> str | None:
    """Hold for sums from the front that include the element."""
    given = attributes(node)
    odd = [name for name in ("exclusive", "reverse") if given.get(name)]
    return f"attribute {odd[0]} is not supported" if odd else None


def first_of_equals(_: Facts, node: onnx.NodeProto) -> str | None:
    """Hold if ties go to the first."""
    return "select_last_index is set" if attributes(node).get("select_last_index") else None


CONDITIONAL: Final[Mapping[str, tuple[Condition, ...]]] = {
    "ArgMax": (first_of_equals,),
    "ArgMin": (first_of_equals,),
    "AveragePool": (undilated, floor_sized, mean_border),
    "BatchNormalization": (inference,),
    "Cast": (exact_cast,),
    "Conv": (undilated,),
    "ConvTranspose": (undilated, ungrouped),
    "CumSum": (running_sum,),
    "GRU": (forward_only,),
    "LSTM": (forward_only,),
    "Max": (scalar_bound,),
    "MaxPool": (undilated, floor_sized, max_border, no_indices),
    "Pad": (zero_padding,),
    "Pow": (positive_power,),
    "RNN": (forward_only,),
    "Resize": (nearest_upsampling,),
}

REFUSED: Final[Mapping[str, str]] = {
    "DequantizeLinear": "export the float model; quantisation is the circuit's own",
    "Equal": "ezkl gives its result the wrong scale: use two comparisons",
    "QuantizeLinear": "export the float model; quantisation is the circuit's own",
    "Tile": "use Expand or Concat",
    "TopK": "ezkl fails on its indices and on inner axes: use ArgMax, or sort outside",
    "TreeEnsembleClassifier": "write the trees as comparisons and matmuls, as circuits/forest does",
    "TreeEnsembleRegressor": "write the trees as comparisons and matmuls, as circuits/forest does",
    "TreeEnsemble": "write the trees as comparisons and matmuls, as circuits/forest does",
}
"""What to do instead."""


def _padded(node: onnx.NodeProto) -> bool:
    given = attributes(node)
    return any(given.get("pads", [])) or given.get("auto_pad", b"NOTSET") in {
        b"SAME_UPPER",
        b"SAME_LOWER",
    }


def _default_activations(node: onnx.NodeProto, names: list[Any]) -> bool:
    default = {
        "RNN": [b"Tanh"],
        "GRU": [b"Sigmoid", b"Tanh"],
        "LSTM": [b"Sigmoid", b"Tanh", b"Tanh"],
    }
    return list(names) == default[node.op_type]
