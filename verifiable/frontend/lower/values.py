"""Tensors of a graph that is being written."""

from dataclasses import dataclass, field

from verifiable.graph.ir import Array, Index, TensorType
from verifiable.graph.vocabulary import DType


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph that is being written."""

    index: Index
    type: TensorType
    scaled: "Scaled | None" = field(default=None, compare=False)
    """Of a float tensor that is integers times a scale: those."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""
        return self.type.shape

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.type.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Real = ``(value - zero) * scale``; the shape is that of `value`."""

    value: Value
    """i8, u8 or i32."""
    scale: Array
    """f32, of the rank of `value`, to be broadcast against it."""
    zero: Array
    """int32, of the shape of `scale`."""
    most: int
    """Bound of the magnitude of ``value - zero``."""
