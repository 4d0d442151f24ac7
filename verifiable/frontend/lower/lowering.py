"""ONNX to Graph: walk the operators in order and lower each.

An operator without a lowering of its own is replaced by its definition in simpler operators, where
the model or ONNX itself has one. What cannot be lowered is refused by name; the walk goes on to
find the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

from verifiable.errors import GraphError, ModelError, UnsupportedError
from verifiable.frontend.facts import dtype_name
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.node import ELEMENTS, LOWERINGS, NEVER, node_of
from verifiable.frontend.lower.refusal import Refusal, too_dear_operators
from verifiable.frontend.lower.scaled import on_integers
from verifiable.graph.ir import Array, Graph, Index, TensorType
from verifiable.graph.passes import with_fused_maps

MINIMUM_OPSET: Final = 13
_HALVES: Final = frozenset({int(onnx.TensorProto.FLOAT16), int(onnx.TensorProto.BFLOAT16)})
_MALFORMED: Final = (
    AssertionError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError,
)  # fmt: skip
_DEEPEST: Final = 32
"""Nesting of functions and branches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """What came of a model; `graph` is None if anything was refused."""

    graph: Graph | None
    weights: dict[Index, Array]
    refusals: tuple[Refusal, ...]
    operators: dict[str, int]
    """How often each operator type occurs, functions not expanded."""

    def error(self) -> UnsupportedError:
        """The first refusal, and how many others there are."""
        first = self.refusals[0]
        others = len(self.refusals) - 1
        more = f" (and {others} more refused)" if others else ""
        return UnsupportedError(first.what + more, hint=first.hint)


@dataclass(slots=True)
class _Walk:
    """State of the walk over one graph or function body."""

    builder: Builder
    versions: Mapping[str, int]
    functions: Mapping[tuple[str, str], onnx.FunctionProto]
    values: dict[str, Value | None] = field(default_factory=dict)
    """By name; None where an operator before was refused."""
    refusals: list[Refusal] = field(default_factory=list)
    depth: int = 0


def lower_model(
    model: onnx.ModelProto,
    *,
    sizes: Mapping[str, int] | None = None,
    frozen: Mapping[str, Array] | None = None,
) -> Lowered:
    """Lower a model and say what could not be.

    Parameters
    ----------
    model : onnx.ModelProto
        As ``frontend.files.parse_model`` returns it, weights inside.
    sizes : mapping of str to int, optional
        Extent of each named dynamic axis.
    frozen : mapping of str to array, optional
        Inputs that are constants of this compilation: shapes, axes, pads, counts.

    Raises
    ------
    ModelError
        If the opset is too old, an input has an axis nobody sized or a dtype the machine has not,
        or a weight is a NaN.
    """
    builder = Builder()
    versions = {entry.domain: entry.version for entry in model.opset_import}
    newest = onnx.defs.onnx_opset_version()
    versions.setdefault("", versions.get("ai.onnx", 0 if _uses_default(model) else newest))
    if versions[""] < MINIMUM_OPSET:
        raise ModelError(
            f"the model is of opset {versions['']}, wanted {MINIMUM_OPSET} or later",
            hint="convert it with onnx.version_converter, or export it again",
        )
    walk = _Walk(
        builder=builder,
        versions=versions,
        functions={(f.domain, f.name): f for f in model.functions},
    )
    graph = model.graph
    initial = {t.name for t in graph.initializer}
    for info in graph.input:
        if info.name in (frozen or {}):
            walk.values[info.name] = builder.constant((frozen or {})[info.name])
        elif info.name not in initial:
            kind = input_type(info, sizes or {})
            walk.values[info.name] = builder.input(info.name, kind)
    for tensor in graph.initializer:
        walk.values[tensor.name] = _initializer(walk, tensor)
    operators: dict[str, int] = {}
    for node in graph.node:
        operators[node.op_type] = operators.get(node.op_type, 0) + 1
    run_nodes(walk, graph.node)
    outputs = [(o.name, walk.values.get(o.name)) for o in graph.output]
    found = [(name, value) for name, value in outputs if value is not None]
    if walk.refusals or len(found) < len(outputs):
        return Lowered(graph=None, weights={}, refusals=tuple(walk.refusals), operators=operators)
    finished, weights = builder.finish(found)
    fused, moved = with_fused_maps(finished)
    if dear := too_dear_operators(fused):
        return Lowered(graph=None, weights={}, refusals=dear, operators=operators)
    return Lowered(
        graph=fused,
        weights={moved[i]: array for i, array in weights.items() if i in moved},
        refusals=(),
        operators=operators,
    )


