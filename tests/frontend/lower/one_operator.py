"""Models of one operator, lowered and run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from conformance import run_slowly
from onnx import helper

from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array
from verifiable.ops import canonical


def i64(values: Any) -> Array:
    """An int64 array."""
    return np.asarray(values, np.int64)


def f32(values: Any) -> Array:
    """A float32 array."""
    return np.asarray(values, np.float32)


def model(
    op: str,
    inputs: Mapping[str, Any],
    *,
    outputs: int = 1,
    version: int | None = None,
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of `op`; an input of None is left out."""
    node = helper.make_node(
        op,
        [name if array is not None else "" for name, array in inputs.items()],
        [f"out{i}" for i in range(outputs)],
        domain=domain,
        **attributes,
    )
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in inputs.items()
            if array is not None
        ],
        [helper.make_value_info(f"out{i}", onnx.TypeProto()) for i in range(outputs)],
    )
    opset = helper.make_opsetid(domain, version or onnx.defs.onnx_opset_version())
    if domain:
        opset = helper.make_opsetid(domain, onnx.defs.get_schema(op, domain=domain).since_version)
    return helper.make_model(graph, opset_imports=[opset])


def run(
    op: str,
    inputs: Mapping[str, Any],
    *,
    frozen: Sequence[str] = (),
    **rest: Any,
) -> list[Array]:
    """Outputs of `op`, by the definition of each instruction; `frozen` names constants."""
    given = {n: canonical(np.asarray(a)) for n, a in inputs.items() if a is not None}
    graph, weights = lower(
        model(op, {n: given.get(n) for n in inputs}, **rest),
        frozen={n: given[n] for n in frozen if n in given},
    )
    varying = {n: a for n, a in given.items() if n not in frozen}
    found = run_slowly(graph, weights, varying)
    return [found[name] for name, _ in graph.outputs]
