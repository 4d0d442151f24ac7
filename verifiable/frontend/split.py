"""Cut a model at tensor boundaries into parts that are proven one by one.

A cut stands after one operator; whatever is still needed there crosses it. Parts run one after
another give the same bits as the whole, since they are the same operators on the same numbers.
That the provers of two parts meant the same numbers is not settled here: `links` lists what a
verifier must find equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import onnx
from onnx import helper

from verifiable.errors import ModelError
from verifiable.frontend.facts import Facts, dtype_name, facts_of
from verifiable.frontend.files import parse_model, serialise

_PLACES = "`verifiable inspect MODEL` lists the places where it can be cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A place where a single tensor separates what comes before from what comes after."""

    tensor: str
    shape: tuple[int, ...]
    operator: str
    """Operator that makes the tensor."""
    position: int
    """Index of that operator; those up to it lie before the cut."""

    @property
    def size(self) -> int:
        """Number of elements that cross."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece of a model, a model itself."""

    model: bytes
    """ONNX in normal form."""
    inputs: tuple[str, ...]
    """Inputs of the whole first, then tensors of earlier parts."""
    outputs: tuple[str, ...]
    """What later parts read, or the whole returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One tensor that must be the same in two parts."""

    tensor: str
    from_part: int
    """The part that makes it; for an input of the whole, the first that reads it."""
    to_part: int
    """A later part that reads it."""


def boundaries(model: bytes) -> tuple[Boundary, ...]:
    """List the places where one float tensor separates a model, first to last.

    Parameters
    ----------
    model : bytes
        ONNX in normal form.

    Returns
    -------
    tuple of Boundary
        Each tensor can be given to `cut`. Empty for a model of one operator.

    Raises
    ------
    ModelError
        If `model` is no ONNX model with fixed shapes.
    """
    return boundaries_from(facts_of(parse_model(model)))


def boundaries_from(facts: Facts) -> tuple[Boundary, ...]:
    """As `boundaries`, of what is known already."""
    found = []
    last = {name: places[-1] for name, places in facts.consumers.items()}
    # Known after the operator at `position` and read by a later one.
    crossing = {i.name for i in facts.model.graph.input if i.name in last}
    for position, node in enumerate(facts.model.graph.node[:-1]):
        made = {name for name in node.output if last.get(name, -1) > position}
        crossing = {n for n in crossing if last[n] > position} | made
        if len(crossing) != 1 or not made:
            continue
        (tensor,) = made
        shape, elem = facts.shape(tensor), facts.elem(tensor)
        if shape is not None and elem == onnx.TensorProto.FLOAT:
            found.append(
                Boundary(tensor=tensor, shape=shape, operator=str(node.op_type), position=position)
            )
    return tuple(found)


def cut(model: bytes, at: Sequence[str]) -> tuple[Part, ...]:
    """Cut a model after the operators that make the tensors `at`.

    Parameters
    ----------
    model : bytes
        ONNX in normal form.
    at : sequence of str
        Tensors, any order, usually from `boundaries`. Elsewhere several tensors cross, and a
        part gets several inputs.

    Returns
    -------
    tuple of Part
        ``len(at) + 1`` parts in the order they run.

    Raises
    ------
    ModelError
        If a tensor is made by no operator or by the last, occurs twice, or if integers or
        booleans would cross.
    """
    facts = facts_of(parse_model(model))
    last = len(facts.model.graph.node) - 1
    for name in at:
        if name not in facts.producers:
            raise ModelError(f"cannot cut at `{name}`: no operator makes it", hint=_PLACES)
        if facts.producers[name] == last:
            raise ModelError(f"cannot cut at `{name}`: nothing comes after it", hint=_PLACES)
    ends = sorted({facts.producers[name] for name in at})
    if len(ends) != len(at):
        raise ModelError(f"cannot cut twice at one place: {', '.join(at)}", hint=_PLACES)
    starts = [0, *(end + 1 for end in ends)]
    return tuple(_part(facts, start, end) for start, end in zip(starts, [*ends, last], strict=True))


def links(parts: Sequence[Part]) -> tuple[Link, ...]:
    """List what must be equal between parts, by part that reads it.

    >>> halves = (Part(model=b"", inputs=("x",), outputs=("h",)),
    ...           Part(model=b"", inputs=("h",), outputs=("y",)))
    >>> links(halves)
    (Link(tensor='h', from_part=0, to_part=1),)
    """
    made = {name: i for i, part in enumerate(parts) for name in part.outputs}
    found = []
    for i, part in enumerate(parts):
        for name in part.inputs:
            source = made.setdefault(name, i)
            if source != i:
                found.append(Link(tensor=name, from_part=source, to_part=i))
    return tuple(found)


def _part(facts: Facts, start: int, end: int) -> Part:
    graph = facts.model.graph
    nodes = list(graph.node[start : end + 1])
    made = [name for node in nodes for name in node.output if name]
    read = {name for node in nodes for name in node.input if name} - set(made)
    returned = {o.name for o in graph.output}
    inputs = [i.name for i in graph.input if i.name in read]
    inputs += [n for node in graph.node[:start] for n in node.output if n and n in read]
    outputs = [n for n in made if n in returned or any(i > end for i in facts.consumers.get(n, ()))]
    for name in (*inputs, *outputs):
        elem = facts.elem(name)
        if elem != onnx.TensorProto.FLOAT and name not in returned:
            kind = "nothing known" if elem is None else dtype_name(elem)
            raise ModelError(
                f"cannot cut there: `{name}` would cross and is {kind}, wanted float",
                hint="cut before or after the comparison or index that makes it",
            )
    piece = helper.make_graph(
        nodes,
        "model",
        [_info(facts, name) for name in inputs],
        [_info(facts, name) for name in outputs],
        [tensor for tensor in graph.initializer if tensor.name in read],
    )
    model = helper.make_model(
        piece,
        opset_imports=list(facts.model.opset_import),
        ir_version=facts.model.ir_version,
        producer_name="",
    )
    return Part(model=serialise(model), inputs=tuple(inputs), outputs=tuple(outputs))


def _info(facts: Facts, name: str) -> onnx.ValueInfoProto:
    known = facts.types.get(name)
    if known is None or known.shape is None:
        raise ModelError(f"`{name}` would cross a cut but has no fixed shape", hint=_PLACES)
    return helper.make_tensor_value_info(name, known.elem, known.shape)