def _uses_default(model: onnx.ModelProto) -> bool:
    return any(node.domain in {"", "ai.onnx"} for node in model.graph.node)


def lower(
    model: onnx.ModelProto,
    *,
    sizes: Mapping[str, int] | None = None,
    frozen: Mapping[str, Array] | None = None,
) -> tuple[Graph, dict[Index, Array]]:
    """Lower a model to a checked graph and its weights; see `lower_model`.

    Raises
    ------
    UnsupportedError
        If an operator was refused: the first one, and how many others.
    ModelError
        As `lower_model`.
    """
    lowered = lower_model(model, sizes=sizes, frozen=frozen)
    if lowered.graph is None:
        raise lowered.error()
    return lowered.graph, lowered.weights


def input_type(info: onnx.ValueInfoProto, sizes: Mapping[str, int]) -> TensorType:
    """Type of an input, its dynamic axes sized.

    Raises
    ------
    ModelError
        If an axis has no size or the dtype is none of the machine's.
    """
    tensor = info.type.tensor_type
    if not info.type.HasField("tensor_type") or tensor.elem_type not in ELEMENTS:
        kind = dtype_name(tensor.elem_type) if info.type.HasField("tensor_type") else "no tensor"
        raise ModelError(
            f"input `{info.name}` is {kind}, wanted one of "
            + ", ".join(dtype_name(e) for e in ELEMENTS),
            hint="export the module in float32 (module.float())",
        )
    if not tensor.HasField("shape"):
        raise ModelError(f"input `{info.name}` has no shape", hint="export it with fixed shapes")
    shape = []
    for axis, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value"):
            shape.append(int(dim.dim_value))
        elif dim.dim_param in sizes:
            shape.append(int(sizes[dim.dim_param]))
        else:
            name = dim.dim_param or "without a name"
            raise ModelError(
                f"axis {axis} of input `{info.name}` is dynamic ({name}), and nobody sized it",
                hint=f"give it a size: --dim {dim.dim_param or 'NAME'}=N",
            )
    return TensorType(ELEMENTS[tensor.elem_type], tuple(shape))


def constant_array(tensor: onnx.TensorProto) -> Array:
    """Elements of an ONNX constant in a dtype of the machine; f16 and bf16 are widened.

    Raises
    ------
    ModelError
        If the dtype is none of the machine's, the bytes do not fill the shape, or one is a NaN.
    """
    name = tensor.name or "without a name"
    if tensor.data_type not in ELEMENTS and tensor.data_type not in _HALVES:
        raise ModelError(
            f"constant `{name}` is {dtype_name(tensor.data_type)}, wanted one of "
            + ", ".join(dtype_name(e) for e in ELEMENTS)
        )
    try:
        array = np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError) as error:
        raise ModelError(f"constant `{name}` is damaged: {error}") from error
    if tensor.data_type in _HALVES:
        array = array.astype(np.float32)
    if array.dtype == np.float32 and np.isnan(array).any():
        where = [int(i) for i in np.argwhere(np.isnan(array))[0]]
        raise ModelError(
            f"constant `{name}`{where} is NaN, wanted a number", hint="load the weights again"
        )
    return array


def _initializer(walk: _Walk, tensor: onnx.TensorProto) -> Value | None:
    kind = tensor.data_type
    if kind not in ELEMENTS and kind not in _HALVES:
        # Refused where it is read; one that nobody reads does no harm.
        return None
    return walk.builder.constant(constant_array(tensor))


def run_nodes(walk: _Walk, nodes: Sequence[onnx.NodeProto]) -> None:
    """Lower operators in order into ``walk.values``."""
    for number, proto in enumerate(nodes):
        name = f" `{proto.name}`" if proto.name else ""
        label = f"{proto.op_type}{name} (node {number + 1} of {len(nodes)})"
        if any(n and walk.values.get(n, ...) is None for n in proto.input) and walk.refusals:
            walk.values.update(dict.fromkeys(filter(None, proto.output)))
            continue
        start = len(walk.builder)
        try:
            results = _lower_node(walk, proto, label)
        except UnsupportedError as error:
            walk.refusals.append(
                Refusal(op=proto.op_type, label=label, what=str(error), hint=error.hint)
            )
            walk.values.update(dict.fromkeys(filter(None, proto.output)))
            continue
        for output, value in zip(proto.output, results, strict=False):
            if output:
                walk.values[output] = value
        if walk.depth == 0:
            walk.builder.region(f"{proto.op_type}{name}", start)


