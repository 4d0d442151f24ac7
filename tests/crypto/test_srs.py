"""SRS files: the ceremony's, made-up ones, and broken ones."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from costly import costly
from hypothesis import given
from hypothesis import strategies as st
from py_ecc import optimized_bn128 as curve

from verifiable.crypto.bn254 import G1, G2, GENERATOR
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.kzg import commit, interpolate
from verifiable.crypto.srs import (
    G2_GENERATOR,
    SrsFile,
    ceremony_digest,
    check_pairing,
    check_structure,
    encode_srs,
    identify,
    identify_reduced,
    open_srs,
    rebuild_k1,
    reduced,
    root_of_unity,
    verifier_points,
)
from verifiable.errors import EncodingError, SrsRejectedError, StorageError
from verifiable.types import Felt

TAU = 0x1234567890ABCDEF


def g1(scalar: int) -> G1:
    x, y = curve.normalize(curve.multiply(curve.G1, scalar % MODULUS))
    return int(x), int(y)


def g2(scalar: int) -> G2:
    x, y = curve.normalize(curve.multiply(curve.G2, scalar % MODULUS))
    (x0, x1), (y0, y1) = ([int(c) for c in pair.coeffs] for pair in (x, y))
    return (x0, x1), (y0, y1)


def lagrange(k: int, tau: int) -> list[int]:
    """Values at tau of the polynomials that are 1 at one root of unity and 0 at the others."""
    roots = [pow(root_of_unity(k), i, MODULUS) for i in range(1 << k)]
    values = []
    for x in roots:
        value = 1
        for y in roots:
            if y != x:
                value = value * (tau - y) * pow(x - y, -1, MODULUS) % MODULUS
        values.append(value)
    return values


def srs_bytes(k: int = 3, tau: int = TAU) -> bytes:
    powers = [g1(pow(tau, i, MODULUS)) for i in range(1 << k)]
    return encode_srs(powers, [g1(x) for x in lagrange(k, tau)], g2(1), g2(tau))


@pytest.fixture(scope="module")
def honest() -> bytes:
    return srs_bytes()


@pytest.fixture(scope="module")
def small(honest: bytes, tmp_path_factory: pytest.TempPathFactory) -> SrsFile:
    path = tmp_path_factory.mktemp("srs") / "k3"
    path.write_bytes(honest)
    return open_srs(path)


def swap(data: bytes, first: int, second: int, size: int = 64) -> bytes:
    """Exchange the pieces of a file that begin at two offsets."""
    changed = bytearray(data)
    changed[first : first + size] = data[second : second + size]
    changed[second : second + size] = data[first : first + size]
    return bytes(changed)


def test_the_generator_is_that_of_py_ecc() -> None:
    assert g2(1) == G2_GENERATOR
    assert g1(1) == GENERATOR


def test_the_root_of_unity_is_halo2s() -> None:
    # `ROOT_OF_UNITY` of halo2curves' bn256::Fr
    known = 0x03DDB9F5166D18B798865EA93DD31F743215CF6DD39329C8D34F1ED960C37C9C
    assert root_of_unity(28) == known


def test_the_ceremonys_smallest_file_is_rebuilt_from_its_points(tmp_path: Path) -> None:
    data = rebuild_k1()
    # The digest published for the ceremony's file of level 1.
    known = "cafb2aa72c200ddc4e28aacabb8066e829207e2484b8d17059a566232f8a297b"
    assert hashlib.sha256(data).hexdigest() == known
    (tmp_path / "k1").write_bytes(data)
    check_pairing(tmp_path / "k1")
    found = identify(tmp_path / "k1")
    assert (found.k, found.digest, found.insecure) == (1, ceremony_digest(1), False)
    assert reduced(tmp_path / "k1") == data
    assert not identify_reduced(data).insecure


def test_the_ceremonys_points_are_those_in_its_file() -> None:
    one, tau = verifier_points(rebuild_k1())
    assert one == G2_GENERATOR
    assert tau[0][0] == 0x17944351223333F260DDC3B4AF45191B856689EDA9EAB5CBCDDBBE570CE860D2


@pytest.mark.parametrize("sample", [3, 1000])
def test_an_honest_file_is_consistent_and_insecure(
    honest: bytes, tmp_path: Path, sample: int
) -> None:
    path = tmp_path / "srs"
    path.write_bytes(honest)
    check_pairing(path, sample=sample)
    assert identify(path).insecure
    assert identify_reduced(reduced(path)).insecure
    assert verifier_points(reduced(path)) == (g2(1), g2(TAU))


def test_a_reduced_file_is_the_smallest_of_the_same_tau(honest: bytes, tmp_path: Path) -> None:
    (tmp_path / "srs").write_bytes(honest)
    assert reduced(tmp_path / "srs") == srs_bytes(1)


POWERS, LAGRANGE, END = 4, 4 + 8 * 64, 4 + 16 * 64


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (POWERS + 3 * 64, POWERS + 4 * 64, "not tau times the one before"),
        (POWERS + 7 * 64, LAGRANGE, "not tau times the one before"),
        (LAGRANGE, LAGRANGE + 64, "not that of tau"),
        (LAGRANGE + 5 * 64, LAGRANGE + 6 * 64, "not that of tau"),
    ],
)
def test_exchanged_points_are_noticed(
    honest: bytes, tmp_path: Path, first: int, second: int, message: str
) -> None:
    path = tmp_path / "srs"
    path.write_bytes(swap(honest, first, second))
    with pytest.raises(SrsRejectedError, match=message):
        check_pairing(path)


def test_one_false_lagrange_point_is_noticed_whatever_the_sample(
    honest: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "srs"
    path.write_bytes(honest[: END - 64] + honest[POWERS : POWERS + 64] + honest[END:])
    with pytest.raises(SrsRejectedError, match="do not add up"):
        check_pairing(path, sample=2)


def rewrite(powers: Sequence[int] = (1, TAU), g2_side: tuple[int, int] = (1, TAU)) -> bytes:
    return encode_srs([g1(x) for x in powers], [g1(3)] * len(powers), *map(g2, g2_side))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (rewrite(powers=(2, TAU)), "wanted the generator of G1"),
        (rewrite(g2_side=(2, TAU)), "another G2 than BN254's"),
        (rewrite(g2_side=(1, TAU + 1)), "different tau"),
    ],
)
def test_points_of_another_group_or_tau_are_noticed(
    data: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "srs").write_bytes(data)
    with pytest.raises(SrsRejectedError, match=message):
        check_pairing(tmp_path / "srs")


def test_tau_of_zero_is_noticed(honest: bytes, tmp_path: Path) -> None:
    (tmp_path / "srs").write_bytes(honest[:68] + bytes(64) + honest[132:])
    with pytest.raises(SrsRejectedError, match="tau = 0"):
        check_structure(tmp_path / "srs")


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda data: data[:3],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\0\0\0\0" + data[4:],
        lambda data: b"\x1d\0\0\0" + data[4:],
        lambda data: b"\x02\0\0\0" + data[4:],
        lambda data: b"\xff" * len(data),
    ],
)
def test_files_of_another_shape_are_refused(
    honest: bytes, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "srs").write_bytes(change(honest))
    for look in (open_srs, identify, check_structure, reduced):
        with pytest.raises(EncodingError):
            look(tmp_path / "srs")


def test_points_off_the_curve_are_refused(honest: bytes, tmp_path: Path) -> None:
    (tmp_path / "srs").write_bytes(honest[:68] + b"\x01" + honest[69:])
    with pytest.raises(EncodingError, match="not on the curve"):
        check_structure(tmp_path / "srs")
    (tmp_path / "srs").write_bytes(honest[:-1] + bytes([honest[-1] ^ 1]))
    with pytest.raises(EncodingError, match="not in the subgroup"):
        check_structure(tmp_path / "srs")


@costly(st.integers(0, 515), st.integers(1, 255))
def test_every_changed_byte_of_a_verifiers_file_is_refused(at: int, mask: int) -> None:
    data = bytearray(rebuild_k1())
    data[at] ^= mask
    with pytest.raises(EncodingError):
        verifier_points(bytes(data))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent"):
        identify(tmp_path / "absent")


@given(st.lists(st.integers(0, MODULUS - 1), min_size=8, max_size=8))
def test_interpolation_goes_through_the_values(values: list[int]) -> None:
    coefficients = interpolate(values)
    for i, value in enumerate(values):
        x = pow(root_of_unity(3), i, MODULUS)
        assert sum(c * pow(x, j, MODULUS) for j, c in enumerate(coefficients)) % MODULUS == value


@costly(st.lists(st.integers(0, MODULUS - 1).map(Felt), max_size=7))
def test_a_commitment_is_the_polynomials_value_at_tau(small: SrsFile, message: list[Felt]) -> None:
    point = commit(message, small, 3, unusable_rows=1)[0]
    values = [*message, *[0] * (7 - len(message)), 1]
    at_tau = sum(v * x for v, x in zip(values, lagrange(3, TAU), strict=True))
    assert point == g1(at_tau)


def test_an_srs_that_is_too_small_is_refused(honest: bytes, tmp_path: Path) -> None:
    (tmp_path / "srs").write_bytes(honest)
    with pytest.raises(EncodingError, match="cannot commit"):
        commit([], open_srs(tmp_path / "srs"), 4)
