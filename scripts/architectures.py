"""Well-known architectures with random weights, exported to ONNX, for tests and benchmarks.

Each is written from its paper; `small` keeps the shape of the computation and makes it quick. No
trained weights can be had offline, so these say nothing about accuracy; ``circuits/`` has models
trained on real data.

References
----------
He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (ResNet-18, -50).
Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", NAACL 2019.
Radford et al., "Language Models are Unsupervised Multitask Learners", 2019 (GPT-2).
Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023; Ainslie et al., "GQA",
EMNLP 2023.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from verifiable.frontend.export import quiet_torch

Arrays = dict[str, NDArray[Any]]
OPSET: Final = 20
SEED: Final = 20261122


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
        norm = nn.BatchNorm2d(channels[1])
        super().__init__(conv, norm, *([activation()] if activation else []))


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
        wide = [ConvNorm((channels[0], hidden), 1, activation=nn.ReLU6)] if expansion > 1 else []
        self.body = nn.Sequential(
            *wide,
            ConvNorm((hidden, hidden), 3, stride=stride, groups=hidden, activation=nn.ReLU6),
            ConvNorm((hidden, channels[1]), 1, activation=None),
        )
        self.residual = stride == 1 and channels[0] == channels[1]

    def forward(self, x: Tensor) -> Tensor:
        """Image to image."""
        out: Tensor = self.body(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1."""

    # Expansion, channels, repeats, stride: table 2 of the paper.
    STAGES = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm((3, 32), 3, stride=2, activation=nn.ReLU6)]
        channels = 32
        for expansion, out, repeats, stride in self.STAGES:
            for i in range(repeats):
                layers.append(Inverted((channels, out), stride if not i else 1, expansion))
                channels = out
        layers.append(ConvNorm((channels, 1280), 1, activation=nn.ReLU6))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(1280, 1000)

    def forward(self, image: Tensor) -> Tensor:
        """Image ``[N, 3, H, W]`` to logits ``[N, 1000]``."""
        logits: Tensor = self.head(functional.adaptive_avg_pool2d(self.layers(image), 1).flatten(1))
        return logits


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention of ``[N, heads, T, d]``."""
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores + mask
    return scores.softmax(-1) @ v


def causal(rows: int, columns: int) -> Tensor:
    """Mask ``[rows, columns]`` whose last row sees everything: 0, or a large negative number."""
    seen = torch.ones(rows, columns).tril(columns - rows)
    return (1.0 - seen) * -1e9


class Block(nn.Module):
    """Transformer block of GPT-2 (norm first, causal) or BERT (norm last)."""

    def __init__(self, width: int, heads: int, *, norm_first: bool) -> None:
        super().__init__()
        self.heads, self.norm_first = heads, norm_first
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])

    def attention(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attention over ``[N, T, width]``; also keys and values, with those of the past."""
        n, t, width = x.shape
        q, k, v = (
            part.view(n, t, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=-1)
        )
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        mask = causal(t, k.shape[2]) if self.norm_first and t > 1 else None
        mixed = attend(q, k, v, mask).transpose(1, 2).reshape(n, t, width)
        return self.out(mixed), k, v

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states ``[N, T, width]`` to the same, and keys and values."""
        first, second = self.norms
        approximate = "tanh" if self.norm_first else "none"

        def mlp(y: Tensor) -> Tensor:
            out: Tensor = self.down(functional.gelu(self.up(y), approximate=approximate))
            return out

        if self.norm_first:
            mixed, k, v = self.attention(first(x), past)
            x = x + mixed
            return x + mlp(second(x)), k, v
        mixed, k, v = self.attention(x, past)
        x = first(x + mixed)
        return second(x + mlp(x)), k, v


class Bert(nn.Module):
    """BERT encoder."""

    def __init__(self, width: int, heads: int, layers: int, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(512, width)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads, norm_first=False) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids ``[N, T]`` to hidden states ``[N, T, width]``."""
        x = self.norm(self.tokens(tokens) + self.places(torch.arange(tokens.shape[1])))
        for block in self.blocks:
            x = block(x)[0]
        return x


