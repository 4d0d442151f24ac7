"""Activation functions with attributes."""

from collections.abc import Callable
from math import sqrt
from typing import Final

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.elementwise import NUMBERS, operands_of, widely
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.formulas import expm1_below
from verifiable.frontend.lower.node import Node, lowers


def leaky_relu(x: Expression, alpha: float) -> Expression:
    """``alpha * x`` below zero."""
    return (x < 0.0).where(x * alpha, x)


def elu(x: Expression, alpha: float) -> Expression:
    """``alpha * (exp(x) - 1)`` below zero."""
    return (x < 0.0).where(expm1_below(x) * alpha, x)


def selu(x: Expression, alpha: float, gamma: float) -> Expression:
    """Elu, scaled."""
    return elu(x, alpha) * gamma


def celu(x: Expression, alpha: float) -> Expression:
    """Elu of ``x / alpha``, times alpha."""
    return (x < 0.0).where(expm1_below(x / alpha) * alpha, x)


def hard_sigmoid(x: Expression, alpha: float, beta: float) -> Expression:
    """A line, cut at 0 and 1."""
    return (x * alpha + beta).maximum(0.0).minimum(1.0)


def thresholded_relu(x: Expression, alpha: float) -> Expression:
    """Zero up to alpha."""
    return (x > alpha).where(x, 0.0)


def swish(x: Expression, alpha: float) -> Expression:
    """``x * sigmoid(alpha * x)``."""
    return x * (x * alpha).sigmoid()


def gelu(x: Expression) -> Expression:
    """``x * Phi(x)`` with the error function."""
    return x * 0.5 * ((x * sqrt(0.5)).erf() + 1.0)


def gelu_tanh(x: Expression) -> Expression:
    """``x * Phi(x)``, approximated with tanh."""
    inner = (x * x * x * 0.044715 + x) * sqrt(2 / 3.141592653589793)
    return x * 0.5 * (inner.tanh() + 1.0)


Activation = Callable[..., Expression]

ACTIVATIONS: Final[dict[str, tuple[Activation, dict[str, float]]]] = {
    "LeakyRelu": (leaky_relu, {"alpha": 0.01}),
    "Elu": (elu, {"alpha": 1.0}),
    "Selu": (selu, {"alpha": 1.6732631921768188, "gamma": 1.0507010221481323}),
    "Celu": (celu, {"alpha": 1.0}),
    "HardSigmoid": (hard_sigmoid, {"alpha": 0.2, "beta": 0.5}),
    "ThresholdedRelu": (thresholded_relu, {"alpha": 1.0}),
    "Swish": (swish, {"alpha": 1.0}),
}
"""Function and defaults of its attributes, in the order of its parameters."""


@lowers(*ACTIVATIONS)
def activation(b: Builder, node: Node) -> Value:
    """One operand and constants."""
    function, defaults = ACTIVATIONS[node.op]
    numbers = [float(node.attribute(name, value)) for name, value in defaults.items()]
    if node.op == "Celu" and numbers[0] <= 0:
        raise node.refuse(f"alpha is {numbers[0]}, wanted more than 0")
    return b.map(lambda x: function(x, *numbers), node.float_input(0))


@lowers("Gelu")
def gelu_(b: Builder, node: Node) -> Value:
    """Gaussian error linear unit."""
    approximate = node.attribute("approximate", "none")
    if approximate not in {"none", "tanh"}:
        raise node.refuse(f"approximates by {approximate}, wanted none or tanh")
    return b.map(gelu_tanh if approximate == "tanh" else gelu, node.float_input(0))


@lowers("Shrink")
def shrink(b: Builder, node: Node) -> Value:
    """Zero near zero, nearer to zero elsewhere."""
    (x,) = operands_of(node, (0,), NUMBERS)
    bias, limit = float(node.attribute("bias", 0.0)), float(node.attribute("lambd", 0.5))
    if x.dtype.word != "f32" and (bias != int(bias) or limit != int(limit)):
        raise node.refuse(f"bias {bias} and lambd {limit} of {x.type}, wanted whole numbers")

    def function(v: Expression) -> Expression:
        return (v < -limit).where(v + bias, (v > limit).where(v - bias, v * 0))

    return b.map(widely(function), x)
