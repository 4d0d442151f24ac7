"""Rewrites that change no result: values known ahead, idle nodes, forms that ezkl insists on.

All of them change the model that they are given, since weights of gigabytes are not to be copied
once for each.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper, reference

from verifiable.frontend.facts import Constant, Constants, Facts, attributes, facts_of

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
    graph = facts.model.graph
    constants, made = Constants(graph.initializer), dict[str, Constant]()
    known: set[int] = set()
    for place, node in enumerate(graph.node):
        values = _value_of(node, constants, facts)
        if values is not None:
            known.add(place)
            made.update(zip(node.output, values, strict=False))
            constants.update(made)
    _drop(graph.node, known)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in made.items())
    return prune(facts.model)


def bypass(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop nodes that hand their input on unchanged."""
    if any(True for node in model.graph.node for _ in _outer_names(node)):
        return model  # control flow, which admission refuses by name
    facts = facts_of(model)
    outputs = {o.name for o in model.graph.output}
    renamed: dict[str, str] = {}
    idle: set[int] = set()
    for place, node in enumerate(model.graph.node):
        node.input[:] = [renamed.get(name, name) for name in node.input]
        same = node.op_type == "Identity" or (
            node.op_type in {"Cast", "CastLike"}
            and facts.elem(node.input[0]) == facts.elem(node.output[0])
        )
        if same and not node.domain and node.output[0] not in outputs:
            renamed[node.output[0]] = node.input[0]
            idle.add(place)
    _drop(model.graph.node, idle)
    return prune(model)


def prune(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop nodes and constants that no output depends on; constants in order of their names."""
    graph = model.graph
    needed = {o.name for o in graph.output}
    idle: set[int] = set()
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if needed & {name for name in node.output if name}:
            needed.update(node.input)
            needed.update(_outer_names(node))
        else:
            idle.add(place)
    _drop(graph.node, idle)
    _drop(graph.initializer, {i for i, t in enumerate(graph.initializer) if t.name not in needed})
    graph.initializer.sort(key=lambda tensor: str(tensor.name))
    return model


def explicit_strides(facts: Facts) -> Facts:
    """Write strides of 1 where a window operator leaves them out: ezkl insists on them."""
    model = facts.model
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
    model = facts.model
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


def _drop(several: Any, places: Collection[int]) -> None:
    """Take entries out of a repeated field, in place: weights are not copied."""
    for place in sorted(places, reverse=True):
        del several[place]


def _outer_names(node: onnx.NodeProto) -> Iterator[str]:
    """Tensors that a node's subgraphs may read from outside."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from inner.input
                yield from _outer_names(inner)
