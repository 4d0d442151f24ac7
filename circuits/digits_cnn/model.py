"""A small CNN on scikit-learn's digits, shaped so that few elements pass a ReLU.

In a circuit each ReLU and each rescaling costs about 20 rows an element, a product half a row:
so a stride of 2 at once, and channels where the image is 1x1.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from circuits.digits import digits, image_samples
from circuits.recipe import Samples, right_share
from circuits.training import fit
from verifiable.frontend.export import export_module

SHAPE = (1, 1, 8, 8)


def train() -> bytes:
    """Train on 8x8 images and export."""
    from torch import nn

    data = digits()
    module = fit(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2),  # [4, 3, 3]
            nn.ReLU(),
            nn.Conv2d(4, 12, 3),  # [12, 1, 1]
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(12, 10),
        ),
        data.train.reshape(-1, 1, 8, 8),
        data.train_labels,
    )
    return export_module(module, {"image": np.zeros(SHAPE, np.float32)}, outputs=["logits"])


def samples() -> Samples:
    """Images with a channel axis of 1."""
    data = digits()
    return image_samples(data.train, data.test, data.test_labels, SHAPE)


def accuracy(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> float:
    """Share of digits named right."""
    return right_share(outputs["logits"], labels)
