"""What the golden corpus holds: every instruction, scalar function and fold, on awkward elements.

Nothing here may depend on what may change within one semantics id, such as the lowering; cases
that do are in `frozen`.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
from vector_files import ROOT, Vector
from vector_writer import CANONICAL_NAN, Writer, any_bits, edges, plain

from verifiable.engines.reference import Reference
from verifiable.graph.ir import Literal, Program, Step, TensorType
from verifiable.graph.vocabulary import (
    FOLDED,
    MAX_REGISTERS,
    MAX_STEPS,
    SIGNATURES,
    DType,
    Fold,
    Scalar,
)

LENGTHS: Final = (1, 2, 31, 32, 33, 255, 256, 257, 511, 512, 1000)
"""Of rows: around the lanes of a sum, its chunks, and the leaves of a tree."""
ROW: Final = 1000


def _sorted(dtypes: frozenset[DType]) -> list[DType]:
    return sorted(dtypes, key=lambda d: d.value)


def _one(function: Scalar, arity: int) -> Program:
    return Program(steps=(Step(function, tuple(range(arity))),))


def scalar(function: Scalar) -> Vector:
    """One function on all edge values of each dtype it takes, all against all."""
    signature = SIGNATURES[function]
    w = Writer(f"scalar-{function.name.lower()}", f"{function.name} of every dtype it takes")
    for dtype in _sorted(signature.takes):
        given = edges(dtype)
        if function is Scalar.FMA:
            given = given[:24]
        if signature.arity == 1:
            # Any bits as well, enough to fill several vectors of a processor.
            count = 300 if dtype is DType.F32 else 40
            more = any_bits(w.name + dtype.word, TensorType(dtype, (count,)))
            near = plain(w.name + dtype.word, TensorType(dtype, (count // 3 + 1,)))
            w.out(w.map(_one(function, 1), w.input(np.concatenate([given, more, near]))))
            continue
        column, row = w.input(given.reshape(-1, 1)), w.input(given)
        if function is Scalar.SELECT:
            w.out(w.map(_one(function, 3), w.input(np.array([[[False]], [[True]]])), column, row))
        elif function is Scalar.REQUANTISE:
            shift = w.input(np.array([0, 1, 2, 7, 15, 30, 31, 32, -1], np.int32).reshape(-1, 1, 1))
            for zero in (0, -128, 100, 2**31 - 1):
                program = Program(
                    literals=(Literal(DType.I32, zero % 2**32),),
                    steps=(Step(function, (0, 1, 2, 3)),),
                )
                w.out(w.map(program, column, row, shift))
        elif signature.arity == 3:
            w.out(w.map(_one(function, 3), w.input(given.reshape(-1, 1, 1)), column, row))
        else:
            w.out(w.map(_one(function, 2), column, row))
    return w.done()


def reduce(dtype: DType) -> Vector:
    """Every fold of one dtype over rows of all lengths."""
    w = Writer(f"reduce-{dtype.word}", f"every fold of {dtype.word} over short and long rows")
    long = w.input(plain(w.name, TensorType(dtype, (ROW,))))
    odd = edges(dtype)
    rows = [np.roll(odd, k)[:12] for k in range(len(odd))]
    for fold in Fold:
        if dtype not in FOLDED[fold]:
            continue
        for length in LENGTHS:
            w.out(w.reduce(w.view(long, (2, length), (ROW - length, 1)), fold))
        # A row within another chunk, and other chunks.
        w.out(w.reduce(w.view(long, (3, 700), (150, 1)), fold))
        w.out(w.reduce(w.view(long, (1, ROW)), fold, chunk=32))
        w.out(w.reduce(w.view(long, (1, ROW)), fold, chunk=1024))
        w.out(w.reduce(w.const(np.stack(rows)), fold))
        w.out(w.reduce(w.const(odd[:2][::-1].copy()), fold))
    if dtype in FOLDED[Fold.SUM]:
        w.out(w.reduce(w.const(np.zeros((3, 0), dtype.numpy)), Fold.SUM))
        w.out(w.reduce(w.const(any_bits(w.name, TensorType(dtype, (1, 300)))), Fold.SUM))
    return w.done()


def dot_f32() -> Vector:
    """Rows of all lengths, batches, awkward elements."""
    w = Writer("dot-f32", "f32 Dot: one fma chain to a chunk of 256, chunks in order")
    a = w.input(plain("dot-a", TensorType(DType.F32, (1, 2, ROW))))
    b = w.const(plain("dot-b", TensorType(DType.F32, (1, 3, ROW))))
    for length in (0, *LENGTHS):
        w.out(w.dot(w.view(a, (1, 2, length), (0, ROW, 1)), w.view(b, (1, 3, length), (0, ROW, 1))))
    w.out(w.dot(a, b))
    w.out(w.dot(a, b, chunk=1))
    w.out(w.dot(a, b, chunk=1024))
    # Batches are taken modulo; both operands computed.
    w.out(w.dot(w.view(a, (2, 3, 100), (1000, 100, 1)), w.view(b, (4, 7, 100), (700, 100, 1))))
    w.out(w.dot(w.view(a, (1, 40, 33), (0, 48, 1)), w.view(b, (3, 37, 33), (200, 67, 1))))
    odd = edges(DType.F32)
    every = np.stack([np.roll(odd, k)[:7] for k in range(len(odd))])[None]
    w.out(w.dot(w.input(every), w.const(every[:, ::-1].copy())))
    huge = any_bits("dot-any", TensorType(DType.F32, (1, 4, 260)))
    huge[~np.isfinite(huge)] = 1e-39
    w.out(w.dot(w.input(huge), w.const(huge[:, :3, ::-1].copy())))
    return w.done()


def dot_integer(left: DType) -> Vector:
    """Exact sums of i8 or u8 by i8."""
    w = Writer(f"dot-{left.word}", f"integer Dot of {left.word} and i8")
    a = w.input(any_bits(w.name + "a", TensorType(left, (1, 2, ROW))))
    b = w.const(any_bits(w.name + "b", TensorType(DType.I8, (1, 3, ROW))))
    for length in (0, 1, 3, 4, 63, 64, 65, *LENGTHS[5:]):
        w.out(w.dot(w.view(a, (1, 2, length), (0, ROW, 1)), w.view(b, (1, 3, length), (0, ROW, 1))))
    w.out(w.dot(w.view(a, (2, 3, 100), (1000, 100, 1)), w.view(b, (4, 7, 100), (700, 100, 1))))
    ends = np.iinfo(left.numpy)
    most = np.array([[ends.min] * 600, [ends.max] * 600], left.numpy)[None]
    w.out(w.dot(w.input(most), w.const(np.array([[-128] * 600, [127] * 600], np.int8)[None])))
    return w.done()


def broadcast() -> Vector:
    """Operands of a Map of other shapes."""
    w = Writer("map-broadcast", "Map of operands that are broadcast")
    fma, add = _one(Scalar.FMA, 3), _one(Scalar.ADD, 2)
    given = partial(TensorType, DType.F32)
    for shapes in (
        ((4, 3, 5), (5,), (3, 1)), ((4, 1, 1), (1, 3, 1), (1, 1, 5)), ((), (), ()),
        ((7,), (), (1,)), ((2, 1, 2, 1, 2, 1, 2, 3), (2, 1, 2, 1, 1), (1,)), ((0, 3), (3,), (1, 1)),
    ):  # fmt: skip
        several = [w.input(plain(f"{s}{i}", given(s))) for i, s in enumerate(shapes)]
        w.out(w.map(fma, *several))
        w.out(w.map(add, several[1], several[0]))
    x = w.input(plain("again", given((3, 1))))
    w.out(w.map(fma, x, x, x))
    return w.done()


def programs() -> Vector:
    """Long programs, literals, registers read twice or never."""
    w = Writer("map-programs", "Map programs: literals, unread registers, as long as they may be")
    f, i = DType.F32, DType.I32
    x = w.input(np.concatenate([edges(f), plain("programs", TensorType(f, (70,)))]))
    n = w.input(np.resize(edges(i), 101))
    half, one = Literal(f, 0x3F000000), Literal(f, 0x3F800000)
    root = Literal(f, 0x3F3504F3)  # sqrt(1/2)
    gelu = Program(
        literals=(half, one, root),
        steps=(
            Step(Scalar.MUL, (0, 3)), Step(Scalar.ERF, (4,)), Step(Scalar.ADD, (5, 2)),
            Step(Scalar.MUL, (0, 1)), Step(Scalar.MUL, (7, 6)),
        ),
    )  # fmt: skip
    w.out(w.map(gelu, x))
    w.out(w.map(Program(literals=(half,), steps=(Step(Scalar.NEG, (0,)),)), n))
    steps = [Step(Scalar.FMA, (0, 0, 1))]
    steps += [Step(Scalar.FMA, (1 + k, 0, 1)) for k in range(1, MAX_STEPS)]
    w.out(w.map(Program(literals=(half,), steps=tuple(steps)), x))
    full = tuple(Literal(i, k) for k in range(MAX_REGISTERS - MAX_STEPS - 1))
    sums = [Step(Scalar.ADD, (0, 1))]
    sums += [Step(Scalar.MUL, (len(full) + k, k)) for k in range(1, MAX_STEPS)]
    w.out(w.map(Program(literals=full, steps=tuple(sums)), n))
    mixed = Program(
        literals=(Literal(DType.I64, 3), Literal(f, CANONICAL_NAN)),
        steps=(
            Step(Scalar.TO_I64, (1,)), Step(Scalar.MUL, (4, 2)), Step(Scalar.TO_F32, (5,)),
            Step(Scalar.LT, (0, 6)), Step(Scalar.SELECT, (7, 0, 3)), Step(Scalar.BITS_OF_F32, (8,)),
        ),
    )  # fmt: skip
    w.out(w.map(mixed, x, n))
    return w.done()


def view(dtype: DType) -> Vector:
    """Views of one dtype."""
    w = Writer(f"view-{dtype.word}", f"View of {dtype.word}: boxes, negative and zero strides")
    fill = {DType.F32: CANONICAL_NAN, DType.BOOL: 1}.get(dtype, (1 << 8 * dtype.itemsize) - 1)
    x = w.input(any_bits(w.name, TensorType(dtype, (2, 3, 5, 7))))
    w.out(w.view(x, (6, 35)))
    w.out(w.view(x, (210,)))
    w.out(w.view(x, (7, 5, 3, 2), (1, 7, 35, 105)))
    w.out(w.view(x, (3, 2, 7, 5), (35, 105, 1, 7)))
    w.out(w.view(x, (210,), (-1,), offset=209))
    w.out(w.view(x, (2, 3, 2, 3), (105, 35, -14, -2), offset=34))
    w.out(w.view(x, (4, 2, 105), (0, 105, 1)))
    # Padding: the box begins after the fill, the offset before the tensor.
    box = [(0, 6), (1, 6), (2, 9)]
    w.out(w.view(x, (6, 7, 12), (35, 7, 1), offset=-9, box=box, fill=fill))
    # Patches of 3 x 3, which overlap; every second of them.
    w.out(w.view(x, (2, 3, 2, 3, 3, 3), (105, 35, 14, 2, 7, 1)))
    w.out(w.view(x, (5, 4), (1, 1), offset=0, box=[(2, 2), (0, 4)], fill=fill))
    w.out(w.view(x, (2, 1, 2, 1, 2, 1, 2, 2), (-105, 9, 35, 0, 7, 0, 1, -2), offset=108))
    w.out(w.view(x, (), (), offset=17))
    w.out(w.view(x, (3, 0)))
    w.out(w.view(x, (1, 300), (0, 0), offset=209, box=[(0, 1), (255, 300)], fill=fill))
    w.out(w.view(w.const(np.zeros((0, 2), dtype.numpy)), (2, 2), box=[(0, 0), (0, 2)], fill=fill))
    return w.done()


def gather() -> Vector:
    """Indices in and out of range."""
    w = Writer("gather", "Gather: negative indices, indices out of range, every dtype")
    for dtype in DType:
        x = w.input(any_bits(f"gather{dtype.word}", TensorType(dtype, (2, 5, 3))))
        for kind in (DType.I32, DType.I64):
            ends = np.iinfo(kind.numpy)
            found = [0, 4, -1, -5, 5, -6, 9, ends.max, ends.min, ends.min + 5, 2]
            if kind is DType.I64:
                found += [2**32, 2**32 + 1, -(2**32) + 1]
            index = np.array([found, found[::-1]], kind.numpy)
            w.out(w.gather(x, w.input(index)))
            w.out(w.gather(x, w.const(index[:1].copy())))
        w.out(w.gather(x, w.const(np.zeros((1, 0), np.int64))))
        empty = w.const(np.zeros((1, 0, 3), dtype.numpy))
        w.out(w.gather(empty, w.const(np.array([[0, -1]]))))
    return w.done()


def concat() -> Vector:
    """Every axis, empty parts, one part, as many as there may be."""
    w = Writer("concat", "Concat along every axis, of one part and of 255")
    for dtype in DType:
        x = w.input(any_bits(f"concat{dtype.word}", TensorType(dtype, (2, 3, 4))))
        one = w.const(any_bits(f"one{dtype.word}", TensorType(dtype, (2, 1, 4))))
        none = w.const(np.zeros((2, 0, 4), dtype.numpy))
        for axis in range(3):
            w.out(w.concat([x, x, x], axis))
        w.out(w.concat([one, none, x, one], 1))
        w.out(w.concat([x], 2))
    many = w.input(any_bits("many", TensorType(DType.F32, (2, 1))))
    w.out(w.concat([many] * 255, 1))
    return w.done()


def trees() -> Vector:
    """Tensors whose rows are packed, or trees of their own."""
    w = Writer("trees", "Merkle trees of packed and of long rows, of every dtype")
    for dtype in DType:
        most = 1024 // dtype.itemsize
        x = w.input(any_bits(f"tree{dtype.word}", TensorType(dtype, (most + 3,))))
        for row in (1, 3, most // 2, most // 2 + 1, most - 1, most, most + 1):
            for rows in (1, 3, 5):
                w.out(w.view(x, (rows, row), (0 if row > most - 3 else 1, 1)))
        w.out(w.view(x, (3, 1, 2 * most + 1), (0, 0, 0)))
        w.out(w.view(x, (), ()))
        w.out(w.view(x, (4, 0)))
    return w.done()


def borders() -> Vector:
    """What an output may be, and what a name."""
    w = Writer("borders", "outputs that are inputs, Consts, or one tensor under two names")
    x = w.input(edges(DType.I64), "ünïcode \U0001f9ee")
    unread = w.input(np.array([1, -0.0], np.float32), "")
    c = w.const(any_bits("borders", TensorType(DType.U8, (3, 3))))
    y = w.map(_one(Scalar.NEG, 1), x)
    w.map(_one(Scalar.ABS, 1), x)
    for index, name in ((y, "y"), (x, "x"), (y, "again"), (c, "const"), (unread, "")):
        w.out(index, name)
    return w.done()


def cases() -> Iterator[Vector]:
    """All that are written instruction by instruction."""
    yield from map(scalar, Scalar)
    yield from map(reduce, DType)
    yield dot_f32()
    yield from map(dot_integer, (DType.I8, DType.U8))
    yield from (broadcast(), programs(), gather(), concat(), trees(), borders())
    yield from map(view, DType)


def _recipe(name: str, *, int8: bool = False) -> Vector:
    """A trained model of ``circuits/``, as it was lowered when its file was written."""
    from circuits import recipe
    from verifiable.frontend.files import parse_model
    from verifiable.frontend.lower import lower
    from verifiable.frontend.quantize import quantise

    graph, weights = lower(parse_model(recipe.model(name)))
    test = recipe.load(name).samples().test
    samples = [{key: np.ascontiguousarray(v[i]) for key, v in test.items()} for i in range(8)]
    if int8:
        small = quantise(graph, weights, samples, Reference())
        graph, weights = small.graph, small.weights
    return Vector(
        name=f"model-{name.replace('_', '-')}{'-int8' if int8 else ''}",
        what=f"circuits/{name}, lowered{' and quantised' if int8 else ''}",
        graph=replace(graph, regions=()),
        weights=weights,
        inputs=samples[0],
    )


def _drawn(seed: int, steps: int) -> Vector:
    """A random graph of the tests, as it was when its file was written."""
    sys.path.insert(0, str(ROOT / "tests"))
    from graph_zoo import case

    one = case(seed, steps=steps)
    return Vector(
        name=f"random-{seed}",
        what=f"a random graph of {len(one.graph.instructions)} instructions",
        graph=replace(one.graph, regions=()),
        weights=one.weights,
        inputs=one.inputs,
    )


MODELS: Final[Sequence[tuple[str, bool]]] = (
    ("mlp_tiny", False), ("digits_cnn", False), ("digits_cnn", True), ("lstm", False),
    ("transformer_block", False), ("forest", False),
)  # fmt: skip


def frozen() -> dict[str, Callable[[], Vector]]:
    """By name, what makes the cases that keep the graph they were first written with."""
    found: dict[str, Callable[[], Vector]] = {
        f"model-{name.replace('_', '-')}{'-int8' if int8 else ''}": partial(
            _recipe, name, int8=int8
        )
        for name, int8 in MODELS
    }
    return found | {f"random-{seed}": partial(_drawn, seed, 30) for seed in range(1, 9)}
