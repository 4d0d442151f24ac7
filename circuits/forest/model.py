"""Gradient-boosted trees that tell benign from malignant tumours, written as comparisons.

ezkl has no tree operator. So each tree becomes two rounds of comparisons: every inner node
compares its feature with its threshold, and a leaf is reached when as many comparisons on its
path went its way as the path is long. All boxes of all trees are two matrix products.

Features are standardised and rounded to sixteenths before training. Trees only compare, so
little is lost, and a circuit with 5 or more fractional bits decides exactly as the trees do:
thresholds, half-way between two values, are multiples of 1/32.

References
----------
Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", Annals of Statistics
29(5), 2001. Nakandala et al., "A Tensor Compiler for Unified Machine Learning Prediction Serving",
OSDI 2020, section 4.1 (trees by matrix products). Data: Wolberg et al., "Breast Cancer Wisconsin
(Diagnostic)", UCI Machine Learning Repository, 1993, https://doi.org/10.24432/C5DW2B.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.recipe import CALIBRATION, Samples
from verifiable.frontend.export import load_model

FEATURES = 30
TREES = 12
DEPTH = 2
TEST_EVERY = 4


def train() -> bytes:
    """Boost trees on rounded features and write them as comparisons."""
    return lowered(boosted())


def boosted() -> Any:
    """Fit scikit-learn's own classifier."""
    from sklearn.ensemble import GradientBoostingClassifier

    features, labels, held = patients()
    model = GradientBoostingClassifier(
        n_estimators=TREES, max_depth=DEPTH, learning_rate=0.3, random_state=0
    )
    return model.fit(features[~held], labels[~held])


def lowered(model: Any) -> bytes:
    """Write fitted trees as Gather, LessOrEqual, MatMul, GreaterOrEqual, MatMul, Add."""
    from onnx import TensorProto, helper, numpy_helper

    boxes = _boxes([stage[0].tree_ for stage in model.estimators_], float(model.learning_rate))
    prior = model.init_.class_prior_
    boxes["start"] = np.array([[np.log(prior[1] / prior[0])]], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["features", "feature"], ["asked"], axis=1),
            helper.make_node("LessOrEqual", ["asked", "threshold"], ["is_left"]),
            helper.make_node("Cast", ["is_left"], ["left"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["left", "path"], ["agreeing"]),
            helper.make_node("GreaterOrEqual", ["agreeing", "needed"], ["is_reached"]),
            helper.make_node("Cast", ["is_reached"], ["reached"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["reached", "value"], ["sum"]),
            helper.make_node("Add", ["sum", "start"], ["score"]),
        ],
        "forest",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, FEATURES])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(value, name) for name, value in boxes.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    return load_model(helper.make_model(graph, opset_imports=opsets).SerializeToString())


def _boxes(trees: list[Any], rate: float) -> dict[str, NDArray[Any]]:
    """Matrices of all trees at once.

    ``path[node, leaf]`` is 1 where the leaf lies left of the node, -1 where right. The sum over
    nodes that answered "left" equals the number of left turns on the path only if every turn was
    taken; a missed left turn lowers it, so does a wrong one.
    """
    feature: list[int] = []
    threshold: list[float] = []
    leaves: list[tuple[dict[int, int], float]] = []

    def walk(tree: Any, node: int, turns: dict[int, int]) -> None:
        if tree.children_left[node] < 0:
            leaves.append((turns, rate * float(tree.value[node].item())))
            return
        index = len(feature)
        feature.append(int(tree.feature[node]))
        threshold.append(float(tree.threshold[node]))
        walk(tree, tree.children_left[node], {**turns, index: 1})
        walk(tree, tree.children_right[node], {**turns, index: -1})

    for tree in trees:
        walk(tree, 0, {})
    path = np.zeros((len(feature), len(leaves)), np.float32)
    needed = np.zeros((1, len(leaves)), np.float32)
    for leaf, (turns, _) in enumerate(leaves):
        for node, turn in turns.items():
            path[node, leaf] = turn
        # Half below, so that no circuit's rounding can matter.
        needed[0, leaf] = sum(turn > 0 for turn in turns.values()) - 0.5
    limits = np.array(threshold)
    exact = limits.astype(np.float32)
    assert np.array_equal(exact, limits), "thresholds are multiples of 1/32"
    return {
        "feature": np.array(feature, np.int64),
        "threshold": exact[np.newaxis],
        "path": path,
        "needed": needed,
        "value": np.array([[value] for _, value in leaves], np.float32),
    }


def patients() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Features ``[569, 30]`` in sixteenths, labels (1 is benign), and which rows are held out."""
    from sklearn.datasets import load_breast_cancer

    raw, labels = load_breast_cancer(return_X_y=True)
    held = np.arange(len(raw)) % TEST_EVERY == TEST_EVERY - 1
    mean, spread = raw[~held].mean(axis=0), raw[~held].std(axis=0)
    rounded = np.round((raw - mean) / spread * 16) / 16
    # Outliers are cut at 4 deviations: a circuit is sized by the largest input.
    return np.clip(rounded, -4, 4).astype(np.float32), labels.astype(np.int64), held


def samples() -> Samples:
    """Standardised, rounded measurements."""
    features, labels, held = patients()
    return Samples(
        calibration={"features": features[~held][:CALIBRATION, np.newaxis]},
        test={"features": features[held][:, np.newaxis]},
        labels=labels[held],
    )


def accuracy(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> float:
    """Share of tumours told right: a positive score says benign."""
    return float(np.mean((outputs["score"].ravel() > 0) == (labels == 1)))
