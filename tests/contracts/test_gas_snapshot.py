"""Gas of the venue is what the snapshot says, and bonds cover it."""

import json
from fractions import Fraction

import anvil
import pytest
from benchmark import Row
from gas_report import DEAR, MISSED, MUST, SNAPSHOT, complaints, measured, snapshot

from verifiable.dispute.economics import GAS, ROUNDS, Terms, stakes

pytestmark = pytest.mark.evm

QUICK = ("refute-view", "refute-map2", "post", "challenge", "commit-trace", "finalize")
PRICE = 10**9


def check(*names: str) -> None:
    anvil.require()
    assert list(complaints(list(measured(names)), snapshot())) == []


@pytest.mark.anvil
def test_a_move_costs_what_the_snapshot_says() -> None:
    check(*QUICK)


@pytest.mark.slow
@pytest.mark.anvil
def test_every_refutation_and_step_costs_what_the_snapshot_says() -> None:
    check(*(name for name in MUST if name not in (*QUICK, *DEAR)))


@pytest.mark.slow
@pytest.mark.anvil
def test_a_dispute_about_gpt2_costs_what_the_snapshot_says() -> None:
    check(*DEAR)


def test_every_row_of_the_table_is_in_the_snapshot_and_within_its_limit() -> None:
    known = snapshot()
    assert list(known) == list(MUST)
    above = {name for name, most in MUST.items() if known[name] > most}
    assert above == set(MISSED)


def test_the_snapshot_has_the_form_of_every_benchmark() -> None:
    value = json.loads(SNAPSHOT.read_text())
    assert set(value) == {"machine", "versions", "rows"}
    assert all(set(row) == {"id", "ours", "peer", "ratio", "unit"} for row in value["rows"])


def test_a_row_that_changed_or_is_new_is_named() -> None:
    def row(name: str, gas: int) -> Row:
        return Row(id=name, ours=gas, peer=None, unit="gas")

    known = {"post": 100_000, "reveal": 100_000}
    assert list(complaints([row("post", 100_000), row("reveal", 100_400)], known)) == []
    for changed in (row("post", 100_001), row("post", 99_999), row("reveal", 101_000)):
        (line,) = complaints([changed], known)
        assert line.startswith(f"{changed.id}: ")
    (line,) = complaints([row("finalize", 1)], known)
    assert "not in the snapshot" in line


def test_no_move_costs_more_than_the_bonds_are_reckoned_with() -> None:
    known = snapshot()
    for name, gas in GAS.items():
        assert known["refute-dot-f32-4096" if name == "refute" else name] <= gas, name


def test_the_challenge_bond_covers_what_a_challenge_costs_a_proposer_at_the_worst() -> None:
    known = snapshot()
    found = stakes(Terms(gas_price_cap=PRICE, audit=Fraction(1, 2), gain=0))
    spent = known["commit-trace"] + ROUNDS * known["reveal"]
    assert found.challenge_bond.wei >= spent * PRICE
