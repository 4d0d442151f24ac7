"""Rewrites that change no result: values known ahead, idle nodes, forms that ezkl insists on."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper, reference

from verifiable.frontend.facts import Constant, Facts, attributes, facts_of

FOLDED: Final = frozenset(
    {
        "Add", "And", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand",
        "Flatten", "Gather", "GreaterOrEqual", "Greater", "Identity", "Less", "LessOrEqual", "Max",
        "Min", "Mod", "Mul", "Not", "Or", "Range", "ReduceMax", "ReduceProd", "ReduceSum",
        "Reshape", "Size", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose", "Trilu",
        "Unsqueeze", "Where",
    }
)  # fmt: skip
"""Operators computed ahead of time when all they read is constant: moves, integers, and float
arithmetic that IEEE 754 rounds correctly, so that any engine would get the same bits."""
INTEGERS_ONLY: Final = frozenset({"Mod", "ReduceProd", "ReduceSum"})
"""Folded for integers only: the order of float sums is the engine's own."""
MAX_FOLDED: Final = 2**24
"""Elements; a constant of a few bytes must not unfold into gigabytes."""
FOLD_ERRORS: Final = (
    ArithmeticError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip


def fold(facts: Facts) -> onnx.ModelProto:
    """Replace what depends on no input by its value."""
    constants = dict(facts.constants)
    model = _copy(facts.model)
    kept: list[onnx.NodeProto] = []
    for node in facts.model.graph.node:
        values = _value_of(node, constants, facts)
        if values is None:
            kept.append(node)
        else:
            constants.update(zip(node.output, values, strict=False))
    _replace(model, kept, constants)
    return prune(model)


def bypass(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop nodes that hand their input on unchanged."""
    if any(True for node in model.graph.node for _ in _outer_names(node)):
        return model  # control flow, which admission refuses by name
    facts = facts_of(model)
    outputs = {o.name for o in model.graph.output}
    renamed: dict[str, str] = {}
    kept: list[onnx.NodeProto] = []
    for node in model.graph.node:
        inputs = [renamed.get(name, name) for name in node.input]
        node = _with_inputs(node, inputs)  # noqa: PLW2901
        idle = node.op_type == "Identity" or (
            node.op_type in {"Cast", "CastLike"}
            and facts.elem(inputs[0]) == facts.elem(node.output[0])
        )
        if idle and not node.domain and node.output[0] not in outputs:
            renamed[node.output[0]] = inputs[0]
        else:
            kept.append(node)
    _replace(model, kept, dict(facts.constants))
    return prune(model)


def prune(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop nodes and constants that no output depends on."""
    needed = {o.name for o in model.graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if needed & {name for name in node.output if name}:
            kept.append(node)
            needed.update(node.input)
            needed.update(_outer_names(node))
    constants = {t.name: t for t in model.graph.initializer if t.name in needed}
    pruned = _copy(model)
    del pruned.graph.node[:], pruned.graph.initializer[:]
    pruned.graph.node.extend(reversed(kept))
    pruned.graph.initializer.extend(constants[name] for name in sorted(constants))
    return pruned


def explicit_strides(facts: Facts) -> Facts:
    """Write strides of 1 where a window operator leaves them out: ezkl insists on them."""
    model = _copy(facts.model)
    for node in model.graph.node:
        windowed = node.op_type in {"Conv", "ConvTranspose", "MaxPool", "AveragePool"}
        shape = facts.shape(node.input[0]) if windowed and node.input else None
        if shape is not None and len(shape) > 2 and "strides" not in attributes(node):
            node.attribute.append(helper.make_attribute("strides", [1] * (len(shape) - 2)))
            sort_attributes(node)
    return facts_of(model)


def clamp_slices(facts: Facts) -> onnx.ModelProto:
    """Bring the starts and ends of slices within the axis.

    Exporters write "to the end" as 2**63 - 1, which has no exact float32, through which ezkl
    passes constants. ONNX clamps to the axis anyhow.
    """
    model = _copy(facts.model)
    for node in model.graph.node:
        if node.op_type != "Slice" or node.domain or len(node.input) < 3:
            continue
        shape = facts.shape(node.input[0])
        given = [facts.constants.get(name) for name in node.input[1:4]]
        if shape is None or given[0] is None or given[1] is None:
            continue
        axes = range(given[0].size) if len(given) < 3 or given[2] is None else given[2].ravel()
        try:
            sizes = np.array([shape[int(axis)] for axis in axes], np.int64)
        except IndexError:
            continue  # inference has named it, or will
        for slot, value in enumerate(given[:2], start=1):
            assert value is not None
            # -size - 1 stands for "before the first", where a backward slice ends.
            clamped = np.clip(value, -sizes - 1, sizes).astype(value.dtype)
            if not np.array_equal(clamped, value):
                name = f"{node.output[0]}.{'start' if slot == 1 else 'end'}"
                model.graph.initializer.append(numpy_helper.from_array(clamped, name))
                node.input[slot] = name
    return model


def name_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Name each node after its first output, which is unique and survives renumbering."""
    for node in model.graph.node:
        node.name = next((name for name in node.output if name), node.op_type)
    return model


def sort_attributes(node: onnx.NodeProto) -> None:
    """Put attributes in order of their names, in place."""
    ordered = sorted(node.attribute, key=lambda a: str(a.name))
    del node.attribute[:]
    node.attribute.extend(ordered)


def _value_of(
    node: onnx.NodeProto, constants: Mapping[str, Constant], facts: Facts
) -> list[Constant] | None:
    """Values of a node's outputs if it can be computed now."""
    if node.domain:
        return None
    if node.op_type == "Shape":
        return _shape_of(node, facts)
    if node.op_type == "CastLike" and node.input[0] in constants:
        elem = facts.elem(node.input[1])
        if elem is None:
            return None
        node = helper.make_node("Cast", [node.input[0]], [node.output[0]], to=elem)
    if node.op_type not in FOLDED or not all(n in constants for n in node.input if n):
        return None
    if node.op_type in INTEGERS_ONLY and constants[node.input[0]].dtype.kind == "f":
        return None
    shapes = [facts.shape(name) for name in node.output if name]
    if any(s is None or int(np.prod(s, dtype=np.float64)) > MAX_FOLDED for s in shapes):
        return None
    opsets = {o.domain: o.version for o in facts.model.opset_import}
    feeds = {name: constants[name] for name in node.input if name}
    try:
        run = reference.ReferenceEvaluator(node, opsets=opsets).run
        with np.errstate(all="ignore"):  # infinities are found by admission, which names them
            values = [np.asarray(v) for v in run(None, feeds)]
    except FOLD_ERRORS:
        return None  # left to be refused, or run, as it stands
    known = [facts.elem(name) for name in node.output if name]
    elems = [helper.np_dtype_to_tensor_dtype(v.dtype) for v in values]
    return values if elems == known and [v.shape for v in values] == shapes else None


def _shape_of(node: onnx.NodeProto, facts: Facts) -> list[Constant] | None:
    shape = facts.shape(node.input[0])
    if shape is None:
        return None
    given = attributes(node)
    return [np.array(shape[given.get("start", 0) : given.get("end")], np.int64)]


def _with_inputs(node: onnx.NodeProto, inputs: list[str]) -> onnx.NodeProto:
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    changed.input[:] = inputs
    return changed


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _replace(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], constants: Mapping[str, Constant]
) -> None:
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )


def _outer_names(node: onnx.NodeProto) -> Iterator[str]:
    """Tensors that a node's subgraphs may read from outside."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from inner.input
                yield from _outer_names(inner)
