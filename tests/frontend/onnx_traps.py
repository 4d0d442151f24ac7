"""Small ONNX models that must be refused, each for one reason."""

import numpy as np
from onnx import helper
from onnx_zoo import (
    BOOL,
    CONV,
    DOUBLE,
    FLOAT,
    HALF,
    IMAGE,
    INT64,
    compared,
    ints,
    model,
    node,
    number,
    one,
    recurrent,
    weights,
)

MASK = np.array([[0, -np.inf] * 4], np.float32)

REFUSED: dict[str, tuple[bytes, str]] = {
    "NaN weight": (
        one("Add", more={"bias": np.array([0] * 7 + [np.nan], np.float32)}),
        r"constant `bias`\[7\], read by Add `y` \(node 1 of 1\), is nan",
    ),
    "infinite weight": (
        one("Mul", more={"gain": np.array([[np.inf] * 8], np.float32)}),
        r"constant `gain`\[0, 0\], read by Mul .* is inf, wanted finite .* \(8 such\)",
    ),
    "mask of -inf, added": (one("Add", more={"mask": MASK}), r"`mask`\[0, 1\].* a mask of"),
    "mask of -inf, chosen": (
        model(
            [node("Where", ["keep", "x", "low"], ["y"])],
            (1, 8),
            {"keep": np.array([[True, False] * 4]), "low": number(-np.inf)},
        ),
        r"`low`\[\], read by Where .* a mask of",
    ),
    "mask of the smallest float": (
        one("Add", more={"mask": np.full((1, 8), np.finfo(np.float32).min, np.float32)}),
        "a mask of",
    ),
    "too large for fixed point": (one("Mul", more={"c": number(1e9)}), r"is 1e\+09"),
    "integer that float32 rounds": (
        model(
            [
                node("ArgMax", ["x"], ["i"], axis=1),
                node("Add", ["i", "offset"], ["j"]),
                node("Cast", ["j"], ["y"], to=FLOAT),
            ],
            (1, 8),
            {"offset": np.array(2**24 + 1)},
        ),
        r"integer constant `offset`\[\], read by Add `j` \(node 2 of 3\), is 16777217",
    ),
    "float64 input": (model([node("Relu", ["x"], ["y"])], (1, 8), elem=DOUBLE), "is double"),
    "float64 inside": (
        model(
            [
                node("Cast", ["x"], ["d"], to=DOUBLE),
                node("Exp", ["d"], ["e"]),
                node("Cast", ["e"], ["y"], to=FLOAT),
            ],
            (1, 8),
        ),
        r"Cast `d` \(node 1 of 3\) makes `d` in double",
    ),
    "float16 inside": (
        model(
            [
                node("Cast", ["x"], ["d"], to=HALF),
                node("Exp", ["d"], ["e"]),
                node("Cast", ["e"], ["y"], to=FLOAT),
            ],
            (1, 8),
        ),
        "in float16",
    ),
    "integer input": (
        model([node("Cast", ["x"], ["y"], to=FLOAT)], (1, 8), elem=INT64),
        "input `x` is int64, wanted float",
    ),
    "cast to integer": (
        model([node("Cast", ["x"], ["i"], to=INT64), node("Cast", ["i"], ["y"], to=FLOAT)], (1, 8)),
        "rounds down where ONNX truncates",
    ),
    "cast to bool": (
        model([node("Cast", ["x"], ["i"], to=BOOL), node("Cast", ["i"], ["y"], to=FLOAT)], (1, 8)),
        "tests against zero",
    ),
    "dilated convolution": (one("Conv", IMAGE, CONV, dilations=[2, 2]), r"dilations \[2, 2\]"),
    "dilated pooling": (
        one("MaxPool", IMAGE, kernel_shape=[2, 2], dilations=[2, 2]),
        r"dilations \[2, 2\]",
    ),
    "padded MaxPool of negatives": (
        one("MaxPool", IMAGE, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        "padding counts as 0",
    ),
    "border outside the mean": (
        one("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        "counts the padding",
    ),
    "ceil_mode": (
        one("MaxPool", (1, 1, 5, 5), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        "ceil_mode",
    ),
    "power of zero": (one("Pow", more={"c": number(0)}), "exponent 0 is not positive"),
    "negative power": (one("Pow", more={"c": number(-2)}), "exponent -2 is not positive"),
    "reverse LSTM": (recurrent("LSTM", 4, direction="reverse"), "direction reverse"),
    "bidirectional GRU": (recurrent("GRU", 3, direction="bidirectional"), "bidirectional"),
    "clipped LSTM": (recurrent("LSTM", 4, clip=0.1), "attribute clip"),
    "other activations": (
        recurrent("LSTM", 4, activations=["Tanh", "Sigmoid", "Relu"]),
        "attribute activations",
    ),
    "sort": (
        model([node("TopK", ["x", "k"], ["y", "i"], axis=1)], (1, 8), {"k": ints(3)}),
        r"TopK `y` \(node 1 of 1\): not an operator that ezkl proves",
    ),
    "equality": (compared("Equal"), r"Equal `b` \(node 1 of 2\)"),
    "tile": (one("Tile", (1, 4), {"n": ints(1, 2)}), "Tile"),
    "shape that depends on values": (
        model([node("NonZero", ["x"], ["i"]), node("Cast", ["i"], ["y"], to=FLOAT)], (1, 8)),
        "NonZero",
    ),
    "control flow": (
        model(
            [
                node("ReduceSum", ["x"], ["s"], keepdims=0),
                node("Greater", ["s", "c"], ["b"]),
                node(
                    "If",
                    ["b"],
                    ["y"],
                    then_branch=helper.make_graph(
                        [node("Relu", ["x"], ["t"])],
                        "then",
                        [],
                        [helper.make_tensor_value_info("t", FLOAT, (1, 8))],
                    ),
                    else_branch=helper.make_graph(
                        [node("Neg", ["x"], ["e"])],
                        "else",
                        [],
                        [helper.make_tensor_value_info("e", FLOAT, (1, 8))],
                    ),
                ),
            ],
            (1, 8),
            {"c": number(0)},
        ),
        r"If `y` \(node 3 of 3\): control flow",
    ),
    "trees": (
        model(
            [
                node(
                    "TreeEnsembleRegressor",
                    ["x"],
                    ["y"],
                    domain="ai.onnx.ml",
                    n_targets=1,
                    nodes_treeids=[0],
                    nodes_nodeids=[0],
                    nodes_featureids=[0],
                    nodes_modes=["LEAF"],
                    nodes_values=[0.0],
                    nodes_truenodeids=[0],
                    nodes_falsenodeids=[0],
                    target_treeids=[0],
                    target_nodeids=[0],
                    target_ids=[0],
                    target_weights=[1.0],
                )
            ],
            (1, 8),
        ),
        r"TreeEnsembleRegressor .*not an operator that ezkl proves",
    ),
    "operator of nobody": (
        model([node("LRN", ["x"], ["y"], size=3)], (1, 4, 2, 2)),
        "LRN .* not known to be proven",
    ),
    "input without axes": (one("Neg", ()), r"input `x` has shape \[\]"),
    "constant as output": (
        model([node("Relu", ["x"], ["y"])], (1, 8), {"c": weights(1, 8)}, outputs=("y", "c")),
        "output `c` is a constant",
    ),
    "input as output": (
        model([node("Relu", ["x"], ["y"])], (1, 8), outputs=("y", "x")),
        "output `x` is an input",
    ),
    "input nobody reads": (
        model([node("Add", ["c", "c"], ["y"])], (1, 8), {"c": number(1)}),
        "input `x` is read by no operator",
    ),
}
"""What must be refused, and what the refusal says."""
