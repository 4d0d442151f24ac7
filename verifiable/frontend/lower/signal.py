"""Fourier transforms by constant matrices, windows, and the mel scale."""

from math import log, prod
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.made import line
from verifiable.frontend.lower.node import ELEMENTS, Node, axis_of, lowers
from verifiable.frontend.lower.rows import move_axis
from verifiable.frontend.lower.windows import fitted
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import DType

MAX_MATRIX: Final = 2**24
"""Elements of a transform's matrix: 64 MiB."""


def forward_matrix(length: int, parts: int, bins: int, *, inverse: bool) -> Array:
    """Rows ``[2 * bins, length * parts]``: real and imaginary part of each bin, in turn.

    Parameters
    ----------
    length : int
        Of the signal.
    parts : int
        1 for a real signal, 2 for real and imaginary part in turn.
    bins : int
    inverse : bool
        Turn the other way, and divide by the length.
    """
    cosine, sine = _waves(bins, length)
    sine = sine if inverse else -sine
    made = np.empty((bins, 2, length, parts))
    made[:, 0, :, 0], made[:, 1, :, 0] = cosine, sine
    if parts == 2:
        made[:, 0, :, 1], made[:, 1, :, 1] = -sine, cosine
    if inverse:
        made /= length
    return made.reshape(2 * bins, length * parts).astype(np.float32)


def real_inverse_matrix(length: int, bins: int) -> Array:
    """Rows ``[length, 2 * bins]``: a real signal from the first half of its spectrum."""
    cosine, sine = _waves(length, length)
    used = line(bins)
    # The other half is the mirror image: all bins count twice but the first and the middle one.
    twice = np.where((used == 0) | (2 * used == length), 1.0, 2.0) / length
    made = np.stack([cosine[:, used] * twice, -sine[:, used] * twice], axis=-1)
    return made.reshape(length, 2 * bins).astype(np.float32)


def _waves(rows: int, length: int) -> tuple[Array, Array]:
    # The angle is reduced in integers, where it is exact.
    turns = np.outer(line(rows), line(length)) % length / length
    return np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)


def _single(node: Node, i: int) -> int:
    values = node.ints(i)
    if len(values) != 1:
        raise node.refuse(f"input {i} has {len(values)} elements, wanted one")
    return values[0]


@lowers("DFT")
def dft(b: Builder, node: Node) -> Value:
    """One Dot with a constant matrix; the fast algorithms have other roundings."""
    x = node.float_input(0)
    rank = len(x.shape)
    given = node.attribute("axis", 1) if node.version < 20 else -2
    axis = axis_of(node, _single(node, 2) if node.has(2) else int(given), rank)
    if rank < 2 or axis == rank - 1 or x.shape[-1] not in (1, 2):
        raise node.refuse(f"of {x.type} along axis {axis}")
    inverse, onesided = (bool(node.attribute(n, 0)) for n in ("inverse", "onesided"))
    halved = inverse and onesided
    length = _single(node, 1) if node.has(1) else x.shape[axis]
    if halved and not node.has(1):
        length = 2 * (x.shape[axis] - 1)
    if length < 1 or (onesided and x.shape[-1] != (2 if inverse else 1)):
        raise node.refuse(f"onesided of {x.type} and length {length}")
    taken = length // 2 + 1 if halved else length
    bins = length // 2 + 1 if onesided else length
    parts = x.shape[-1]
    if taken * parts * 2 * bins > MAX_MATRIX:
        raise node.refuse(f"of length {length}", hint="transform shorter frames, up to 2048")
    moved = move_axis(b, x, axis, rank - 2)
    missing = taken - x.shape[axis]
    signal = fitted(b, moved, [0, 0], [missing, 0])
    rows = b.reshape(signal, [1, prod(signal.shape[:-2]), taken * parts])
    if halved:
        matrix = real_inverse_matrix(length, bins)
        shape = [*signal.shape[:-2], length, 1]
    else:
        matrix = forward_matrix(length, parts, bins, inverse=inverse)
        shape = [*signal.shape[:-2], bins, 2]
    made = b.dot(rows, b.constant(matrix.reshape(1, *matrix.shape)))
    return move_axis(b, b.reshape(made, shape), rank - 2, axis)