def _lower_node(walk: _Walk, proto: onnx.NodeProto, label: str) -> Sequence[Value | None]:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    inputs: list[Value | None] = []
    for name in proto.input:
        if name and walk.values.get(name) is None:
            raise UnsupportedError(
                f"{label}: reads `{name}`, which is of a dtype the machine has not"
                if name in walk.values
                else f"{label}: reads `{name}`, which nothing makes"
            )
        inputs.append(walk.values[name] if name else None)
    version = walk.versions.get(domain, 0)
    node = node_of(walk.builder, proto, inputs, label=label, version=version)
    lowering = LOWERINGS.get((domain, proto.op_type))
    if lowering is None:
        return _expanded(walk, proto, label, domain, inputs)
    try:
        results = on_integers(walk.builder, node, lowering)
    except GraphError as error:
        raise UnsupportedError(f"{label}: {error}") from error
    except _MALFORMED as error:
        # Nothing says that a model keeps ONNX's own rules; what breaks them breaks a lowering at
        # whatever place relied on them.
        raise UnsupportedError(
            f"{label}: its attributes or shapes do not fit one another ({type(error).__name__})",
            hint="check the model with onnx.checker and its shape inference",
        ) from error
    made = [results] if isinstance(results, Value) or results is None else list(results)
    for number, name in enumerate(proto.output):
        if name and (number >= len(made) or made[number] is None):
            raise UnsupportedError(f"{label}: does not make its output `{name}`")
    return made


def _expanded(
    walk: _Walk,
    proto: onnx.NodeProto,
    label: str,
    domain: str,
    inputs: Sequence[Value | None],
) -> Sequence[Value | None]:
    """Lower the definition of an operator, if it has one."""
    if not domain and proto.op_type in NEVER:
        raise UnsupportedError(f"{label}: {NEVER[proto.op_type]}")
    function = walk.functions.get((domain, proto.op_type)) or _schema_function(
        walk, proto, domain, inputs
    )
    if function is None or walk.depth >= _DEEPEST:
        of_domain = f" of domain `{domain}`" if domain else ""
        raise UnsupportedError(
            f"{label}: operator{of_domain} is not supported",
            hint="`verifiable inspect MODEL` lists what is and what is not",
        )
    versions = {e.domain: e.version for e in function.opset_import} or dict(walk.versions)
    inner = _Walk(
        builder=walk.builder,
        versions={**walk.versions, **versions},
        functions=walk.functions,
        values=dict(zip(function.input, inputs, strict=False)),
        depth=walk.depth + 1,
    )
    given = {a.name: a for a in proto.attribute}
    defaults = _defaults(walk, proto, domain) | {a.name: a for a in function.attribute_proto}
    nodes = [_with_attributes(n, {**defaults, **given}) for n in function.node]
    # Optional inputs left out: readers see them as absent.
    missing = set(function.input[len(inputs) :]) | {
        n for n, v in zip(function.input, inputs, strict=False) if v is None
    }
    for node in nodes:
        for i, name in enumerate(node.input):
            if name in missing:
                node.input[i] = ""
    run_nodes(inner, nodes)
    if inner.refusals:
        first = inner.refusals[0]
        raise UnsupportedError(f"{label}: in its definition, {first.what}", hint=first.hint)
    return [inner.values.get(name) for name in function.output]


def _defaults(walk: _Walk, proto: onnx.NodeProto, domain: str) -> dict[str, onnx.AttributeProto]:
    """What ONNX says an operator's attributes are where a node leaves them out."""
    try:
        schema = onnx.defs.get_schema(proto.op_type, walk.versions.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return {}
    return {
        name: attribute.default_value
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name
    }


def _schema_function(
    walk: _Walk, proto: onnx.NodeProto, domain: str, inputs: Sequence[Value | None]
) -> onnx.FunctionProto | None:
    try:
        schema = onnx.defs.get_schema(proto.op_type, walk.versions.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return None
    if schema.has_function:
        function: onnx.FunctionProto = schema.function_body
        return function
    if schema.has_context_dependent_function:
        types = [_type_proto(v) if v is not None else onnx.TypeProto() for v in inputs]
        body = schema.get_context_dependent_function(
            proto.SerializeToString(), [t.SerializeToString() for t in types]
        )
        function = onnx.FunctionProto()
        function.ParseFromString(body)
        return function if function.node else None
    return None


def _type_proto(value: Value) -> onnx.TypeProto:
    element = next(e for e, d in ELEMENTS.items() if d is value.dtype)
    return onnx.helper.make_tensor_type_proto(element, value.shape)


def _with_attributes(node: onnx.NodeProto, given: Mapping[str, Any]) -> onnx.NodeProto:
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
