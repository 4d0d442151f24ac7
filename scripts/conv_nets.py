"""Convolutional nets, written from their papers, with random weights and true statistics.

References
----------
He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (ResNet-18, -50).
Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2 (the spread of weights).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def draw_trained(norm: nn.Module) -> None:
    """Draw the trained numbers of a norm: as torch makes it, it has 1 and 0."""
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    if getattr(norm, "bias", None) is not None:
        nn.init.normal_(norm.bias, 0, 0.2)


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch norm, activation."""

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[], nn.Module] | None = nn.ReLU,
    ) -> None:
        conv = nn.Conv2d(
            *channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        )
        nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
        norm = nn.BatchNorm2d(channels[1])
        draw_trained(norm)
        super().__init__(conv, norm, *([activation()] if activation else []))


def see(net: nn.Module, images: Tensor) -> None:
    """Give batch norms the statistics of what they see, as training does.

    Without, activations shrink or grow from layer to layer, and what all images have in common
    drowns what they differ in. On one thread, so that sums have one order.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    net.train()
    with torch.no_grad():
        net(images)
    net.eval()
    torch.set_num_threads(threads)


class Residual(nn.Module):
    """Sum of a branch and a shortcut, then ReLU."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Image ``[N, C, H, W]`` to image."""
        return functional.relu(self.branch(x) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet of basic (18) or bottleneck (50) blocks."""

    def __init__(self, blocks: tuple[int, ...], *, bottleneck: bool, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            ConvNorm((3, width), 7, stride=2),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        channels = width
        for stage, count in enumerate(blocks):
            inner = width << stage
            outer = 4 * inner if bottleneck else inner
            for block in range(count):
                stride = 2 if stage and not block else 1
                branch = (
                    nn.Sequential(
                        ConvNorm((channels, inner), 1),
                        ConvNorm((inner, inner), 3, stride=stride),
                        ConvNorm((inner, outer), 1, activation=None),
                    )
                    if bottleneck
                    else nn.Sequential(
                        ConvNorm((channels, inner), 3, stride=stride),
                        ConvNorm((inner, outer), 3, activation=None),
                    )
                )
                plain = channels == outer and stride == 1
                shortcut = (
                    nn.Identity()
                    if plain
                    else ConvNorm((channels, outer), 1, stride=stride, activation=None)
                )
                layers.append(Residual(branch, shortcut))
                channels = outer
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels, 1000)

    def forward(self, image: Tensor) -> Tensor:
        """Image ``[N, 3, H, W]`` to logits ``[N, 1000]``."""
        features = functional.adaptive_avg_pool2d(self.layers(image), 1)
        logits: Tensor = self.head(features.flatten(1))
        return logits


class Inverted(nn.Module):
    """Inverted residual of MobileNetV2: expand, depthwise, project."""

    def __init__(self, channels: tuple[int, int], stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels[0] * expansion
        self.residual = stride == 1 and channels[0] == channels[1]
        wide = ConvNorm((channels[0], hidden), 1, activation=nn.ReLU6)
        self.body = nn.Sequential(
            *([wide] if expansion > 1 else []),
            ConvNorm((hidden, hidden), 3, stride=stride, groups=hidden, activation=nn.ReLU6),
            ConvNorm((hidden, channels[1]), 1, activation=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Image to image."""
        out: Tensor = self.body(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1, or of a part of it.

    Parameters
    ----------
    slim : int
        Divides all channels.
    deep : int
        Most blocks of a stage.
    """

    # Expansion, channels, repeats, stride: table 2 of the paper.
    STAGES = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    )  # fmt: skip

    def __init__(self, *, slim: int = 1, deep: int = 4) -> None:
        super().__init__()
        channels, last = 32 // slim, 1280 // slim
        layers: list[nn.Module] = [ConvNorm((3, channels), 3, stride=2, activation=nn.ReLU6)]
        for expansion, out, repeats, stride in self.STAGES:
            for i in range(min(repeats, deep)):
                layers.append(Inverted((channels, out // slim), 1 if i else stride, expansion))
                channels = out // slim
        layers.append(ConvNorm((channels, last), 1, activation=nn.ReLU6))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(last, 1000)

    def forward(self, image: Tensor) -> Tensor:
        """Image ``[N, 3, H, W]`` to logits ``[N, 1000]``."""
        logits: Tensor = self.head(functional.adaptive_avg_pool2d(self.layers(image), 1).flatten(1))
        return logits
