"""Products of matrices: MatMul, Gemm, Det. Dot takes both operands as rows."""

from itertools import combinations
from math import prod
from typing import Final

from verifiable.frontend.lower import scaled
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.rows import batched_rows, cut, last_swapped
from verifiable.graph.check import broadcast_shape
from verifiable.graph.ir import TensorType
from verifiable.graph.vocabulary import ARITHMETIC, DType

MAX_PRODUCTS: Final = 2**26
"""Elements of the tensor of all products that a MatMul of integers becomes."""
MAX_DET: Final = 6
"""Rows of a matrix whose determinant is expanded; its minors double with each."""


def matmul(b: Builder, x: Value, y: Value) -> Value:
    """NumPy's matmul of tensors that `matmul_problem` has nothing against."""
    if len(y.shape) == 1:
        made = matmul(b, x, b.reshape(y, [*y.shape, 1]))
        return b.reshape(made, made.shape[:-1])
    if len(x.shape) == 1:
        made = matmul(b, b.reshape(x, [1, *x.shape]), y)
        return b.reshape(made, [*made.shape[:-2], *made.shape[-1:]])
    columns = last_swapped(b, y)
    return scaled.product(b, x, columns) or batched_rows(b, x, columns)


def matmul_problem(x: Value, y: Value) -> str | None:
    """Say why two shapes cannot be multiplied, None if they can."""
    if not x.shape or not y.shape:
        return f"of {x.type} and {y.type}, wanted at least one axis each"
    inner = y.shape[-2] if len(y.shape) > 1 else y.shape[0]
    if x.shape[-1] != inner or broadcast_shape([x.shape[:-2], y.shape[:-2]]) is None:
        return f"shapes of {x.type} and {y.type} do not match"
    return None


@lowers("MatMul")
def matmul_node(b: Builder, node: Node) -> Value:
    """Of f32, i32 or i64."""
    x, y = node.input(0), node.input(1)
    problem = matmul_problem(x, y)
    if problem is not None:
        raise node.refuse(problem)
    _same_arithmetic(node, x, y)
    return matmul(b, x, y)


@lowers("Gemm")
def gemm(b: Builder, node: Node) -> Value:
    """``alpha * A' B' + beta * C``."""
    x, y = node.input(0), node.input(1)
    if len(x.shape) != 2 or len(y.shape) != 2:
        raise node.refuse(f"of {x.type} and {y.type}, wanted two axes each")
    x = last_swapped(b, x) if node.attribute("transA", 0) else x
    y = y if node.attribute("transB", 0) else last_swapped(b, y)
    if x.shape[1] != y.shape[1]:
        raise node.refuse(f"rows of {x.shape[1]} and columns of {y.shape[1]} elements")
    _same_arithmetic(node, x, y)
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    if x.dtype is not DType.F32 and not (alpha == int(alpha) and beta == int(beta)):
        raise node.refuse(f"scales integers by {alpha} and {beta}", hint="use whole numbers")
    shape = (x.shape[0], y.shape[0])
    bias = node.input(2) if node.has(2) and beta != 0 else None
    if bias is not None and broadcast_shape([shape, bias.shape]) != shape:
        raise node.refuse(f"adds {bias.type} to {TensorType(x.dtype, shape)}")
    joined = alpha == 1 and beta == 1
    made = scaled.product(b, x, y, bias if joined else None)
    if made is not None and joined:
        return made
    made = made or batched_rows(b, x, y)
    if alpha != 1:
        made = b.map(lambda v: v * alpha, made)
    if bias is None:
        return made
    return b.map(lambda v, c: v + (c if beta == 1 else c * beta), made, bias)


@lowers("Det")
def determinant(b: Builder, node: Node) -> Value:
    """Laplace's expansion row by row, each minor computed once."""
    x = node.float_input(0)
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise node.refuse(f"of {x.type}, wanted square matrices")
    size, lead = x.shape[-1], x.shape[:-2]
    if size > MAX_DET:
        raise node.refuse(f"of {size} rows, the most is {MAX_DET}")
    minors: dict[tuple[int, ...], Value] = {(): b.expand(b.scalar(1.0), lead)}
    for row in range(size):
        line = cut(b, x, len(lead), row, 1)
        entries = [
            b.reshape(cut(b, line, len(lead) + 1, column, 1), lead) for column in range(size)
        ]
        grown = {}
        for columns in combinations(range(size), row + 1):
            total = None
            for place, column in enumerate(columns):
                minor = minors[tuple(c for c in columns if c != column)]
                term = b.map(lambda p, q: p * q, entries[column], minor)
                if (row + place) % 2:
                    term = b.map(lambda v: -v, term)
                total = term if total is None else b.map(lambda p, q: p + q, total, term)
            assert total is not None
            grown[columns] = total
        minors = grown
    return minors[tuple(range(size))]


def _same_arithmetic(node: Node, x: Value, y: Value) -> None:
    if x.dtype is not y.dtype or x.dtype not in ARITHMETIC:
        raise node.refuse(
            f"of {x.type} and {y.type}, wanted both float, int32 or int64",
            hint="8-bit integers are multiplied by MatMulInteger or QLinearMatMul",
        )
    lead = broadcast_shape([x.shape[:-2], y.shape[:-2]]) or ()
    columns = y.shape[-1] if len(y.shape) > 1 else 1
    if x.dtype is not DType.F32 and prod(lead) * prod(x.shape[-2:]) * columns > MAX_PRODUCTS:
        raise node.refuse(
            f"of {x.type} and {y.type} has more than {MAX_PRODUCTS} products",
            hint="multiply as float, or quantise to 8 bits",
        )
