"""Slice a part of a model by output channels, for operators too large to be proven in one piece.

Each output channel of a convolution or dense layer needs all of its input and nothing of the
other channels; activations and pooling after it keep channels apart. So such a chain falls into
slices that all read the same input, and whoever reads its output puts the pieces together. The
numbers are the same up to the order in which onnxruntime adds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import onnx
from onnx import helper, numpy_helper

from verifiable.errors import ModelError
from verifiable.frontend.facts import Facts, facts_of
from verifiable.frontend.files import parse_model, serialise
from verifiable.frontend.split import Part, cut

_UNARY = frozenset(
    {"Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Neg",
     "Relu", "Sigmoid", "Softplus", "Tanh"}
)  # fmt: skip
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_BINARY = frozenset({"Add", "Div", "Mul", "Sub"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """How an operator with weights yields channels."""

    channels: int
    axis: int
    """Axis of the channels in the output."""
    weights: Mapping[int, int]
    """Position among the node's inputs to the axis along which that constant is sliced."""


def channels(part: Part) -> int:
    """Number of slices a part can be cut into: its output channels, or 1 if it is no chain.

    A chain starts with a Conv, Gemm or MatMul of constant weights; activations, pooling and
    arithmetic with constants follow; it has one input and one output.

    Raises
    ------
    ModelError
        If the part is no ONNX model with fixed shapes.
    """
    facts = facts_of(parse_model(part.model))
    head = _head(facts)
    if head is None or len(part.inputs) != 1 or len(part.outputs) != 1:
        return 1
    nodes = facts.model.graph.node
    for before, node in pairwise(nodes):
        if not _keeps_channels(facts, node, before.output[0], head):
            return 1
    return head.channels


def follows(part: Part) -> bool:
    """Whether a part may stand behind a sliced one in one chain.

    Raises
    ------
    ModelError
        If the part is no ONNX model with fixed shapes.
    """
    facts = facts_of(parse_model(part.model))
    return all(
        node.op_type in _UNARY | _POOLS | _BINARY
        and len(node.output) == 1
        and sum(name not in facts.constants for name in node.input if name) == 1
        for node in facts.model.graph.node
    )


def cut_and_slice(model: bytes, at: Sequence[str], groups: Mapping[str, int]) -> tuple[Part, ...]:
    """Cut a model, then slice the parts that end at the tensors of `groups`.

    Parameters
    ----------
    model : bytes
        ONNX in normal form.
    at : sequence of str
        As `verifiable.frontend.split.cut`.
    groups : mapping of str to int
        For tensors of `at`: into how many slices the part that makes it is cut.

    Returns
    -------
    tuple of Part
        In the order they run. A slice of channels a to b of tensor ``t`` makes ``t_a_b``.

    Raises
    ------
    ModelError
        As `cut`; if a part cannot be sliced so.
    """
    unknown = set(groups) - set(at)
    if unknown:
        raise ModelError(
            f"cannot slice `{min(unknown)}`: the model is not cut there",
            hint="cut it there as well, or slice another part",
        )
    pieces: dict[str, tuple[list[str], int]] = {}
    made: list[Part] = []
    for whole in cut(model, at):
        gathered = {name: pieces[name] for name in whole.inputs if name in pieces}
        tensor = next((name for name in whole.outputs if name in groups), None)
        if tensor is None:
            made.append(_gathering(whole, gathered, made))
            continue
        count, most = groups[tensor], channels(whole)
        head = _head(facts_of(parse_model(whole.model)))
        if head is None or not 1 <= count <= most:
            raise ModelError(
                f"the part that makes `{tensor}` falls into at most {most} slices, wanted {count}",
                hint="slice one convolution or dense layer and what follows it",
            )
        ends = np.linspace(0, head.channels, count + 1).astype(int).tolist()
        names = []
        for start, stop in pairwise(ends):
            names.append(f"{tensor}_{start}_{stop}")
            one = _slice(whole, head, start, stop, names[-1])
            made.append(_gathering(one, gathered, made))
        pieces[tensor] = (names, head.axis)
    return tuple(made)


