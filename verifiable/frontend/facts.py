"""What is known about each tensor of an ONNX graph before it runs.

Rules, rewrites and cuts all ask the same questions (who makes this tensor, who reads it, what
shape has it, is it a constant), so they are answered once, here.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from verifiable.errors import ModelError
from verifiable.frontend.crashes import check_inferable

Constant = NDArray[Any]
SMALL: Final = 1024
"""Elements of a constant that may be a shape, axes or the like, at which shape inference looks."""


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


class Constants(MutableMapping[str, Constant]):
    """Constants of a graph by name, each read when it is first asked for: reading copies."""

    def __init__(self, tensors: Iterable[onnx.TensorProto]) -> None:
        self._tensors = {str(tensor.name): tensor for tensor in tensors}
        self._arrays: dict[str, Constant] = {}

    def __getitem__(self, name: str) -> Constant:
        if name not in self._arrays:
            self._arrays[name] = array(self._tensors[name])
        return self._arrays[name]

    def __setitem__(self, name: str, value: Constant) -> None:
        self._arrays[name] = value

    def __delitem__(self, name: str) -> None:
        self._arrays.pop(name, None)
        self._tensors.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays or name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._tensors, *self._arrays)))

    def __len__(self) -> int:
        return len(self._tensors.keys() | self._arrays.keys())


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
    """The model with the inferred type of every tensor, and without its weights.

    Inference takes and gives the whole model as bytes, so what it does not look at is left out.

    Raises
    ------
    ModelError
        If the operators of the model contradict each other's shapes or types, or one of them would
        bring inference down.
    """
    light = _light(model)
    check_inferable(light)
    try:
        return onnx.shape_inference.infer_shapes(
            light, check_type=True, strict_mode=True, data_prop=True
        )
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"shapes of the model do not fit together: {first_line(error)}",
            hint="run the model once in onnxruntime; it names the same operator",
        ) from error


def _light(model: onnx.ModelProto) -> onnx.ModelProto:
    light = onnx.ModelProto(
        ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions
    )
    graph = model.graph
    light.graph.name = graph.name
    light.graph.node.extend(graph.node)
    light.graph.input.extend(graph.input)
    light.graph.output.extend(graph.output)
    light.graph.value_info.extend(graph.value_info)
    light.graph.sparse_initializer.extend(graph.sparse_initializer)
    for tensor in graph.initializer:
        if prod(tensor.dims) <= SMALL:
            light.graph.initializer.append(tensor)
        else:
            stub = light.graph.initializer.add(
                name=tensor.name,
                data_type=tensor.data_type,
                dims=tensor.dims,
                data_location=onnx.TensorProto.EXTERNAL,
            )
            stub.external_data.add(key="location", value="left out")
    return light


def facts_of(model: onnx.ModelProto) -> Facts:
    """Look up every tensor of `model`, after shape inference.

    Raises
    ------
    ModelError
        If shapes do not fit together. A constant that cannot be read is found when it is.
    """
    inferred = infer(model)
    types: dict[str, TensorType] = {}
    for info in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input):
        known = tensor_type(info)
        if known is not None:
            types[info.name] = known
    constants = Constants(model.graph.initializer)
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
