"""Canonical bytes of a graph and of each instruction.

Integers are big-endian, signed ones two's complement. A graph has one encoding, and no other
bytes are read as one. Regions are not in it: no bit of a result depends on them.

Descriptor of an instruction, all that a referee needs to recompute one of its elements; ``r`` is
the rank of the result, ``n`` the number of operands::

    offset         bytes       what
    0              1           kind: 0 Input, 1 Const, 2 Dot, 3 Reduce, 4 Map, 5 View, 6 Gather,
                               7 Concat
    1              1           dtype code of the result (graph.vocabulary)
    2              1           r
    3              1           n
    4              4 * r       extents of the result
    4 + 4r         4 * n       operands: their places in the graph
    4 + 4r + 4n    (see kind)  parameters

    kind           bytes       parameters
    Input, Gather  0
    Const          32          root of the elements
    Dot            4           chunk
    Reduce         5           fold code (1), chunk (4)
    Map            2+9l+5s     literals l (1), steps s (1); each literal: dtype code (1), bits (8);
                               each step: function code (1), registers (1 each, four of them, 0
                               where the function takes fewer)
    View           17+16r      offset (8, signed), strides (8 each, signed), low (4 each), high
                               (4 each), fill: dtype code (1), bits (8)
    Concat         1           axis

Graph::

    semantics: length (1), ASCII
    instructions: count (4), each: length (4), descriptor
    inputs: count (4), each: name
    outputs: count (4), each: name, place (4)
    name: length (4), UTF-8
"""

import struct
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, TypeVar

from verifiable.errors import EncodingError
from verifiable.graph.check import check
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
    Step,
    TensorType,
    View,
    operands,
)
from verifiable.graph.vocabulary import SEMANTICS, SIGNATURES, DType, Fold, Scalar
from verifiable.types import Sha256

KINDS: Final[tuple[type[Instruction], ...]] = (
    Input, Const, Dot, Reduce, Map, View, Gather, Concat,
)  # fmt: skip
"""A kind's code is its place here."""

REGISTERS_OF_STEP: Final = 4

_E = TypeVar("_E", bound=Enum)
_T = TypeVar("_T")


def descriptor(instruction: Instruction) -> bytes:
    """Bytes of one instruction of a checked graph, as the table of this module says.

    >>> descriptor(Input(type=TensorType(DType.F32, (2, 3)))).hex(" ", 4)
    '00000200 00000002 00000003'
    """
    kind, read = instruction.type, operands(instruction)
    rank = len(kind.shape)
    head = struct.pack(
        f">4B{rank}I{len(read)}I",
        KINDS.index(type(instruction)), kind.dtype.value, rank, len(read), *kind.shape, *read,
    )  # fmt: skip
    return head + _parameters(instruction)


def _parameters(instruction: Instruction) -> bytes:
    match instruction:
        case Input() | Gather():
            return b""
        case Const(root=root):
            return root
        case Dot(chunk=chunk):
            return struct.pack(">I", chunk)
        case Reduce(fold=fold, chunk=chunk):
            return struct.pack(">BI", fold.value, chunk)
        case Map(program=program):
            literals, steps = program.literals, program.steps
            parts = [bytes((len(literals), len(steps))), *map(_literal, literals)]
            return b"".join((*parts, *map(_step, steps)))
        case View(offset=offset, strides=strides, low=low, high=high, fill=fill):
            rank = len(strides)
            numbers = struct.pack(f">q{rank}q{2 * rank}I", offset, *strides, *low, *high)
            return numbers + _literal(fill)
        case Concat(axis=axis):
            return bytes((axis,))


def _literal(literal: Literal) -> bytes:
    return struct.pack(">BQ", literal.dtype.value, literal.bits)


def _step(step: Step) -> bytes:
    unused = REGISTERS_OF_STEP - len(step.registers)
    return bytes((step.function.value, *step.registers, *bytes(unused)))


def encode(graph: Graph) -> bytes:
    """Canonical bytes of a graph; its regions are left out.

    Raises
    ------
    GraphError
        If the graph is not well formed.
    """
    check(graph)
    parts = [bytes((len(SEMANTICS),)), SEMANTICS.encode(), _u32(len(graph.instructions))]
    parts += [_sized(descriptor(instruction)) for instruction in graph.instructions]
    return b"".join((*parts, borders(graph)))


def borders(graph: Graph) -> bytes:
    """The last part of a graph's bytes: names of its inputs, names and places of its outputs."""
    parts = [_u32(len(graph.inputs)), *(_sized(name.encode()) for name in graph.inputs)]
    parts.append(_u32(len(graph.outputs)))
    for name, index in graph.outputs:
        parts += (_sized(name.encode()), _u32(index))
    return b"".join(parts)


def _u32(number: int) -> bytes:
    return struct.pack(">I", number)


def _sized(data: bytes) -> bytes:
    return _u32(len(data)) + data


