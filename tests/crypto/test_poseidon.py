"""Poseidon, where ezkl is absent; `test_agreement_with_ezkl` holds the rest."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.felt import MODULUS, felt_from_ezkl
from verifiable.crypto.poseidon import mds_matrix, permute, poseidon_hash, round_constants
from verifiable.errors import EncodingError
from verifiable.types import Felt


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        # ezkl 23.0.5, `poseidon_hash`
        ([1], "90bbb9c2adeaf0b1cc6c34ed80f11266193aef9e5cfd18a6a1ca283261695608"),
        ([0], "c9ee727ef8f6307295e9e69831ecddb7866fa7c072dc626ad45a803258c2d411"),
        ([0, 0], "ee80eb272d22c704407fa96076a9725cc6be7e6a2bacb7a08706d81922cc0d28"),
        ([0] * 33, "c892977f00268fd32337354041f3c5670311cfb2aaa537f565e332706377d313"),
    ],
)
def test_recorded_digests_hold(message: list[int], digest: str) -> None:
    assert poseidon_hash([Felt(x) for x in message]) == felt_from_ezkl(digest)


def test_the_matrix_and_constants_are_invertible_and_canonical() -> None:
    (a, b), (c, d) = mds_matrix()
    # A maximum distance separable matrix of width 2: no zero entry, no zero determinant.
    assert 0 not in (a, b, c, d)
    assert (a * d - b * c) % MODULUS
    assert len(round_constants()) == 64
    assert all(0 <= x < MODULUS for pair in round_constants() for x in pair)


@given(st.integers(0, MODULUS - 1), st.integers(0, MODULUS - 1))
def test_the_permutation_depends_only_on_residues(x: int, y: int) -> None:
    assert permute((x, y)) == permute((x + MODULUS, y + 2 * MODULUS))


@given(st.lists(st.integers(0, MODULUS - 1).map(Felt), min_size=1, max_size=4))
def test_appended_zeros_change_the_hash(message: list[Felt]) -> None:
    assert poseidon_hash(message) != poseidon_hash([*message, Felt(0)])


def test_an_empty_tensor_is_refused() -> None:
    with pytest.raises(EncodingError, match="empty"):
        poseidon_hash([])


def test_784_felts_take_less_than_a_second_of_cpu() -> None:
    started = time.process_time()
    poseidon_hash([Felt(i) for i in range(784)])
    assert time.process_time() - started < 1
