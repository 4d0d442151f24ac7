"""Operators that make tensors of constants or read the same elements in another shape."""

from collections.abc import Sequence
from math import ceil, prod
from typing import Any

import numpy as np
import onnx

from verifiable.errors import ModelError
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.constants import constant_array
from verifiable.frontend.lower.elementwise import target
from verifiable.frontend.lower.hints import TOO_LARGE
from verifiable.frontend.lower.made import line
from verifiable.frontend.lower.node import Node, axis_of, lowers
from verifiable.graph.check import broadcast_shape, type_problems
from verifiable.graph.ir import TensorType
from verifiable.graph.vocabulary import DType


def axes_of(node: Node, axes: Sequence[int], rank: int) -> list[int]:
    """Normalised axes, each once.

    Raises
    ------
    UnsupportedError
        If one is out of range or occurs twice.
    """
    found = [axis_of(node, axis, rank) for axis in axes]
    if len(set(found)) != len(found):
        raise node.refuse(f"axes {list(axes)} name one axis twice")
    return found


def extents_of(node: Node, shape: Sequence[int]) -> list[int]:
    """A shape that came from a model.

    Raises
    ------
    UnsupportedError
        If the machine has no tensor of that shape.
    """
    problem = next(type_problems(TensorType(DType.F32, tuple(shape))), None)
    if problem is not None:
        hint = TOO_LARGE if min(shape, default=0) >= 0 else None
        raise node.refuse(f"makes a tensor of shape {list(shape)}: {problem}", hint=hint)
    return list(shape)


def reshaped(b: Builder, node: Node, x: Value, shape: Sequence[int]) -> Value:
    """Reshape with at most one extent of -1."""
    shape, rest = list(shape), prod(e for e in shape if e != -1)
    if shape.count(-1) > 1 or (-1 in shape and (not rest or x.type.size % rest)):
        raise node.refuse(f"cannot make {shape} of {x.type}")
    if -1 in shape:
        shape[shape.index(-1)] = x.type.size // rest
    if prod(extents_of(node, shape)) != x.type.size:
        raise node.refuse(f"cannot make {shape} of {x.type}")
    return b.reshape(x, shape)


@lowers("Identity")
def identity(_: Builder, node: Node) -> Value:
    """The same tensor."""
    return node.input(0)


_VALUES = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _tensor(node: Node, value: onnx.TensorProto) -> Any:
    try:
        return constant_array(value, "attribute value")
    except ModelError as error:
        raise node.refuse(str(error), hint=error.hint) from error


@lowers("Constant")
def constant(b: Builder, node: Node) -> Value:
    """A constant of the model."""
    if "value" in node.attributes:
        return b.constant(_tensor(node, node.attributes["value"]))
    for name, dtype in _VALUES.items():
        if name in node.attributes:
            return b.constant(np.asarray(node.attributes[name], dtype))
    raise node.refuse(f"is given by {', '.join(node.attributes) or 'nothing'}, wanted numbers")


@lowers("ConstantOfShape")
def constant_of_shape(b: Builder, node: Node) -> Value:
    """One number everywhere."""
    shape = extents_of(node, node.ints(0))
    given = node.attribute("value")
    array = np.zeros(1, np.float32) if given is None else _tensor(node, given)
    return b.expand(b.constant(array.reshape(())), shape)


@lowers("Shape")
def shape_(b: Builder, node: Node) -> Value:
    """Extents, of some axes."""
    shape = node.input(0).shape
    rank = len(shape)

    def bound(name: str, default: int) -> int:
        place = int(node.attribute(name, default))
        return min(max(place + rank if place < 0 else place, 0), rank)

    return b.constant(np.asarray(shape[bound("start", 0) : bound("end", rank)], np.int64))


@lowers("Size")
def size(b: Builder, node: Node) -> Value:
    """Number of elements."""
    return b.scalar(node.input(0).type.size, DType.I64)


@lowers("Reshape")
def reshape(b: Builder, node: Node) -> Value:
    """Same elements, other shape."""
    x, shape = node.input(0), node.ints(1)
    if not node.attribute("allowzero", 0):
        if any(not e and i >= len(x.shape) for i, e in enumerate(shape)):
            raise node.refuse(f"shape {shape} copies an axis that {x.type} has not")
        shape = [e or x.shape[i] for i, e in enumerate(shape)]
    return reshaped(b, node, x, shape)


@lowers("Flatten")
def flatten(b: Builder, node: Node) -> Value:
    """Two axes."""
    x, axis = node.input(0), int(node.attribute("axis", 1))
    rank = len(x.shape)
    if not -rank <= axis <= rank:
        raise node.refuse(f"axis {axis} is not in {-rank}..{rank}")
    axis = axis + rank if axis < 0 else axis
    return b.reshape(x, [prod(x.shape[:axis]), prod(x.shape[axis:])])