class Gpt2(nn.Module):
    """GPT-2, its head tied to the embedding; the answer is the last position's logits."""

    def __init__(self, width: int, heads: int, layers: int, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(1024, width)
        self.blocks = nn.ModuleList(Block(width, heads, norm_first=True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """Token ids ``[N, T]``, cached keys and values, to logits ``[N, 1, vocabulary]``."""
        start = past[0].shape[2] if past else 0
        x = self.tokens(tokens) + self.places(torch.arange(start, start + tokens.shape[1]))
        kept: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            x, k, v = block(x, (past[2 * i], past[2 * i + 1]) if past else None)
            kept += [k, v]
        logits = self.norm(x[:, -1:]) @ self.tokens.weight.T
        return (logits, *kept) if past else (logits,)


class LlamaBlock(nn.Module):
    """Block of Llama: RMSNorm, rotary embedding, grouped queries, SwiGLU."""

    def __init__(self, width: int, heads: int, groups: int, hidden: int) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.norms = nn.ModuleList([nn.RMSNorm(width, eps=1e-5), nn.RMSNorm(width, eps=1e-5)])
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * groups * self.size, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up, self.down = (
            nn.Linear(width, hidden, bias=False),
            nn.Linear(hidden, width, bias=False),
        )

    def rotate(self, x: Tensor) -> Tensor:
        """Rotary embedding of ``[N, heads, T, size]``."""
        t, half = x.shape[2], self.size // 2
        angles = torch.outer(torch.arange(t).float(), 1e4 ** (-torch.arange(half).float() / half))
        cos, sin = angles.cos(), angles.sin()
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states ``[N, T, width]`` to the same."""
        n, t, width = x.shape
        y = self.norms[0](x)
        q = self.q(y).view(n, t, self.heads, self.size).transpose(1, 2)
        kv = self.kv(y).view(n, t, 2 * self.groups, self.size).transpose(1, 2)
        k, v = kv.split(self.groups, 1)
        times = self.heads // self.groups
        k, v = self.rotate(k).repeat_interleave(times, 1), v.repeat_interleave(times, 1)
        mixed = attend(self.rotate(q), k, v, causal(t, t))
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, width))
        y = self.norms[1](x)
        out: Tensor = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A module and inputs of the shapes it is exported for."""

    module: nn.Module
    inputs: Arrays

    def onnx(self) -> onnx.ModelProto:
        """Export, weights inside."""
        return export(self.module, self.inputs)


def _image(size: int, rng: np.random.Generator) -> Arrays:
    return {"image": rng.standard_normal((1, 3, size, size)).astype(np.float32)}


def _tokens(count: int, vocabulary: int, rng: np.random.Generator) -> Arrays:
    return {"tokens": rng.integers(0, vocabulary, (1, count))}


def _resnet18(rng: np.random.Generator, *, small: bool) -> Architecture:
    net = ResNet((2, 2, 2, 2), bottleneck=False, width=8 if small else 64)
    return Architecture(module=net, inputs=_image(64 if small else 224, rng))


def _resnet50(rng: np.random.Generator, *, small: bool) -> Architecture:
    blocks = (1, 1, 1, 1) if small else (3, 4, 6, 3)
    net = ResNet(blocks, bottleneck=True, width=8 if small else 64)
    return Architecture(module=net, inputs=_image(64 if small else 224, rng))


def _mobilenet_v2(rng: np.random.Generator, *, small: bool) -> Architecture:
    return Architecture(module=MobileNetV2(), inputs=_image(32 if small else 224, rng))


def _bert_base(rng: np.random.Generator, *, small: bool) -> Architecture:
    if small:
        return Architecture(module=Bert(48, 4, 2, 100), inputs=_tokens(16, 100, rng))
    return Architecture(module=Bert(768, 12, 12, 30_522), inputs=_tokens(128, 30_522, rng))


def _gpt2(rng: np.random.Generator, *, small: bool, tokens: int = 128) -> Architecture:
    if small:
        return Architecture(module=Gpt2(48, 4, 2, 100), inputs=_tokens(16, 100, rng))
    return Architecture(module=Gpt2(768, 12, 12, 50_257), inputs=_tokens(tokens, 50_257, rng))


def _gpt2_512(rng: np.random.Generator, *, small: bool) -> Architecture:
    return _gpt2(rng, small=small, tokens=512)


def _gpt2_decode(rng: np.random.Generator, *, small: bool) -> Architecture:
    heads, layers, size, vocabulary = (4, 2, 12, 100) if small else (12, 12, 64, 50_257)
    past = 15 if small else 127
    cache = {
        f"{kind}_{i}": rng.standard_normal((1, heads, past, size)).astype(np.float32)
        for i in range(layers)
        for kind in ("key", "value")
    }
    net = Gpt2(heads * size, heads, layers, vocabulary)
    return Architecture(module=net, inputs=_tokens(1, vocabulary, rng) | cache)


def _llama_block(rng: np.random.Generator, *, small: bool) -> Architecture:
    width, heads, groups, hidden, t = (48, 4, 2, 96, 16) if small else (2048, 32, 8, 5632, 128)
    x = rng.standard_normal((1, t, width)).astype(np.float32)
    return Architecture(module=LlamaBlock(width, heads, groups, hidden), inputs={"x": x})


_MAKERS: Final[dict[str, Callable[..., Architecture]]] = {
    "resnet18": _resnet18,
    "resnet50": _resnet50,
    "mobilenet_v2": _mobilenet_v2,
    "bert_base": _bert_base,
    "gpt2": _gpt2,
    "gpt2_512": _gpt2_512,
    "gpt2_decode": _gpt2_decode,
    "llama_block": _llama_block,
}
NAMES: Final = tuple(_MAKERS)


def architecture(name: str, *, small: bool = False) -> Architecture:
    """Make one of `NAMES`; the same weights and inputs each time.

    Parameters
    ----------
    name : str
    small : bool
        Fewer and narrower layers.
    """
    torch.manual_seed(SEED)
    made = _MAKERS[name](np.random.default_rng(SEED), small=small)
    made.module.eval()
    return made


def export(module: nn.Module, inputs: Arrays) -> onnx.ModelProto:
    """Export a module in the normal way of torch; what it prints is dropped."""
    with quiet_torch():
        program = torch.onnx.export(
            module,
            tuple(torch.from_numpy(a) for a in inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=list(inputs),
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    return model
