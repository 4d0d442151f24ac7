"""A LeNet of 5,092 parameters on 784 pixels: scikit-learn's digits drawn larger.

The digits are 8x8; here each pixel is drawn 3x3 times and framed by 2, since no 28x28 set comes
in a wheel. The model is of the size of one for MNIST, the task is easier.

References
----------
LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 86(11), 1998,
section II.B: two convolutions with averaging between, then dense layers (there tanh, here ReLU).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from circuits.digits import digits, image_samples
from circuits.recipe import Samples, right_share
from circuits.training import fit
from verifiable.frontend.export import export_module

SHAPE = (1, 1, 28, 28)


def train() -> bytes:
    """Train on enlarged images and export."""
    from torch import nn

    data = digits()
    module = fit(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 5),  # [4, 24, 24]
            nn.ReLU(),
            nn.AvgPool2d(2),  # [4, 12, 12]
            nn.Conv2d(4, 8, 5),  # [8, 8, 8]
            nn.ReLU(),
            nn.AvgPool2d(2),  # [8, 4, 4]
            nn.Flatten(),
            nn.Linear(128, 30),
            nn.ReLU(),
            nn.Linear(30, 10),
        ),
        enlarged(data.train),
        data.train_labels,
        epochs=15,
    )
    return export_module(module, {"image": np.zeros(SHAPE, np.float32)}, outputs=["logits"])


def samples() -> Samples:
    """Enlarged images."""
    data = digits()
    return image_samples(enlarged(data.train), enlarged(data.test), data.test_labels, SHAPE)


def enlarged(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each pixel 3x3 times, framed by two of 0: ``[n, 8, 8]`` to ``[n, 1, 28, 28]``."""
    large = images.repeat(3, axis=1).repeat(3, axis=2)
    return np.pad(large, ((0, 0), (2, 2), (2, 2)))[:, np.newaxis]


def accuracy(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> float:
    """Share of digits named right."""
    return right_share(outputs["logits"], labels)
