"""The vault gives back what was put in, to whom it is owed, whatever tokens and payees do."""

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from market_lab import ZERO, Contract, RefusedError, artifacts, deploy

from verifiable.chain.embedded import EmbeddedChain
from verifiable.crypto.address import checksum_address
from verifiable.types import Address

pytestmark = pytest.mark.evm

PLAIN, RETURNS_NOTHING, RETURNS_FALSE, TAKES_FEE, CALLS_SENDER = range(5)
MAX = 2**256 - 1


@dataclass
class Bank:
    """A vault with its token, if it has one, and accounts that own some of it."""

    chain: EmbeddedChain
    token: Contract | None
    vault: Contract

    def give(self, account: Address, amount: int) -> None:
        if self.token is not None:
            self.token.send("mint", account, amount)
            self.token.send("approve", self.vault.address, MAX, sender=account)

    def deposit(self, account: Address, amount: int, sender: Address) -> None:
        value = amount if self.token is None else 0
        self.vault.send("deposit", account, amount, sender=sender, value=value)

    def holds(self, account: Address) -> int:
        if self.token is None:
            return self.chain.balance(account)
        return int(self.token.call("balanceOf", account))


def bank(habit: int | None) -> Bank:
    """A vault of the native coin, or of a token of some habit."""
    chain, built = EmbeddedChain(), artifacts()
    token = None if habit is None else deploy(chain, built["OddToken"], habit)
    vault = deploy(chain, built["StakeVault"], token.address if token else ZERO)
    made = Bank(chain, token, vault)
    for account in chain.accounts:
        made.give(account, 10**24)
    return made


def actor(b: Bank) -> Contract:
    made = deploy(b.chain, artifacts()["Actor"])
    if b.token is not None:
        b.token.send("mint", made.address, 10**24)
    return made


@dataclass
class Books:
    """What the vault's texts say, in Python."""

    free: dict[Address, int] = field(default_factory=dict)
    held: dict[tuple[Address, Address], int] = field(default_factory=dict)
    allowed: set[tuple[Address, Address]] = field(default_factory=set)
    burnt: int = 0
    deposited: int = 0
    withdrawn: int = 0

    def pay(self, account: Address, amount: int) -> None:
        self.free[account] = self.free.get(account, 0) + amount

    def short(self, account: Address, amount: int) -> tuple[str, tuple[object, ...]] | None:
        has = self.free.get(account, 0)
        return ("FreeTooLittle", (account.lower(), has, amount)) if amount > has else None

    def unheld(
        self, account: Address, spender: Address, amount: int
    ) -> tuple[str, tuple[object, ...]] | None:
        has = self.held.get((account, spender), 0)
        wrong = ("ReservedTooLittle", (account.lower(), spender.lower(), has, amount))
        return wrong if amount > has else None

    def unhold(self, account: Address, spender: Address, amount: int) -> None:
        self.held[account, spender] = self.held.get((account, spender), 0) - amount


# Mostly what there is to spend, at times too much, and the largest number.
AMOUNTS = st.one_of(st.integers(0, 40), st.integers(0, 2_000), st.just(MAX))
PEOPLE = st.integers(0, 2)
SPENDERS = st.integers(1, 3)
ANYONE = st.integers(-1, 3)


