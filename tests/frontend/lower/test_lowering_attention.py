"""Attention is its definition in binary64, whatever is masked; rotary embedding turns pairs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import floats, graph_of, model, near, ours

from verifiable.errors import UnsupportedError
from verifiable.graph.ir import Array, Dot, places

SEEDS = st.integers(0, 2**16)


def definition(
    query: Array, key: Array, value: Array, allowed: Array, bias: Array, scale: float
) -> Array:
    """Each query alone: softmax over the keys it may see; zeros where there are none."""
    batch, heads, length, _ = query.shape
    shared = heads // key.shape[1]
    made = np.zeros((batch, heads, length, value.shape[3]))
    full = (batch, heads, length, key.shape[2])
    allowed, bias = np.broadcast_to(allowed, full), np.broadcast_to(bias, full)
    for b, h, t in np.ndindex(batch, heads, length):
        seen = allowed[b, h, t] & (bias[b, h, t] > -np.inf)
        if not seen.any():
            continue
        scores = key[b, h // shared, seen].astype(np.float64) @ query[b, h, t] * scale
        weights = np.exp(scores + bias[b, h, t, seen] - (scores + bias[b, h, t, seen]).max())
        made[b, h, t] = weights / weights.sum() @ value[b, h // shared, seen]
    return made.astype(np.float32)


@st.composite
def settings_of(draw: st.DrawFn) -> dict[str, Any]:
    """Sizes and masks."""
    groups = draw(st.integers(1, 2))
    return {
        "batch": draw(st.integers(1, 2)),
        "groups": groups,
        "heads": groups * draw(st.integers(1, 2)),
        "length": draw(st.integers(1, 4)),
        "past": draw(st.integers(0, 3)),
        "causal": draw(st.booleans()),
        "mask": draw(st.sampled_from([None, "bool", "float", "constant"])),
        "windows": (draw(st.integers(-1, 2)), draw(st.integers(-1, 2))),
        "packed": draw(st.booleans()),
        "seed": draw(SEEDS),
    }


@given(how=settings_of())
def test_attention_is_its_definition(how: dict[str, Any]) -> None:
    batch, heads, groups, length, past = (
        how[k] for k in ("batch", "heads", "groups", "length", "past")
    )
    size, depth, seed, total = 4, 3, how["seed"], length + past
    query = floats(seed, batch, heads, length, size)
    key, value = (
        floats(seed + 1, batch, groups, total, size),
        floats(seed + 2, batch, groups, total, depth),
    )
    rng = np.random.default_rng(seed)
    mask: Array | None = None
    allowed, bias = np.ones((length, total), bool), np.zeros((length, total), np.float32)
    if how["mask"] == "bool":
        mask = allowed = rng.random((batch, 1, length, total)) < 0.6
    elif how["mask"]:
        mask = bias = floats(seed + 3, length, total)
        bias[rng.random(bias.shape) < 0.3] = -np.inf
    position = np.arange(length)[:, None] + past - np.arange(total)
    left, right = how["windows"]
    right = 0 if how["causal"] else right
    ranged = (position <= left if left >= 0 else True) & (
        -position <= right if right >= 0 else True
    )
    wanted = definition(query, key, value, allowed & ranged, bias, size**-0.5)

    def packed(x: Array) -> Array:
        return x.swapaxes(1, 2).reshape(batch, x.shape[2], -1) if how["packed"] else x

    attributes = {"is_causal": int(how["causal"])}
    attributes |= {"left_window_size": left, "right_window_size": how["windows"][1]}
    if how["packed"]:
        attributes |= {"q_num_heads": heads, "kv_num_heads": groups}
    fresh = [np.ascontiguousarray(packed(x)) for x in (query, key[:, :, past:], value[:, :, past:])]
    inputs: list[Array | None] = [*fresh, mask]
    if past:
        inputs += [np.ascontiguousarray(x[:, :, :past]) for x in (key, value)]
    constants = {3} if how["mask"] == "constant" else set()
    made = model("Attention", inputs, constants=constants, outputs=3, opset=25, **attributes)
    got, keys, values = ours(made, inputs)
    near(got, np.ascontiguousarray(packed(wanted)))
    np.testing.assert_array_equal(keys, key)
    np.testing.assert_array_equal(values, value)


@given(seed=SEEDS, causal=st.booleans(), valid=st.lists(st.integers(0, 5), min_size=2, max_size=2))
def test_keys_beyond_the_valid_ones_are_not_seen(seed: int, causal: bool, valid: list[int]) -> None:
    query, key = floats(seed, 2, 2, 3, 4), floats(seed + 1, 2, 1, 5, 4)
    value = floats(seed + 2, 2, 1, 5, 3)
    count = np.array(valid, np.int64)
    inputs = [query, key, value, None, None, None, count]
    (got,) = ours(model("Attention", inputs, opset=24, is_causal=int(causal)), inputs)
    places_seen = np.arange(5) < count.reshape(2, 1, 1, 1)
    if causal:
        offset = count.reshape(2, 1, 1, 1) - 3
        places_seen = places_seen & (np.arange(5) <= np.arange(3)[:, None] + offset)
    near(got, definition(query, key, value, places_seen, np.zeros(1, np.float32), 0.5))


def test_shown_scores_are_those_of_each_stage() -> None:
    inputs = [floats(i, 1, 2, 3, 4) for i in range(3)] + [floats(5, 3, 3)]
    scores = np.einsum("bhtd,bhsd->bhts", *inputs[:2]) * 0.5
    capped = np.tanh(scores / 2) * 2
    biased = capped + inputs[3]
    weights = np.exp(biased) / np.exp(biased).sum(axis=-1, keepdims=True)
    for mode, wanted in enumerate([scores, capped, biased, weights]):
        made = model(
            "Attention", inputs, outputs=4, opset=24, softcap=2.0, qk_matmul_output_mode=mode
        )
        near(ours(made, inputs)[3], wanted.astype(np.float32))


def test_attention_is_two_dots_over_heads() -> None:
    graph = graph_of(model("Attention", [floats(i, 1, 4, 6, 8) for i in range(3)], opset=24))
    shapes = [graph.instructions[i].type.shape for i in places(graph, Dot)]
    assert shapes == [(4, 6, 6), (4, 6, 8)]


@given(
    seed=SEEDS,
    interleaved=st.booleans(),
    turned=st.sampled_from([0, 4, 8]),
    packed=st.booleans(),
    positions=st.booleans(),
)
def test_rotary_embedding_turns_pairs_as_complex_numbers(
    seed: int, interleaved: bool, turned: int, packed: bool, positions: bool
) -> None:
    batch, heads, length, size = 2, 3, 4, 8
    half = (turned or size) // 2
    rng = np.random.default_rng(seed)
    x = floats(seed, batch, heads, length, size)
    index = rng.integers(0, 10, (batch, length))
    angle = rng.random((10, half) if positions else (batch, length, half)) * 6
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    turns = np.exp(1j * (angle[index] if positions else angle))[:, None]
    part = x[..., : 2 * half].astype(np.float64)
    pairs = (
        (part[..., ::2], part[..., 1::2]) if interleaved else (part[..., :half], part[..., half:])
    )
    result = (pairs[0] + 1j * pairs[1]) * turns
    wanted = x.astype(np.float64).copy()
    if interleaved:
        wanted[..., : 2 * half : 2], wanted[..., 1 : 2 * half : 2] = result.real, result.imag
    else:
        wanted[..., :half], wanted[..., half : 2 * half] = result.real, result.imag

    def laid(a: Array) -> Array:
        moved = a.swapaxes(1, 2).reshape(batch, length, -1) if packed else a
        return np.ascontiguousarray(moved.astype(np.float32))

    inputs = [laid(x), cos, sin, *([index] if positions else [])]
    attributes: dict[str, Any] = {"interleaved": int(interleaved), "rotary_embedding_dim": turned}
    if packed:
        attributes["num_heads"] = heads
    (got,) = ours(model("RotaryEmbedding", inputs, opset=23, **attributes), inputs)
    near(got, laid(wanted))


@pytest.mark.parametrize(
    ("shapes", "attributes", "match"),
    [
        ([(1, 2, 3)] * 3, {}, "has no q_num_heads"),
        ([(1, 3, 2, 4), (1, 2, 2, 4), (1, 2, 2, 4)], {}, "do not match"),
        ([(1, 1, 2, 4)] * 3, {"softmax_precision": 10}, "softmax_precision is a half"),
        ([(1, 1, 2, 4)] * 3 + [(2, 1)], {}, "could be broadcast or padded"),
        ([(1, 1, 2, 4)] * 3 + [(3, 2)], {}, "does not fit scores"),
    ],
)
def test_attention_that_nobody_defined_is_refused_by_name(
    shapes: list[tuple[int, ...]], attributes: dict[str, Any], match: str
) -> None:
    inputs = [floats(i, *s) for i, s in enumerate(shapes)]
    with pytest.raises(UnsupportedError, match=f"^Attention `it` .*{match}"):
        graph_of(model("Attention", inputs, opset=24, **attributes))
