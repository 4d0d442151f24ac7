"""Models with DequantizeLinear before an operator and QuantizeLinear behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from conformance import run_slowly
from one_node import small_integers
from onnx import helper, numpy_helper

from verifiable.engines.ort import Session
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array, Dot, Graph, places
from verifiable.graph.vocabulary import DType

OPSET = 21
Byte = type[np.generic]


@dataclass(frozen=True, kw_only=True)
class Integers:
    """Real = ``(value - zero) * scale``; scale and zero as they are broadcast against it."""

    value: Array
    scale: Array
    zero: Array
    axis: int = 1

    def real(self) -> Array:
        """In float64; the scale is the float32 that it is."""
        shape = [1] * self.value.ndim
        if self.scale.ndim:
            shape[self.axis] = self.scale.size
        whole = self.value.astype(np.int64) - self.zero.astype(np.int64).reshape(shape)
        return whole * self.scale.astype(np.float64).reshape(shape)


@dataclass
class Written:
    """A model in the making; constants are initializers, inputs are named by the caller."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)

    def constant(self, array: Array) -> str:
        """Add an initializer."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def input(self, name: str, array: Array) -> str:
        """Add an input of the type of an array."""
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, element, array.shape))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"n{name}", **attributes))
        return name

    def dequantised(self, tensor: str, held: Integers) -> str:
        """Add a DequantizeLinear."""
        several = (tensor, self.constant(held.scale), self.constant(held.zero))
        return self.add("DequantizeLinear", *several, axis=held.axis)

    def model(self, output: str) -> onnx.ModelProto:
        """The model whose output is `output`."""
        end = onnx.ValueInfoProto(name=output)
        domains = {node.domain for node in self.nodes} | {""}
        return onnx.shape_inference.infer_shapes(
            helper.make_model(
                helper.make_graph(self.nodes, "qdq", self.inputs, [end], self.constants),
                opset_imports=[helper.make_opsetid(d, 1 if d else OPSET) for d in sorted(domains)],
                ir_version=10,
            )
        )


def integers(
    seed: int, dtype: Byte, *shape: int, axis: int | None = None, zero: bool = True, most: int = 255
) -> Integers:
    """Bytes, their scale and zero point; one for each place along an axis if one is named."""
    rng = np.random.default_rng([seed, 1])
    several = () if axis is None else (shape[axis],)
    value = small_integers(seed, dtype, *shape)
    return Integers(
        value=np.clip(value, -most, most).astype(dtype),
        scale=np.asarray(rng.uniform(0.001, 0.1, several), np.float32),
        zero=np.asarray(rng.integers(-20, 20, several) * zero + 20 * (dtype is np.uint8), dtype),
        axis=1 if axis is None else axis,
    )


def dots(graph: Graph) -> list[DType]:
    """Dtypes of what the Dots of a graph give."""
    return [graph.instructions[i].type.dtype for i in places(graph, Dot)]


def run(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> tuple[list[DType], Array]:
    """The Dots of the lowered model, and its output by the definition of each instruction."""
    graph, weights = lower(model)
    return dots(graph), run_slowly(graph, weights, inputs)[model.graph.output[0].name]


def onnxruntime(model: onnx.ModelProto, inputs: Mapping[str, Array], *, optimise: bool) -> Array:
    """What onnxruntime says, with its own integer kernels or operator by operator."""
    return Session(model.SerializeToString(), optimise=optimise).run(inputs)[
        model.graph.output[0].name
    ]
