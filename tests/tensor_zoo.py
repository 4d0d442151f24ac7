"""Random tensors: any bits, the edges of each dtype, and what occurs in models."""

import random
from collections.abc import Callable, Sequence
from math import prod
from typing import Final

import numpy as np
from hypothesis import strategies as st

from verifiable.graph.check import CANONICAL_NAN
from verifiable.graph.ir import Array, Literal, TensorType
from verifiable.graph.vocabulary import DType

DTYPES: Final = tuple(DType)
SMALL: Final = (0, 1, 1, 2, 3, 4, 5, 7)
"""Extents that show every rule of shapes, quickly."""
LONG: Final = (1, 2, 3, 31, 32, 33, 64, 100, 255, 256, 257, 511, 513, 1025)
"""Extents around lanes, chunks and leaves."""

F32_BITS: Final = (
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000,
    0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, CANONICAL_NAN, 0x3F800000, 0xBF800000,
    0x3F000000, 0xBF000000, 0x3FC00000, 0x40200000, 0x4B000000, 0x4B800001, 0xCB000001, 0x4F000000,
    0xCF000000, 0x4EFFFFFF, 0x5F000000, 0xDF000000, 0x42B17218, 0xC2CFF1B5, 0x3F7FFFFF, 0x3F800001,
)  # fmt: skip
"""Zeros, subnormals, the ends of the range, infinities, NaN, ties, limits of casts and of exp."""


def f32(*bits: int) -> Array:
    """Floats from their bits."""
    return np.array(bits, np.uint32).view(np.float32)


def any_bits(rng: np.random.Generator, kind: TensorType) -> Array:
    """Elements of any pattern of bits, but for the NaNs and bools that are not canonical."""
    if kind.dtype is DType.BOOL:
        return rng.integers(0, 2, kind.shape).astype(np.bool_)
    raw = rng.integers(0, 256, (*kind.shape, kind.dtype.itemsize), dtype=np.uint8)
    drawn: Array = raw.view(kind.dtype.numpy)[..., 0]
    if kind.dtype is DType.F32:
        drawn = np.where(np.isnan(drawn), f32(CANONICAL_NAN)[0], drawn)
    return np.asarray(drawn, kind.dtype.numpy, order="C")


def odd_values(rng: np.random.Generator, kind: TensorType) -> Array:
    """Elements at the edges of the dtype."""
    match kind.dtype:
        case DType.F32:
            pool = f32(*F32_BITS)
        case DType.BOOL:
            pool = np.array([False, True])
        case _:
            ends = np.iinfo(kind.dtype.numpy)
            near = (ends.min, ends.min + 1, 0, 1, 2, 31, 32, 63, 64, ends.max - 1, ends.max)
            pool = np.array(near, kind.dtype.numpy)
    return np.asarray(pool[rng.integers(0, len(pool), kind.shape)])


def plain_values(rng: np.random.Generator, kind: TensorType) -> Array:
    """Elements as they occur in models."""
    match kind.dtype:
        case DType.F32:
            return np.asarray(rng.standard_normal(kind.shape), np.float32)
        case DType.BOOL:
            return any_bits(rng, kind)
        case DType.U8:
            return np.asarray(rng.integers(0, 12, kind.shape), np.uint8)
        case _:
            return np.asarray(rng.integers(-6, 7, kind.shape), kind.dtype.numpy)


def mixed_values(rng: np.random.Generator, kind: TensorType) -> Array:
    """Plain elements, and a few at the edges."""
    odd = rng.random(kind.shape) < 0.1
    return np.where(odd, odd_values(rng, kind), plain_values(rng, kind))


def rare_values(rng: np.random.Generator, kind: TensorType) -> Array:
    """Plain elements, and one at the edges among hundreds: most sums stay finite."""
    odd = rng.random(kind.shape) < 0.003
    return np.where(odd, odd_values(rng, kind), plain_values(rng, kind))


def spread_floats(rng: np.random.Generator, kind: TensorType) -> Array:
    """Floats from zero and subnormals up to thousands: a few layers of products stay finite."""
    plain = np.asarray(rng.standard_normal(kind.shape), np.float32)
    return np.ldexp(plain, rng.integers(-152, 13, kind.shape)).astype(np.float32)


STYLES: Final[tuple[Callable[[np.random.Generator, TensorType], Array], ...]] = (
    any_bits, odd_values, plain_values, mixed_values,
)  # fmt: skip


def tensor(rng: random.Random, kind: TensorType) -> Array:
    """Elements of a random style."""
    return rng.choice(STYLES)(np.random.default_rng(rng.getrandbits(64)), kind)


def literal(rng: random.Random, dtype: DType) -> Literal:
    """A random element."""
    element = tensor(rng, TensorType(dtype, (1,)))
    return Literal(dtype, int(element.view(f"u{dtype.itemsize}")[0]))


def kind_of_tensors(
    dtypes: Sequence[DType] = DTYPES, extents: Sequence[int] = SMALL, most: int = 2048
) -> st.SearchStrategy[TensorType]:
    """Strategy of types of at most `most` elements."""
    shapes = st.lists(st.sampled_from(tuple(extents)), max_size=4).map(tuple)
    return st.builds(TensorType, st.sampled_from(dtypes), shapes.filter(lambda s: prod(s) <= most))


def tensors(kinds: st.SearchStrategy[TensorType] | None = None) -> st.SearchStrategy[Array]:
    """Strategy of tensors of any style."""
    return st.builds(
        lambda kind, seed: tensor(random.Random(seed), kind),
        kind_of_tensors() if kinds is None else kinds,
        st.integers(0, 2**32 - 1),
    )
