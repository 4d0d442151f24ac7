"""An MLP 64-24-10 on scikit-learn's digits."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from circuits.digits import digits, image_samples
from circuits.recipe import Samples, right_share
from circuits.training import fit
from verifiable.frontend.export import export_module

SHAPE = (1, 64)


def train() -> bytes:
    """Train on flattened 8x8 images and export."""
    from torch import nn

    data = digits()
    module = fit(
        lambda: nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10)),
        data.train.reshape(-1, 64),
        data.train_labels,
    )
    return export_module(module, {"image": np.zeros(SHAPE, np.float32)}, outputs=["logits"])


def samples() -> Samples:
    """Flattened images."""
    data = digits()
    return image_samples(data.train, data.test, data.test_labels, SHAPE)


def accuracy(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> float:
    """Share of digits named right."""
    return right_share(outputs["logits"], labels)
