"""Who may challenge, where a job does not admit everyone: OpenZeppelin's standard Merkle tree.

The tree over ``n`` sorted leaves is an array of ``2n - 1`` nodes with the root first; the children
of node ``i`` are ``2i + 1`` and ``2i + 2``, and the leaves stand last, in reverse.
"""

from collections.abc import Iterable, Sequence

from verifiable.crypto.address import address_bytes
from verifiable.crypto.hashing import keccak256
from verifiable.dispute.terms import ANYONE
from verifiable.errors import InputError
from verifiable.types import Address, Bytes32


def members_root(accounts: Sequence[Address]) -> Bytes32:
    """Root that a job names its challengers by.

    Parameters
    ----------
    accounts : sequence of Address
        In any order; nobody at all stands for everyone.

    References
    ----------
    `verifiable.dispute.rules.is_member` checks a proof.
    """
    return Bytes32(_tree(accounts)[0]) if accounts else ANYONE


def membership(accounts: Sequence[Address], account: Address) -> tuple[bytes, ...]:
    """Siblings that prove an account's place in the tree.

    Raises
    ------
    InputError
        If the account is not among them.
    """
    if account not in accounts:
        raise InputError(f"{account} is not among the {len(accounts)} challengers of the job")
    tree = _tree(accounts)
    place = len(tree) - 1 - _leaves(accounts).index(_leaf(account))
    found = []
    while place:
        found.append(tree[place + 1 if place % 2 else place - 1])
        place = (place - 1) // 2
    return tuple(found)


def _leaf(account: Address) -> bytes:
    return keccak256(keccak256(bytes(12) + address_bytes(account)))


def _leaves(accounts: Iterable[Address]) -> list[bytes]:
    return sorted({_leaf(account) for account in accounts})


def _tree(accounts: Sequence[Address]) -> list[bytes]:
    leaves = _leaves(accounts)
    tree = [b""] * (len(leaves) - 1) + leaves[::-1]
    for i in reversed(range(len(leaves) - 1)):
        pair = tree[2 * i + 1 : 2 * i + 3]
        tree[i] = keccak256(min(pair) + max(pair))
    return tree
