"""Lists of challengers: proofs of their members, and of nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.address import checksum_address
from verifiable.dispute.members import members_root, membership
from verifiable.dispute.rules import is_member
from verifiable.dispute.terms import ANYONE
from verifiable.errors import InputError
from verifiable.types import Address

ACCOUNTS = st.binary(min_size=20, max_size=20).map(checksum_address)


@given(st.lists(ACCOUNTS, min_size=1, max_size=40, unique=True), st.data())
def test_every_member_is_proven_in_a_few_hashes(
    accounts: list[Address], data: st.DataObject
) -> None:
    root = members_root(accounts)
    for account in accounts:
        proof = membership(accounts, account)
        assert is_member(root, account, proof)
        assert len(proof) <= (len(accounts) - 1).bit_length()
    shuffled = data.draw(st.permutations(accounts))
    assert members_root(shuffled) == root


@given(st.lists(ACCOUNTS, min_size=2, max_size=20, unique=True))
def test_who_is_not_a_member_is_refused(accounts: list[Address]) -> None:
    *members, stranger = accounts
    with pytest.raises(InputError, match="not among"):
        membership(members, stranger)
    root = members_root(members)
    assert not any(is_member(root, stranger, membership(members, one)) for one in members)


def test_an_empty_list_admits_everyone() -> None:
    assert members_root(()) == ANYONE
