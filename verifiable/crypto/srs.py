"""SRS files for KZG over BN254, as halo2 writes them: identify, check, reduce, rebuild.

A file of level k holds, without separators: k as little-endian u32; ``2**k`` powers
``tau**i * G1``; as many Lagrange points ``L_i(tau) * G1`` over the ``2**k``-th roots of unity; G2;
``tau * G2``. Coordinates are little-endian and in Montgomery form.

Whoever knows tau can prove anything. A file is secure only if its digest is one of the perpetual
powers of tau ceremony's, which is package data here; every other file counts as insecure,
however well-formed it is. The checks of structure and pairing say something else: that the file
is consistent, so that keys made from it work.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from verifiable.crypto.bn254 import (
    BASE,
    G1,
    G2,
    GENERATOR,
    IDENTITY,
    msm,
    negate,
    pairing_product_is_one,
    parse_g1_montgomery,
    parse_g2_montgomery,
)
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.hashing import Json, sha256, sha256_file
from verifiable.errors import EncodingError, SrsRejectedError, StorageError
from verifiable.types import Sha256

MOST_K: Final = 28
"""The scalar field has no roots of unity of a higher order than ``2**28``."""

G2_GENERATOR: Final[G2] = (
    (
        0x1800DEEF121F1E76426A00665E5C4479674322D4F75EDADD46DEBD5CD992F6ED,
        0x198E9393920D483A7260BFB731FB5D25F1AA493335A9E71297E485B7AEF312C2,
    ),
    (
        0x12C85EA5DB8C6DEB4AAB71808DCB408FE3D1E7690C43D37B4CE6CC0166FA7DAA,
        0x090689D0585FF075EC9E99AD690C3395BC4B313370B38EF355ACDADCD122975B,
    ),
)
"""Generator of G2 (EIP-197)."""

REDUCED_BYTES: Final = 516
"""Length of a file of level 1, which is all that a verifier needs."""

_G1_BYTES: Final = 64
_G2_BYTES: Final = 128
# A cheater passes the check of a random combination with probability 2**-128.
_WEIGHT: Final = 2**128
_HALF: Final = (MODULUS + 1) // 2
_MONTGOMERY: Final = 2**256 % BASE

Draw = Callable[[int], int]
"""Gives a random integer below its argument, as ``secrets.randbelow`` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Srs:
    """What an SRS file is."""

    k: int
    """It serves circuits of up to ``2**k`` rows."""
    digest: Sha256
    insecure: bool
    """Whether it is anything but a file of the ceremony."""


