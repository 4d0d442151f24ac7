"""Points, sums and pairings are py-ecc's, and every encoding is the only one."""

from collections.abc import Callable
from typing import Any

import pytest
from costly import costly
from hypothesis import given
from hypothesis import strategies as st
from py_ecc import optimized_bn128 as reference

from verifiable.crypto.bn254 import (
    BASE,
    G1,
    G2,
    GENERATOR,
    IDENTITY,
    encode_g1,
    in_g2,
    invert_all,
    msm,
    negate,
    on_curve,
    pairing_product_is_one,
    parse_g1,
    parse_g1_montgomery,
    parse_g2_montgomery,
)
from verifiable.crypto.felt import MODULUS
from verifiable.errors import EncodingError

scalars = st.integers(0, MODULUS - 1) | st.sampled_from([0, 1, 2, MODULUS - 1])


def affine1(point: Any) -> G1:
    if reference.is_inf(point):
        return IDENTITY
    x, y = reference.normalize(point)
    return int(x), int(y)


def affine2(point: Any) -> G2:
    (x, y) = reference.normalize(point)
    (x0, x1), (y0, y1) = x.coeffs, y.coeffs
    return (int(x0), int(x1)), (int(y0), int(y1))


def times1(scalar: int) -> G1:
    return affine1(reference.multiply(reference.G1, scalar))


def times2(scalar: int) -> G2:
    return affine2(reference.multiply(reference.G2, scalar))


G2_GENERATOR = times2(1)
points = scalars.map(times1)


def montgomery(*coordinates: int) -> bytes:
    return b"".join(((c << 256) % BASE).to_bytes(32, "little") for c in coordinates)


@given(points)
def test_points_read_back_as_they_were_written(point: G1) -> None:
    if point == IDENTITY:
        with pytest.raises(EncodingError, match="not on the curve"):
            parse_g1(encode_g1(point))
    else:
        assert parse_g1(encode_g1(point)) == point
    assert parse_g1_montgomery(montgomery(*point)) == point


@given(st.binary(min_size=64, max_size=64))
def test_bytes_that_are_read_are_those_that_would_be_written(data: bytes) -> None:
    try:
        point = parse_g1(data)
    except EncodingError:
        return
    assert encode_g1(point) == data


@given(points.filter(lambda p: p != IDENTITY), st.integers(0, 511))
def test_no_neighbour_of_a_point_is_a_point(point: G1, bit: int) -> None:
    data = (int.from_bytes(encode_g1(point), "big") ^ 1 << bit).to_bytes(64, "big")
    with pytest.raises(EncodingError):
        parse_g1(data)


@pytest.mark.parametrize("parse", [parse_g1, parse_g1_montgomery])
@pytest.mark.parametrize("at", [0, 32])
def test_refuses_coordinates_not_below_the_modulus(parse: Callable[..., G1], at: int) -> None:
    order = "big" if parse is parse_g1 else "little"
    data = encode_g1(GENERATOR) if parse is parse_g1 else montgomery(*GENERATOR)
    value = int.from_bytes(data[at : at + 32], order) + BASE  # type: ignore[arg-type]
    data = data[:at] + value.to_bytes(32, order) + data[at + 32 :]  # type: ignore[arg-type]
    with pytest.raises(EncodingError, match=r"W: coordinate .* not below"):
        parse(data, "W")


@pytest.mark.parametrize("length", [0, 63, 65, 127, 129])
def test_refuses_other_lengths(length: int) -> None:
    for parse in (parse_g1, parse_g1_montgomery, parse_g2_montgomery):
        with pytest.raises(EncodingError, match=f"W is {length} bytes long"):
            parse(bytes(length), "W")


@costly(st.lists(st.tuples(points, scalars), max_size=9))
def test_sum_is_py_eccs(terms: list[tuple[G1, int]]) -> None:
    total = reference.Z1
    for (x, y), scalar in terms:
        if (x, y) != IDENTITY:
            point = (reference.FQ(x), reference.FQ(y), reference.FQ.one())
            total = reference.add(total, reference.multiply(point, scalar))
    assert msm([p for p, _ in terms], [s for _, s in terms]) == affine1(total)


