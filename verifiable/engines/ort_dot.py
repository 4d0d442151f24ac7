"""Which Dots onnxruntime may compute: those of a constant where it was seen to give our bits.

What was measured, with onnxruntime 1.32 on an Intel Xeon of 2023 whose CPUID was masked to make it
look like older processors; 6,688 shapes of M 1..200, N 1..1000, K 1..1025, four kinds of data:

* f32, the second operand constant: no shape differs where there is FMA, whether the kernels are
  those of AVX-512 or of AVX2 with FMA3. onnxruntime packs a constant in panels of 256 along K and
  adds up each by fma, which is how a chunk is defined. Without FMA 6,329 differ, all but seven of
  those whose rows have more than one element.
* f32, both operands given with the run: 2,890 differ, from K = 2 on at N = 1 and M = 1.
* i8 by i8: no shape of 1,280 differs, on any processor. u8 by i8: none where there is VNNI, AMX or
  no AVX2; with AVX2 or AVX-512 alone 1,121 of 1,280 differ, where two products saturate 16 bits.

So it depends on the processor, and another release may change it. Nothing is taken on trust: a
shape is probed on this machine before anything of that shape is computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from verifiable.engines.ort import Session
from verifiable.engines.ort_model import MOST_BYTES, product_model
from verifiable.engines.protocol import Engine
from verifiable.errors import ModelError
from verifiable.graph.ir import Array, Const, Dot, Graph, Index, Input, TensorType
from verifiable.graph.vocabulary import CHUNK, DType
from verifiable.ops.values import NAN, canonical

SEED: Final = 20261122
TURNS: Final = 8
"""Products by one constant of a small shape, each of new rows."""
MOST_CONSTANTS: Final = 8
ENOUGH_ELEMENTS: Final = 1024
"""That a probe looks at, at least: one element alone is right by chance about every second time
that its sum has another order."""
FEWEST_ELEMENTS: Final = ENOUGH_ELEMENTS // (TURNS * MOST_CONSTANTS)
"""Of a product: of a smaller one a probe would see too little, and there is no time to save."""
STYLES: Final = 4


class Product(Protocol):
    """``rows @ constant``, of a constant that was given before."""

    def __call__(self, rows: Array, /) -> Array:
        """Multiply ``[rows, K]``; gives ``[rows, N]``."""


Multiplier = Callable[[Array, "np.dtype[np.generic]"], Product]
"""Makes the product by a constant ``[K, N]``, of rows of a dtype."""


def by_onnxruntime(constant: Array, rows: "np.dtype[np.generic]") -> Product:
    """A product that onnxruntime computes, in one thread.

    Raises
    ------
    ModelError
        If it knows no such product.
    """
    session = Session(product_model(constant, rows), threads=1)
    return lambda given: session.run({"x": given})["y"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a Dot of a constant is to a kernel."""

    rows: int
    """Of the other operand, of all batches."""
    constants: int
    """Rows of the constant."""
    length: int
    given: DType
    constant: DType
    first: bool
    """Whether the constant is the first operand, as the weights of a convolution are."""


