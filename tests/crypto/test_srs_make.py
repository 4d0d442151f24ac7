"""Development SRS files of several levels are consistent and of one tau."""

from pathlib import Path

import pytest

from verifiable.crypto.bn254 import GENERATOR, msm
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.srs import check_pairing, open_srs, reduced
from verifiable.crypto.srs_make import make_srs

TAU = 0x123456789ABCDEF0FEDCBA9876543210 << 100


def test_files_of_all_levels_pass_the_pairing_check_and_share_tau(tmp_path: Path) -> None:
    verifier = set()
    for level, data in make_srs([1, 3, 4], TAU):
        path = tmp_path / f"{level}.srs"
        path.write_bytes(data)
        assert open_srs(path).k == level
        check_pairing(path)
        verifier.add(reduced(path))
    assert len(verifier) == 1


@pytest.mark.parametrize("tau", [2, 255, 256, MODULUS - 2])
def test_powers_are_those_of_tau(tau: int, tmp_path: Path) -> None:
    ((_, data),) = make_srs([3], tau)
    (tmp_path / "srs").write_bytes(data)
    powers = open_srs(tmp_path / "srs").powers(0, 8)
    assert powers == [msm([GENERATOR], [pow(tau, i, MODULUS)]) for i in range(8)]
