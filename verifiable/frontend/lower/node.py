"""One ONNX operator as a lowering sees it, and the register of lowerings.

A lowering is a function ``(builder, node) -> Value | None, or a tuple of them``, one for each
output; None stands for an output that nobody asked for. It is registered with ``@lowers("Name")``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import onnx

from verifiable.errors import ModelError, UnsupportedError
from verifiable.frontend.facts import attributes
from verifiable.frontend.lower.builder import DTYPES, Builder, Value
from verifiable.frontend.lower.constants import check_numbers
from verifiable.frontend.lower.elements import ELEMENTS
from verifiable.frontend.lower.hints import of_refused
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import DType

_RANDOM: Final = (
    "draws at random, and a claim needs the same result each time",
    "draw the numbers outside the model and make them an input",
)
_UNKNOWN_EXTENT: Final = (
    "the extents of its result depend on the input",
    "leave it to whoever reads the outputs, or take a fixed number with TopK",
)
NEVER: Final = {
    **dict.fromkeys(
        (
            "Bernoulli",
            "Multinomial",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
        ),
        _RANDOM,
    ),
    "NonMaxSuppression": _UNKNOWN_EXTENT,
    "Unique": _UNKNOWN_EXTENT,
    "ImageDecoder": ("reads files", "decode images before they are an input"),
}
"""Operators of the default domain that the machine cannot have: why, and what to do."""

Result = Value | None | Sequence[Value | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operator with its operands, some of which may be constants."""

    builder: Builder
    proto: onnx.NodeProto
    label: str
    """Operator, name and position, for messages."""
    version: int
    """Opset version that the model asks for, of this operator's domain."""
    inputs: tuple[Value | None, ...]
    """None for an optional input left out; shorter than the operator allows, too."""
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def op(self) -> str:
        """Operator type."""
        return str(self.proto.op_type)

    @property
    def domain(self) -> str:
        """Domain of the operator, the default one called ``""``."""
        return "" if self.proto.domain == "ai.onnx" else str(self.proto.domain)

    def has(self, i: int) -> bool:
        """Whether input `i` was given."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def input(self, i: int) -> Value:
        """Input `i`, which the operator needs."""
        value = self.optional(i)
        if value is None:
            raise self.refuse(f"has no input {i}")
        return value

    def optional(self, i: int) -> Value | None:
        """Input `i`, or None."""
        return self.inputs[i] if i < len(self.inputs) else None

    def known(self, i: int) -> Array:
        """Elements of input `i`, which must be a constant.

        Raises
        ------
        UnsupportedError
            If it depends on an input of the model.
        """
        array = self.builder.known(self.input(i))
        if array is None:
            raise self.refuse(
                f"input {i} `{self.proto.input[i]}` depends on the model's input, "
                "wanted a constant",
                hint="shapes, axes, pads and counts are fixed when a model is compiled; export it "
                "with fixed shapes",
            )
        return array

    def ints(self, i: int) -> list[int]:
        """Elements of a constant input of integers, flattened."""
        return [int(v) for v in self.known(i).reshape(-1)]

    def integer(self, i: int) -> int:
        """The one element of a constant input.

        Raises
        ------
        UnsupportedError
            If it has none or several, or depends on an input of the model.
        """
        numbers = self.ints(i)
        if len(numbers) != 1:
            raise self.refuse(f"input {i} is {self.input(i).type}, wanted one number")
        return numbers[0]

    def attribute(self, name: str, default: Any = None) -> Any:
        """Attribute as a Python value, strings decoded."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def wants(self, output: int) -> bool:
        """Whether output `output` has a name."""
        return output < len(self.proto.output) and bool(self.proto.output[output])

    def refuse(self, what: str, *, hint: str | None = None) -> UnsupportedError:
        """The error to raise: names this operator, says what it lacks.

        Without a hint of its own it has one that ONNX's schemas give; see `hints`.
        """
        return UnsupportedError(f"{self.label}: {what}", hint=hint or of_refused(self))

    def float_input(self, i: int) -> Value:
        """Input `i`, which must be f32."""
        value = self.input(i)
        if value.dtype is not DType.F32:
            raise self.refuse(f"input {i} is {value.type}, wanted float")
        return value


Lowering = Callable[[Builder, Node], Result]

LOWERINGS: Final[dict[tuple[str, str], Lowering]] = {}
"""By domain and operator type."""


def lowers(*names: str, domain: str = "") -> Callable[[Lowering], Lowering]:
    """Register a lowering for operators."""

    def register(lowering: Lowering) -> Lowering:
        for name in names:
            assert (domain, name) not in LOWERINGS, name
            LOWERINGS[domain, name] = lowering
        return lowering

    return register


def node_of(
    builder: Builder,
    proto: onnx.NodeProto,
    inputs: Sequence[Value | None],
    *,
    label: str,
    version: int,
) -> Node:
    """Make a `Node`.

    Raises
    ------
    UnsupportedError
        If one of its attributes is a NaN.
    """
    node = Node(
        builder=builder,
        proto=proto,
        label=label,
        version=version,
        inputs=tuple(inputs),
        attributes=attributes(proto),
    )
    for name, value in node.attributes.items():
        if any(isinstance(v, float) for v in (value if isinstance(value, list) else [value])):
            try:
                check_numbers(f"attribute {name}", value)
            except ModelError as error:
                raise node.refuse(str(error), hint=error.hint) from error
    return node


def axis_of(node: Node, axis: int, rank: int) -> int:
    """A normalised axis.

    Raises
    ------
    UnsupportedError
        If it is out of range.
    """
    if not rank:
        raise node.refuse("takes an axis, got a scalar")
    if not -rank <= axis < rank:
        raise node.refuse(f"axis {axis} is not in {-rank}..{rank - 1}")
    return axis % rank


__all__ = [
    "DTYPES",
    "ELEMENTS",
    "LOWERINGS",
    "NEVER",
    "Lowering",
    "Node",
    "Result",
    "axis_of",
    "lowers",
    "node_of",
]
