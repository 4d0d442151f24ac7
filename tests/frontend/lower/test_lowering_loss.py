"""Losses are their formulas, over random weights and ignored labels."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import floats, graph_of, model, near, ours

from verifiable.errors import UnsupportedError
from verifiable.graph.ir import Array


@given(
    seed=st.integers(0, 2**16),
    area=st.lists(st.integers(1, 3), max_size=2),
    weighted=st.booleans(),
    ignored=st.sampled_from([None, 1, -100]),
    reduction=st.sampled_from(["none", "sum", "mean"]),
    dtype=st.sampled_from([np.int32, np.int64]),
)
def test_losses_are_their_formulas(
    seed: int,
    area: list[int],
    weighted: bool,
    ignored: int | None,
    reduction: str,
    dtype: type[np.generic],
) -> None:
    rng = np.random.default_rng(seed)
    scores = floats(seed, 3, 4, *area)
    labels = rng.integers(0, 4, (3, *area)).astype(dtype)
    if ignored is not None:
        labels.reshape(-1)[0] = ignored
    weight = np.abs(floats(seed + 1, 4)) + np.float32(0.5)
    inputs: list[Array] = [scores, labels, weight] if weighted else [scores, labels]
    attributes: dict[str, Any] = {"reduction": reduction}
    if ignored is not None:
        attributes["ignore_index"] = ignored
    wide = scores.astype(np.float64)
    logarithm = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))

    def wanted(of: Array) -> Array:
        kept = labels != ignored if ignored is not None else np.ones_like(labels, bool)
        safe = np.where(kept, labels, 0)
        each = (weight.astype(np.float64) if weighted else np.ones(4))[safe] * kept
        chosen = np.take_along_axis(of, safe[:, None].astype(np.int64), axis=1)[:, 0]
        losses = -chosen * each
        if reduction == "none":
            return np.asarray(losses, np.float32)
        total = losses.sum() / (each.sum() if reduction == "mean" else 1)
        return np.asarray(total, np.float32)

    if reduction == "mean" and ignored is not None and not (labels != ignored).any():
        return
    made = model("SoftmaxCrossEntropyLoss", inputs, outputs=2, **attributes)
    loss, shown = ours(made, inputs)
    near(loss, wanted(logarithm))
    near(shown, logarithm.astype(np.float32))
    (loss,) = ours(model("NegativeLogLikelihoodLoss", inputs, **attributes), inputs)
    near(loss, wanted(wide))


def test_labels_of_another_shape_are_refused_by_name() -> None:
    inputs = [floats(1, 2, 3), np.zeros(3, np.int64)]
    with pytest.raises(UnsupportedError, match=r"^NegativeLogLikelihoodLoss `it` .*labels are"):
        graph_of(model("NegativeLogLikelihoodLoss", inputs))
