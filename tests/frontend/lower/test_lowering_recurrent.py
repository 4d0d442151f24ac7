"""Recurrent layers give what onnxruntime gives, or a layer's definition step by step."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import Given, agree, floats, graph_of, model, near, ours

from verifiable.errors import UnsupportedError
from verifiable.graph.ir import Array, Dot, places

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
SEEDS = st.integers(0, 2**16)


def layer(op: str, seed: int, *, both: bool, sizes: tuple[int, int, int, int]) -> list[Array]:
    """Input, weights, recurrence and bias."""
    length, batch, width, size = sizes
    directions, gates = 1 + both, GATES[op]
    return [
        floats(seed, length, batch, width),
        floats(seed + 1, directions, gates * size, width),
        floats(seed + 2, directions, gates * size, size),
        floats(seed + 3, directions, 2 * gates * size),
    ]


@given(
    op=st.sampled_from(sorted(GATES)),
    seed=SEEDS,
    direction=st.sampled_from(["forward", "reverse", "bidirectional"]),
    sizes=st.tuples(*[st.integers(1, 4)] * 4),
    data=st.data(),
)
def test_layers_are_onnxruntimes(
    op: str,
    seed: int,
    direction: str,
    sizes: tuple[int, int, int, int],
    data: st.DataObject,
) -> None:
    both = direction == "bidirectional"
    length, batch, _, size = sizes
    inputs: list[Array | None] = [*layer(op, seed, both=both, sizes=sizes)]
    attributes: dict[str, Any] = {"hidden_size": size, "direction": direction}
    lengths = st.lists(st.integers(1, length), min_size=batch, max_size=batch)
    given_lengths = data.draw(st.one_of(st.none(), lengths))
    inputs.append(None if given_lengths is None else np.array(given_lengths, np.int32))
    state = (1 + both, batch, size)
    if data.draw(st.booleans()):
        inputs.append(floats(seed + 4, *state))
        if op == "LSTM":
            inputs.append(floats(seed + 5, *state))
            if data.draw(st.booleans()):
                inputs.append(floats(seed + 6, 1 + both, 3 * size))
                attributes["input_forget"] = data.draw(st.integers(0, 1))
    if op == "GRU":
        attributes["linear_before_reset"] = data.draw(st.integers(0, 1))
    if data.draw(st.booleans()):
        attributes["clip"] = 0.5
    agree(op, inputs, outputs=3 if op == "LSTM" else 2, **attributes)


@pytest.mark.parametrize(
    ("names", "alpha", "beta"),
    [
        (["Relu", "Softsign", "Softplus"], [], []),
        (["HardSigmoid", "LeakyRelu", "Elu"], [0.3, 0.2, 0.7], [0.4]),
        (["Sigmoid", "ScaledTanh", "Affine"], [1.5, 0.5], [0.7, 0.25]),
        (["ThresholdedRelu", "Tanh", "Tanh"], [0.1], []),
    ],
)
def test_other_activations_are_onnxruntimes(
    names: list[str], alpha: list[float], beta: list[float]
) -> None:
    inputs = layer("LSTM", 3, both=False, sizes=(3, 2, 3, 4))
    attributes: dict[str, Any] = {"hidden_size": 4, "activations": names}
    if alpha:
        attributes["activation_alpha"] = alpha
    if beta:
        attributes["activation_beta"] = beta
    agree("LSTM", inputs, outputs=3, **attributes)


@pytest.mark.parametrize("op", sorted(GATES))
def test_the_other_layout_only_swaps_axes(op: str) -> None:
    # onnxruntime has no second layout.
    inputs = layer(op, 5, both=True, sizes=(3, 2, 4, 3))
    several = 3 if op == "LSTM" else 2
    attributes: dict[str, Any] = {"hidden_size": 3, "direction": "bidirectional"}
    wanted = ours(model(op, inputs, outputs=several, **attributes), inputs)
    swapped: Given = [np.ascontiguousarray(inputs[0].swapaxes(0, 1)), *inputs[1:]]
    got = ours(model(op, swapped, outputs=several, layout=1, **attributes), swapped)
    near(got[0], wanted[0].transpose(2, 0, 1, 3))
    for mine, other in zip(got[1:], wanted[1:], strict=True):
        near(mine, other.swapaxes(0, 1))


def test_products_with_the_input_are_one_dot_for_the_sequence() -> None:
    inputs = layer("LSTM", 5, both=False, sizes=(6, 1, 4, 3))
    graph = graph_of(model("LSTM", inputs, constants={1, 2, 3}, hidden_size=3))
    # The first step's state is zero, and its product known.
    assert len(places(graph, Dot)) == 1 + 5


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ({"activations": ["Tanh", "Sine", "Tanh"]}, "activation Sine"),
        ({"activations": ["Affine", "Tanh", "Tanh"]}, "Affine has no alpha"),
        ({"activations": ["Tanh"]}, "wanted 3"),
        ({"direction": "sideways"}, "direction is sideways"),
    ],
)
def test_layers_that_nobody_defined_are_refused_by_name(
    attributes: dict[str, Any], match: str
) -> None:
    inputs = layer("LSTM", 5, both=False, sizes=(2, 1, 2, 2))
    with pytest.raises(UnsupportedError, match=f"^LSTM `it` .*{match}"):
        graph_of(model("LSTM", inputs, hidden_size=2, **attributes))


def test_a_sequence_too_long_to_unroll_is_refused_by_name() -> None:
    inputs = layer("RNN", 5, both=False, sizes=(3000, 1, 1, 1))
    with pytest.raises(UnsupportedError, match=r"^RNN `it` .*over 3000 steps"):
        graph_of(model("RNN", inputs, hidden_size=1))


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("wide", [False, True])
def test_linear_attention_is_its_recurrence(rule: str, wide: bool) -> None:
    batch, length, queries, groups, d, e = 2, 4, 4, 2, 3, 5
    query, key = floats(1, batch, length, queries * d), floats(2, batch, length, groups * d)
    value, past = floats(3, batch, length, groups * e), floats(4, batch, groups, d, e)
    decay = -np.abs(floats(5, batch, length, groups * (d if wide else 1)))
    rate = np.abs(floats(6, batch, length, 1 if wide else groups))
    gated, delta = "gated" in rule, "delta" in rule
    inputs = [query, key, value, past, decay if gated else None, rate if delta else None]
    made = model(
        "LinearAttention", inputs, outputs=2, opset=27, q_num_heads=queries,
        kv_num_heads=groups, update_rule=rule,
    )  # fmt: skip
    got, state = ours(made, inputs)
    q, k = query.reshape(batch, length, queries, d), key.reshape(batch, length, groups, d)
    v, s = value.reshape(batch, length, groups, e), past.astype(np.float64)
    g = decay.reshape(batch, length, groups, -1)
    wanted = np.zeros((batch, length, queries, e))
    for t in range(length):
        if gated:
            s = s * np.exp(g[:, t])[..., None]
        new = v[:, t].astype(np.float64)
        if delta:
            new = rate[:, t][..., None] * (new - np.einsum("bgde,bgd->bge", s, k[:, t]))
        s = s + np.einsum("bgd,bge->bgde", k[:, t], new)
        wanted[:, t] = np.einsum("bhd,bhde->bhe", q[:, t], np.repeat(s, 2, axis=1)) / np.sqrt(d)
    near(got, wanted.reshape(batch, length, -1).astype(np.float32))
    near(state, s.astype(np.float32))