def _head(facts: Facts) -> _Head | None:
    graph = facts.model.graph
    node = graph.node[0]
    shape = facts.shape(node.output[0])
    if shape is None or graph.input[0].name != node.input[0]:
        return None
    constant = [name in facts.constants for name in node.input]
    if not all(constant[1:]) or len(constant) < 2:
        return None
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    match node.op_type:
        case "Conv" if attributes.get("group", 1) == 1:
            weights = dict.fromkeys(range(1, len(node.input)), 0)
            return _Head(channels=shape[1], axis=1, weights=weights)
        case "Gemm":
            weights = {1: 0 if attributes.get("transB", 0) else 1}
            if len(node.input) > 2 and facts.constants[node.input[2]].shape[-1:] == shape[-1:]:
                weights[2] = facts.constants[node.input[2]].ndim - 1
            return _Head(channels=shape[-1], axis=len(shape) - 1, weights=weights)
        case "MatMul" if facts.constants[node.input[1]].ndim == 2:
            return _Head(channels=shape[-1], axis=len(shape) - 1, weights={1: 1})
    return None


def _keeps_channels(facts: Facts, node: onnx.NodeProto, before: str, head: _Head) -> bool:
    """Whether `node` reads `before` alone and handles each of its channels by itself."""
    others = [name for name in node.input if name and name != before]
    if list(node.input).count(before) != 1 or any(n not in facts.constants for n in others):
        return False
    if len(node.output) != 1 or facts.consumers.get(before, ()) != (facts.producers[before] + 1,):
        return False
    if node.op_type in _UNARY:
        return True
    if node.op_type in _POOLS:
        return head.axis == 1
    if node.op_type not in _BINARY:
        return False
    shape = facts.shape(before)
    return shape is not None and shape == facts.shape(node.output[0])


def _slice(part: Part, head: _Head, start: int, stop: int, name: str) -> Part:
    """The part with output channels `start` to `stop` alone, its output called `name`."""
    facts = facts_of(parse_model(part.model))
    graph = facts.model.graph
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    nodes[-1].output[0] = name
    renamed: dict[str, np.ndarray] = {}

    def take(node: onnx.NodeProto, position: int, axis: int) -> None:
        constant = facts.constants[node.input[position]]
        fresh = f"{node.input[position]}_{start}_{stop}_{axis}"
        renamed[fresh] = np.ascontiguousarray(np.take(constant, range(start, stop), axis))
        node.input[position] = fresh

    for position, axis in head.weights.items():
        take(nodes[0], position, axis)
    rank = len(facts.shape(part.outputs[0]) or ())
    for node in nodes[1:]:
        if node.op_type not in _BINARY:
            continue
        for position, source in enumerate(node.input):
            constant = facts.constants.get(source)
            # Axes are counted from the end: a constant may lack the leading ones.
            if constant is None or constant.ndim < rank - head.axis:
                continue
            axis = head.axis - rank + constant.ndim
            if constant.shape[axis] == head.channels > 1:
                take(node, position, axis)
    read = {source for node in nodes for source in node.input}
    shape = list(facts.shape(part.outputs[0]) or ())
    shape[head.axis] = stop - start
    tensors = [t for t in graph.initializer if t.name in read]
    tensors += [numpy_helper.from_array(array, name) for name, array in renamed.items()]
    output = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    return _part(facts.model, nodes, list(graph.input), [output], tensors)


def _gathering(
    part: Part, pieces: Mapping[str, tuple[list[str], int]], made: Sequence[Part]
) -> Part:
    """The part reading pieces of those inputs that come in slices."""
    if not pieces:
        return part
    model = parse_model(part.model)
    known = {
        output.name: output
        for earlier in made
        for output in parse_model(earlier.model).graph.output
    }
    inputs: list[onnx.ValueInfoProto] = []
    nodes: list[onnx.NodeProto] = []
    for info in model.graph.input:
        if info.name not in pieces:
            inputs.append(info)
            continue
        names, axis = pieces[info.name]
        inputs += [known[name] for name in names]
        nodes.append(helper.make_node("Concat", names, [info.name], axis=axis))
    nodes += model.graph.node
    return _part(model, nodes, inputs, list(model.graph.output), list(model.graph.initializer))


def _part(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    tensors: Sequence[onnx.TensorProto],
) -> Part:
    for node in nodes:
        node.name, node.domain = node.output[0], node.domain
    ordered = sorted(tensors, key=lambda tensor: tensor.name)
    graph = helper.make_graph(nodes, "model", inputs, outputs, ordered)
    made = helper.make_model(
        graph,
        opset_imports=list(model.opset_import),
        ir_version=model.ir_version,
        producer_name="",
    )
    return Part(
        model=serialise(made),
        inputs=tuple(info.name for info in inputs),
        outputs=tuple(info.name for info in outputs),
    )