@lowers("STFT")
def stft(b: Builder, node: Node) -> Value:
    """Frames are one view; the window is multiplied into the matrix."""
    x = node.float_input(0)
    if len(x.shape) == 2:
        x = b.reshape(x, [*x.shape, 1])
    if len(x.shape) != 3 or x.shape[2] not in (1, 2):
        raise node.refuse(f"of {x.type}")
    batch, total, parts = x.shape
    step = _single(node, 1)
    length = node.input(2).shape[0] if node.has(2) else total
    length = _single(node, 3) if node.has(3) else length
    onesided = bool(node.attribute("onesided", 1))
    if not 1 <= length <= total or step < 1 or (onesided and parts == 2):
        raise node.refuse(f"of {x.type} in frames of {length} every {step}")
    bins = length // 2 + 1 if onesided else length
    if length * parts * 2 * bins > MAX_MATRIX:
        raise node.refuse(f"in frames of {length}", hint="use frames of at most 2048")
    count = (total - length) // step + 1
    frames = b.view(x, [batch, count, length * parts], [total * parts, step * parts, 1])
    matrix = b.constant(forward_matrix(length, parts, bins, inverse=False))
    if node.has(2):
        window = node.float_input(2)
        if window.shape != (length,):
            raise node.refuse(f"window is {window.type}, wanted {length} elements")
        wide = b.reshape(
            b.expand(b.reshape(window, [length, 1]), [length, parts]), [length * parts]
        )
        matrix = b.map(lambda m, w: m * w, matrix, wide)
    rows = b.reshape(frames, [1, batch * count, length * parts])
    made = b.dot(rows, b.reshape(matrix, [1, *matrix.shape]))
    return b.reshape(made, [batch, count, bins, 2])


_COSINES: Final = {
    "HannWindow": (0.5, 0.5, 0.0),
    "HammingWindow": (25 / 46, 21 / 46, 0.0),
    "BlackmanWindow": (0.42, 0.5, 0.08),
}
"""``a - b cos(t) + c cos(2 t)``."""


@lowers(*_COSINES)
def cosine_window(b: Builder, node: Node) -> Value:
    """A constant, since its size gives a shape."""
    size = _single(node, 0)
    _float_output(node)
    if size < 0:
        raise node.refuse(f"size is {size}")
    period = size if node.attribute("periodic", 1) else size - 1
    angle = 2 * np.pi * line(size) / max(period, 1)
    first, second, third = _COSINES[node.op]
    return b.constant(first - second * np.cos(angle) + third * np.cos(2 * angle), DType.F32)


def _float_output(node: Node) -> None:
    element = int(node.attribute("output_datatype", 1))
    if ELEMENTS.get(element) is not DType.F32:
        raise node.refuse(f"output_datatype is {element}, wanted 1 (float)")


@lowers("MelWeightMatrix")
def mel_weights(b: Builder, node: Node) -> Value:
    """Triangles on the mel scale; the number of bins and the length give the shape."""
    bins, length = _single(node, 0), _single(node, 1)
    _float_output(node)
    rate, low, high = (b.reshape(node.input(i), []) for i in (2, 3, 4))
    rate = b.cast(rate, DType.F32)
    low, high = b.cast(low, DType.F32), b.cast(high, DType.F32)
    number = b.constant(line(bins + 2), DType.F32)

    def mel(hertz: Expression) -> Expression:
        return (hertz * (1 / 700) + 1.0).log() * (2595 / log(10))

    def point(i: Expression, first: Expression, last: Expression) -> Expression:
        begin = mel(first)
        scaled = i * ((mel(last) - begin) / float(bins + 2)) + begin
        return ((scaled * (log(10) / 2595)).exp() - 1.0) * 700.0

    hertz = b.map(point, number, low, high)
    places = b.map(lambda h, r: (h * float(length + 1) / r).floor(), hertz, rate)
    left, centre, right = (b.slice(places, [i], [bins], [1]) for i in range(3))
    row = b.constant(line(length // 2 + 1).reshape(-1, 1), DType.F32)

    def rising(j: Expression, p: Expression, q: Expression) -> Expression:
        slope = (q - p).equals(0.0).where(1.0, (j - p) / (q - p))
        return ((j >= p) & (j <= q)).where(slope, 0.0)

    def falling(j: Expression, p: Expression, q: Expression) -> Expression:
        return ((j >= p) & (j < q)).where((q - j) / (q - p), -1.0)

    up = b.map(rising, row, left, centre)
    down = b.map(falling, row, centre, right)
    return b.map(lambda p, q: (q < 0.0).where(p, q), up, down)