def shape_of(graph: Graph, dot: Dot) -> Shape | None:
    """Shape of a Dot that is one product of rows by a constant matrix, None if it is not.

    A constant of several batches is not: each batch would be a product of its own. Nor is a Dot
    whose chunks are not 256 long, unless its rows are shorter than either, nor one of so few
    elements that a probe would say little.
    """
    first, second = (graph.instructions[i] for i in (dot.a, dot.b))
    swapped = not isinstance(second, Const)
    constant, given = (first, second) if swapped else (second, first)
    if not isinstance(constant, Const) or constant.type.shape[0] != 1:
        return None
    if not dot.type.size or not constant.type.size or constant.type.nbytes > MOST_BYTES:
        return None
    batch, rows, length = given.type.shape
    if dot.chunk != CHUNK and length > min(dot.chunk, CHUNK):
        return None
    if batch * rows * constant.type.shape[1] < FEWEST_ELEMENTS:
        return None
    return Shape(
        rows=batch * rows, constants=constant.type.shape[1], length=length,
        given=given.type.dtype, constant=constant.type.dtype, first=swapped,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DotOfConstant:
    """One Dot through a `Product`."""

    given: Index
    """The operand that is no constant."""
    type: TensorType
    first: bool
    product: Product

    def __call__(self, given: Array) -> Array:
        """Compute the Dot."""
        batch, m, n = self.type.shape
        found = finished(self.product(given.reshape(-1, given.shape[2])))
        if not self.first:
            return found.reshape(batch, m, n)
        # fma(x, y, z) is fma(y, x, z), so factors may change places.
        return np.ascontiguousarray(found.reshape(batch, n, m).swapaxes(1, 2))


def finished(product: Array) -> Array:
    """How the definition ends a sum, which onnxruntime leaves out."""
    if product.dtype != np.float32:
        return product
    return canonical(product + np.float32(0))


def gives_our_bits(shape: Shape, multiplier: Multiplier, engine: Engine) -> bool:
    """Whether products of a shape are what an engine says, on data that shows orders of additions.

    A difference is certain; equality is not: a kernel that is chosen by shape and processor, as
    onnxruntime's are, was seen to be right, and one that looked at the data might still be wrong.

    Parameters
    ----------
    shape : Shape
    multiplier : Multiplier
    engine : Engine
        Stands for the definition.
    """
    elements = shape.rows * shape.constants
    small = elements < ENOUGH_ELEMENTS
    # Rows of a tensor go through the styles, so that few are enough where there are many rows.
    turns = TURNS if small else max(1, STYLES // shape.rows)
    rows = TensorType(shape.given, (turns, shape.rows, shape.length))
    weight = TensorType(shape.constant, (1, shape.constants, shape.length))
    a, b = (weight, rows) if shape.first else (rows, weight)
    gives = DType.F32 if shape.constant is DType.F32 else DType.I32
    every = TensorType(gives, (turns, a.shape[1], b.shape[1]))
    graph = Graph(
        instructions=(Input(type=a), Input(type=b), Dot(type=every, a=Index(0), b=Index(1))),
        inputs=("weight", "rows") if shape.first else ("rows", "weight"),
        outputs=(("y", Index(2)),),
    )
    definition = engine.prepare(graph, {})
    numbers = np.random.default_rng([SEED, shape.rows, shape.constants, shape.length, shape.first])
    constants = -(-ENOUGH_ELEMENTS // (turns * elements)) if small else 1
    for first_style in range(constants):
        inputs = {
            "weight": _adversary(numbers, weight, first_style),
            "rows": _adversary(numbers, rows, 0),
        }
        try:
            product = multiplier(inputs["weight"][0].T, np.dtype(shape.given.numpy))
        except ModelError:
            return False
        one = TensorType(gives, (1, *every.shape[1:]))
        dot = DotOfConstant(given=Index(0), type=one, first=shape.first, product=product)
        wanted = definition.run(inputs)["y"]
        for turn in range(turns):
            if dot(inputs["rows"][turn : turn + 1]).tobytes() != wanted[turn].tobytes():
                return False
    return True


def _adversary(numbers: np.random.Generator, kind: TensorType, first_style: int) -> Array:
    """Rows in which the order and the rounding of every addition matter."""
    if kind.dtype is not DType.F32:
        ends = np.iinfo(kind.dtype.numpy)
        drawn = numbers.integers(ends.min, ends.max, kind.shape, kind.dtype.numpy, endpoint=True)
        far = np.where(numbers.random(kind.shape, np.float32) < 0.5, ends.min, ends.max)
        keep = numbers.random(kind.shape, np.float32) < 0.5
        return np.where(keep, drawn, far).astype(kind.dtype.numpy)
    x = numbers.standard_normal(kind.shape, np.float32)
    batch, rows, length = kind.shape
    style = (np.arange(batch)[:, None] + np.arange(rows) + first_style) % STYLES
    wide, odd, small = style == 1, style == 2, style == 3
    x[wide] = np.ldexp(x[wide], numbers.integers(-20, 20, x[wide].shape, np.int32))
    x[small] *= np.float32(2**-70)  # products of two such are subnormal
    # Signed zeros, subnormals, what overflows; rarely what makes a whole sum infinite or NaN.
    special = np.array([0, -0.0, 1e-45, -1e-40, 2**-126, 1e-20, 3e38, -3e38], np.float32)
    share = numbers.random(x[odd].shape, np.float32)
    mixed = np.where(share < 0.25, numbers.choice(special, share.shape), x[odd])
    endless = numbers.choice(np.array([np.inf, -np.inf, NAN], np.float32), share.shape)
    x[odd] = np.where(share > 1 - 1 / (8 * length), endless, mixed)
    return x