@lowers("Squeeze")
def squeeze(b: Builder, node: Node) -> Value:
    """Without axes of extent 1."""
    x = node.input(0)
    if node.has(1):
        axes = axes_of(node, node.ints(1), len(x.shape))
    else:
        axes = [i for i, extent in enumerate(x.shape) if extent == 1]
    if any(x.shape[a] != 1 for a in axes):
        raise node.refuse(f"cannot take axes {axes} from {x.type}")
    return b.reshape(x, [e for i, e in enumerate(x.shape) if i not in axes])


@lowers("Unsqueeze")
def unsqueeze(b: Builder, node: Node) -> Value:
    """With new axes of extent 1."""
    x, given = node.input(0), node.ints(1)
    rank = len(x.shape) + len(given)
    axes = axes_of(node, given, rank)
    rest = iter(x.shape)
    return b.reshape(x, [1 if i in axes else next(rest) for i in range(rank)])


@lowers("Transpose")
def transpose(b: Builder, node: Node) -> Value:
    """Axes in another order."""
    x = node.input(0)
    rank = len(x.shape)
    order = [int(a) for a in node.attribute("perm", range(rank - 1, -1, -1))]
    if sorted(order) != list(range(rank)):
        raise node.refuse(f"perm {order} is no order of the axes of {x.type}")
    return b.transpose(x, order)


@lowers("Expand")
def expand(b: Builder, node: Node) -> Value:
    """Broadcast to a shape, or to what it and the tensor's broadcast to."""
    x, shape = node.input(0), extents_of(node, node.ints(1))
    wide = broadcast_shape([x.shape, tuple(shape)])
    if wide is None:
        raise node.refuse(f"cannot broadcast {x.type} to {shape}")
    return b.expand(x, wide)


@lowers("Dropout")
def dropout(b: Builder, node: Node) -> Sequence[Value | None]:
    """Nothing is dropped in inference."""
    x = node.input(0)
    training = node.has(2) and bool(node.integer(2))
    if training and (not node.has(1) or node.known(1).any()):
        raise node.refuse(
            "drops at random, since training_mode is true",
            hint="export the module in inference mode (module.eval())",
        )
    everything = b.expand(b.constant(np.ones((), np.bool_)), x.shape)
    return x, everything if node.wants(1) else None


def diagonals(b: Builder, shape: Sequence[int], where: Any) -> Value:
    """A matrix whose element ``[i, j]`` is ``where(j - i)``: a view of one short vector.

    Parameters
    ----------
    b : Builder
    shape : two ints
    where : function of an array of int64 to an array
    """
    rows, columns = shape
    if not rows or not columns:
        return b.constant(np.zeros((rows, columns), where(np.zeros(1, np.int64)).dtype))
    whole = b.constant(where(line(1 - rows, columns)))
    return b.view(whole, (rows, columns), (-1, 1), offset=rows - 1)


@lowers("EyeLike")
def eye_like(b: Builder, node: Node) -> Value:
    """Ones on a diagonal."""
    x, k = node.input(0), int(node.attribute("k", 0))
    if len(x.shape) != 2:
        raise node.refuse(f"takes a matrix, got {x.type}")
    given = node.attribute("dtype")
    dtype = x.dtype if given is None else target(node, int(given))
    return diagonals(b, x.shape, lambda d: (d == k).astype(dtype.numpy))


@lowers("Trilu")
def trilu(b: Builder, node: Node) -> Value:
    """A triangle of each matrix, zero elsewhere."""
    x = node.input(0)
    if len(x.shape) < 2:
        raise node.refuse(f"takes matrices, got {x.type}")
    k = node.integer(1) if node.has(1) else 0
    upper = bool(node.attribute("upper", 1))
    mask = diagonals(b, x.shape[-2:], lambda d: d >= k if upper else d <= k)
    return b.map(lambda keep, v: keep.where(v, 0), mask, x)


@lowers("Range")
def range_(b: Builder, node: Node) -> Value:
    """Numbers at equal distances."""
    if any(node.known(i).size != 1 for i in range(3)):
        raise node.refuse("takes three numbers")
    start, limit, delta = (node.known(i).reshape(-1)[0] for i in range(3))
    finite = np.isfinite([start, limit, delta]).all()
    if not start.dtype == limit.dtype == delta.dtype or not delta or not finite:
        raise node.refuse(f"goes from {start} to {limit} by {delta}")
    if start.dtype == np.float32:
        count = max(ceil((float(limit) - float(start)) / float(delta)), 0)
    else:
        count = max(-(-(int(limit) - int(start)) // int(delta)), 0)
    extents_of(node, [count])
    steps = b.constant(line(count).astype(start.dtype))
    return b.map(lambda n, first, step: first + n * step, steps, *(node.input(i) for i in (0, 2)))