class VaultMachine(RuleBasedStateMachine):
    """Accounts 0-2 own, accounts 1-3 reserve: one may be both, one spends his own."""

    @initialize(habit=st.sampled_from([None, PLAIN, RETURNS_NOTHING, TAKES_FEE]))
    def start(self, habit: int | None) -> None:
        self.bank = bank(habit)
        self.fee = habit == TAKES_FEE
        self.books = Books()
        vault, people = self.bank.vault, self.bank.chain.accounts
        # Without it most of what random players try is refused.
        for account in range(3):
            self.deposit(account, account, 1_000)
            for spender in range(1, 4):
                self.allow(account, spender, allowed=True)
        self.free_of = {p: vault.data("free", p) for p in people}
        self.held_of = {
            (p, s): vault.data("reserved", p, s) for p in people[:3] for s in people[1:]
        }

    def who(self, i: int) -> Address:
        return ZERO if i < 0 else self.bank.chain.accounts[i]

    def number(self, data: bytes) -> int:
        return int.from_bytes(self.bank.chain.call(self.bank.vault.address, data), "big")

    def check(
        self,
        wrong: tuple[str, tuple[object, ...]] | None,
        name: str,
        *arguments: object,
        sender: Address,
    ) -> bool:
        """Send; whether it went through, which must be as `wrong` says."""
        refused = self.bank.vault.refusal(name, *arguments, sender=sender)
        assert (refused and (refused.name, refused.arguments)) == wrong
        return refused is None

    @rule(account=ANYONE, sender=PEOPLE, amount=st.integers(0, 1_000))
    def deposit(self, account: int, sender: int, amount: int) -> None:
        to, by = self.who(account), self.who(sender)
        if to == ZERO:
            with pytest.raises(RefusedError, match="ZeroAddress"):
                self.bank.deposit(to, amount, by)
            return
        self.bank.deposit(to, amount, by)
        arrived = amount - amount // 100 if self.fee else amount
        self.books.pay(to, arrived)
        self.books.deposited += arrived

    @rule(account=PEOPLE, to=ANYONE, amount=AMOUNTS)
    def withdraw(self, account: int, to: int, amount: int) -> None:
        by, payee = self.who(account), self.who(to)
        wrong = ("ZeroAddress", ()) if payee == ZERO else self.books.short(by, amount)
        before = self.bank.holds(payee)
        if self.check(wrong, "withdraw", payee, amount, sender=by):
            self.books.pay(by, -amount)
            self.books.withdrawn += amount
            fee = amount // 100 if self.fee else 0
            assert self.bank.holds(payee) == before + amount - fee

    @rule(account=PEOPLE, spender=SPENDERS, allowed=st.booleans())
    def allow(self, account: int, spender: int, allowed: bool) -> None:
        by, to = self.who(account), self.who(spender)
        self.bank.vault.send("allow", to, allowed, sender=by)
        change = self.books.allowed.add if allowed else self.books.allowed.discard
        change((by, to))

    @rule(account=PEOPLE, spender=SPENDERS, amount=AMOUNTS)
    def reserve(self, account: int, spender: int, amount: int) -> None:
        of, by = self.who(account), self.who(spender)
        wrong = self.books.short(of, amount)
        if (of, by) not in self.books.allowed:
            wrong = ("NotAllowed", (of.lower(), by.lower()))
        if self.check(wrong, "reserve", of, amount, sender=by):
            self.books.pay(of, -amount)
            self.books.unhold(of, by, -amount)

    @rule(account=PEOPLE, spender=SPENDERS, amount=AMOUNTS)
    def release(self, account: int, spender: int, amount: int) -> None:
        of, by = self.who(account), self.who(spender)
        if self.check(self.books.unheld(of, by, amount), "release", of, amount, sender=by):
            self.books.unhold(of, by, amount)
            self.books.pay(of, amount)

    @rule(account=PEOPLE, spender=SPENDERS, to=ANYONE, amount=AMOUNTS)
    def move(self, account: int, spender: int, to: int, amount: int) -> None:
        of, by, payee = self.who(account), self.who(spender), self.who(to)
        wrong = ("ZeroAddress", ()) if payee == ZERO else self.books.unheld(of, by, amount)
        if self.check(wrong, "move", of, payee, amount, sender=by):
            self.books.unhold(of, by, amount)
            self.books.pay(payee, amount)

    @rule(account=PEOPLE, spender=SPENDERS, amount=AMOUNTS)
    def burn(self, account: int, spender: int, amount: int) -> None:
        of, by = self.who(account), self.who(spender)
        if self.check(self.books.unheld(of, by, amount), "burn", of, amount, sender=by):
            self.books.unhold(of, by, amount)
            self.books.burnt += amount

    @rule(
        account=PEOPLE, spender=SPENDERS, first=ANYONE, second=ANYONE,
        parts=st.tuples(*[AMOUNTS] * 3), back=AMOUNTS,
    )  # fmt: skip
    def split(
        self, account: int, spender: int, first: int, second: int, parts: tuple[int, ...], back: int
    ) -> None:
        of, by, one, two = (self.who(i) for i in (account, spender, first, second))
        # A sum beyond 256 bits is a panic, which names no error of ours.
        burnt, to_one, to_two = parts = tuple(part if part < MAX else 2**200 for part in parts)
        back = back if back < MAX else 2**200
        wrong = ("ZeroAddress", ()) if one == ZERO else self.books.unheld(of, by, sum(parts))
        if wrong is None and to_two + back:
            after = Books(held=dict(self.books.held))
            after.unhold(of, by, sum(parts))
            wrong = ("ZeroAddress", ()) if two == ZERO else after.unheld(two, by, back)
        if self.check(wrong, "split", of, burnt, one, to_one, two, to_two, back, sender=by):
            self.books.unhold(of, by, sum(parts))
            self.books.burnt += burnt
            self.books.pay(one, to_one)
            if to_two + back:
                self.books.unhold(two, by, back)
                self.books.pay(two, to_two + back)

    @precondition(lambda self: hasattr(self, "books"))
    @invariant()
    def the_vault_holds_what_it_owes_to_the_unit(self) -> None:
        vault, books = self.bank.vault, self.books
        free = {p: self.number(data) for p, data in self.free_of.items()}
        held = {k: self.number(data) for k, data in self.held_of.items()}
        assert {p: amount for p, amount in free.items() if amount} == {
            p: amount for p, amount in books.free.items() if amount
        }
        assert {k: amount for k, amount in held.items() if amount} == {
            k: amount for k, amount in books.held.items() if amount
        }
        assert vault.call("burnt") == books.burnt
        kept = sum(free.values()) + sum(held.values()) + books.burnt
        assert books.deposited == kept + books.withdrawn
        assert self.bank.holds(vault.address) == kept


