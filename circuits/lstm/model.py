"""An LSTM of 16 cells that reads a digit row by row and names it after the last.

References
----------
Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997; with forget
gates: Gers, Schmidhuber and Cummins, Neural Computation 12(10), 2000.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from circuits.digits import digits, image_samples
from circuits.recipe import Samples, right_share
from circuits.training import fit
from verifiable.frontend.export import export_module

SHAPE = (1, 8, 8)
CELLS = 16


def train() -> bytes:
    """Train on rows as a sequence and export."""
    import torch
    from torch import nn

    class Reader(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, CELLS, batch_first=True)
            self.head = nn.Linear(CELLS, 10)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            states, _ = self.lstm(rows)  # [batch, 8, 16]
            logits: torch.Tensor = self.head(states[:, -1])
            return logits

    data = digits()
    module = fit(Reader, data.train, data.train_labels, epochs=60)
    return export_module(module, {"rows": np.zeros(SHAPE, np.float32)}, outputs=["logits"])


def samples() -> Samples:
    """Images as rows."""
    data = digits()
    return image_samples(data.train, data.test, data.test_labels, SHAPE, name="rows")


def accuracy(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> float:
    """Share of digits named right."""
    return right_share(outputs["logits"], labels)
