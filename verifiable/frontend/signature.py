"""What goes into a model and what comes out: names, shapes, dtypes."""

from dataclasses import dataclass
from math import prod
from typing import Literal

DType = Literal["float32", "int64", "bool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One tensor at the border of a model."""

    name: str
    shape: tuple[int, ...]
    """Fixed sizes, all positive; the batch axis counts as any other."""
    dtype: DType

    @property
    def size(self) -> int:
        """Number of elements.

        >>> TensorSpec(name="image", shape=(1, 1, 8, 8), dtype="float32").size
        64
        """
        return prod(self.shape)

    def __str__(self) -> str:
        return f"`{self.name}` {self.dtype}{list(self.shape)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The border of a model; order is the order in the ONNX graph."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int
    """Number of elements in float constants."""
    operators: tuple[tuple[str, int], ...]
    """ONNX operators and how often each occurs, by name."""
