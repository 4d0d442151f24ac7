"""Transformers, written from their papers.

References
----------
Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", NAACL 2019.
Radford et al., "Language Models are Unsupervised Multitask Learners", 2019 (GPT-2).
Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023; Ainslie et al., "GQA",
EMNLP 2023.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

EMBEDDING: Final = 0.02
"""Spread of an embedding's numbers in both papers; wider ones would drown what the blocks add."""


def embedding(count: int, width: int) -> nn.Embedding:
    """Rows to look up, drawn."""
    table = nn.Embedding(count, width)
    nn.init.normal_(table.weight, 0, EMBEDDING)
    return table


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
        self.tokens = embedding(vocabulary, width)
        self.places = embedding(512, width)
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
        self.tokens = embedding(vocabulary, width)
        self.places = embedding(1024, width)
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
