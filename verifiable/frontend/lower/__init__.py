"""ONNX to canonical Graph. One module for each family of operators; `lowering` walks the model."""

from importlib import import_module

from verifiable.frontend.lower.lowering import Lowered, lower, lower_model, survey
from verifiable.frontend.lower.refusal import Refusal

FAMILIES = (
    "activations", "attention", "contrib", "conv", "cut", "einsum", "elementwise", "index", "loss",
    "matmul", "norm", "order", "pool", "quantised", "recurrent", "reduction", "resize", "scatter",
    "shape", "signal", "softmax", "state", "text", "vision",
)  # fmt: skip
"""Modules that register lowerings when they are imported."""

for _family in FAMILIES:
    import_module(f"{__name__}.{_family}")

__all__ = ["FAMILIES", "Lowered", "Refusal", "lower", "lower_model", "survey"]
