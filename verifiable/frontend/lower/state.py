"""Operators that carry a state from step to step and are no classic cells."""

from collections.abc import Sequence

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.recurrent import MAX_UNROLLED
from verifiable.frontend.lower.rows import cut

_RULES = {
    "linear": (False, False),
    "gated": (True, False),
    "delta": (False, True),
    "gated_delta": (True, True),
}
"""Whether a rule of LinearAttention has a decay, and a rate."""


@lowers("CausalConvWithState")
def causal_conv(b: Builder, node: Node) -> Sequence[Value]:
    """Each channel alone, over the state and the input end to end."""
    x, weight = node.float_input(0), node.float_input(1)
    if len(x.shape) != 3 or weight.shape[:2] != (x.shape[1], 1) or len(weight.shape) != 3:
        raise node.refuse(f"of {x.type} and weights {weight.type}")
    batch, channels, length = x.shape
    size = weight.shape[2]
    if node.has(3):
        past = node.float_input(3)
        if past.shape != (batch, channels, size - 1):
            raise node.refuse(f"past_state is {past.type}")
        wide = b.concat([past, x], 2) if size > 1 else x
    else:
        wide = b.pad(x, [0, 0, size - 1], [0, 0, 0])
    extent = length + size - 1
    windows = b.view(wide, [batch * channels, length, size], [extent, 1, 1])
    made = b.reshape(b.dot(weight, windows), x.shape)
    activation = node.attribute("activation", "none")
    if activation not in {"none", "silu", "swish"}:
        raise node.refuse(f"activation is {activation}", hint="use silu, swish or none")

    def finished(v: Expression) -> Expression:
        return v if activation == "none" else v * v.sigmoid()

    if node.has(2):
        bias = b.reshape(node.float_input(2), [channels, 1])
        made = b.map(lambda v, c: finished(v + c), made, bias)
    else:
        made = b.map(finished, made)
    return [made, cut(b, wide, 2, extent - size + 1, size - 1)]


@lowers("LinearAttention")
def linear_attention(b: Builder, node: Node) -> Sequence[Value]:
    """Unrolled over the sequence; the state is held as ``[B * G, e, d]``, rows of keys."""
    query, key, value = (node.float_input(i) for i in range(3))
    queries, groups = int(node.attribute("q_num_heads")), int(node.attribute("kv_num_heads"))
    batch, length = query.shape[:2]
    if queries % groups or query.shape[2] % queries or key.shape[2] % groups:
        raise node.refuse(f"{query.type} and {key.type} are not {queries} and {groups} heads")
    if length > MAX_UNROLLED:
        raise node.refuse(
            f"over {length} steps, the most is {MAX_UNROLLED}", hint="compile a shorter sequence"
        )
    width, depth = key.shape[2] // groups, value.shape[2] // groups
    rule = node.attribute("update_rule", "gated_delta")
    if rule not in _RULES:
        raise node.refuse(f"update_rule is {rule}", hint=f"use one of {', '.join(_RULES)}")
    decays, rated = _RULES[rule]
    scale = float(node.attribute("scale", 0.0)) or width**-0.5
    lead = batch * groups
    if node.has(3):
        state = b.transpose(b.reshape(node.float_input(3), [lead, width, depth]), [0, 2, 1])
    else:
        state = b.expand(b.scalar(0.0), [lead, depth, width])
    shared = queries // groups
    outputs = []
    for step in range(length):

        def at(x: Value, shape: Sequence[int], step: int = step) -> Value:
            return b.reshape(cut(b, x, 1, step, 1), shape)

        keys, values = at(key, [lead, 1, width]), at(value, [lead, depth, 1])
        if decays:
            gate = node.float_input(4)
            wide = gate.shape[2] // groups
            state = b.map(lambda s, g: s * g.exp(), state, at(gate, [lead, 1, wide]))
        if rated:
            rate = node.float_input(5)
            own = b.expand(at(rate, [batch, rate.shape[2]]), [batch, groups])
            found = b.dot(state, keys)
            values = b.map(lambda v, r, f: f * (v - r), values, found, b.reshape(own, [lead, 1, 1]))
        state = b.map(lambda s, k, v: k.fma(v, s), state, keys, values)
        asked = at(query, [lead, shared, width])
        outputs.append(b.reshape(b.dot(asked, state), [batch, 1, queries * depth]))
    made = b.concat(outputs, 1) if outputs else b.expand(b.scalar(0.0), [batch, 0, queries * depth])
    last = b.reshape(b.transpose(state, [0, 2, 1]), [batch, groups, width, depth])
    return [b.map(lambda v: v * scale, made), last]