TestVault = VaultMachine.TestCase


@pytest.mark.parametrize("habit", [None, PLAIN, RETURNS_NOTHING])
def test_what_was_put_in_comes_out(habit: int | None) -> None:
    b = bank(habit)
    alice, bob = b.chain.accounts[:2]
    before = b.holds(alice), b.holds(bob)
    b.deposit(bob, 1_000, alice)
    b.vault.send("withdraw", alice, 1_000, sender=bob)
    assert (b.holds(alice), b.holds(bob)) == before
    assert b.holds(b.vault.address) == 0


def test_permission_taken_back_leaves_what_is_held() -> None:
    b = bank(None)
    alice, spender = b.chain.accounts[:2]
    b.deposit(alice, 100, alice)
    b.vault.send("allow", spender, True, sender=alice)
    b.vault.send("reserve", alice, 60, sender=spender)
    b.vault.send("allow", spender, False, sender=alice)
    assert b.vault.call("reserved", alice, spender) == 60
    with pytest.raises(RefusedError, match="NotAllowed"):
        b.vault.send("reserve", alice, 1, sender=spender)
    b.vault.send("move", alice, spender, 60, sender=spender)
    assert b.vault.call("free", spender) == 60


def test_what_was_burnt_adds_up_and_stays() -> None:
    b = bank(None)
    alice, spender = b.chain.accounts[:2]
    b.deposit(alice, 100, alice)
    b.vault.send("allow", spender, True, sender=alice)
    b.vault.send("reserve", alice, 60, sender=spender)
    b.vault.send("burn", alice, 20, sender=spender)
    b.vault.send("burn", alice, 30, sender=spender)
    assert b.vault.call("burnt") == 50
    assert b.vault.call("reserved", alice, spender) == 10
    b.vault.send("withdraw", alice, 40, sender=alice)
    assert b.chain.balance(b.vault.address) == 60


def test_what_a_fee_takes_is_not_credited() -> None:
    b = bank(TAKES_FEE)
    alice = b.chain.accounts[0]
    b.deposit(alice, 1_000, alice)
    # The token keeps one in a hundred.
    assert b.vault.call("free", alice) == b.holds(b.vault.address) == 990


def test_a_permission_serves_more_than_once() -> None:
    b = bank(None)
    alice, spender = b.chain.accounts[:2]
    b.deposit(alice, 100, alice)
    b.vault.send("allow", spender, True, sender=alice)
    for held in (30, 60):
        b.vault.send("reserve", alice, 30, sender=spender)
        assert b.vault.call("reserved", alice, spender) == held
        assert b.vault.call("allowed", alice, spender)


def test_only_the_named_value_is_taken() -> None:
    native, token = bank(None), bank(PLAIN)
    alice = native.chain.accounts[0]
    for value in (0, 9, 11):
        with pytest.raises(RefusedError, match=re.escape(f"WrongValue({value}, 10)")):
            native.vault.send("deposit", alice, 10, sender=alice, value=value)
    with pytest.raises(RefusedError, match=r"WrongValue\(1, 0\)"):
        token.vault.send("deposit", alice, 1, sender=alice, value=1)


def test_native_coin_sent_without_a_call_is_refused() -> None:
    b = bank(None)
    sender = actor(b)
    sender.send("act", b.chain.accounts[1], 0, b"")
    with pytest.raises(RefusedError):
        sender.send("act", b.vault.address, 5, b"", value=5)
    assert b.chain.balance(b.vault.address) == 0


def test_a_payee_that_refuses_harms_itself_alone() -> None:
    b = bank(None)
    stubborn, alice = actor(b), b.chain.accounts[0]
    b.deposit(stubborn.address, 70, alice)
    b.deposit(alice, 30, alice)
    stubborn.send("setRefuses", True)
    take = b.vault.data("withdraw", stubborn.address, 70)
    with pytest.raises(RefusedError, match=f"TransferFailed.*{stubborn.address.lower()}.*70"):
        stubborn.send("act", b.vault.address, 0, take)
    b.vault.send("withdraw", alice, 30, sender=alice)
    # It may be paid elsewhere.
    stubborn.send("act", b.vault.address, 0, b.vault.data("withdraw", alice, 70))
    assert b.chain.balance(b.vault.address) == 0


