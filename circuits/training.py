"""Training a small classifier, the same way each time."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

BATCH = 64


def fit(
    build: "Callable[[], torch.nn.Module]",
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    epochs: int = 60,
    rate: float = 1e-2,
) -> "torch.nn.Module":
    """Build and train a classifier: AdamW, one learning-rate cycle, smoothed cross-entropy.

    One thread and a seed set before the weights are drawn: the same versions on the same kind of
    processor give the same weights. Others may round sums in another order.

    Parameters
    ----------
    build : callable
        Makes the untrained module, which returns logits ``[batch, classes]``.
    inputs : float32 array ``[n, *shape]``
    labels : int64 array ``[n]``
    epochs : int
    rate : float
        Largest learning rate of the cycle.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = build()
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    optimiser = torch.optim.AdamW(module.parameters(), rate, weight_decay=1e-3)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.05)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimiser.zero_grad()
            loss(module(x[batch]), y[batch]).backward()
            optimiser.step()
            schedule.step()
    torch.set_num_threads(threads)
    return module.eval()
