"""Pieces of models as lowering writes them: what an engine runs together, in shapes that need
several tiles, chunks and panels, and leave a rest of each.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Final

import numpy as np
from graph_zoo import Case
from numpy.typing import NDArray

from verifiable.graph.ir import (
    Array,
    Concat,
    Const,
    Dot,
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
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import DType, Fold, Scalar, fold_result

F32: Final = DType.F32
Style = Callable[[tuple[int, ...]], NDArray[np.float32]]


def f32(value: float) -> Literal:
    return Literal(F32, int(np.float32(value).view(np.uint32)))


def i32(value: int) -> Literal:
    return Literal(DType.I32, value)


def program(*steps: tuple[Scalar, tuple[int, ...]], literals: Sequence[Literal] = ()) -> Program:
    return Program(literals=tuple(literals), steps=tuple(Step(f, r) for f, r in steps))


class Blocks:
    """Writes one graph; elements come from `style`."""

    def __init__(self, rng: np.random.Generator, style: Style | None = None) -> None:
        self.rng = rng
        self.style: Style = style or (lambda s: rng.standard_normal(s, np.float32))
        self.instructions: list[Instruction] = []
        self.weights: dict[Index, Array] = {}
        self.inputs: dict[str, Array] = {}

    def add(self, instruction: Instruction) -> Index:
        self.instructions.append(instruction)
        return Index(len(self.instructions) - 1)

    def shape(self, x: Index) -> tuple[int, ...]:
        return self.instructions[x].type.shape

    def elements(self, shape: tuple[int, ...], dtype: DType) -> Array:
        if dtype is F32:
            return np.asarray(self.style(shape), np.float32)
        ends = np.iinfo(dtype.numpy)
        return np.asarray(self.rng.integers(ends.min, ends.max + 1, shape), dtype.numpy)

    def input(self, *shape: int, dtype: DType = F32) -> Index:
        self.inputs[f"x{len(self.inputs)}"] = self.elements(shape, dtype)
        return self.add(Input(type=TensorType(dtype, shape)))

    def weight(self, *shape: int, dtype: DType = F32) -> Index:
        return self.constant(self.elements(shape, dtype), dtype)

    def constant(self, array: Array, dtype: DType = F32) -> Index:
        index = self.add(Const(type=TensorType(dtype, array.shape), root=tensor_root(array)))
        self.weights[index] = array
        return index

    def dot(self, a: Index, b: Index, *, chunk: int = 256) -> Index:
        first, second = self.shape(a), self.shape(b)
        dtype = F32 if self.instructions[a].type.dtype is F32 else DType.I32
        kind = TensorType(dtype, (max(first[0], second[0]), first[1], second[1]))
        return self.add(Dot(type=kind, a=a, b=b, chunk=chunk))

    def fold(self, x: Index, fold: Fold = Fold.SUM) -> Index:
        gives = fold_result(fold, self.instructions[x].type.dtype)
        assert gives is not None
        return self.add(Reduce(type=TensorType(gives, self.shape(x)[:-1]), x=x, fold=fold))

    def map(self, operands: Sequence[Index], applied: Program, dtype: DType | None = None) -> Index:
        shape = np.broadcast_shapes(*(self.shape(x) for x in operands))
        kind = TensorType(dtype or self.instructions[operands[0]].type.dtype, shape)
        return self.add(Map(type=kind, operands=tuple(operands), program=applied))

    def apply(self, function: Scalar, *operands: Index) -> Index:
        return self.map(operands, program((function, tuple(range(len(operands))))))

    def view(
        self, x: Index, shape: Sequence[int], strides: Sequence[int] | None = None, *,
        offset: int = 0, low: Sequence[int] | None = None, high: Sequence[int] | None = None,
        fill: int = 0,
    ) -> Index:  # fmt: skip
        kind = TensorType(self.instructions[x].type.dtype, tuple(shape))
        steps = strides or [prod(shape[axis + 1 :]) for axis in range(len(shape))]
        return self.add(
            View(
                type=kind, x=x, offset=offset, strides=tuple(steps),
                low=tuple(low or [0] * len(shape)), high=tuple(high or shape),
                fill=Literal(kind.dtype, fill),
            )
        )  # fmt: skip

    def column(self, x: Index) -> Index:
        return self.view(x, (*self.shape(x), 1))


def softmax(b: Blocks, x: Index | None = None) -> Index:
    x = b.input(3, 17, 67) if x is None else x
    most = b.column(b.fold(x, Fold.MAX))
    raised = b.map([x, most], program((Scalar.SUB, (0, 1)), (Scalar.EXP, (2,))))
    return b.apply(Scalar.DIV, raised, b.column(b.fold(raised)))


def layer_norm(b: Blocks, x: Index | None = None) -> Index:
    x = b.input(1, 23, 300) if x is None else x
    width = b.shape(x)[-1]
    share = [f32(1 / width)]
    centred = b.map(
        [x, b.column(b.fold(x))],
        program((Scalar.MUL, (1, 2)), (Scalar.SUB, (0, 3)), literals=share),
    )
    square = b.map([centred], program((Scalar.MUL, (0, 0))))
    scale = b.map(
        [b.column(b.fold(square))],
        program(
            (Scalar.MUL, (0, 1)), (Scalar.ADD, (4, 2)), (Scalar.SQRT, (5,)), (Scalar.DIV, (3, 6)),
            literals=[*share, f32(1e-5), f32(1)],
        ),
    )  # fmt: skip
    scaled = b.map(
        [centred, scale, b.weight(width)], program((Scalar.MUL, (0, 1)), (Scalar.MUL, (3, 2)))
    )
    return b.apply(Scalar.ADD, scaled, b.weight(width))


def linear(b: Blocks, x: Index, outputs: int) -> Index:
    product = b.dot(x, b.weight(1, outputs, b.shape(x)[-1]))
    return b.apply(Scalar.ADD, product, b.weight(outputs))


def gelu(b: Blocks, x: Index | None = None) -> Index:
    x = b.input(1, 9, 515) if x is None else x
    return b.map(
        [x],
        program(
            (Scalar.MUL, (0, 1)), (Scalar.ERF, (4,)), (Scalar.ADD, (5, 2)), (Scalar.MUL, (0, 3)),
            (Scalar.MUL, (7, 6)),
            literals=[f32(2**-0.5), f32(1), f32(0.5)],
        ),
    )  # fmt: skip


def attention(b: Blocks, x: Index | None = None) -> Index:
    """Two heads of a causal layer; heads are read through views, without copies."""
    x = b.input(1, 41, 32) if x is None else x
    _, tokens, width = b.shape(x)
    heads, size = 2, width // 2
    joined = linear(b, x, 3 * width)
    rows = (size, 3 * width, 1)
    query = b.view(joined, (heads, tokens, size), rows)
    key = b.view(joined, (heads, tokens, size), rows, offset=width)
    value = b.view(joined, (heads, size, tokens), (size, 1, 3 * width), offset=2 * width)
    places = np.arange(tokens)
    mask = np.where(places[:, None] < places, np.float32(-1e9), np.float32(0))
    hidden = b.weight(1, tokens, tokens)
    b.weights[hidden][:] = mask
    b.instructions[hidden] = Const(
        type=b.instructions[hidden].type, root=tensor_root(b.weights[hidden])
    )
    scores = b.map(
        [b.dot(query, key), hidden],
        program((Scalar.MUL, (0, 2)), (Scalar.ADD, (3, 1)), literals=[f32(size**-0.5)]),
    )
    mixed = b.dot(softmax(b, scores), value)
    return b.view(mixed, (1, tokens, heads, size), (0, size, tokens * size, 1))


def transformer(b: Blocks) -> Index:
    x = b.input(1, 41, 32)
    seen = attention(b, layer_norm(b, x))
    x = b.apply(Scalar.ADD, x, linear(b, b.view(seen, (1, 41, 32)), 32))
    inner = gelu(b, linear(b, layer_norm(b, x), 128))
    return b.apply(Scalar.ADD, x, linear(b, inner, 32))


def one_token(b: Blocks) -> Index:
    """A decode step: keys from a cache and one more, products of few rows."""
    x = layer_norm(b, b.input(1, 1, 320))
    key = b.view(linear(b, x, 320), (5, 1, 64))
    cache = b.input(5, 30, 64)
    keys = b.add(Concat(type=TensorType(F32, (5, 31, 64)), parts=(cache, key), axis=1))
    return b.fold(softmax(b, b.dot(key, keys)), Fold.ARGMAX)


def _patches(b: Blocks, x: Index, size: int, step: int) -> Index:
    _, channels, height, width = b.shape(x)
    tall, wide = (height - size) // step + 1, (width - size) // step + 1
    six = b.view(
        x, (1, tall, wide, channels, size, size),
        (0, step * width, step, height * width, width, 1),
    )  # fmt: skip
    return b.view(six, (1, tall * wide, channels * size * size))


def _padded(b: Blocks, x: Index, by: int, fill: int = 0) -> Index:
    _, channels, height, width = b.shape(x)
    return b.view(
        x, (1, channels, height + 2 * by, width + 2 * by), (0, height * width, width, 1),
        offset=-by * width - by, low=(0, 0, by, by),
        high=(1, channels, height + by, width + by), fill=fill,
    )  # fmt: skip


def _conv(b: Blocks, x: Index, outputs: int, size: int, step: int, by: int) -> Index:
    padded = _padded(b, x, by) if by else x
    patches = _patches(b, padded, size, step)
    product = b.dot(b.weight(1, outputs, b.shape(patches)[-1]), patches)
    side = (b.shape(padded)[2] - size) // step + 1
    image = b.view(product, (1, outputs, side, b.shape(product)[-1] // side))
    biased = b.apply(Scalar.ADD, image, b.weight(outputs, 1, 1))
    return b.map([biased], program((Scalar.MAX, (0, 1)), literals=[f32(0)]))


def residual(b: Blocks) -> Index:
    """Convolutions of 3 x 3 and 1 x 1, padded, in steps of 1 and 2, and a shortcut."""
    x = b.input(1, 5, 19, 19)
    y = _conv(b, x, 13, 3, 1, 1)
    y = _conv(b, y, 40, 1, 1, 0)
    z = _conv(b, x, 40, 1, 1, 0)
    return _conv(b, b.apply(Scalar.ADD, y, z), 21, 3, 2, 1)


def late_conv(b: Blocks) -> Index:
    """Many channels over few places, where rows and columns of tiles change sides."""
    return _conv(b, b.input(1, 40, 5, 5), 130, 3, 1, 1)


def pooled(b: Blocks) -> Index:
    x = _padded(b, b.input(1, 3, 17, 18), 1, fill=0xFF800000)
    six = b.view(x, (1, 3, 9, 9, 3, 3), (0, 19 * 20, 40, 2, 20, 1))
    most = b.fold(b.view(six, (1, 3, 9, 9, 9)), Fold.MAX)
    return b.fold(b.view(most, (1, 3, 81)))


def depthwise(b: Blocks) -> Index:
    x = b.input(1, 6, 12, 12)
    each = b.view(x, (6, 10, 10, 3, 3), (144, 12, 1, 12, 1))
    return b.dot(b.weight(6, 1, 9), b.view(each, (6, 100, 9)))


def quantised(b: Blocks) -> Index:
    x = b.input(1, 37, 301, dtype=DType.I8)
    acc = b.dot(x, b.weight(1, 70, 301, dtype=DType.I8))
    narrow = b.map(
        [acc], program((Scalar.REQUANTISE, (0, 1, 2, 3)), literals=[i32(1), i32(9), i32(3)]),
        DType.I8,
    )  # fmt: skip
    positive = b.map(
        [narrow], program((Scalar.MAX, (0, 1)), literals=[Literal(DType.I8, 0)]), DType.I8
    )
    return b.dot(positive, b.weight(1, 33, 70, dtype=DType.I8))


def unsigned(b: Blocks) -> Index:
    return b.dot(b.input(2, 13, 77, dtype=DType.U8), b.weight(1, 50, 77, dtype=DType.I8))


def quantised_conv(b: Blocks) -> Index:
    x = b.input(1, 3, 9, 9, dtype=DType.I8)
    return b.dot(b.weight(1, 8, 27, dtype=DType.I8), _patches(b, x, 3, 1))


def _positive(b: Blocks, x: Index) -> Index:
    """As after a rectifier: from 0 to 127, where products are added up in 16 bits."""
    return b.map([x], program((Scalar.MAX, (0, 1)), literals=[Literal(DType.I8, 0)]), DType.I8)


def _weights(b: Blocks, shape: tuple[int, ...], most: int) -> Index:
    index = b.weight(*shape, dtype=DType.I8)
    array = np.clip(b.rng.normal(0, most / 3, shape), -most, most).astype(np.int8)
    b.weights[index] = array
    b.instructions[index] = Const(type=TensorType(DType.I8, shape), root=tensor_root(array))
    return index


def rectified(b: Blocks) -> Index:
    """Weights of which eight, four or two may be added up."""
    x = _positive(b, b.input(1, 29, 350, dtype=DType.I8))
    outs = [b.dot(x, _weights(b, (1, 19, 350), most)) for most in (20, 60, 127)]
    kind = TensorType(DType.I32, (1, 29, 57))
    return b.add(Concat(type=kind, parts=tuple(outs), axis=2))


def rectified_conv(b: Blocks) -> Index:
    x = _positive(b, b.input(1, 5, 14, 14, dtype=DType.I8))
    patches = _patches(b, _padded(b, x, 1), 3, 1)
    y = b.dot(_weights(b, (1, 23, 45), 100), patches)
    late = b.dot(b.weight(1, 100, 45, dtype=DType.I8), _patches(b, x, 3, 4))
    return b.apply(Scalar.SUB, y, b.view(late, (1, 23, 1), (0, 1, 1)))


def _seen_by_windows(b: Blocks, x: Index, size: int, step: int, fold: Fold) -> Index:
    """A pool along rows, then one along columns, as lowering writes it."""
    _, channels, height, width = b.shape(x)
    wide, tall = (width - size) // step + 1, (height - size) // step + 1
    along = b.view(
        x, (1, channels, height, wide, size), (0, height * width, width, step, 1)
    )  # fmt: skip
    rows = b.fold(along, fold)
    down = b.view(rows, (1, channels, tall, wide, size), (0, height * wide, step * wide, 1, wide))
    return b.fold(down, fold)


def pools(b: Blocks) -> Index:
    """Windows of all dtypes, in steps of 1, 2 and 3, narrower and wider than a vector."""
    total: Index | None = None
    for dtype in (F32, DType.I8, DType.U8, DType.I32, DType.I64):
        for width, step, fold in ((77, 2, Fold.MAX), (41, 1, Fold.MIN), (20, 3, Fold.MAX)):
            x = b.input(1, 3, 23, width, dtype=dtype)
            y = _seen_by_windows(b, x, 3, step, fold)
            if dtype is not F32:
                to_floats = program((Scalar.TO_F32, (0,)))
                y = b.map([y], to_floats, F32)
            flat = b.fold(b.view(y, (1, 1, 1, 1, prod(b.shape(y)))))
            again = b.map([y, flat], program((Scalar.ADD, (0, 1))))
            part = b.view(again, (1, 24), (0, 1))
            total = part if total is None else b.apply(Scalar.ADD, total, part)
    assert total is not None
    return total


def signed_conv(b: Blocks) -> Index:
    """Patches of bytes of both signs, side by side and in steps of two."""
    x = b.input(1, 3, 31, 45, dtype=DType.I8)
    kept = _padded(b, b.map([x], program((Scalar.MIN, (0, 1)), literals=[Literal(DType.I8, 99)]),
                            DType.I8), 3)  # fmt: skip
    sums = [
        b.fold(b.dot(b.weight(1, 11, 147, dtype=DType.I8), _patches(b, kept, 7, step)))
        for step in (1, 2, 3)
    ]
    return b.add(Concat(type=TensorType(DType.I32, (1, 33)), parts=tuple(sums), axis=1))


def strided_rectified_conv(b: Blocks) -> Index:
    """Patches in steps of two, of few places and of many, where products are added in 16 bits."""
    x = _padded(b, _positive(b, b.input(1, 9, 28, 28, dtype=DType.I8)), 1)
    y = b.dot(_weights(b, (1, 17, 81), 90), _patches(b, x, 3, 2))
    few = b.dot(_weights(b, (1, 150, 81), 90), _patches(b, x, 3, 5))
    return b.apply(Scalar.SUB, y, b.view(few, (1, 17, 1), (0, 1, 1)))


def unsigned_weights(b: Blocks) -> Index:
    x = _positive(b, b.input(1, 20, 48, dtype=DType.I8))
    return b.dot(b.weight(1, 9, 48, dtype=DType.U8), x)


def at_the_limits(b: Blocks) -> Index:
    """The largest products there are, of one sign and of both."""
    x = b.input(1, 7, 64, dtype=DType.I8)
    b.inputs["x0"][:] = 127
    weights = _weights(b, (1, 40, 64), 127)
    b.weights[weights][0, :20] = -128
    b.weights[weights][0, 20:30] = 127
    b.weights[weights][0, 30:, ::2] = -128
    array = b.weights[weights]
    b.instructions[weights] = Const(type=b.instructions[weights].type, root=tensor_root(array))
    return b.dot(x, weights)


def scaled(b: Blocks) -> Index:
    return b.map([b.input(64, 1000)], program((Scalar.MUL, (0, 1)), literals=[f32(0.5)]))


def transposed(b: Blocks) -> Index:
    """Large enough for the copy in blocks."""
    x = b.input(150, 130)
    return b.apply(Scalar.SUB, b.view(x, (130, 150), (1, 130)), b.weight(150))


ALL: Final[tuple[Callable[[Blocks], Index], ...]] = (
    softmax, layer_norm, gelu, attention, transformer, one_token, residual, late_conv, pooled,
    depthwise, quantised, unsigned, quantised_conv, rectified, rectified_conv, at_the_limits,
    pools, signed_conv, strided_rectified_conv, unsigned_weights, scaled, transposed,
)  # fmt: skip


def case_of(build: Callable[[Blocks], Index], *, seed: int, style: Style | None = None) -> Case:
    """A piece with its weights and inputs; its last tensor is the output."""
    b = Blocks(np.random.default_rng(seed), style)
    result = build(b)
    graph = Graph(
        instructions=tuple(b.instructions), inputs=tuple(b.inputs), outputs=(("y", result),)
    )
    return Case(graph=graph, weights=b.weights, inputs=b.inputs, label=f"{build.__name__} {seed}")
