"""`plan --venue optimistic`: what must be at stake for a model, and why."""

from fractions import Fraction
from pathlib import Path

import pytest
from cli_runs import called, data_file, model_file, signing_key
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from test_canonical_runs import onnx_file

from verifiable.dispute.economics import GAS, ROUNDS, Terms, stakes

__all__ = ["signing_key"]

ENOUGH = ("--gas-price", "1000000000", "--audit", "1/10", "--gain", "10000000000000000")
AMOUNTS = {
    "deterrence", "cover", "bond", "stake", "challenge_bond", "reveal_fee", "refuter_gas",
}  # fmt: skip


def planned(*words: object) -> list[object]:
    return ["plan", model_file(), "--venue", "optimistic", *words]


def test_the_amounts_are_those_of_the_terms_with_a_reason_each() -> None:
    done = called("--json", *planned(*ENOUGH))
    assert done.status == 0, done
    value = done.json
    assert (value["schema"], value["venue"]) == ("verifiable/plan/1", "optimistic")
    assert value["gas"] == dict(GAS)
    assert value["rounds"] == ROUNDS
    assert set(value["amounts"]) == AMOUNTS
    # 9 to 1 that nobody looks, and 30% is burnt: 10**16 * 9 / 0.3.
    assert value["amounts"]["deterrence"]["wei"] == str(3 * 10**17)
    assert value["amounts"]["bond"]["wei"] == str(3 * 10**17)
    assert value["amounts"]["refuter_gas"]["wei"] == str(1_800_000 * 10**9)
    assert all(entry["reason"] for entry in value["amounts"].values())


def test_a_person_reads_each_amount_its_reason_and_who_pays_each_move() -> None:
    done = called(*planned(*ENOUGH))
    assert done.status == 0
    assert "300000000000000000  a false answer gains" not in done.err
    assert "bond            300000000000000000" in done.out
    for move, payer in (("post", "provider"), ("refute", "whoever refutes"), ("challenge", "chal")):
        (line,) = (line for line in done.out.splitlines() if line.startswith(f"{move}  "))
        assert f"{GAS[move]:,}" in line
        assert payer in line


def test_the_data_of_the_zk_venue_may_stay_where_it_is() -> None:
    words = ["plan", model_file(), data_file(), "--venue", "optimistic", *ENOUGH]
    assert called("--json", *words).json == called("--json", *planned(*ENOUGH)).json


@given(
    gain=st.integers(0, 10**30),
    price=st.integers(0, 10**12),
    audit=st.integers(1, 1000),
    collusion=st.integers(0, 999),
    burnt=st.integers(1, 5000),
    requester=st.integers(0, 4999),
    claims=st.integers(1, 100),
    reward=st.integers(0, 10**30),
)
def test_every_term_reaches_the_economics(
    gain: int, price: int, audit: int, collusion: int, burnt: int, requester: int, claims: int,
    reward: int,
) -> None:  # fmt: skip
    terms = Terms(
        gas_price_cap=price, audit=Fraction(audit, 1000), collusion=Fraction(collusion, 1000),
        burnt_share=burnt, requester_share=requester, gain=gain, reward=reward,
        margin=Fraction(2), claims=claims,
    )  # fmt: skip
    done = called(
        "--json", *planned(), "--gas-price", price, "--audit", f"{audit}/1000", "--gain", gain,
        "--collusion", f"0.{collusion:03}", "--burnt", f"{burnt}/10000", "--claims", claims,
        "--requester", f"0.{requester:04}", "--reward", reward, "--margin", "2",
    )  # fmt: skip
    assert done.status == 0, done
    got = {name: int(entry["wei"]) for name, entry in done.json["amounts"].items()}
    assert got == {line.name.replace(" ", "_"): line.wei for line in stakes(terms).lines}


@pytest.mark.parametrize("missing", [0, 2, 4])
def test_what_nobody_can_know_for_the_caller_has_no_default(missing: int) -> None:
    words = ENOUGH[:missing] + ENOUGH[missing + 2 :]
    done = called("--json", *planned(*words))
    assert done.status == 2
    assert f"needs {ENOUGH[missing]}" in done.error["message"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--audit", "0"), "audit is 0"),
        (("--audit", "1.1"), "audit is 11/10"),
        (("--audit", "x"), "is not a number such as"),
        (("--audit", "1/0"), "is not a number such as"),
        (("--audit", "1e-9999999"), "is not a number such as"),
        (("--audit", "nan"), "is not a number such as"),
        (("--audit", "0." + "1" * 100), "is not a number such as"),
        (("--gain", "1.5"), "--gain `1.5` is not a whole number"),
        (("--gain", "1e18"), "is not a whole number"),
        (("--gain", "\N{SUPERSCRIPT TWO}"), "is not a whole number"),
        (("--gain", "9" * 79), "is not a whole number"),
        (("--gas-price=-1",), "is not a whole number"),
        (("--burnt", "0"), "who challenges himself loses nothing"),
        (("--burnt", "0.9"), "leave -1000 for the challenger"),
        (("--burnt", "1/3"), "is no multiple of 1/10000"),
        (("--collusion", "1"), "collusion is 1"),
        (("--margin", "0.5"), "margin is 1/2"),
        (("--claims", "0"), "claims is 0"),
        (("--venue", "enclave"), "enclave"),
        (("--memory", "3"), "--memory is for the zk venue"),
        (("--gas", "3"), "--gas is for the zk venue"),
        (("--cut", "x"), "--cut is for the zk venue"),
    ],
)
def test_terms_that_are_none_are_bad_input(words: tuple[str, ...], message: str) -> None:
    done = called("--json", *planned(*ENOUGH, *words))
    assert (done.status, done.out) == (2, ""), done
    assert message in done.error["message"]


@given(st.sampled_from(("gas-price", "audit", "gain", "burnt", "margin", "claims")), st.text())
def test_arbitrary_terms_never_give_a_traceback(name: str, text: str) -> None:
    done = called("--json", *planned(*ENOUGH, f"--{name}={text}"))
    assert done.status in {0, 2}


def test_terms_of_one_venue_are_none_of_the_other() -> None:
    done = called("--json", "plan", model_file(), data_file(), "--audit", "0.1")
    assert done.status == 2
    assert "--audit is for the optimistic venue" in done.error["message"]
    done = called("--json", "plan", model_file())
    assert done.status == 2
    assert "needs calibration data" in done.error["message"]


def test_a_model_that_cannot_be_disputed_has_no_bond(tmp_path: Path) -> None:
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="com.example")
    model = onnx_file(tmp_path / "m.onnx", node)
    done = called("--json", "plan", model, "--venue", "optimistic", *ENOUGH)
    assert done.status == 2
    assert "Frobnicate" in done.error["message"]
