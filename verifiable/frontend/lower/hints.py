"""What a reader can do about a refusal; for operators, found by asking ONNX itself.

A lowering says what is wrong. Whether that is the model's fault or a limit of the machine is
something that ONNX's schemas know: if they refuse the operator too, the model is to be mended,
and if they allow it, something else must be written in its place.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import onnx
from onnx import helper, numpy_helper

from verifiable.frontend.crashes import crash_of
from verifiable.frontend.facts import dtype_name, first_line
from verifiable.frontend.lower.elements import CODES, type_proto
from verifiable.frontend.operators import REFUSED
from verifiable.graph.vocabulary import DType

if TYPE_CHECKING:
    from verifiable.frontend.lower.node import Node

TOO_LARGE: Final = "give it fewer elements or axes, or cut the work in several models"
LIMIT: Final = "a limit of this machine: cut that operator in smaller ones, or leave it out"
MEND: Final = "export the model again, or mend this operator and what it reads"
FLOATS: Final = "export the module in float32 (module.float())"
NUMBERS: Final = "load the weights again: something made that number from none"

_SMALL: Final = 1024
"""Elements of a constant that shape inference may look at."""
_FLOW: Final = "export the branch that is taken, with loops unrolled"
_TENSORS: Final = "export the module so that it takes and gives tensors, with lists written out"
_WORDS: Final = "map words to integers before the model"
_INSTEAD: Final[Mapping[str, str]] = {
    **dict.fromkeys(("If", "Loop", "Scan"), _FLOW),
    **dict.fromkeys(
        ("ConcatFromSequence", "SplitToSequence", "SequenceAt", "SequenceConstruct",
         "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap",
         "Optional", "OptionalGetElement", "OptionalHasElement"),
        _TENSORS,
    ),
    **dict.fromkeys(
        ("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "LabelEncoder"),
        _WORDS,
    ),
    **{op: hint for op, hint in REFUSED.items() if op.startswith("Tree")},
}  # fmt: skip
"""For operators without a lowering, what to write in their place."""


def of_refused(node: "Node") -> str:
    """What to do about an operator that a lowering refused."""
    try:
        schema = onnx.defs.get_schema(node.op, node.version, node.domain)
    except onnx.defs.SchemaError:
        return f"opset {node.version} has no {node.op}: export the model with a newer one"
    for name, got, wanted in _strange_types(node, schema):
        return (
            f"{name} is {got}, and ONNX takes {', '.join(wanted)} there: cast it before, or "
            "export the model again"
        )
    said = _refused_by_onnx(node, schema)
    if said is not None:
        return f"ONNX's own rules refuse it too ({said}): {MEND}"
    changed = " or ".join(["what it reads", *sorted(node.attributes)])
    cast = ""
    if node.inputs and node.inputs[0] is not None and node.inputs[0].dtype is not DType.F32:
        cast = "cast what it reads to float, "
    return (
        f"if ONNX's definition of {node.op} allows it, this machine does not: {cast}change "
        f"{changed}, or do it outside the model"
    )


def of_unknown(op: str, domain: str, known: Mapping[tuple[str, str], object]) -> str:
    """What to do about an operator that has no lowering and no definition."""
    if op in _INSTEAD:
        return _INSTEAD[op]
    if domain and ("", op) in known:
        return f"ONNX's own {op} is supported: export without the operators of `{domain}`"
    near = get_close_matches(op, sorted({name for _, name in known}), n=3, cutoff=0.6)
    named = f"; supported are {', '.join(near)}" if near else ""
    return (
        "write it as a function of supported operators inside the model, or do it outside the "
        f"model{named}"
    )


def _strange_types(
    node: "Node", schema: onnx.defs.OpSchema
) -> Iterator[tuple[str, str, list[str]]]:
    """Inputs of a dtype that ONNX does not take there: which, what it is, what is wanted."""
    several = list(schema.inputs)
    for place, value in enumerate(node.inputs):
        if value is None or not several:
            continue
        parameter = several[min(place, len(several) - 1)]
        got = dtype_name(CODES[value.dtype])
        wanted = sorted(t[7:-1] for t in parameter.types if t.startswith("tensor("))
        if wanted and got not in wanted:
            yield f"input {place} `{parameter.name}`", got, wanted


def _refused_by_onnx(node: "Node", schema: onnx.defs.OpSchema) -> str | None:
    """What ONNX's shape inference says against the operator, None if nothing."""
    first = node.inputs[0] if node.inputs else None
    crash = crash_of(node.proto, len(first.shape) if first is not None else None)
    if crash is not None:
        return crash
    names = [name for name in node.proto.input if name]
    values = [value for value in node.inputs if value is not None]
    types, data = {}, {}
    for name, value in zip(names, values, strict=False):
        types[name] = type_proto(value.type)
        array = node.builder.known(value)
        if array is not None and array.size <= _SMALL:
            data[name] = numpy_helper.from_array(array, name)
    versions = [helper.make_opsetid(node.domain, node.version)]
    try:
        onnx.shape_inference.infer_node_outputs(
            schema, node.proto, types, data, opset_imports=versions
        )
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        return first_line(error).partition("] ")[2] or first_line(error)
    except (RuntimeError, ValueError, LookupError, TypeError):
        return None  # it cannot say
    return None
