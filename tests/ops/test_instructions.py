"""Each instruction against loops over single elements, written from its definition alone."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from exact_floats import CANONICAL, exact, nearest
from graph_zoo import f32, mixed_values
from hypothesis import given
from hypothesis import strategies as st

from verifiable.graph.check import check
from verifiable.graph.ir import (
    Array,
    Concat,
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
)
from verifiable.graph.vocabulary import DOTS, FOLDED, DType, Fold, Scalar, fold_result
from verifiable.ops import evaluate

SEEDS = st.integers(0, 2**32 - 1)


def run(instruction: Instruction, *operands: Array) -> Array:
    """Evaluate, on a graph that `check` passes."""
    types = [
        TensorType(next(d for d in DType if np.dtype(d.numpy) == x.dtype), x.shape)
        for x in operands
    ]
    place = Index(len(operands))
    check(
        Graph(
            instructions=(*(Input(type=t) for t in types), instruction),
            inputs=tuple(f"x{i}" for i in range(place)),
            outputs=(("y", place),),
        )
    )
    before = [x.tobytes() for x in operands]
    result = evaluate(instruction, operands)
    assert result.flags.c_contiguous
    assert [x.tobytes() for x in operands] == before
    assert not any(np.may_share_memory(result, x) for x in operands)
    return result


def same(found: Array, wanted: Array) -> bool:
    return found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()


def positions(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, shape))


def random_array(rng: np.random.Generator, dtype: DType, shape: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(mixed_values(rng, TensorType(dtype, shape)))


def exact_fma(x: Any, y: Any, z: Any) -> np.float32:
    """``x * y + z`` in rational numbers; binary64 tells infinities, NaN and zeros apart."""
    rough = float(x) * float(y) + float(z)
    if not all(map(math.isfinite, (x, y, z))):
        return f32(CANONICAL)[0] if math.isnan(rough) else np.float32(rough)
    return nearest(exact(x) * exact(y) + exact(z), rough)


def added(x: np.float32, y: np.float32) -> np.float32:
    return exact_fma(x, np.float32(1), y)


def naive_dot_row(x: Array, y: Array, chunk: int) -> Any:
    if x.dtype != np.float32:
        return sum(int(a) * int(b) for a, b in zip(x, y, strict=True))
    total: np.float32 | None = None
    for start in range(0, len(x), chunk):
        part = np.float32(0)
        for k in range(start, min(start + chunk, len(x))):
            part = exact_fma(x[k], y[k], part)
        total = part if total is None else added(total, part)
    return np.float32(0) if total is None else added(total, np.float32(0))


@given(seed=SEEDS, pair=st.sampled_from([*DOTS, *[(DType.F32, DType.F32)] * 3]))
def test_dot_multiplies_rows_in_the_order_of_the_definition(
    seed: int, pair: tuple[DType, DType]
) -> None:
    rng = np.random.default_rng(seed)
    batches = [(1, 1), (1, 3), (3, 1), (2, 2), (4, 2), (0, 2)][rng.integers(6)]
    m, n, k = (int(v) for v in rng.integers([0, 0, 0], [4, 4, 12]))
    a = random_array(rng, pair[0], (batches[0], m, k))
    b = random_array(rng, pair[1], (batches[1], n, k))
    batch = max(batches) if all(batches) else 0
    kind = TensorType(DOTS[pair], (batch, m, n))
    chunk = int(2 ** rng.integers(0, 4))
    found = run(Dot(type=kind, a=Index(0), b=Index(1), chunk=chunk), a, b)
    wanted = np.zeros(kind.shape, kind.dtype.numpy)
    for i, row, column in positions(kind.shape):
        left, right = a[i % batches[0], row], b[i % batches[1], column]
        wanted[i, row, column] = naive_dot_row(left, right, chunk)
    assert same(found, wanted), f"seed {seed}"


def test_a_dot_of_255_and_minus_128_reaches_its_bound_exactly() -> None:
    k = (2**31 - 1) // (255 * 128)
    a, b = np.full((1, 1, k), 255, np.uint8), np.full((1, 1, k), -128, np.int8)
    found = run(Dot(type=TensorType(DType.I32, (1, 1, 1)), a=Index(0), b=Index(1)), a, b)
    assert int(found[0, 0, 0]) == -255 * 128 * k


def naive_sum(x: Array, chunk: int) -> np.float32:
    total: np.float32 | None = None
    for start in range(0, len(x), chunk):
        part = x[start : start + chunk]
        lanes = [np.float32(0)] * 32
        for place, value in enumerate(part):
            lanes[place % 32] = added(lanes[place % 32], value)
        for width in (16, 8, 4, 2, 1):
            lanes = [added(lanes[lane], lanes[lane + width]) for lane in range(width)]
        total = lanes[0] if total is None else added(total, lanes[0])
    return np.float32(0) if total is None else added(total, np.float32(0))


def naive_fold(fold: Fold, row: Array, chunk: int) -> Any:
    if fold is Fold.SUM:
        if row.dtype == np.float32:
            return naive_sum(row, chunk)
        width = 8 * row.dtype.itemsize
        total = sum(map(int, row)) % (1 << width)
        return total - (1 << width) if total >> (width - 1) else total
    values = [float(v) if row.dtype == np.float32 else int(v) for v in row]
    nans = [place for place, v in enumerate(values) if math.isnan(v)]
    order = [(v, math.copysign(1, v)) for v in values]
    best = nans[0] if nans else order.index((max if "MAX" in fold.name else min)(order))
    return best if fold.name.startswith("ARG") else row[best]


@given(seed=SEEDS, pair=st.sampled_from([(f, d) for f in Fold for d in DType if d in FOLDED[f]]))
def test_reduce_folds_rows_in_the_order_of_the_definition(
    seed: int, pair: tuple[Fold, DType]
) -> None:
    fold, dtype = pair
    rng = np.random.default_rng(seed)
    least = 0 if fold is Fold.SUM else 1
    length = int(rng.integers(least, (6, 40, 100)[rng.integers(3)]))
    shape = ((), (1,), (2, 0), (1, 2))[rng.integers(4)]
    x = random_array(rng, dtype, (*shape, length))
    gives = fold_result(fold, dtype)
    assert gives is not None
    chunk = int(2 ** rng.integers(5, 7))
    kind = TensorType(gives, shape)
    found = run(Reduce(type=kind, x=Index(0), fold=fold, chunk=chunk), x)
    wanted = np.zeros(shape, gives.numpy)
    for place in positions(shape):
        wanted[place] = naive_fold(fold, x[place], chunk)
    assert same(found, wanted), f"seed {seed}"


def test_the_order_of_a_sum_shows_in_its_bits() -> None:
    x = np.random.default_rng(3).standard_normal(256).astype(np.float32)
    whole = Reduce(type=TensorType(DType.F32, ()), x=Index(0), fold=Fold.SUM)
    cut = Reduce(type=TensorType(DType.F32, ()), x=Index(0), fold=Fold.SUM, chunk=32)
    assert not same(run(whole, x), run(cut, x))


@given(seed=SEEDS)
def test_zero_padding_hides_from_dot_and_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_array(rng, DType.F32, (1, 1, int(rng.integers(0, 40))))
    y = random_array(rng, DType.F32, x.shape)
    wide = [np.concatenate([v, np.zeros((1, 1, 33), np.float32)], axis=2) for v in (x, y)]
    kind = TensorType(DType.F32, (1, 1, 1))
    step = Dot(type=kind, a=Index(0), b=Index(1), chunk=32)
    assert same(run(step, x, y), run(step, *wide)), f"seed {seed}"
    fold = Reduce(type=TensorType(DType.F32, (1, 1)), x=Index(0), fold=Fold.SUM, chunk=32)
    assert same(run(fold, x), run(fold, wide[0])), f"seed {seed}"


@given(seed=SEEDS)
def test_map_broadcasts_like_numpy_and_steps_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    full = tuple(int(v) for v in rng.integers(0, 4, rng.integers(0, 4)))
    operands = []
    for _ in range(3):
        cut = full[int(rng.integers(0, len(full) + 1)) :]
        shape = tuple(1 if rng.random() < 0.3 else extent for extent in cut)
        operands.append(random_array(rng, DType.I32, shape))
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    # ((a + b) ^ 7) * c, whose registers are of every kind: operand, literal, result.
    program = Program(
        literals=(Literal(DType.I32, 7),),
        steps=(Step(Scalar.ADD, (0, 1)), Step(Scalar.XOR, (4, 3)), Step(Scalar.MUL, (5, 2))),
    )
    places = (Index(0), Index(1), Index(2))
    found = run(Map(type=TensorType(DType.I32, shape), operands=places, program=program), *operands)
    wanted = np.zeros(shape, np.int32)
    for place in positions(shape):
        a, b, c = (int(np.broadcast_to(x, shape)[place]) for x in operands)
        value = ((a + b) ^ 7) * c % 2**32
        wanted[place] = value - 2**32 if value >> 31 else value
    assert same(found, wanted), f"seed {seed}"


def test_a_map_may_give_one_of_its_operands_or_a_literal() -> None:
    x = np.array([1, 2], np.int32)
    keep = Program(
        literals=(Literal(DType.I32, 9),),
        steps=(Step(Scalar.TO_I32, (1,)),),
    )
    step = Map(type=TensorType(DType.I32, (2,)), operands=(Index(0),), program=keep)
    assert run(step, x).tolist() == [9, 9]
    same_bits = Program(steps=(Step(Scalar.BITS_OF_F32, (0,)),))
    step = Map(type=TensorType(DType.I32, (1,)), operands=(Index(0),), program=same_bits)
    assert run(step, f32(CANONICAL)).tolist() == [CANONICAL]


@given(seed=SEEDS, dtype=st.sampled_from(DType))
def test_view_reads_one_element_or_the_fill_value(seed: int, dtype: DType) -> None:
    rng = np.random.default_rng(seed)
    x = random_array(rng, dtype, tuple(int(v) for v in rng.integers(1, 5, rng.integers(0, 4))))
    rank = int(rng.integers(0, 4))
    shape = tuple(int(v) for v in rng.integers(0, 5, rank))
    low = tuple(int(rng.integers(0, extent + 1)) for extent in shape)
    high = tuple(int(rng.integers(a, extent + 1)) for a, extent in zip(low, shape, strict=True))
    strides = [int(v) for v in rng.integers(-3, 4, rank)]
    while True:  # until the box fits in the operand, with some offset
        ends = [(a * s, (b - 1) * s) for a, b, s in zip(low, high, strides, strict=True)]
        first, last = sum(map(min, ends)), sum(map(max, ends))
        if last - first < x.size:
            break
        strides[int(rng.integers(rank))] = 0
    offset = int(rng.integers(-first, x.size - last))
    fill = random_array(rng, dtype, (1,))
    literal = Literal(dtype, int.from_bytes(fill.tobytes(), "little"))
    kind = TensorType(dtype, shape)
    step = View(
        type=kind, x=Index(0), offset=offset, strides=tuple(strides), low=low, high=high,
        fill=literal,
    )  # fmt: skip
    wanted = np.zeros(shape, x.dtype)
    flat = x.reshape(-1)
    for place in positions(shape):
        if all(a <= i < b for a, i, b in zip(low, place, high, strict=True)):
            number = offset + sum(i * s for i, s in zip(place, strides, strict=True))
            wanted[place] = flat[number]
        else:
            wanted[place] = fill[0]
    assert same(run(step, x), wanted), f"seed {seed}"


@given(seed=SEEDS, dtype=st.sampled_from(DType), index_dtype=st.sampled_from(["int32", "int64"]))
def test_gather_reads_slices_and_gives_zero_out_of_range(
    seed: int, dtype: DType, index_dtype: str
) -> None:
    rng = np.random.default_rng(seed)
    n, k, i, j = (int(v) for v in rng.integers(0, 4, 4))
    x = random_array(rng, dtype, (n, k, i))
    index = rng.integers(-5, 6, ((1, n)[rng.integers(2)], j)).astype(index_dtype)
    if index.size and rng.random() < 0.3:
        ends = np.iinfo(index.dtype)
        index.reshape(-1)[0] = (ends.min, ends.max)[rng.integers(2)]
    kind = TensorType(dtype, (n, j, i))
    wanted = np.zeros(kind.shape, x.dtype)
    for place in positions(kind.shape):
        row = int(index[place[0] % len(index), place[1]])
        row = row + k if row < 0 else row
        if 0 <= row < k:
            wanted[place] = x[place[0], row, place[2]]
    found = run(Gather(type=kind, x=Index(0), index=Index(1)), x, index)
    assert same(found, wanted), f"seed {seed}"


@given(seed=SEEDS, dtype=st.sampled_from(DType))
def test_concat_puts_parts_end_to_end(seed: int, dtype: DType) -> None:
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    axis = int(rng.integers(rank))
    shape = [int(v) for v in rng.integers(0, 4, rank)]
    parts = []
    for _ in range(rng.integers(1, 4)):
        shape[axis] = int(rng.integers(0, 3))
        parts.append(random_array(rng, dtype, tuple(shape)))
    shape[axis] = sum(part.shape[axis] for part in parts)
    wanted = np.zeros(shape, dtype.numpy)
    for place in positions(tuple(shape)):
        inside = list(place)
        for part in parts:
            if inside[axis] < part.shape[axis]:
                wanted[place] = part[tuple(inside)]
                break
            inside[axis] -= part.shape[axis]
    kind = TensorType(dtype, tuple(shape))
    indices = tuple(Index(i) for i in range(len(parts)))
    assert same(run(Concat(type=kind, parts=indices, axis=axis), *parts), wanted), f"seed {seed}"


def test_an_input_is_not_computed() -> None:
    with pytest.raises(AssertionError, match="Input is given, not computed"):
        evaluate(Input(type=TensorType(DType.F32, ())), [])