@pytest.mark.parametrize("count", [1, 2, 3, 31, 100, 300])
def test_sum_of_multiples_of_the_generator_is_a_multiple(count: int) -> None:
    # Repeated and opposite points meet in the buckets.
    bases = [GENERATOR if i % 3 else negate(GENERATOR) for i in range(count)]
    weights = [pow(7, i, MODULUS) for i in range(count)]
    total = sum(w if i % 3 else -w for i, w in enumerate(weights))
    assert msm(bases, weights) == times1(total % MODULUS)


def test_sum_takes_scalars_modulo_the_order() -> None:
    assert msm([GENERATOR], [MODULUS + 5]) == msm([GENERATOR], [5 - MODULUS]) == times1(5)
    assert msm([], []) == IDENTITY


@given(points, points)
def test_points_are_on_the_curve_and_negate(a: G1, b: G1) -> None:
    total = msm([a, b], [1, 1])
    assert total == IDENTITY or on_curve(total)
    assert msm([a, negate(a)], [1, 1]) == IDENTITY


@pytest.mark.parametrize(
    ("a", "b"),
    [pytest.param(1, 1, marks=pytest.mark.slow), (5, 7), (MODULUS - 1, 3**150 % MODULUS)],
)
def test_product_is_one_exactly_where_py_ecc_says_so(a: int, b: int) -> None:
    for factor in (MODULUS - 1, 1):
        pairs = [(times1(a), times2(b)), (times1(a * b * factor % MODULUS), G2_GENERATOR)]
        product = reference.FQ12.one()
        for p, q in (
            (reference.multiply(reference.G1, a), reference.multiply(reference.G2, b)),
            (reference.multiply(reference.G1, a * b * factor % MODULUS), reference.G2),
        ):
            product *= reference.pairing(q, p, final_exponentiate=False)
        wanted = reference.final_exponentiate(product) == reference.FQ12.one()
        assert pairing_product_is_one(pairs) == wanted


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 3), (MODULUS - 1, 3**150), (7**80, 11**70)])
def test_pairing_is_bilinear(a: int, b: int) -> None:
    left, right = times1(a), times2(b)
    product = times1(a * b % MODULUS)
    assert pairing_product_is_one([(left, right), (negate(product), G2_GENERATOR)])
    assert not pairing_product_is_one([(left, right), (product, G2_GENERATOR)])


def test_infinity_pairs_to_one() -> None:
    assert pairing_product_is_one([])
    assert pairing_product_is_one([(IDENTITY, G2_GENERATOR)])


@pytest.mark.parametrize("scalar", [1, 2, 3**150 % MODULUS, MODULUS - 1])
def test_multiples_of_the_generator_are_in_g2(scalar: int) -> None:
    point = times2(scalar)
    assert in_g2(point)
    (x, y) = point
    assert parse_g2_montgomery(montgomery(*x, *y)) == point
    assert not in_g2((x, (y[0], (y[1] + 1) % BASE)))
    assert not in_g2(((x[0] + BASE, x[1]), y))


def test_points_of_the_twist_of_other_order_are_not_in_g2() -> None:
    x = (26, 0)
    y = (
        12505688789290727353251805420284551146134220387312451151558198161901070586656,
        14980785661444127950614133585607267465780431701147985578681764807099042996190,
    )
    point = (reference.FQ2(x), reference.FQ2(y), reference.FQ2.one())
    assert reference.is_on_curve(point, reference.b2)
    assert not reference.is_inf(reference.multiply(point, MODULUS))
    assert not in_g2((x, y))
    with pytest.raises(EncodingError, match="W is not in the subgroup"):
        parse_g2_montgomery(montgomery(*x, *y), "W")


def test_infinity_is_not_in_g2() -> None:
    with pytest.raises(EncodingError, match="subgroup"):
        parse_g2_montgomery(bytes(128))


@given(st.lists(st.integers(1, MODULUS - 1), max_size=20))
def test_inverses_are_inverses(values: list[int]) -> None:
    inverses = invert_all(values)
    assert inverses == [pow(value, MODULUS - 2, MODULUS) for value in values]


@given(st.lists(st.integers(1, MODULUS - 1), max_size=5), st.integers(0, 5))
def test_zero_has_no_inverse(values: list[int], at: int) -> None:
    with pytest.raises(ZeroDivisionError):
        invert_all([*values[:at], 0, *values[at:]])