@dataclass(frozen=True, slots=True)
class SrsFile:
    """A file whose length fits its level; points are read when they are asked for."""

    path: Path
    k: int

    @property
    def size(self) -> int:
        """Number of powers, and of Lagrange points."""
        return 1 << self.k

    def powers(self, start: int, count: int) -> list[G1]:
        """Read ``tau**i * G1`` for `count` values of i from `start`."""
        return self._points(start, count, "power")

    def lagrange(self, start: int, count: int) -> list[G1]:
        """Read ``L_i(tau) * G1`` for `count` values of i from `start`."""
        return self._points(self.size + start, count, "Lagrange point")

    def g2(self) -> tuple[G2, G2]:
        """Read G2 and ``tau * G2``."""
        data = self._read(4 + 2 * self.size * _G1_BYTES, 2 * _G2_BYTES)
        return (
            parse_g2_montgomery(data[:_G2_BYTES], "G2 in the SRS"),
            parse_g2_montgomery(data[_G2_BYTES:], "tau * G2 in the SRS"),
        )

    def _points(self, first: int, count: int, what: str) -> list[G1]:
        data = self._read(4 + first * _G1_BYTES, count * _G1_BYTES)
        return [
            parse_g1_montgomery(data[i : i + _G1_BYTES], f"{what} in the SRS")
            for i in range(0, len(data), _G1_BYTES)
        ]

    def _read(self, offset: int, count: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                data = file.read(count)
        except OSError as e:
            raise StorageError(f"cannot read SRS `{self.path}`: {e.strerror or e}") from e
        if len(data) != count:
            raise EncodingError(f"SRS `{self.path}` ends early")
        return data


def file_size(k: int) -> int:
    """Bytes of a file of level `k`.

    >>> file_size(1)
    516
    """
    return 4 + 2 * (_G1_BYTES << k) + 2 * _G2_BYTES


def open_srs(path: Path) -> SrsFile:
    """Look at the level and length of a file.

    Raises
    ------
    EncodingError
        If the length is not that of a file of its level.
    StorageError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
        size = path.stat().st_size
    except OSError as e:
        raise StorageError(f"cannot read SRS `{path}`: {e.strerror or e}") from e
    k = int.from_bytes(head, "little")
    if len(head) != 4 or not 1 <= k <= MOST_K:
        raise EncodingError(f"`{path}` is no SRS: its level is {k}, wanted 1 to {MOST_K}")
    if size != file_size(k):
        raise EncodingError(f"SRS `{path}` of level {k} has {size} bytes, wanted {file_size(k)}")
    return SrsFile(path, k)


def identify(path: Path) -> Srs:
    """Say what level a file has, and whether it is the ceremony's, by its digest.

    Raises
    ------
    EncodingError
        If it is no SRS file.
    StorageError
        If it cannot be read.
    """
    k = open_srs(path).k
    digest = sha256_file(path)
    return Srs(k=k, digest=digest, insecure=digest != ceremony_digest(k))


def identify_reduced(data: bytes) -> Srs:
    """Say whether a verifier's 516 bytes stem from the ceremony.

    What `reduced` makes of a ceremony file of any level is the ceremony's file of level 1.

    Raises
    ------
    EncodingError
        If `data` is no SRS of level 1.
    """
    verifier_points(data)
    digest = sha256(data)
    return Srs(k=1, digest=digest, insecure=digest != ceremony_digest(1))


def check_structure(path: Path) -> SrsFile:
    """Check the length, the generators, and that tau's points are of the right groups.

    Raises
    ------
    EncodingError
        If the length is wrong or a point is not on its curve.
    SrsRejectedError
        If the generators are not BN254's, or tau is 0.
    StorageError
        If the file cannot be read.
    """
    srs = open_srs(path)
    one, tau_g1 = srs.powers(0, 2)
    if one != GENERATOR:
        raise SrsRejectedError(f"SRS `{path}` starts with {one}, wanted the generator of G1")
    if tau_g1 == IDENTITY:
        raise SrsRejectedError(f"SRS `{path}` was made with tau = 0")
    if srs.g2()[0] != G2_GENERATOR:
        raise SrsRejectedError(f"SRS `{path}` has another G2 than BN254's generator")
    return srs


def check_pairing(path: Path, *, sample: int = 1024, draw: Draw = secrets.randbelow) -> None:
    """Check by pairings that all points stem from one tau.

    0. The structure (`check_structure`).
    1. ``e(tau * G1, G2) = e(G1, tau * G2)``.
    2. Each power is tau times the one before.
    3. The Lagrange points add up to G1.
    4. ``(tau / w**i - 1) * L_i`` is the same point for all i, with w the root of unity. With
       step 3 that leaves one value for each.

    Steps 2 and 4 take at most `sample` indices, chosen by `draw`; all of them up to that size.

    Raises
    ------
    EncodingError, StorageError
        As `check_structure`.
    SrsRejectedError
        If a step fails.
    """
    srs = check_structure(path)
    g2, tau_g2 = srs.g2()

    def times_tau(points: G1, expected: G1) -> bool:
        return pairing_product_is_one([(points, tau_g2), (negate(expected), g2)])

    if not times_tau(GENERATOR, srs.powers(1, 1)[0]):
        raise SrsRejectedError(f"SRS `{path}`: G1 and G2 were multiplied by different tau")

    chosen = _choose(srs.size - 1, sample, draw)
    weights = [draw(_WEIGHT) for _ in chosen]
    pairs = [srs.powers(i, 2) for i in chosen]
    if not times_tau(msm([p for p, _ in pairs], weights), msm([p for _, p in pairs], weights)):
        raise SrsRejectedError(f"SRS `{path}`: a power is not tau times the one before")

    if _sum_of_lagrange(srs) != GENERATOR:
        raise SrsRejectedError(f"SRS `{path}`: the Lagrange points do not add up to G1")

    chosen = _choose(srs.size, sample, draw)
    # Weights that add up to zero cancel the unknown point that is common to all i.
    weights = [draw(_WEIGHT) for _ in chosen[1:]]
    weights.append(-sum(weights))
    inverse_root = pow(root_of_unity(srs.k), -1, MODULUS)
    turned = [w * pow(inverse_root, i, MODULUS) for w, i in zip(weights, chosen, strict=True)]
    taken = [srs.lagrange(i, 1)[0] for i in chosen]
    if not times_tau(msm(taken, turned), msm(taken, weights)):
        raise SrsRejectedError(f"SRS `{path}`: a Lagrange point is not that of tau")


def root_of_unity(k: int) -> int:
    """Root of unity of order ``2**k`` in the scalar field, as halo2 chooses it.

    >>> pow(root_of_unity(3), 4, MODULUS) == MODULUS - 1
    True
    """
    # 7 generates the multiplicative group.
    return pow(7, (MODULUS - 1) >> k, MODULUS)


def reduced(path: Path) -> bytes:
    """Make the 516-byte file that verifying needs from one of any level.

    It is the file of level 1 of the same tau. The file itself is not checked.

    Raises
    ------
    EncodingError, StorageError
        As `open_srs`; also if a point that is read is malformed.
    """
    srs = open_srs(path)
    return _level_1(srs.powers(1, 1)[0], *srs.g2())


def verifier_points(data: bytes) -> tuple[G2, G2]:
    """Read G2 and ``tau * G2`` from a file of level 1.

    Parameters
    ----------
    data : bytes
        What `reduced` returned.

    Returns
    -------
    pair of G2
        Affine, each coordinate ``(c0, c1)``.

    Raises
    ------
    EncodingError
        If `data` is not the one file of level 1 with those points.
    """
    if len(data) != REDUCED_BYTES or data[:4] != b"\x01\0\0\0":
        raise EncodingError(f"reduced SRS has {len(data)} bytes, wanted {REDUCED_BYTES} of level 1")
    tau_g1 = parse_g1_montgomery(data[4 + _G1_BYTES : 4 + 2 * _G1_BYTES], "tau * G1 in the SRS")
    # All but the last point follows from tau * G1; the generator stands in for the last here.
    if _level_1(tau_g1, G2_GENERATOR, G2_GENERATOR)[:-_G2_BYTES] != data[:-_G2_BYTES]:
        raise EncodingError("reduced SRS does not follow from its own tau")
    return G2_GENERATOR, parse_g2_montgomery(data[-_G2_BYTES:], "tau * G2 in the SRS")


def encode_srs(powers: Sequence[G1], lagrange: Sequence[G1], g2: G2, tau_g2: G2) -> bytes:
    """Write a file of points.

    Parameters
    ----------
    powers, lagrange : sequences of G1
        ``2**k`` points each.
    g2, tau_g2 : G2
    """
    k = len(powers).bit_length() - 1
    assert len(powers) == len(lagrange) == 1 << k, (len(powers), len(lagrange))
    coordinates = [c for point in (*powers, *lagrange) for c in point]
    coordinates += [c for point in (g2, tau_g2) for pair in point for c in pair]
    return k.to_bytes(4, "little") + b"".join(_montgomery_bytes(c) for c in coordinates)


def ceremony_digest(k: int) -> Sha256 | None:
    """SHA-256 of the ceremony's file of level `k`, or None if that is not known."""
    text = _ceremony()["sha256_by_k"].get(str(k))
    return None if text is None else Sha256(bytes.fromhex(text))


def rebuild_k1() -> bytes:
    """Make the ceremony's file of level 1 from the points of tau alone.

    Raises
    ------
    SrsRejectedError
        If its digest is not the ceremony's: the package data were changed.

    Examples
    --------
    >>> len(rebuild_k1())
    516
    """
    data = _ceremony()
    x = int(data["tau_g1_x"], 16)
    (x0, x1), (y0, y1) = ([int(c, 16) for c in pair] for pair in data["tau_g2"])
    # q is 3 mod 4, so a square's root is its (q + 1) / 4-th power, up to the sign.
    y = pow(x**3 + 3, (BASE + 1) // 4, BASE)
    for tau_g1 in ((x, y), (x, BASE - y)):
        made = _level_1(tau_g1, G2_GENERATOR, ((x0, x1), (y0, y1)))
        if sha256(made) == ceremony_digest(1):
            return made
    raise SrsRejectedError("the ceremony's points do not give its file of level 1")


def _level_1(tau_g1: G1, g2: G2, tau_g2: G2) -> bytes:
    # Over the roots 1 and -1: L_0(X) = (1 + X) / 2 and L_1(X) = (1 - X) / 2.
    points = (GENERATOR, tau_g1)
    lagrange = (msm(points, (_HALF, _HALF)), msm(points, (_HALF, -_HALF)))
    return encode_srs(points, lagrange, g2, tau_g2)


def _sum_of_lagrange(srs: SrsFile) -> G1:
    # In pieces, since a million points as Python integers take half a gigabyte.
    step = min(srs.size, 1 << 14)
    pieces = [msm(srs.lagrange(i, step), [1] * step) for i in range(0, srs.size, step)]
    return msm(pieces, [1] * len(pieces))


def _montgomery_bytes(coordinate: int) -> bytes:
    return (coordinate * _MONTGOMERY % BASE).to_bytes(32, "little")


def _choose(size: int, sample: int, draw: Draw) -> Sequence[int]:
    if size <= sample:
        return range(size)
    chosen: set[int] = set()
    while len(chosen) < sample:
        chosen.add(draw(size))
    return sorted(chosen)


@cache
def _ceremony() -> Json:
    return json.loads((files("verifiable.crypto") / "bn254_ceremony.json").read_text())
