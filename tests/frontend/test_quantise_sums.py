"""Channels of an integer Dot: none loses its bias, none spoils another, no sum overflows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quantise_lab import Made, Samples, drawn, lowered, node, requantises, small

from verifiable.engines.reference import Reference
from verifiable.errors import UnsupportedError
from verifiable.frontend.quantize import Quantised
from verifiable.frontend.quantize.calibrate import EXPONENTS
from verifiable.frontend.quantize.sums import Target, channels

SEEDS = st.integers(0, 2**32 - 1)


def layer(weight: Any, bias: Any, *, relu: bool = False, conv: bool = False) -> Made:
    """A layer, and an identity behind it that shows what int8 made of its result."""
    inner, outer = weight.shape
    middle = [node("Relu", ["c"], ["d"])] if relu else [node("Identity", ["c"], ["d"])]
    eye: Any = np.eye(outer, dtype=np.float32)
    if conv:
        nodes = [node("Conv", ["x", "w", "b"], ["c"]), *middle, node("Conv", ["d", "i"], ["y"])]
        weight = weight.T.reshape(outer, inner, 1, 1)
        eye, shape = eye.reshape(outer, outer, 1, 1), [1, inner, 1, 1]
    else:
        sums = [node("MatMul", ["x", "w"], ["a"]), node("Add", ["a", "b"], ["c"])]
        nodes = [*sums, *middle, node("MatMul", ["d", "i"], ["y"])]
        shape = [1, inner]
    return lowered(nodes, shape, {"w": weight, "b": bias, "i": eye})


def results(made: Quantised, samples: Samples) -> Any:
    runner = Reference().prepare(made.graph, made.weights)
    return np.array([runner.run(sample)["y"].reshape(-1) for sample in samples], np.float64)


@given(seed=SEEDS, relu=st.booleans(), conv=st.booleans())
def test_every_channel_is_near_what_its_weights_and_bias_say(
    seed: int, relu: bool, conv: bool
) -> None:
    rng = np.random.default_rng(seed)
    inner, outer = int(rng.integers(1, 12)), int(rng.integers(2, 6))
    scale = 10 ** rng.uniform(-12, 6, outer)
    bias = 10 ** rng.uniform(-3, 3, outer) * rng.choice([-1, 0, 1], outer)
    weight = (rng.standard_normal((inner, outer)) * scale).astype(np.float32)
    # Activations that int8 holds exactly; some are 0 throughout, and channels that read these
    # alone give little more than their bias, however large their weights are.
    silent = rng.random(inner) < 0.3
    weight[np.ix_(~silent, rng.random(outer) < 0.3)] = 0
    step = 2.0 ** rng.integers(-10, 10)
    whole = rng.integers(-127, 128, (3, inner)) * ~silent
    whole[0, ~silent] = 127
    shape = (1, inner, 1, 1) if conv else (1, inner)
    samples = [{"x": (row * step).astype(np.float32).reshape(shape)} for row in whole]
    bias = bias.astype(np.float32)

    made = small(layer(weight, bias, relu=relu, conv=conv), samples)
    exponent = made.fidelity.tensors[-1].exponent
    exact = (whole * step) @ weight.astype(np.float64) + bias
    exact = np.maximum(exact, 0) if relu else exact
    wanted = np.clip(exact, -127 * 2.0**-exponent, 127 * 2.0**-exponent)

    # What rounding a channel's weights to 8 bits may cost (Cauchy and Schwarz), or rounding them
    # to what its bias in 30 bits, or the farthest shift, leaves of them.
    length = np.sqrt((np.square(whole * step)).sum(1))[:, None]
    rounding = np.sqrt(inner) * np.abs(weight).max(0) / 127 * length
    coarse = (
        0.5 * np.abs(whole).sum(1)[:, None] * (2.0**-29 * np.abs(bias) + 2.0 ** (-31 - exponent))
    )
    in_f32 = 1e-6 * (np.abs(whole * step) @ np.abs(weight) + np.abs(bias))
    allowed = 2.0**-exponent + rounding + coarse + in_f32
    assert (np.abs(results(made, samples) - wanted) <= allowed).all()


@given(seed=SEEDS)
def test_no_sum_of_a_channel_leaves_what_was_proved(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, inner = int(rng.integers(1, 5)), int(rng.integers(1, 9))
    scale = 10 ** rng.uniform(-40, 20, (1, rows, 1))
    weight = (rng.standard_normal((1, rows, inner)) * scale).astype(np.float32)
    bias = (10 ** rng.uniform(-40, 38, (1, rows, 1)) * rng.choice([-1, 0, 1], (1, rows, 1))).astype(
        np.float32
    )
    x, target = int(rng.integers(-40, EXPONENTS[1] + 3)), int(rng.integers(-121, 123))
    try:
        made = channels(weight, x, Target(exponent=target, bias=bias))
    except UnsupportedError:
        assert np.abs(weight).max() * 127 * 2.0**-x > 2.0**100
        return
    assert np.abs(made.weights.astype(int)).max() <= 127
    assert np.isfinite(np.exp2(-made.exponents).astype(np.float32)).all()
    assert (np.exp2(-made.exponents).astype(np.float32) > 0).all()
    if made.target is not None:
        shifts = made.exponents - target
        assert shifts.min() >= 0
        assert shifts.max() <= 31
        assert np.abs(bias[..., 0] * np.exp2(made.exponents)).max() <= 2**30


@pytest.mark.parametrize("bias", [3.0, 100.0, 2.0**20])
def test_a_channel_of_tiny_weights_is_one_of_no_weights(bias: float) -> None:
    rng = np.random.default_rng(7)
    weight = (rng.standard_normal((8, 4)) * 0.3).astype(np.float32)
    several = np.array([bias, 0.1, 0.2, 0.3], np.float32)
    samples = drawn(8, 16, 1, 8)
    found = []
    for tiny in (0.0, 1e-12, 1e-7):
        weight[:, 0] = tiny
        made = small(layer(weight, several, relu=True), samples)
        assert requantises(made)
        found.append(results(made, samples))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert np.abs(found[0][:, 0] - bias).max() <= bias / 100


def test_a_channel_that_cancels_leaves_the_others_their_resolution() -> None:
    # Channel 0 has weights of a thousand on features that are equal and opposite: its sums are
    # small, but no integer of its scale is.
    rng = np.random.default_rng(9)
    weight = (rng.standard_normal((4, 4)) * 0.3).astype(np.float32)
    weight[:2, 0] = 1000
    samples = drawn(10, 32, 1, 4)
    for sample in samples:
        sample["x"][0, 1] = -sample["x"][0, 0]
    bias = np.array([0.5, 0.1, 0.2, 0.3], np.float32)
    made = small(layer(weight, bias), samples)
    exact = np.array([s["x"][0] for s in samples], np.float64) @ weight + bias
    assert np.abs(results(made, samples) - exact)[:, 1:].max() < 0.05


def test_a_pruned_channel_leaves_the_others_their_resolution() -> None:
    weight = np.zeros((4, 2), np.float32)
    weight[:, 1] = 2**-9
    # Activations of hundreds: a weight of 0 at exponent 0 would have sums of exponent -1.
    samples = [{"x": np.full((1, 4), v, np.float32)} for v in (254.0, 100.0, -30.0)]
    made = small(layer(weight, np.array([0.25, 0.5], np.float32)), samples)
    exact = [[0.25, 4 * v * 2**-9 + 0.5] for v in (254.0, 100.0, -30.0)]
    assert np.abs(results(made, samples) - exact).max() < 0.02


def test_numbers_far_from_one_are_held_too() -> None:
    rng = np.random.default_rng(11)
    weight = (rng.standard_normal((8, 4)) * 1e-14).astype(np.float32)
    samples = [{"x": s["x"] * np.float32(1e14)} for s in drawn(12, 16, 1, 8)]
    made = small(layer(weight, np.zeros(4, np.float32)), samples)
    exact = np.array([s["x"][0] for s in samples], np.float64) @ weight
    assert np.abs(results(made, samples) - exact).max() < 0.05 * np.abs(exact).max()


def test_a_dot_of_weights_that_are_not_finite_stays_float() -> None:
    weight = np.ones((4, 2), np.float32)
    weight[0, 0] = -np.inf
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["x", "v"], ["y"])]
    samples = [{"x": np.ones((1, 4), np.float32)}]
    made = lowered(nodes, [1, 4], {"w": weight, "v": np.ones((4, 2), np.float32)}, ["a", "y"])
    int8 = small(made, samples)
    assert int8.dots == 1
    assert int8.fidelity.outputs[0].not_finite == 0
    only = lowered(nodes[:1], [1, 4], {"w": weight}, ["a"])
    with pytest.raises(UnsupportedError, match="no Dot"):
        small(only, samples)


def test_a_bias_of_minus_infinity_closes_its_channel() -> None:
    weight = np.eye(2, dtype=np.float32)
    bias = np.array([-np.inf, 0.5], np.float32)
    samples = [{"x": np.array([[1.0, 1.0]], np.float32)}]
    made = small(layer(weight, bias, relu=True), samples)
    assert np.allclose(results(made, samples), [[0.0, 1.5]], atol=0.01)


def test_weights_and_activations_whose_products_leave_f32_are_refused() -> None:
    weight = np.array([[1e30], [1e-30]], np.float32)
    samples = [{"x": np.array([[0.0, 1e30]], np.float32)}]
    with pytest.raises(UnsupportedError, match=r"1e\+30 .* leave the range of f32"):
        small(layer(weight, np.zeros(1, np.float32)), samples)
