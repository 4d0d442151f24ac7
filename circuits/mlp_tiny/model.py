"""An MLP 16-8-4 that tells the digits 0 to 3 apart on 4x4 pixels: the smallest real task."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from circuits.digits import digits, image_samples
from circuits.recipe import Samples, right_share
from circuits.training import fit
from verifiable.frontend.export import export_module

SHAPE = (1, 16)


def train() -> bytes:
    """Train on the pooled digits 0 to 3 and export."""
    from torch import nn

    data = digits()
    few = data.train_labels < 4
    module = fit(
        lambda: nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)),
        pooled(data.train[few]),
        data.train_labels[few],
        epochs=100,
    )
    return export_module(module, {"image": np.zeros(SHAPE, np.float32)}, outputs=["logits"])


def samples() -> Samples:
    """Pooled images of the digits 0 to 3."""
    data = digits()
    few, held = data.train_labels < 4, data.test_labels < 4
    return image_samples(
        pooled(data.train[few]), pooled(data.test[held]), data.test_labels[held], SHAPE
    )


def pooled(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2x2 pixels: ``[n, 8, 8]`` to ``[n, 16]``, multiples of 1/64."""
    means: NDArray[np.float32] = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    return means.reshape(-1, 16)


def accuracy(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> float:
    """Share of digits named right."""
    return right_share(outputs["logits"], labels)
