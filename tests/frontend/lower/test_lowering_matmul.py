"""Products of matrices give what NumPy gives, whatever the ranks."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import floats, graph_of, model, near, ours, small_integers

from verifiable.errors import UnsupportedError
from verifiable.graph.ir import Dot, places

EXTENTS = st.integers(1, 5)
SEEDS = st.integers(0, 2**16)


@st.composite
def operands(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Shapes that matmul takes: batches broadcast, either operand may be one row or column."""
    inner = draw(EXTENTS)
    lead = draw(st.lists(EXTENTS, max_size=2))
    left = [e if draw(st.booleans()) else 1 for e in lead][draw(st.integers(0, len(lead))) :]
    right = [e if draw(st.booleans()) else 1 for e in lead][draw(st.integers(0, len(lead))) :]
    x = [*left, draw(EXTENTS), inner] if draw(st.booleans()) or left else [inner]
    y = [*right, inner, draw(EXTENTS)] if draw(st.booleans()) or right else [inner]
    return x, y


@given(shapes=operands(), seed=SEEDS)
def test_matmul_of_floats_is_numpys(shapes: tuple[list[int], list[int]], seed: int) -> None:
    x, y = floats(seed, *shapes[0]), floats(seed + 1, *shapes[1])
    (got,) = ours(model("MatMul", [x, y]), [x, y])
    near(got, np.asarray(np.matmul(x.astype(np.float64), y), np.float32))


@given(shapes=operands(), seed=SEEDS, dtype=st.sampled_from([np.int32, np.int64]))
def test_matmul_of_integers_wraps_as_numpys(
    shapes: tuple[list[int], list[int]], seed: int, dtype: type[np.generic]
) -> None:
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)  # type: ignore[type-var]
    x, y = (rng.integers(info.min, info.max, s, dtype=dtype) for s in shapes)
    (got,) = ours(model("MatMul", [x, y]), [x, y])
    with np.errstate(over="ignore"):
        near(got, np.asarray(np.matmul(x, y)))


def test_a_constant_weight_is_stored_as_rows() -> None:
    x, w = floats(1, 4, 3), floats(2, 3, 5)
    graph = graph_of(model("MatMul", [x, w], constants={1}))
    kinds = [type(i).__name__ for i in graph.instructions]
    assert sorted(kinds) == ["Const", "Dot", "Input", "View", "View"]
    assert graph.instructions[places(graph, Dot)[0]].type.shape == (1, 4, 5)


@given(
    seed=SEEDS,
    sizes=st.tuples(EXTENTS, EXTENTS, EXTENTS),
    turned=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    factors=st.tuples(st.sampled_from([1.0, 0.5, 2.0]), st.sampled_from([1.0, 0.0, -3.0])),
    bias=st.sampled_from([None, "row", "column", "full", "scalar"]),
)
def test_gemm_is_its_formula(
    seed: int,
    sizes: tuple[int, int, int],
    turned: tuple[int, int],
    factors: tuple[float, float],
    bias: str | None,
) -> None:
    m, n, k = sizes
    x = floats(seed, *((k, m) if turned[0] else (m, k)))
    y = floats(seed + 1, *((n, k) if turned[1] else (k, n)))
    shape = {"row": (n,), "column": (m, 1), "full": (m, n), "scalar": ()}
    c = None if bias is None else floats(seed + 2, *shape[bias])
    inputs = [x, y] if c is None else [x, y, c]
    made = model(
        "Gemm", inputs, transA=turned[0], transB=turned[1], alpha=factors[0], beta=factors[1]
    )
    (got,) = ours(made, inputs)
    wide = x.astype(np.float64)
    product = (wide.T if turned[0] else wide) @ (y.T if turned[1] else y)
    total = factors[0] * product + (0 if c is None else factors[1] * c)
    near(got, total.astype(np.float32))


EQUATIONS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("bhtd,bhsd->bhts", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("i,j->ij", [(2,), (3,)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("...i->...", [(2, 3, 4)]),
    ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 5)]),
    ("abc,b->ac", [(2, 3, 4), (3,)]),
    ("aab,b->a", [(3, 3, 4), (4,)]),
    ("i,i,i->i", [(4,), (4,), (4,)]),
    ("ij,ij->", [(2, 3), (2, 3)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum_is_numpys(equation: str, shapes: list[tuple[int, ...]]) -> None:
    of_floats = [floats(i, *s) for i, s in enumerate(shapes)]
    (got,) = ours(model("Einsum", of_floats, equation=equation), of_floats)
    wanted = np.einsum(equation, *(a.astype(np.float64) for a in of_floats))
    near(got, np.asarray(wanted, np.float32))
    integers = [small_integers(i, np.int32, *s) for i, s in enumerate(shapes)]
    (got,) = ours(model("Einsum", integers, equation=equation), integers)
    near(got, np.asarray(np.einsum(equation, *integers)))


@given(size=st.integers(1, 6), seed=SEEDS)
def test_determinants_are_numpys(size: int, seed: int) -> None:
    x = floats(seed, 2, size, size)
    (got,) = ours(model("Det", [x]), [x])
    near(got, np.linalg.det(x.astype(np.float64)).astype(np.float32), rtol=1e-3, atol=1e-4)


REFUSED: list[tuple[str, list[Any], dict[str, Any], str]] = [
    ("MatMul", [floats(1, 2, 3), floats(1, 4, 2)], {}, "do not match"),
    ("MatMul", [small_integers(1, np.int32, 2, 2), floats(1, 2, 2)], {}, "wanted both float"),
    ("Det", [floats(1, 7, 7)], {}, "the most is 6"),
    ("Det", [floats(1, 2, 3)], {}, "wanted square"),
    ("Einsum", [floats(1, 2, 3), floats(1, 4, 2)], {"equation": "ij,jk"}, "has extents 3 and 4"),
    ("Einsum", [floats(1, 2, 3)], {"equation": "ij,jk"}, "names 2 of 1 operands"),
    ("Gemm", [small_integers(1, np.int32, 2, 2)] * 2, {"alpha": 0.5}, "scales integers"),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "match"), REFUSED)
def test_what_cannot_be_multiplied_is_refused_by_name(
    op: str, inputs: list[Any], attributes: dict[str, Any], match: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"^{op} `it` .*{match}"):
        graph_of(model(op, inputs, **attributes))
