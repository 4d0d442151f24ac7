"""scikit-learn's digits: 1,797 grey 8x8 images of handwritten digits, in its wheel.

From E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49 (its test set).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.recipe import CALIBRATION, Samples

TEST_EVERY = 4
"""Each fourth image is held out: 450 of 1,797. Writers are mixed in both sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Images ``[n, 8, 8]`` float32 in 0..1, multiples of 1/16, with their digits."""

    train: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def digits() -> Digits:
    """Load the digits and split them the same way on every machine."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8) / 16).astype(np.float32)
    held = np.arange(len(images)) % TEST_EVERY == TEST_EVERY - 1
    labels = labels.astype(np.int64)
    return Digits(
        train=images[~held],
        train_labels=labels[~held],
        test=images[held],
        test_labels=labels[held],
    )


def image_samples(
    train: NDArray[np.float32],
    test: NDArray[np.float32],
    labels: NDArray[np.int64],
    shape: tuple[int, ...],
    name: str = "image",
) -> Samples:
    """Samples of one input called `name` with the shape the model takes."""
    return Samples(
        calibration={name: train[:CALIBRATION].reshape(-1, *shape)},
        test={name: test.reshape(-1, *shape)},
        labels=labels,
    )
