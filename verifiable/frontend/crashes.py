"""What brings ONNX's own shape inference down, and this process with it; looked for before.

Found by asking onnx 1.23.2 about its node cases with odd attributes: for these its C++ code reads
beyond a vector, of which no exception comes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import onnx

from verifiable.errors import ModelError

Attributes = Mapping[str, Any]
Complaint = Callable[[onnx.NodeProto, Attributes, int | None], str | None]
"""Takes an operator, its attributes and the rank of its first input; None where all is well."""


def _pieces(node: onnx.NodeProto, given: Attributes, _: int | None) -> str | None:
    count, outputs = given.get("num_outputs"), len(node.output)
    wrong = count is not None and count != outputs
    return f"num_outputs is {count}, and it has {outputs} outputs" if wrong else None


def _batch(_: onnx.NodeProto, given: Attributes, __: int | None) -> str | None:
    axes = given.get("batch_dims", 0)
    return f"batch_dims is {axes}, wanted 0 or more" if axes < 0 else None


def _axis(_: onnx.NodeProto, given: Attributes, rank: int | None) -> str | None:
    axis = given.get("axis", -1)
    if rank is None or -rank <= axis < rank:
        return None
    return f"axis {axis} is not in {-rank}..{rank - 1}"


_COMPLAINTS: Final[Mapping[str, Complaint]] = {
    "GatherND": _batch,
    "LayerNormalization": _axis,
    "Split": _pieces,
}


def crash_of(node: onnx.NodeProto, rank: int | None) -> str | None:
    """What about an operator would bring shape inference down; None if nothing is known.

    Parameters
    ----------
    node : NodeProto
    rank : int or None
        Number of axes of its first input, None if inference will not know it either.
    """
    complaint = _COMPLAINTS.get(node.op_type)
    if complaint is None or node.domain not in {"", "ai.onnx"}:
        return None
    integers = {a.name: a.i for a in node.attribute if a.type == onnx.AttributeProto.INT}
    return complaint(node, integers, rank)


def check_inferable(model: onnx.ModelProto) -> None:
    """Pass a model about which shape inference may be asked.

    Parameters
    ----------
    model : ModelProto
        Without local functions; weights are not looked at.

    Raises
    ------
    ModelError
        If an operator of it would bring inference down.
    """
    nodes = model.graph.node
    ranks = _ranks(model) if any(map(_by_rank, nodes)) else {}
    for number, node in enumerate(nodes):
        complaint = crash_of(node, ranks.get(node.input[0]) if node.input else None)
        for inner in _inside(node):
            # Branches and loops are neither lowered nor proven; ranks in them are not looked for.
            complaint = complaint or crash_of(inner, 1 if _by_rank(inner) else None)
        if complaint is not None:
            name = f" `{node.name}`" if node.name else ""
            raise ModelError(
                f"{node.op_type}{name} (node {number + 1} of {len(nodes)}): {complaint}",
                hint="mend that operator, or export the model again",
            )


def _by_rank(node: onnx.NodeProto) -> bool:
    """Whether it takes a rank to tell what an operator does to inference."""
    axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    return node.op_type == "LayerNormalization" and axes not in ([], [-1])


def _inside(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield inner
                yield from _inside(inner)


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    """Ranks of all tensors, as inference will find them; it is asked without what harms it."""
    tame = onnx.ModelProto()
    tame.CopyFrom(model)
    for node in (inner for outer in tame.graph.node for inner in (outer, *_inside(outer))):
        if node.op_type in _COMPLAINTS:
            for place in reversed(range(len(node.attribute))):
                if node.attribute[place].name in _HARMFUL:
                    del node.attribute[place]
    graph = onnx.shape_inference.infer_shapes(tame).graph
    found = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.HasField("shape"):
            found[info.name] = len(info.type.tensor_type.shape.dim)
    return found


_HARMFUL: Final = frozenset({"axis", "batch_dims", "num_outputs"})
