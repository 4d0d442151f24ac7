"""Attention with all its masks, and the rotary embedding of positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.made import line
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.rows import cut
from verifiable.frontend.lower.softmax import softmax_rows
from verifiable.frontend.lower.views import row_major
from verifiable.graph.check import broadcast_shape
from verifiable.graph.vocabulary import DType, Fold

_MASKED: Final = float("-inf")
_PRECISIONS: Final = frozenset({1, 11})
"""Of ``TensorProto.DataType``: float, and double, whose result is rounded to float anyhow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Query, key and value, heads apart: ``[B, H, T, d]``, ``[B, G, S, d]``, ``[B, G, S, e]``."""

    query: Value
    key: Value
    value: Value

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the scores: ``[B, H, T, S]``."""
        batch, heads, length, _ = self.query.shape
        return batch, heads, length, self.key.shape[2]


def split_heads(b: Builder, x: Value, heads: int) -> Value:
    """``[B, T, H * d]`` to ``[B, H, T, d]``."""
    batch, length, hidden = x.shape
    return b.transpose(b.reshape(x, [batch, length, heads, hidden // heads]), [0, 2, 1, 3])


def raw_scores(b: Builder, heads: Heads) -> Value:
    """``q k'`` of each head, ``[B, H, T, S]``; a group of query heads shares one of keys."""
    batch, queries, length, extent = heads.shape
    groups, size = heads.key.shape[1], heads.query.shape[3]
    rows = b.reshape(heads.query, [batch * groups, queries // groups * length, size])
    keys = b.reshape(heads.key, [batch * groups, extent, size])
    return b.reshape(b.dot(rows, keys), heads.shape)


def weighted(b: Builder, heads: Heads, weights: Value) -> Value:
    """Sum of values by weight, ``[B, H, T, e]``."""
    batch, queries, length, extent = heads.shape
    groups, size = heads.value.shape[1], heads.value.shape[3]
    rows = b.reshape(weights, [batch * groups, queries // groups * length, extent])
    columns = b.transpose(heads.value, [0, 1, 3, 2])
    made = b.dot(rows, b.reshape(columns, [batch * groups, size, extent]))
    return b.reshape(made, [batch, queries, length, size])


@lowers("Attention")
def attention(b: Builder, node: Node) -> Sequence[Value | None]:
    """Opsets 23 to 25: grouped queries, caches, masks, windows, soft caps."""
    heads = _heads(b, node)
    past = node.has(4)
    if past != node.has(5) or (past and node.has(6)):
        raise node.refuse("past_key, past_value: give both, and no nonpad_kv_seqlen beside them")
    before = 0
    if past:
        before = node.input(4).shape[2]
        heads = Heads(
            query=heads.query,
            key=b.concat([node.float_input(4), heads.key], 2),
            value=b.concat([node.float_input(5), heads.value], 2),
        )
    if node.attribute("softmax_precision", 1) not in _PRECISIONS:
        raise node.refuse(
            "softmax_precision is a half", hint="leave it out, or export it as 1 (FLOAT)"
        )
    scale = float(node.attribute("scale", heads.query.shape[3] ** -0.5))
    cap = float(node.attribute("softcap", 0.0))
    raw = raw_scores(b, heads)

    def capped(s: Expression) -> Expression:
        return (s * (scale / cap)).tanh() * cap if cap > 0 else s * scale

    bias = _bias(b, node, heads, before)
    if bias is None:
        scores = b.map(capped, raw)
    else:
        # Infinite scores must not undo a mask.
        scores = b.map(lambda s, m: m.equals(_MASKED).where(_MASKED, capped(s) + m), raw, bias)
    open_rows = bias is None or _no_row_is_masked(b, bias)
    weights = softmax_rows(b, scores) if open_rows else _guarded_softmax(b, scores)
    made = weighted(b, heads, weights)
    if len(node.input(0).shape) == 3:
        batch, queries, length, size = made.shape
        made = b.reshape(b.transpose(made, [0, 2, 1, 3]), [batch, length, queries * size])
    shown: Value | None = None
    if node.wants(3):
        mode = node.attribute("qk_matmul_output_mode", 0)
        if mode not in range(4):
            raise node.refuse(f"qk_matmul_output_mode is {mode}, wanted 0 to 3")
        if mode == 0:
            shown = b.map(lambda s: s * scale, raw)
        else:
            shown = [b.map(capped, raw), scores, weights][mode - 1]
    return [made, heads.key, heads.value, shown]


def _heads(b: Builder, node: Node) -> Heads:
    query, key, value = (node.float_input(i) for i in range(3))
    if {len(query.shape), len(key.shape), len(value.shape)} == {3}:
        queries, groups = node.attribute("q_num_heads"), node.attribute("kv_num_heads")
        if not queries or not groups:
            raise node.refuse("has no q_num_heads or kv_num_heads, which three axes need")
        if query.shape[2] % queries or key.shape[2] % groups or value.shape[2] % groups:
            raise node.refuse(f"hidden sizes are not {queries} and {groups} heads")
        query = split_heads(b, query, queries)
        key, value = split_heads(b, key, groups), split_heads(b, value, groups)
    if {len(query.shape), len(key.shape), len(value.shape)} != {4}:
        raise node.refuse(f"of {query.type}, {key.type}, {value.type}, wanted 3 or 4 axes")
    heads = Heads(query=query, key=key, value=value)
    if (
        query.shape[0] != key.shape[0]
        or key.shape[:3] != value.shape[:3]
        or query.shape[3] != key.shape[3]
        or query.shape[1] % key.shape[1]
    ):
        raise node.refuse(f"heads {query.type}, {key.type} and {value.type} do not match")
    return heads


def _bias(b: Builder, node: Node, heads: Heads, before: int) -> Value | None:
    """What is added to scores: -inf where a query must not look; None if all may be seen.

    `before` is the number of keys in the cache, which stand before the first query.
    """
    _, _, length, extent = heads.shape
    left = int(node.attribute("left_window_size", -1))
    right = int(node.attribute("right_window_size", -1))
    if node.attribute("is_causal", 0):
        right = 0
    mask = _mask(b, node, heads)
    valid = None
    if node.has(6):
        valid = b.reshape(b.cast(node.input(6), DType.I64), [heads.shape[0], 1, 1, 1])
    if left < 0 and right < 0 and valid is None:
        return mask
    here = b.constant(line(length).reshape(-1, 1) + before, DType.I64)
    there = b.constant(line(extent), DType.I64)

    def allowed(query: Expression, key: Expression) -> Expression:
        seen = key.equals(key)
        if right >= 0:
            seen = key - query <= right
        return seen & (query - key <= left) if left >= 0 else seen

    if valid is None:
        zeros = b.scalar(0.0) if mask is None else mask
        return b.map(lambda q, k, m: allowed(q, k).where(m, _MASKED), here, there, zeros)

    def within(query: Expression, key: Expression, count: Expression) -> Expression:
        seen = allowed(query + count - length, key) & (key < count)
        return seen.where(query.literal(0.0, DType.F32), _MASKED)

    bias = b.map(within, here, there, valid)
    if mask is None:
        return bias
    return b.map(lambda p, m: p.equals(_MASKED).where(_MASKED, m), bias, mask)


def _mask(b: Builder, node: Node, heads: Heads) -> Value | None:
    """Input 3 as numbers to add, as long as there are keys."""
    if not node.has(3):
        return None
    mask = node.input(3)
    if mask.dtype not in {DType.F32, DType.BOOL}:
        raise node.refuse(f"attn_mask is {mask.type}, wanted float or bool")
    missing = heads.shape[3] - mask.shape[-1] if mask.shape else 0
    if missing > 0:
        if mask.shape[-1] == 1:
            raise node.refuse(
                f"attn_mask is {mask.type}: one column could be broadcast or padded",
                hint=f"give it all {heads.shape[3]} columns",
            )
        fill = False if mask.dtype is DType.BOOL else _MASKED
        rank = len(mask.shape)
        mask = b.pad(mask, [0] * rank, [*[0] * (rank - 1), missing], fill)
    if broadcast_shape([heads.shape, mask.shape]) != heads.shape:
        raise node.refuse(f"attn_mask {mask.type} does not fit scores {list(heads.shape)}")
    if mask.dtype is DType.BOOL:
        return b.map(lambda m: m.where(m.literal(0.0, DType.F32), _MASKED), mask)
    return mask


def _no_row_is_masked(b: Builder, bias: Value) -> bool:
    known = b.known(bias)
    return known is not None and bool((known.max(axis=-1) > _MASKED).all())


def _guarded_softmax(b: Builder, scores: Value) -> Value:
    """Softmax, but a row that is -inf throughout gives zeros."""
    column = [*scores.shape[:-1], 1]
    most = b.reshape(b.reduce(scores, Fold.MAX), column)
    apart = b.map(lambda v, m: (v - m.equals(_MASKED).where(0.0, m)).exp(), scores, most)
    total = b.reshape(b.reduce(apart, Fold.SUM), column)
    return b.map(lambda e, s: e / s.equals(0.0).where(1.0, s), apart, total)


@lowers("RotaryEmbedding")
def rotary_embedding(b: Builder, node: Node) -> Value:
    """Turn pairs of elements by the angle of their position: ``x * cos + partner * (-+ sin)``."""
    x = node.float_input(0)
    if len(x.shape) == 3:
        heads = int(node.attribute("num_heads", 0))
        if heads < 1 or x.shape[2] % heads:
            raise node.refuse(f"num_heads is {heads}, which does not divide {x.shape[2]}")
        whole = b.reshape(x, [*x.shape[:2], heads, x.shape[2] // heads])
        batch, length, head_axis = x.shape[0], x.shape[1], 2
    elif len(x.shape) == 4:
        whole, batch, length, head_axis = x, x.shape[0], x.shape[2], 1
    else:
        raise node.refuse(f"of {x.type}, wanted three or four axes")
    size = whole.shape[3]
    turned = int(node.attribute("rotary_embedding_dim", 0)) or size
    half = turned // 2
    if turned > size or turned % 2:
        raise node.refuse(f"rotary_embedding_dim is {turned} of {size}")
    interleaved = bool(node.attribute("interleaved", 0))
    pair = [half, 2] if interleaved else [2, half]
    angles = []
    for i in (1, 2):
        cache = _positions(b, node, i, batch, length)
        if cache.shape[2] != half:
            raise node.refuse(f"input {i} has rows of {cache.shape[2]}, wanted {half}")
        shape = [cache.shape[0], length, *([half, 1] if interleaved else [1, half])]
        shape.insert(head_axis, 1)
        angles.append(b.reshape(cache, shape))
    part = b.reshape(cut(b, whole, 3, 0, turned), [*whole.shape[:3], *pair])
    own = row_major(part.shape)
    axis = 4 if interleaved else 3
    # The partner of each element: the axis of pairs read backwards.
    strides = [-s if a == axis else s for a, s in enumerate(own)]
    partner = b.view(part, part.shape, strides, offset=own[axis])
    sign = b.constant(np.array([-1.0, 1.0], np.float32).reshape((1, 2) if interleaved else (2, 1)))
    sines = b.map(lambda s, n: s * n, angles[1], sign)
    straight = b.map(lambda v, c: v * c, part, angles[0])
    made = b.map(lambda p, s, v: p.fma(s, v), partner, sines, straight)
    made = b.reshape(made, [*whole.shape[:3], turned])
    if turned < size:
        made = b.concat([made, cut(b, whole, 3, turned, size - turned)], 3)
    return b.reshape(made, x.shape)


def _positions(b: Builder, node: Node, i: int, batch: int, length: int) -> Value:
    """Rows of a cache for each position: ``[1 or B, T, d / 2]``."""
    cache = node.float_input(i)
    if not node.has(3):
        if len(cache.shape) != 3 or cache.shape[:2] != (batch, length):
            raise node.refuse(f"input {i} is {cache.type}, wanted rows of {batch} x {length}")
        return cache
    index = node.input(3)
    if len(cache.shape) != 2 or index.shape != (batch, length):
        raise node.refuse(f"input {i} is {cache.type}, position_ids {index.type}")
    rows = b.gather(b.reshape(cache, [1, *cache.shape]), b.reshape(index, [1, batch * length]))
    return b.reshape(rows, [batch, length, cache.shape[1]])
