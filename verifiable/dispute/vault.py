"""Deposits as plain numbers; ``contracts/src/market/StakeVault.sol`` mirrors it.

At every moment ``deposited = free + reserved + burnt + withdrawn``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from verifiable.dispute.errors import (
    FreeTooLittleError,
    NotAllowedError,
    ReservedTooLittleError,
)
from verifiable.types import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """Accounts of one token; every move gives a new vault."""

    free: Mapping[Address, int] = field(default_factory=dict)
    reserved: Mapping[tuple[Address, Address], int] = field(default_factory=dict)
    """By account and the contract that holds it."""
    allowed: frozenset[tuple[Address, Address]] = frozenset()
    """Account and contract that may reserve of it."""
    burnt: int = 0

    @property
    def held(self) -> int:
        """All that was deposited and not withdrawn."""
        return sum(self.free.values()) + sum(self.reserved.values()) + self.burnt

    def free_of(self, account: Address) -> int:
        """What an account may withdraw or have reserved."""
        return self.free.get(account, 0)

    def reserved_of(self, account: Address, spender: Address) -> int:
        """What a contract holds of an account."""
        return self.reserved.get((account, spender), 0)

    def deposit(self, account: Address, amount: int) -> "Vault":
        """Add to an account."""
        return replace(self, free={**self.free, account: self.free_of(account) + amount})

    def withdraw(self, account: Address, amount: int) -> "Vault":
        """Take out of an account's free deposit.

        Raises
        ------
        FreeTooLittleError
            If less is free.
        """
        has = self.free_of(account)
        if amount > has:
            raise FreeTooLittleError(account, has, amount)
        return replace(self, free={**self.free, account: has - amount})

    def allow(self, account: Address, spender: Address, *, allowed: bool = True) -> "Vault":
        """Let a contract reserve parts of an account, or no more."""
        pair = frozenset({(account, spender)})
        after = self.allowed | pair if allowed else self.allowed - pair
        return replace(self, allowed=after)

    def reserve(self, account: Address, spender: Address, amount: int) -> "Vault":
        """Set a part of an account aside.

        Raises
        ------
        NotAllowedError
            If the account did not allow the contract.
        FreeTooLittleError
            If less is free.
        """
        if (account, spender) not in self.allowed:
            raise NotAllowedError(account, spender)
        held = self.reserved_of(account, spender) + amount
        rest = self.withdraw(account, amount)
        return replace(rest, reserved={**self.reserved, (account, spender): held})

    def release(self, account: Address, spender: Address, amount: int) -> "Vault":
        """Give what a contract holds back to its account; see `move`."""
        return self.move(account, account, spender, amount)

    def move(self, source: Address, to: Address, spender: Address, amount: int) -> "Vault":
        """Give what a contract holds of one account to the free deposit of another.

        Raises
        ------
        ReservedTooLittleError
            If the contract holds less.
        """
        return self._unhold(source, spender, amount).deposit(to, amount)

    def burn(self, source: Address, spender: Address, amount: int) -> "Vault":
        """Put what a contract holds out of everyone's reach.

        Raises
        ------
        ReservedTooLittleError
            If the contract holds less.
        """
        rest = self._unhold(source, spender, amount)
        return replace(rest, burnt=self.burnt + amount)

    def _unhold(self, account: Address, spender: Address, amount: int) -> "Vault":
        held = self.reserved_of(account, spender)
        if amount > held:
            raise ReservedTooLittleError(account, spender, held, amount)
        return replace(self, reserved={**self.reserved, (account, spender): held - amount})
