"""A graph as JSON for people, and the regions as JSON that is read again.

Nothing is digested here: the model root is taken of ``encoding``.
"""

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from verifiable.crypto.strict import read_count, read_list, read_object, read_text, to_hex
from verifiable.errors import EncodingError
from verifiable.graph.check import input_types, output_types
from verifiable.graph.commitment import model_root
from verifiable.graph.ir import (
    Concat,
    Const,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Map,
    Program,
    Reduce,
    Region,
    View,
    operands,
    places,
)
from verifiable.graph.vocabulary import CHUNK, SEMANTICS, DType

SCHEMA: Final = "verifiable/graph/1"
MAX_LABEL: Final = 4096

_UNPACK: Final = {DType.I8: "b", DType.U8: "B", DType.I32: "i", DType.I64: "q", DType.BOOL: "?"}


def literal_text(literal: Literal) -> str:
    """An element as people write it.

    >>> literal_text(Literal(DType.F32, 0x3DCCCCCD)), literal_text(Literal(DType.I8, 0xFF))
    ('f32(0.1)', 'i8(-1)')
    """
    data = literal.bits.to_bytes(literal.dtype.itemsize, "little")
    if literal.dtype is DType.F32:
        shown = str(np.frombuffer(data, "<f4")[0])
    else:
        shown = str(struct.unpack(f"<{_UNPACK[literal.dtype]}", data)[0]).lower()
    return f"{literal.dtype.word}({shown})"


def program_text(program: Program, taken: int) -> list[str]:
    """A line for each literal and each step; registers 0 to `taken` - 1 are the operands.

    >>> from verifiable.graph.ir import Step
    >>> from verifiable.graph.vocabulary import Scalar
    >>> half = Literal(DType.F32, 0x3F000000)
    >>> program_text(Program(literals=(half,), steps=(Step(Scalar.MUL, (0, 1)),)), 1)
    ['r1 = f32(0.5)', 'r2 = mul(r0, r1)']
    """
    said = [literal_text(literal) for literal in program.literals]
    for step in program.steps:
        read = ", ".join(f"r{r}" for r in step.registers)
        said.append(f"{step.function.name.lower()}({read})")
    return [f"r{taken + i} = {text}" for i, text in enumerate(said)]


def _chunked(chunk: int) -> dict[str, Any]:
    return {} if chunk == CHUNK else {"chunk": chunk}


def _particulars(instruction: Instruction) -> dict[str, Any]:
    match instruction:
        case Input() | Gather():
            return {}
        case Const(root=root):
            return {"root": to_hex(root)}
        case Dot(chunk=chunk):
            return _chunked(chunk)
        case Reduce(fold=fold, chunk=chunk):
            return {"fold": fold.name.lower(), **_chunked(chunk)}
        case Map(operands=several, program=program):
            return {"program": program_text(program, len(several))}
        case View() if instruction.is_reshape:
            return {"reshape": True}
        case View(offset=offset, strides=strides, low=low, high=high, fill=fill):
            return {
                "offset": int(offset),
                "strides": _numbers(strides),
                "low": _numbers(low),
                "high": _numbers(high),
                "fill": literal_text(fill),
            }
        case Concat(axis=axis):
            return {"axis": int(axis)}


def _numbers(several: Sequence[int]) -> list[int]:
    return [int(number) for number in several]


def instruction_json(graph: Graph, index: Index) -> dict[str, Any]:
    """One instruction: kind, type, operands and what else it says."""
    instruction = graph.instructions[index]
    return {
        "index": int(index),
        "kind": type(instruction).__name__,
        "type": str(instruction.type),
        "operands": _numbers(operands(instruction)),
        **_particulars(instruction),
    }


def instruction_text(graph: Graph, index: Index) -> str:
    """One line about an instruction, for messages.

    >>> from verifiable.graph.ir import TensorType
    >>> x = Input(type=TensorType(DType.F32, (2,)))
    >>> instruction_text(Graph(instructions=(x,), inputs=("x",), outputs=(("y", 0),)), Index(0))
    'instruction 0, Input of f32[2]'
    """
    instruction = graph.instructions[index]
    region = next((r for r in graph.regions if r.start <= index < r.stop), None)
    lowered = f", lowered from {region.label}" if region is not None else ""
    return f"instruction {index}, {type(instruction).__name__} of {instruction.type}{lowered}"


def graph_json(graph: Graph) -> dict[str, Any]:
    """All of a checked graph but the elements of its Consts."""
    return {
        **describe(graph),
        "schema": SCHEMA,
        "instructions": [instruction_json(graph, Index(i)) for i in range(len(graph.instructions))],
        "regions": regions_json(graph.regions),
    }


def describe(graph: Graph) -> dict[str, Any]:
    """Summary of a checked graph.

    Returns
    -------
    dict
        ``semantics``, ``model`` (the model root), ``inputs`` and ``outputs`` (name to type),
        ``kinds`` (kind to number), ``multiply_adds`` of all Dots and ``weight_bytes``.
    """
    kinds = Counter(type(instruction).__name__ for instruction in graph.instructions)
    weights = sum(graph.instructions[index].type.nbytes for index in places(graph, Const))
    products = sum(
        instruction.type.size * graph.instructions[instruction.a].type.shape[-1]
        for instruction in graph.instructions
        if isinstance(instruction, Dot)
    )
    return {
        "semantics": SEMANTICS,
        "model": to_hex(model_root(graph)),
        "inputs": {name: str(kind) for name, kind in input_types(graph).items()},
        "outputs": {name: str(kind) for name, kind in output_types(graph).items()},
        "kinds": dict(sorted(kinds.items())),
        "multiply_adds": int(products),
        "weight_bytes": int(weights),
    }


def regions_json(regions: Sequence[Region]) -> list[dict[str, Any]]:
    """Regions as they are stored beside a graph's bytes."""
    return [{"label": r.label, "start": int(r.start), "stop": int(r.stop)} for r in regions]


def parse_regions(value: object, graph: Graph) -> tuple[Region, ...]:
    """Read regions and hold them against a graph.

    Parameters
    ----------
    value : JSON
    graph : Graph

    Raises
    ------
    EncodingError
        If `value` is no list of regions, or one of them leaves the graph.
    """
    found = []
    for i, item in enumerate(read_list(value, "regions")):
        at = f"regions[{i}]"
        fields: Mapping[str, Any] = read_object(item, at, ("label", "start", "stop"))
        region = Region(
            label=read_text(fields["label"], f"{at}.label", most=MAX_LABEL),
            start=read_count(fields["start"], f"{at}.start"),
            stop=read_count(fields["stop"], f"{at}.stop"),
        )
        if not region.start <= region.stop <= len(graph.instructions):
            raise EncodingError(
                f"{at} is {region.start}..{region.stop} of {len(graph.instructions)} instructions"
            )
        found.append(region)
    return tuple(found)
