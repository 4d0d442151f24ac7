"""One form for all ONNX models: fixed shapes, float constants in one place, no noise.

The result computes what the model computes, in operators that the admission table knows. Normal
forms are fixed points: normalising one changes no byte. The digest of a model is that of its
normal form.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import onnx
from onnx import helper, inliner, numpy_helper, version_converter

from verifiable.errors import ModelError
from verifiable.frontend.axes import check_sizes, inputs_of, open_axes, size_of, unsized
from verifiable.frontend.facts import array, facts_of, first_line, infer, tensor_type
from verifiable.frontend.opsets import check_opsets
from verifiable.frontend.simplify import (
    bypass,
    clamp_slices,
    explicit_strides,
    fold,
    name_nodes,
    prune,
    sort_attributes,
)

OLDEST_OPSET: Final = 13
"""Before it, Softmax and friends flattened their input; older models are converted upward."""
OPSET: Final = 18
IR_VERSION: Final = 10

FUSED: Final = ("Attention", "Gelu", "GroupNormalization", "Mish", "RMSNormalization")
"""Operators that ONNX defines by others, written out since ezkl lacks them."""

MAX_PASSES: Final = 16


def normalise(model: onnx.ModelProto, dims: Mapping[str, int]) -> onnx.ModelProto:
    """Bring `model` into normal form.

    Parameters
    ----------
    model : onnx.ModelProto
        As ``parse_model`` returns it.
    dims : mapping of str to int
        Sizes of axes the model leaves open, by the axis's name (``batch``) or by place
        (``image:0``).

    Raises
    ------
    ModelError
        If an axis has no size, a size names no axis, or shapes do not fit together.
    """
    model = upgrade(model)
    model = write_out(rebuild(model, *sized_border(model, dims)))
    for _ in range(MAX_PASSES):
        before = len(model.graph.node)
        model = bypass(fold(facts_of(model)))
        if len(model.graph.node) == before:
            break
    facts = facts_of(model)
    model = name_nodes(prune(clamp_slices(explicit_strides(facts))))
    return type_outputs(model)


def upgrade(model: onnx.ModelProto) -> onnx.ModelProto:
    """Convert a model older than opset 13 to opset 18.

    Raises
    ------
    ModelError
        If it cannot be converted, or is newer than the installed onnx.
    """
    if check_opsets(model).get("", OPSET) >= OLDEST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"cannot convert the model to opset {OPSET}: {first_line(error)}",
            hint=f"export it again with opset_version={OPSET}",
        ) from error


def sized_border(
    model: onnx.ModelProto, dims: Mapping[str, int]
) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """Inputs and outputs of a model, every axis of every input with a size.

    Raises
    ------
    ModelError
        If an axis is left without one, or an entry of `dims` names none.
    """
    check_sizes(model, dims)
    inputs = [onnx.ValueInfoProto.FromString(i.SerializeToString()) for i in inputs_of(model)]
    outputs = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in model.graph.output]
    for info in inputs:
        for axis in open_axes(info):
            size = size_of(info, axis, dims)
            if size is None:
                raise unsized(info, axis)
            info.type.tensor_type.shape.dim[axis].dim_value = size
    for info in outputs:
        for axis in open_axes(info):
            dim, size = info.type.tensor_type.shape.dim[axis], size_of(info, axis, dims)
            dim.Clear()
            if size is not None:
                dim.dim_value = size
    return inputs, outputs


def rebuild(
    model: onnx.ModelProto,
    inputs: Iterable[onnx.ValueInfoProto],
    outputs: Iterable[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    """A model of its own that keeps what decides the result, without documentation and metadata.

    Raises
    ------
    ModelError
        If an input or output is no tensor, or a constant is damaged.
    """
    graph = model.graph
    if graph.sparse_initializer:
        raise ModelError("sparse constants are not taken", hint="store the weights densely")
    nodes = [_plain_node(node) for node in graph.node]
    used = {node.domain for node in nodes} | {f.domain for f in model.functions} | {""}
    imports = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    rebuilt = onnx.ModelProto(
        ir_version=IR_VERSION,
        producer_name="",
        functions=model.functions,
        opset_import=[helper.make_opsetid(d, imports[d]) for d in sorted(imports) if d in used],
    )
    rebuilt.graph.name = "model"
    rebuilt.graph.node.extend(nodes)
    rebuilt.graph.input.extend(_plain(info) for info in inputs)
    rebuilt.graph.output.extend(_plain(info) for info in outputs)
    # The last of several constants of one name counts.
    rebuilt.graph.initializer.extend(
        _plain_constant(tensor) for tensor in {t.name: t for t in graph.initializer}.values()
    )
    return rebuilt


def write_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write local functions and fused operators out as plain operators.

    Raises
    ------
    ModelError
        If a definition does not fit its use.
    """
    fused = {node.op_type for node in model.graph.node if not node.domain} & set(FUSED)
    if not model.functions and not fused:
        return model
    try:
        plain = inliner.inline_local_functions(model) if model.functions else model
        fused = {node.op_type for node in plain.graph.node if not node.domain} & set(FUSED)
        if fused:
            # The inliner asks for the type of every tensor a fused operator reads.
            typed = rebuild(plain, plain.graph.input, plain.graph.output)
            typed.graph.value_info.extend(infer(plain).graph.value_info)
            for tensor in plain.graph.initializer:
                typed.graph.value_info.append(
                    helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
                )
            plain = inliner.inline_selected_functions(
                typed, [("", op) for op in sorted(fused)], inline_schema_functions=True
            )
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"cannot write out {sorted(fused)}: {first_line(error)}",
            hint="export the model without functions and fused operators",
        ) from error
    return rebuild(plain, plain.graph.input, plain.graph.output)


def type_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Declare the inferred shape of every output."""
    facts = facts_of(model)
    for output in model.graph.output:
        known = facts.types.get(output.name)
        if known is not None and known.shape is not None:
            output.CopyFrom(helper.make_tensor_value_info(output.name, known.elem, known.shape))
    return model


def _plain(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    known = tensor_type(info)
    if known is None:
        raise ModelError(
            f"`{info.name}` is no tensor; only tensors may go in and out",
            hint="export the module so that it takes and gives tensors",
        )
    return helper.make_tensor_value_info(info.name, known.elem, known.shape)


def _plain_constant(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """A constant as every other one is written: its bytes, and nothing said about it."""
    written = {field.name for field, _ in tensor.ListFields()}
    if tensor.HasField("raw_data") and written <= {"dims", "data_type", "name", "raw_data"}:
        return tensor
    return numpy_helper.from_array(array(tensor), tensor.name)


def _plain_node(node: onnx.NodeProto) -> onnx.NodeProto:
    domain = "" if node.domain == "ai.onnx" else node.domain
    plain = onnx.NodeProto(op_type=node.op_type, name=node.name, domain=domain)
    plain.input.extend(node.input)
    plain.output.extend(node.output)
    plain.attribute.extend(node.attribute)
    if node.overload:
        plain.overload = node.overload
    for attribute in plain.attribute:
        attribute.ClearField("doc_string")
    sort_attributes(plain)
    return plain
