"""Sizes of the axes that a model leaves open.

An open axis is called as the model names it (``batch``), or by its place (``image:0``).
"""

from collections.abc import Iterator, Mapping

import onnx

from verifiable.errors import ModelError


def open_axes(info: onnx.ValueInfoProto) -> Iterator[int]:
    """Axes of an input or output without an extent; exporters write -1 for that, too."""
    if info.type.WhichOneof("value") == "tensor_type":
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value") or dim.dim_value < 0:
                yield axis


def names_of(info: onnx.ValueInfoProto, axis: int) -> tuple[str, ...]:
    """What an axis is called, its own name last.

    >>> info = onnx.helper.make_tensor_value_info("image", 1, ("batch", 3))
    >>> names_of(info, 0), names_of(info, 1)
    (('image:0', 'batch'), ('image:1',))
    """
    own = str(info.type.tensor_type.shape.dim[axis].dim_param)
    return (f"{info.name}:{axis}", own) if own else (f"{info.name}:{axis}",)


def size_of(info: onnx.ValueInfoProto, axis: int, sizes: Mapping[str, int]) -> int | None:
    """Size that an open axis is given; None where there is none above 0."""
    given = (sizes.get(name, 0) for name in names_of(info, axis))
    return next((int(size) for size in given if size > 0), None)


def check_sizes(model: onnx.ModelProto, sizes: Mapping[str, int]) -> None:
    """Hold sizes against the axes that there are.

    Raises
    ------
    ModelError
        If a size is of no open axis.
    """
    inputs = inputs_of(model)
    known = {
        name
        for info in (*inputs, *model.graph.output)
        for axis in open_axes(info)
        for name in names_of(info, axis)
    }
    unknown = [f"`{name}`" for name in sorted(sizes) if name not in known]
    if unknown:
        there = dict.fromkeys(names_of(i, axis)[-1] for i in inputs for axis in open_axes(i))
        raise ModelError(
            f"no open axis of the model is called {', '.join(unknown)}",
            hint="open are " + ", ".join(f"`{name}`" for name in there)
            if there
            else "every axis of the model has a size already",
        )


def inputs_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What a run must be given: inputs that are no constants."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [info for info in model.graph.input if info.name not in constants]


def unsized(info: onnx.ValueInfoProto, axis: int) -> ModelError:
    """The error to raise for an axis of an input without a size."""
    name = names_of(info, axis)[-1]
    return ModelError(
        f"input `{info.name}`: axis {axis} (`{name}`) is dynamic, and nobody sized it",
        hint=f"give it a size: --dim {name}=N",
    )
