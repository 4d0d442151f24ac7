"""What is known about each tensor of an ONNX graph before it runs.

Rules, rewrites and cuts all ask the same questions (who makes this tensor, who reads it, what
shape has it, is it a constant), so they are answered once, here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from verifiable.errors import ModelError

Constant = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and, as far as it is known, shape."""

    elem: int
    """A value of ``onnx.TensorProto.DataType``."""
    shape: tuple[int, ...] | None
    """None where an axis or the rank is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One graph with its tensors looked up by name."""

    model: onnx.ModelProto
    types: Mapping[str, TensorType]
    constants: Mapping[str, Constant]
    producers: Mapping[str, int]
    """Tensor to the index of the node that makes it; inputs and constants are absent."""
    consumers: Mapping[str, tuple[int, ...]]
    """Tensor to the indices of the nodes that read it, ascending."""

    def label(self, index: int) -> str:
        """Name node `index` for a reader: operator, name, position."""
        node = self.model.graph.node[index]
        name = f" `{node.name}`" if node.name else ""
        return f"{node.op_type}{name} (node {index + 1} of {len(self.model.graph.node)})"

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """Shape of `tensor`, None if unknown."""
        known = self.types.get(tensor)
        return None if known is None else known.shape

    def elem(self, tensor: str) -> int | None:
        """Element type of `tensor`, None if unknown."""
        known = self.types.get(tensor)
        return None if known is None else known.elem


def dtype_name(elem: int) -> str:
    """Name an element type as ONNX spells it, in lower case.

    >>> dtype_name(onnx.TensorProto.DOUBLE)
    'double'
    """
    try:
        return str(onnx.TensorProto.DataType.Name(elem)).lower()
    except ValueError:
        return f"type {elem}"


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node as Python values."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def array(tensor: onnx.TensorProto) -> Constant:
    """Read a constant.

    Raises
    ------
    ModelError
        If its bytes do not fill its shape, or its type is none that NumPy can hold.
    """
    try:
        return np.ascontiguousarray(numpy_helper.to_array(tensor)).reshape(tuple(tensor.dims))
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ModelError(
            f"constant `{tensor.name}`: its bytes are no {dtype_name(tensor.data_type)} tensor "
            f"of shape {list(tensor.dims)}",
            hint="export the model again, and copy all of it",
        ) from error


def tensor_type(info: onnx.ValueInfoProto) -> TensorType | None:
    """Type of a graph input, output or value; None for what is not a tensor."""
    if info.type.WhichOneof("value") != "tensor_type":
        return None
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return TensorType(tensor.elem_type, None)
    known = all(d.HasField("dim_value") and d.dim_value >= 0 for d in tensor.shape.dim)
    shape = tuple(int(d.dim_value) for d in tensor.shape.dim) if known else None
    return TensorType(tensor.elem_type, shape)


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """Add the inferred type of every tensor.

    Raises
    ------
    ModelError
        If the operators of the model contradict each other's shapes or types.
    """
    try:
        return onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        )
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"shapes of the model do not fit together: {first_line(error)}",
            hint="run the model once in onnxruntime; it names the same operator",
        ) from error


def facts_of(model: onnx.ModelProto) -> Facts:
    """Look up every tensor of `model`, after shape inference.

    Raises
    ------
    ModelError
        If shapes do not fit together or a constant cannot be read.
    """
    inferred = infer(model)
    types: dict[str, TensorType] = {}
    for info in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input):
        known = tensor_type(info)
        if known is not None:
            types[info.name] = known
    constants = {t.name: array(t) for t in model.graph.initializer}
    for tensor in model.graph.initializer:
        types[tensor.name] = TensorType(tensor.data_type, tuple(tensor.dims))
    producers = {out: i for i, n in enumerate(model.graph.node) for out in n.output if out}
    consumers: dict[str, tuple[int, ...]] = {}
    for i, node in enumerate(model.graph.node):
        for name in dict.fromkeys(node.input):
            if name:
                consumers[name] = (*consumers.get(name, ()), i)
    return Facts(
        model=model, types=types, constants=constants, producers=producers, consumers=consumers
    )


def first_line(error: BaseException) -> str:
    """First line with words in it of what a library said."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
