"""One transformer block, d = 32, reading the 8 rows of a digit as 8 tokens.

Softmax attention with one head, GELU, layer norms before each half.

References
----------
Vaswani et al., "Attention Is All You Need", NeurIPS 2017, sections 3.1 to 3.3. Layer norm before
instead of after: Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from circuits.digits import digits, image_samples
from circuits.recipe import Samples, right_share
from circuits.training import fit
from verifiable.frontend.export import export_module

SHAPE = (1, 8, 8)
WIDTH = 32


def train() -> bytes:
    """Train on rows as tokens and export."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(8, WIDTH)
            self.place = nn.Parameter(torch.randn(8, WIDTH) / 4)
            self.before_attention = nn.LayerNorm(WIDTH)
            self.query = nn.Linear(WIDTH, WIDTH)
            self.key = nn.Linear(WIDTH, WIDTH)
            self.value = nn.Linear(WIDTH, WIDTH)
            self.mix = nn.Linear(WIDTH, WIDTH)
            self.before_dense = nn.LayerNorm(WIDTH)
            self.widen = nn.Linear(WIDTH, 2 * WIDTH)
            self.narrow = nn.Linear(2 * WIDTH, WIDTH)
            self.head = nn.Linear(WIDTH, 10)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            x = self.embed(rows) + self.place  # [batch, 8, 32]
            y = self.before_attention(x)
            scores = self.query(y) @ self.key(y).transpose(-1, -2) / WIDTH**0.5  # [batch, 8, 8]
            x = x + self.mix(torch.softmax(scores, dim=-1) @ self.value(y))
            x = x + self.narrow(functional.gelu(self.widen(self.before_dense(x))))
            logits: torch.Tensor = self.head(x.mean(dim=1))
            return logits

    data = digits()
    module = fit(Block, data.train, data.train_labels, epochs=40, rate=5e-3)
    return export_module(module, {"rows": np.zeros(SHAPE, np.float32)}, outputs=["logits"])


def samples() -> Samples:
    """Images as rows."""
    data = digits()
    return image_samples(data.train, data.test, data.test_labels, SHAPE, name="rows")


def accuracy(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> float:
    """Share of digits named right."""
    return right_share(outputs["logits"], labels)