def test_money_moved_to_a_refusing_account_does_not_stop_the_mover() -> None:
    b = bank(None)
    stubborn, (alice, spender) = actor(b), b.chain.accounts[:2]
    stubborn.send("setRefuses", True)
    b.deposit(alice, 50, alice)
    b.vault.send("allow", spender, True, sender=alice)
    b.vault.send("reserve", alice, 50, sender=spender)
    b.vault.send("move", alice, stubborn.address, 50, sender=spender)
    assert b.vault.call("free", stubborn.address) == 50


def test_withdrawing_inside_a_withdrawal_is_refused() -> None:
    b = bank(None)
    greedy, alice = actor(b), b.chain.accounts[0]
    b.deposit(greedy.address, 100, alice)
    b.deposit(alice, 1_000, alice)
    greedy.send("setPlan", b.vault.address, b.vault.data("withdraw", greedy.address, 50))
    greedy.send("act", b.vault.address, 0, b.vault.data("withdraw", greedy.address, 50))
    assert greedy.call("calls") == 1
    assert not greedy.call("worked")
    assert b.chain.balance(greedy.address) == 50
    assert b.vault.call("free", greedy.address) == 50


@pytest.mark.parametrize("inner", ["deposit", "withdraw"])
def test_what_arrives_is_counted_once_though_the_token_calls_back(inner: str) -> None:
    b = bank(CALLS_SENDER)
    assert b.token is not None
    greedy, alice = actor(b), b.chain.accounts[0]
    b.deposit(alice, 500, alice)
    approve = b.token.data("approve", b.vault.address, MAX)
    greedy.send("act", b.token.address, 0, approve)
    b.deposit(greedy.address, 40, alice)
    greedy.send("setPlan", b.vault.address, b.vault.data(inner, greedy.address, 40))
    greedy.send("act", b.vault.address, 0, b.vault.data("deposit", greedy.address, 100))
    assert greedy.call("calls") == 1
    assert not greedy.call("worked")
    assert b.vault.call("free", greedy.address) == 140
    assert b.holds(b.vault.address) == 640


def test_a_token_that_says_false_is_believed() -> None:
    b = bank(RETURNS_FALSE)
    alice = b.chain.accounts[0]
    with pytest.raises(RefusedError, match="SafeERC20FailedOperation"):
        b.deposit(alice, 10, alice)
    assert b.vault.call("free", alice) == 0


def test_a_vault_of_an_address_without_code_takes_nothing() -> None:
    b = bank(None)
    nowhere = checksum_address(bytes(19) + b"\x77")
    vault = deploy(b.chain, artifacts()["StakeVault"], nowhere)
    with pytest.raises(RefusedError):
        vault.send("deposit", b.chain.accounts[0], 10)


@pytest.mark.parametrize("habit", [None, PLAIN])
def test_nothing_is_sent_to_the_vault_itself(habit: int | None) -> None:
    b = bank(habit)
    alice = b.chain.accounts[0]
    b.deposit(alice, 10, alice)
    with pytest.raises(RefusedError, match="TransferFailed"):
        b.vault.send("withdraw", b.vault.address, 10, sender=alice)


def test_more_than_a_slot_holds_is_refused_not_cut() -> None:
    b = bank(PLAIN)
    assert b.token is not None
    alice, spender = b.chain.accounts[:2]
    b.token.send("mint", alice, 2**255)
    b.deposit(alice, 2**255, alice)
    b.vault.send("allow", spender, True, sender=alice)
    b.vault.send("reserve", alice, 2**248 - 1, sender=spender)
    with pytest.raises(RefusedError, match=f"AmountTooLarge.*{2**248}"):
        b.vault.send("reserve", alice, 1, sender=spender)
    assert b.vault.call("free", alice) == 2**255 - 2**248 + 1
    assert b.vault.call("reserved", alice, spender) == 2**248 - 1


def test_a_reservation_writes_no_fresh_slot() -> None:
    b = bank(None)
    alice, spender = b.chain.accounts[:2]
    b.deposit(alice, 100, alice)
    b.vault.send("allow", spender, True, sender=alice)
    # 21,000 for the transaction; a slot that was zero alone costs 20,000 (EIP-2200).
    assert b.vault.send("reserve", alice, 60, sender=spender).gas < 21_000 + 20_000
