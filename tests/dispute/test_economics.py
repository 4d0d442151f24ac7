"""The bond is the least that makes cheating a loss, and the honest never pay for a dispute."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from verifiable.dispute.economics import GAS, Stakes, Terms, stakes
from verifiable.errors import PolicyError
from verifiable.types import Gas

WEI = st.one_of(st.integers(0, 1_000), st.integers(0, 10**21))
CHANCES = st.builds(Fraction, st.integers(1, 9_999), st.just(9_999))
SHARES = st.builds(Fraction, st.integers(0, 996), st.just(997))
MARGINS = st.builds(Fraction, st.integers(100, 400), st.just(100))


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    burnt = draw(st.integers(1, 9_000))
    prices = draw(st.lists(st.integers(21_000, 3_000_000), min_size=len(GAS), max_size=len(GAS)))
    gas = {name: Gas(price) for name, price in zip(GAS, prices, strict=True)}
    return Terms(
        gas_price_cap=draw(st.integers(0, 10**12)),
        audit=draw(CHANCES),
        collusion=draw(SHARES),
        burnt_share=burnt,
        requester_share=draw(st.integers(0, 9_999 - burnt)),
        gain=draw(WEI),
        reward=draw(WEI),
        margin=draw(MARGINS),
        claims=draw(st.integers(1, 50)),
        rounds=draw(st.integers(0, 40)),
        gas=gas,
    )


def slash(bond: int, t: Terms) -> tuple[int, int, int]:
    """Burnt, requester's and challenger's part, each share rounded down as a contract does."""
    burnt = bond * t.burnt_share // 10_000
    requester = bond * t.requester_share // 10_000
    return burnt, requester, bond - burnt - requester


def cheaters_gain(bond: int, t: Terms) -> Fraction:
    """Over an honest run, of one who is requester, proposer and first challenger at once.

    One row for each who may look: nobody, a colluder who keeps silent, an honest auditor.
    """
    _, requester, challenger = slash(bond, t)
    caught = requester + challenger - bond - t.reward
    table = [
        (1 - t.audit, t.gain),
        (t.audit * t.collusion, t.gain),
        (t.audit * (1 - t.collusion), caught),
    ]
    assert sum(chance for chance, _ in table) == 1
    return sum((chance * payoff for chance, payoff in table), Fraction(0))


@given(t=terms())
def test_cheating_never_pays_at_the_bond(t: Terms) -> None:
    assert cheaters_gain(stakes(t).bond.wei, t) <= 0


@given(t=terms())
def test_one_wei_less_than_deters_makes_cheating_pay(t: Terms) -> None:
    least = stakes(t).deterrence.wei
    assert cheaters_gain(least, t) <= 0
    assume(least > 0)
    assert cheaters_gain(least - 1, t) > 0


def challengers_end(bond: int, found: Stakes, t: Terms) -> int:
    """Of a challenger who makes every move, and is overtaken when he refutes; fees come back."""
    *_, reward = slash(bond, t)
    moves = ["challenge", *["demand"] * t.rounds, "refute"]
    paid = sum(t.gas[move] * t.gas_price_cap for move in moves)
    return reward - found.refuter_gas.wei - paid


@given(t=terms())
def test_an_honest_challenger_ends_with_no_loss(t: Terms) -> None:
    found = stakes(t)
    assert challengers_end(found.bond.wei, found, t) >= 0


@given(t=terms())
def test_the_cover_is_no_larger_than_rounding_asks(t: Terms) -> None:
    exact = replace(t, margin=Fraction(1))
    found = stakes(exact)
    share = Fraction(10_000 - t.burnt_share - t.requester_share, 10_000)
    # Each of two shares is rounded by less than one wei.
    less = found.cover.wei - int(3 / share) - 1
    assume(less >= 0)
    assert challengers_end(less, found, exact) < 0


@given(t=terms(), bogus=st.integers(0, 30))
def test_bogus_challenges_prepay_what_they_cost_the_proposer(t: Terms, bogus: int) -> None:
    found = stakes(t)
    moves = ["commit-trace", *["reveal"] * t.rounds]
    cost = sum(t.gas[move] * t.gas_price_cap for move in moves)
    assert bogus * found.challenge_bond.wei >= bogus * cost


@given(t=terms())
def test_a_fee_pays_for_its_reveal_and_the_stake_for_all_open_claims(t: Terms) -> None:
    found = stakes(t)
    assert found.reveal_fee.wei >= t.gas["reveal"] * t.gas_price_cap
    assert found.refuter_gas.wei >= t.gas["refute"] * t.gas_price_cap
    assert found.stake.wei == t.claims * found.bond.wei
    assert found.bond.wei >= max(found.deterrence.wei, found.cover.wei, 1)
    assert found.challenge_bond.wei >= 1


UP, DOWN, SAME = 1, -1, 0
# Which way each amount moves as an argument grows: deterrence, cover, challenge bond, reveal fee.
TRENDS = {
    "gas_price_cap": (SAME, UP, UP, UP),
    "audit": (DOWN, SAME, SAME, SAME),
    "collusion": (UP, SAME, SAME, SAME),
    "burnt_share": (DOWN, UP, SAME, SAME),
    "requester_share": (SAME, UP, SAME, SAME),
    "gain": (UP, SAME, SAME, SAME),
    "reward": (DOWN, SAME, SAME, SAME),
    "margin": (SAME, UP, UP, UP),
    "rounds": (SAME, UP, UP, SAME),
}


@given(t=terms(), other=terms())
def test_each_argument_moves_each_amount_one_way(t: Terms, other: Terms) -> None:
    for name, trends in TRENDS.items():
        low, high = sorted((getattr(t, name), getattr(other, name)))
        shares = {"burnt_share": t.burnt_share, "requester_share": t.requester_share}
        if name in shares and sum((shares | {name: high}).values()) >= 10_000:
            continue
        least: dict[str, Any] = {name: low}
        most: dict[str, Any] = {name: high}
        before, after = amounts(stakes(replace(t, **least))), amounts(stakes(replace(t, **most)))
        for trend, old, new in zip(trends, before, after, strict=True):
            assert new >= old if trend >= SAME else True, name
            assert new <= old if trend <= SAME else True, name


@given(t=terms(), more=st.integers(0, 10**6))
def test_dearer_moves_never_lower_an_amount(t: Terms, more: int) -> None:
    before = stakes(t).lines
    for move in GAS:
        dearer = replace(t, gas={**t.gas, move: Gas(t.gas[move] + more)})
        after = stakes(dearer).lines
        assert all(new.wei >= old.wei for old, new in zip(before, after, strict=True)), move


def amounts(found: Stakes) -> tuple[int, ...]:
    lines = (found.deterrence, found.cover, found.challenge_bond, found.reveal_fee)
    return tuple(line.wei for line in lines)


PLAIN = Terms(gas_price_cap=10**9, audit=Fraction(1, 10), gain=10**18)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audit": Fraction(0)}, "audit is 0"),
        ({"audit": Fraction(11, 10)}, "audit is 11/10"),
        ({"collusion": Fraction(1)}, "collusion is 1"),
        ({"collusion": Fraction(-1, 2)}, "collusion is -1/2"),
        ({"burnt_share": 0}, "who challenges himself loses nothing"),
        ({"burnt_share": 8_000}, "leave 0 for the challenger"),
        ({"requester_share": -1}, "shares of 3000 and -1"),
        ({"margin": Fraction(9, 10)}, "margin is 9/10"),
        ({"claims": 0}, "claims is 0"),
        ({"gain": -1}, "gain is -1"),
        ({"gas": {}}, "the gas of challenge"),
    ],
)
def test_terms_that_no_bond_can_meet_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        replace(PLAIN, **changes)


def test_each_amount_says_why() -> None:
    found = stakes(PLAIN)
    assert len({line.name for line in found.lines}) == len(found.lines) == 7
    # 9 to 1 that nobody looks, and 30% is burnt: 9 / 0.3.
    assert found.deterrence.wei == 30 * 10**18
    assert "0.9" in found.deterrence.reason
    assert "30%" in found.deterrence.reason
    assert str(GAS["refute"]) in found.refuter_gas.reason
    assert found.bond.reason == "the larger of the two is deterrence"
