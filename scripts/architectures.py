"""Well-known architectures with random weights, exported to ONNX, for tests and benchmarks.

Each is written from its paper; `small` keeps the shape of the computation and makes it quick. No
trained weights can be had offline, so these say nothing about accuracy; ``circuits/`` has models
trained on real data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import torch
from attention_nets import Bert, Gpt2, LlamaBlock
from conv_nets import MobileNetV2, ResNet, draw_trained, see
from numpy.typing import NDArray
from torch import nn

from verifiable.frontend.export import quiet_torch

Arrays = dict[str, NDArray[Any]]
OPSET: Final = 20
SEED: Final = 20261122


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A module and inputs of the shapes it is exported for."""

    module: nn.Module
    inputs: Arrays

    def onnx(self, *, fold: bool = True) -> onnx.ModelProto:
        """Export, weights inside.

        Parameters
        ----------
        fold : bool
            Let the exporter put batch norms into the convolutions before them, as people deploy
            such nets and engines are compared on them. Else they stay, as operators of their own.
        """
        return export(self.module, self.inputs, optimise=fold)


def pictures(size: int, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Patches of colour under noise, ``[count, 3, size, size]``: all images of noise are alike."""
    patches = rng.standard_normal((count, 3, size // 32, size // 32)).repeat(32, 2).repeat(32, 3)
    noise = rng.standard_normal((count, 3, size, size))
    return (patches + noise / 2).astype(np.float32)


def _of_images(net: nn.Module, rng: np.random.Generator, *, small: bool) -> Architecture:
    image = pictures(64 if small else 224, 1, rng)
    see(net, torch.from_numpy(pictures(128, 8, rng)))
    return Architecture(module=net, inputs={"image": image})


def _tokens(count: int, vocabulary: int, rng: np.random.Generator) -> Arrays:
    return {"tokens": rng.integers(0, vocabulary, (1, count))}


def _resnet18(rng: np.random.Generator, *, small: bool) -> Architecture:
    net = ResNet((2, 2, 2, 2), bottleneck=False, width=8 if small else 64)
    return _of_images(net, rng, small=small)


def _resnet50(rng: np.random.Generator, *, small: bool) -> Architecture:
    blocks = (1, 1, 1, 1) if small else (3, 4, 6, 3)
    net = ResNet(blocks, bottleneck=True, width=8 if small else 64)
    return _of_images(net, rng, small=small)


def _mobilenet_v2(rng: np.random.Generator, *, small: bool) -> Architecture:
    net = MobileNetV2(slim=4, deep=2) if small else MobileNetV2()
    return _of_images(net, rng, small=small)


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
NORMED: Final = ("resnet18", "resnet50", "mobilenet_v2")
"""Those with batch norms."""


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
    for module in made.module.modules():
        if isinstance(module, nn.LayerNorm | nn.RMSNorm):
            draw_trained(module)
    made.module.eval()
    return made


def export(module: nn.Module, inputs: Arrays, *, optimise: bool = True) -> onnx.ModelProto:
    """Export a module as torch does, optimised or not; what it prints is dropped."""
    with quiet_torch():
        program = torch.onnx.export(
            module,
            tuple(torch.from_numpy(a) for a in inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=list(inputs),
            optimize=optimise,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    return model
