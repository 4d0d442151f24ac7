"""ONNX to canonical Graph. One module for each family of operators; `lowering` walks the model."""

from verifiable.frontend.lower import (
    activations,
    attention,
    conv,
    cut,
    einsum,
    elementwise,
    index,
    loss,
    matmul,
    norm,
    order,
    pool,
    quantised,
    recurrent,
    reduction,
    resize,
    scatter,
    shape,
    signal,
    softmax,
    state,
    text,
    vision,
)
from verifiable.frontend.lower.lowering import Lowered, Refusal, lower, lower_model

FAMILIES = (
    activations,
    attention,
    conv,
    cut,
    einsum,
    elementwise,
    index,
    loss,
    matmul,
    norm,
    order,
    pool,
    quantised,
    recurrent,
    reduction,
    resize,
    scatter,
    shape,
    signal,
    softmax,
    state,
    text,
    vision,
)
"""Modules that register lowerings."""

__all__ = ["FAMILIES", "Lowered", "Refusal", "lower", "lower_model"]
