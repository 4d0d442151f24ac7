"""Operators that a model, or ONNX itself, defines by simpler ones."""

from collections.abc import Collection, Mapping, Sequence

import onnx

from verifiable.frontend.lower.builder import Value
from verifiable.frontend.lower.elements import type_proto
from verifiable.frontend.lower.node import LOWERINGS, NEVER

Functions = Mapping[tuple[str, str], onnx.FunctionProto]
Versions = Mapping[str, int]


def is_known(proto: onnx.NodeProto, domain: str, functions: Functions, versions: Versions) -> bool:
    """Whether an operator has a lowering or a definition; its inputs may still rule it out."""
    if (domain, proto.op_type) in LOWERINGS or (domain, proto.op_type) in functions:
        return True
    schema = _schema(proto, domain, versions)
    never = not domain and proto.op_type in NEVER
    return schema is not None and not never and _is_defined(schema)


def definition_of(
    proto: onnx.NodeProto,
    domain: str,
    functions: Functions,
    versions: Versions,
    inputs: Sequence[Value | None],
) -> onnx.FunctionProto | None:
    """The operator in simpler ones: as the model says, or as ONNX says for inputs like these."""
    if (domain, proto.op_type) in functions:
        return functions[domain, proto.op_type]
    schema = _schema(proto, domain, versions)
    if schema is None or not _is_defined(schema):
        return None
    if schema.has_function:
        function: onnx.FunctionProto = schema.function_body
        return function
    types = [type_proto(v.type) if v is not None else onnx.TypeProto() for v in inputs]
    body = schema.get_context_dependent_function(
        proto.SerializeToString(), [t.SerializeToString() for t in types]
    )
    function = onnx.FunctionProto.FromString(body)
    return function if function.node else None


def body_of(
    function: onnx.FunctionProto,
    proto: onnx.NodeProto,
    domain: str,
    versions: Versions,
    missing: Collection[str],
) -> list[onnx.NodeProto]:
    """Operators of a definition, with the attributes of its use.

    Parameters
    ----------
    function : FunctionProto
    proto : NodeProto
        The use.
    domain : str
    versions : mapping of str to int
        What the use's surroundings ask for.
    missing : collection of str
        Inputs of the definition that the use leaves out; their readers see them as absent.
    """
    defaults = _defaults(proto, domain, versions) | {a.name: a for a in function.attribute_proto}
    given = {**defaults, **{a.name: a for a in proto.attribute}}
    nodes = [_with_attributes(node, given) for node in function.node]
    for node in nodes:
        for i, name in enumerate(node.input):
            if name in missing:
                node.input[i] = ""
    return nodes


def _is_defined(schema: onnx.defs.OpSchema) -> bool:
    return bool(schema.has_function or schema.has_context_dependent_function)


def _schema(proto: onnx.NodeProto, domain: str, versions: Versions) -> onnx.defs.OpSchema | None:
    try:
        return onnx.defs.get_schema(proto.op_type, versions.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return None


def _defaults(
    proto: onnx.NodeProto, domain: str, versions: Versions
) -> dict[str, onnx.AttributeProto]:
    """What ONNX says an operator's attributes are where a node leaves them out."""
    schema = _schema(proto, domain, versions)
    if schema is None:
        return {}
    return {
        name: attribute.default_value
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name
    }


def _with_attributes(
    node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]
) -> onnx.NodeProto:
    """Copy of a node of a function, its attribute references filled in."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    kept = []
    for attribute in copy.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in given:
                continue
            filled = onnx.AttributeProto()
            filled.CopyFrom(given[attribute.ref_attr_name])
            filled.name = attribute.name
            kept.append(filled)
        else:
            kept.append(attribute)
    kept = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in kept]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    return copy
