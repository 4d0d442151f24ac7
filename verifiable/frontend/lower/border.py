"""What goes into a model and comes out of it, as the model declares it."""

from collections.abc import Callable, Mapping, Sequence

import onnx

from verifiable.errors import ModelError
from verifiable.frontend.axes import open_axes, size_of, unsized
from verifiable.frontend.facts import dtype_name
from verifiable.frontend.files import shapeless
from verifiable.frontend.lower.builder import Value
from verifiable.frontend.lower.elements import CODES, ELEMENTS, NAMES
from verifiable.frontend.lower.hints import FLOATS, MEND, TOO_LARGE
from verifiable.graph.check import type_problems
from verifiable.graph.ir import TensorType
from verifiable.graph.vocabulary import DType

Problem = Callable[[ModelError], None]
"""Takes an error: raises it, or keeps it for a report and lets the walk go on."""


def input_type(
    info: onnx.ValueInfoProto, sizes: Mapping[str, int], problem: Problem
) -> TensorType | None:
    """Type of an input, its dynamic axes sized.

    Where `problem` returns, the walk goes on with an assumption: float32 for a dtype that the
    machine has not, 1 for an axis that nobody sized. None where nothing can be assumed.

    Parameters
    ----------
    info : ValueInfoProto
    sizes : mapping of str to int
        By the name of an axis or its place; see `frontend.axes`.
    problem : function of a ModelError
    """
    tensor = info.type.tensor_type
    if not info.type.HasField("tensor_type"):
        problem(ModelError(f"input `{info.name}` is no tensor", hint="take tensors alone"))
        return None
    if tensor.elem_type not in ELEMENTS:
        word = dtype_name(tensor.elem_type)
        problem(ModelError(f"input `{info.name}` is {word}, wanted one of {NAMES}", hint=FLOATS))
    if not tensor.HasField("shape"):
        problem(shapeless(f"input `{info.name}`"))
        return None
    shape = [int(dim.dim_value) for dim in tensor.shape.dim]
    for axis in open_axes(info):
        size = size_of(info, axis, sizes)
        if size is None:
            problem(unsized(info, axis))
        shape[axis] = size or 1
    kind = TensorType(ELEMENTS.get(tensor.elem_type, DType.F32), tuple(shape))
    for complaint in type_problems(kind):
        problem(ModelError(f"input `{info.name}` is {kind}: {complaint}", hint=TOO_LARGE))
        return None
    return kind


def check_outputs(
    infos: Sequence[onnx.ValueInfoProto], values: Mapping[str, Value | None], problem: Problem
) -> None:
    """Hold what the graph computes against what the model says that it gives."""
    names = [info.name for info in infos]
    for info in infos:
        if names.count(info.name) > 1:
            problem(ModelError(f"output `{info.name}` is listed twice", hint=MEND))
            return
        if info.name not in values:
            problem(ModelError(f"output `{info.name}` is made by no operator", hint=MEND))
        value = values.get(info.name)
        if value is None or info.type.WhichOneof("value") is None:
            continue
        declared = info.type.tensor_type
        fixed = set(range(len(declared.shape.dim))) - set(open_axes(info))
        shape = declared.shape.dim
        fits = not declared.HasField("shape") or (
            len(shape) == len(value.shape)
            and all(shape[axis].dim_value == value.shape[axis] for axis in fixed)
        )
        if declared.elem_type not in {0, CODES[value.dtype]} or not fits:
            problem(
                ModelError(
                    f"output `{info.name}` is declared as {_declared(info)}, and the graph gives "
                    f"{dtype_name(CODES[value.dtype])}{list(value.shape)}",
                    hint="mend the declaration: onnx.shape_inference finds it",
                )
            )


def strange_output(tensor: onnx.TensorProto) -> ModelError:
    """The error to raise for an output that is a constant of a dtype that the machine has not."""
    kind = dtype_name(tensor.data_type)
    return ModelError(
        f"output `{tensor.name}` is a constant of {kind}, wanted one of {NAMES}", hint=FLOATS
    )


def _declared(info: onnx.ValueInfoProto) -> str:
    tensor = info.type.tensor_type
    opened = set(open_axes(info))
    extents = [
        (dim.dim_param or "?") if axis in opened else str(dim.dim_value)
        for axis, dim in enumerate(tensor.shape.dim)
    ]
    return f"{dtype_name(tensor.elem_type)}[{', '.join(extents)}]"