class _Cursor:
    """Reads bytes from their beginning."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._done = 0

    def take(self, count: int) -> bytes:
        end = self._done + count
        if end > len(self._data):
            raise EncodingError(f"{self._what} ends at byte {len(self._data)}, wanted {end}")
        taken = self._data[self._done : end]
        self._done = end
        return taken

    def integers(self, code: str, count: int = 1) -> tuple[int, ...]:
        form = f">{count}{code}"
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def integer(self, code: str) -> int:
        return self.integers(code)[0]

    def coded(self, kind: type[_E]) -> _E:
        code = self.integer("B")
        try:
            return kind(code)
        except ValueError as e:
            raise EncodingError(f"{self._what} has the unknown {kind.__name__} code {code}") from e

    def several(self, read: Callable[[], _T]) -> tuple[_T, ...]:
        return tuple(read() for _ in range(self.integer("I")))

    def sized(self) -> bytes:
        return self.take(self.integer("I"))

    def name(self) -> str:
        try:
            return self.sized().decode()
        except UnicodeDecodeError as e:
            raise EncodingError(f"{self._what} has a name that is not UTF-8: {e}") from e

    def literal(self) -> Literal:
        return Literal(self.coded(DType), self.integer("Q"))

    def step(self) -> Step:
        function = self.coded(Scalar)
        registers = self.integers("B", REGISTERS_OF_STEP)
        return Step(function, registers[: SIGNATURES[function].arity])

    def finish(self) -> None:
        if self._done != len(self._data):
            rest = len(self._data) - self._done
            raise EncodingError(f"{self._what} goes on for {rest} bytes")


def parse_descriptor(data: bytes) -> Instruction:
    """Read one instruction; whether it fits a graph is for ``check`` to say.

    Raises
    ------
    EncodingError
        If `data` is not what `descriptor` writes for any instruction.
    """
    cursor = _Cursor(data, "the descriptor")
    code, dtype = cursor.integer("B"), cursor.coded(DType)
    rank, count = cursor.integers("B", 2)
    if code >= len(KINDS):
        raise EncodingError(f"the descriptor has the unknown kind code {code}")
    type_ = TensorType(dtype, cursor.integers("I", rank))
    read = tuple(map(Index, cursor.integers("I", count)))
    instruction = _instruction(KINDS[code], type_, read, cursor)
    cursor.finish()
    if descriptor(instruction) != data:
        raise EncodingError("the descriptor is not in canonical form")
    return instruction


def _instruction(
    kind: type[Instruction], type_: TensorType, read: Sequence[Index], cursor: _Cursor
) -> Instruction:
    wanted = _OPERANDS.get(kind)
    if wanted is not None and len(read) != wanted:
        raise EncodingError(f"{kind.__name__} has {len(read)} operands, wanted {wanted}")
    several = tuple(read)
    rank = len(type_.shape)
    if kind is Input:
        return Input(type=type_)
    if kind is Const:
        return Const(type=type_, root=Sha256(cursor.take(32)))
    if kind is Dot:
        return Dot(type=type_, a=read[0], b=read[1], chunk=cursor.integer("I"))
    if kind is Reduce:
        fold = cursor.coded(Fold)
        return Reduce(type=type_, x=read[0], fold=fold, chunk=cursor.integer("I"))
    if kind is Map:
        literals, steps = cursor.integers("B", 2)
        program = Program(
            literals=tuple(cursor.literal() for _ in range(literals)),
            steps=tuple(cursor.step() for _ in range(steps)),
        )
        return Map(type=type_, operands=several, program=program)
    if kind is View:
        return View(
            type=type_, x=read[0], offset=cursor.integer("q"),
            strides=cursor.integers("q", rank), low=cursor.integers("I", rank),
            high=cursor.integers("I", rank), fill=cursor.literal(),
        )  # fmt: skip
    if kind is Gather:
        return Gather(type=type_, x=read[0], index=read[1])
    return Concat(type=type_, parts=several, axis=cursor.integer("B"))


_OPERANDS: Final[dict[type[Instruction], int]] = {
    Input: 0, Const: 0, Dot: 2, Reduce: 1, View: 1, Gather: 2,
}  # fmt: skip
"""How many operands each kind has; Map and Concat have as many as they say."""


def parse(data: bytes) -> Graph:
    """Read a graph from its canonical bytes.

    Returns
    -------
    Graph
        Well formed, without regions.

    Raises
    ------
    EncodingError
        If `data` is not the canonical encoding of any graph.
    GraphError
        If it encodes one that is not well formed.
    """
    cursor = _Cursor(data, "the graph")
    semantics = cursor.take(cursor.integer("B"))
    if semantics != SEMANTICS.encode():
        raise EncodingError(f"the graph is of semantics {semantics!r}, wanted {SEMANTICS!r}")
    instructions = cursor.several(lambda: parse_descriptor(cursor.sized()))
    inputs = cursor.several(cursor.name)
    outputs = cursor.several(lambda: (cursor.name(), Index(cursor.integer("I"))))
    cursor.finish()
    graph = Graph(instructions=instructions, inputs=inputs, outputs=outputs)
    check(graph)
    return graph
