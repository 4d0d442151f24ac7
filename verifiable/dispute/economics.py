"""How much must be at stake for one model, and why.

A cheater may challenge himself before anyone else does, and may have opened the job as well: then
what a slash gives to challenger and requester comes back to him, and only the burnt share is lost.
With ``p`` the chance that an honest auditor looks, ``b`` the burnt share, ``S`` the bond, ``G``
what cheating brings over an honest run if nobody looks, and ``R`` the pay that is lost if somebody
does, cheating does not pay while ``(1 - p) G <= p (b S + R)``, that is while
``S >= (G (1 - p) / p - R) / b``.

All amounts are in wei, shares are exact fractions, and every rounding is up, so that the bond
suffices with the contract's own rounding of shares down.

References
----------
``Policy`` in ``verifiable/contracts/src/referee/RefereeTypes.sol``, which these amounts go into.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from types import MappingProxyType
from typing import Final

from verifiable.errors import PolicyError
from verifiable.types import Gas

WHOLE: Final = 10_000
"""What shares of a slash are counted in (``RefereeMoney.sol``)."""

GAS: Final[Mapping[str, Gas]] = MappingProxyType(
    {
        "post": Gas(180_000),
        "challenge": Gas(180_000),
        "commit-trace": Gas(250_000),
        "demand": Gas(220_000),
        "reveal": Gas(220_000),
        "refute": Gas(1_800_000),
        "finalize": Gas(100_000),
    }
)
"""Most gas that each move may take; `scripts/gas_report.py` measures less of each. Of all demands
and reveals those of partial results are the dearest; ``refute`` is of a Dot of 4,096."""

ROUNDS: Final = 14
"""Demands and reveals until every byte is out, for 2,000 instructions and 2**26 elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a venue and one model are like.

    Raises
    ------
    PolicyError
        If a number is out of its range, or no bond deters.
    """

    gas_price_cap: int
    """Wei per gas at which moves must still pay."""
    audit: Fraction
    """Chance that somebody replays a claim in time, ``0 < audit <= 1``."""
    collusion: Fraction = Fraction(0)
    """Share of those who replay that keep silent, ``0 <= collusion < 1``."""
    burnt_share: int = 3_000
    """Of a forfeit bond, in 1/10,000."""
    requester_share: int = 2_000
    """Of a forfeit bond, in 1/10,000."""
    gain: int
    """What a false answer brings over an honest one while nobody looks, in wei."""
    reward: int = 0
    """Pay of an honest answer, which a refuted claim does not get, in wei."""
    margin: Fraction = Fraction(3, 2)
    """On what honest parties spend, at least 1: an estimate of gas is no promise."""
    claims: int = 1
    """How many claims of a provider are open at once."""
    rounds: int = ROUNDS
    """Demands and reveals until every byte is out, for this model."""
    gas: Mapping[str, Gas] = field(default_factory=lambda: GAS)
    """Gas of each move, for this model; keys as in `GAS`."""

    def __post_init__(self) -> None:
        _require(0 < self.audit <= 1, f"audit is {self.audit}, wanted above 0 and at most 1")
        _require(0 <= self.collusion < 1, f"collusion is {self.collusion}, wanted 0 to below 1")
        _require(self.burnt_share > 0, "burnt_share is 0: who challenges himself loses nothing")
        left = WHOLE - self.burnt_share - self.requester_share
        _require(
            left > 0 and self.requester_share >= 0,
            f"shares of {self.burnt_share} and {self.requester_share} of {WHOLE} leave"
            f" {left} for the challenger",
        )
        _require(self.margin >= 1, f"margin is {self.margin}, wanted at least 1")
        _require(self.claims >= 1, f"claims is {self.claims}, wanted at least 1")
        for name in ("gas_price_cap", "gain", "reward", "rounds"):
            number = getattr(self, name)
            _require(number >= 0, f"{name} is {number}, wanted at least 0")
        missing = GAS.keys() - self.gas.keys()
        _require(not missing, f"the gas of {', '.join(sorted(missing))} is not given")

    @property
    def honest_audit(self) -> Fraction:
        """Chance that somebody replays a claim and says what is found."""
        return self.audit * (1 - self.collusion)


@dataclass(frozen=True, slots=True)
class Line:
    """One amount and why it is no smaller."""

    name: str
    wei: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """The least amounts that keep a model's claims honest and its honest parties whole, in wei."""

    deterrence: Line
    """Bond below which cheating pays."""
    cover: Line
    """Bond below which a challenger may end with a loss."""
    bond: Line
    """``bond`` of the referee's policy: the larger of the two."""
    challenge_bond: Line
    """``challengeBond`` of the policy."""
    reveal_fee: Line
    """``revealFee`` of the policy."""
    refuter_gas: Line
    """``refuterGas`` of the policy."""
    stake: Line
    """What a provider deposits in the vault."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """All of them, in the order of reading."""
        first = (self.deterrence, self.cover, self.bond, self.stake)
        return (*first, self.challenge_bond, self.reveal_fee, self.refuter_gas)


def stakes(terms: Terms) -> Stakes:
    """Compute the least bonds, fees and deposit for a model.

    Parameters
    ----------
    terms : Terms

    Returns
    -------
    Stakes

    Examples
    --------
    >>> found = stakes(Terms(gas_price_cap=10**9, audit=Fraction(1, 10), gain=10**16))
    >>> found.bond.wei == found.deterrence.wei == 3 * 10**17
    True
    """
    reveal_fee = _reveal_fee(terms)
    refuter_gas = _refuter_gas(terms)
    deterrence = _deterrence(terms)
    cover = _cover(terms, refuter_gas.wei)
    greater = max(deterrence, cover, key=lambda line: line.wei)
    # A policy without a bond is none (``PolicyInvalid``).
    bond = Line("bond", max(greater.wei, 1), f"the larger of the two is {greater.name}")
    return Stakes(
        deterrence=deterrence,
        cover=cover,
        bond=bond,
        challenge_bond=_challenge_bond(terms),
        reveal_fee=reveal_fee,
        refuter_gas=refuter_gas,
        stake=Line(
            "stake",
            bond.wei * terms.claims,
            f"{terms.claims} open claims each reserve a bond of their own",
        ),
    )


def _deterrence(terms: Terms) -> Line:
    p = terms.honest_audit
    lost = max(ceil(terms.gain * (1 - p) / p - terms.reward), 0)
    # The contract burns S * share // WHOLE, which is `lost` or more from here on and not before.
    least = -(-lost * WHOLE // terms.burnt_share)
    return Line(
        "deterrence",
        least,
        f"a false answer gains {terms.gain} wei with chance {float(1 - p):.4g}; with chance"
        f" {float(p):.4g} it costs the pay of {terms.reward} wei and the burnt"
        f" {terms.burnt_share / 100:g}% of the bond, for the rest comes back to who challenges"
        " himself",
    )


def _cover(terms: Terms, refuter_gas: int) -> Line:
    gas = terms.gas["challenge"] + terms.rounds * terms.gas["demand"] + terms.gas["refute"]
    spent = ceil(terms.margin * gas * terms.gas_price_cap)
    share = WHOLE - terms.burnt_share - terms.requester_share
    return Line(
        "cover",
        -(-(spent + refuter_gas) * WHOLE // share),
        f"a challenger spends up to {gas} gas, another who refutes before him takes up to"
        f" {refuter_gas} wei, and {share / 100:g}% of the bond"
        f" pays both with a margin of {float(terms.margin):g}",
    )


def _challenge_bond(terms: Terms) -> Line:
    gas = terms.gas["commit-trace"] + terms.rounds * terms.gas["reveal"]
    return Line(
        "challenge bond",
        # A policy without a bond is none.
        max(ceil(terms.margin * gas * terms.gas_price_cap), 1),
        f"answering one challenge costs a proposer up to {gas} gas, and bogus ones must prepay it",
    )


def _reveal_fee(terms: Terms) -> Line:
    gas = terms.gas["reveal"]
    return Line(
        "reveal fee",
        ceil(terms.margin * gas * terms.gas_price_cap),
        f"a reveal costs up to {gas} gas, and an honest proposer must not lose by it",
    )


def _refuter_gas(terms: Terms) -> Line:
    gas = terms.gas["refute"]
    return Line(
        "refuter gas",
        gas * terms.gas_price_cap,
        f"a refutation costs up to {gas} gas, which one without the reward gets back",
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise PolicyError(message)
