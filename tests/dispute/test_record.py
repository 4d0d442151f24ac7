"""A dispute in a file gives the same verdict to whoever replays it, and a changed one no other."""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from importlib.resources import files
from typing import Any

import pytest
from costly import costly
from dispute_lab import (
    POLICY,
    challenger,
    long_sum,
    lying,
    network,
    offline,
    own_run,
    pieced,
    proposer,
)
from documents import json_values
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from odd_players import Cooking
from referee_lab import ALICE, BOB, STRANGER
from test_claim import paths, replaced
from trace_runs import flipped, tensors_of

from verifiable.crypto.hashing import canonical_json
from verifiable.dispute.moves import OpenChallenge
from verifiable.dispute.record import MOVES, Record, encode_record, parse_record, replay
from verifiable.errors import EncodingError, StatementRejectedError, VerifiableError
from verifiable.graph.ir import Index


def refuted() -> Record:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    game.run(lambda: proposer(game, one, forged), lambda: challenger(one, own))
    return game.record()


def withheld() -> Record:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    game.tick(lambda: proposer(game, one, forged))
    game.run(lambda: challenger(one, own), seconds=50)
    return game.record()


def upheld() -> Record:
    one = network()
    own = own_run(one)
    game = offline(own)
    game.tick(lambda: proposer(game, one, own))
    game.play(OpenChallenge(claim_id=game.key), BOB)
    game.run(lambda: proposer(game, one, own), seconds=50)
    return game.record()


def in_pieces(*, cooked: bool = True) -> Record:
    """The pieces give his element, one of them being made up; or they do not."""
    one = long_sum()
    own, tensors = own_run(one), tensors_of(one)
    tensors[1] = flipped(tensors[1], 1)
    forged = own_run(one, tensors)
    by = int(tensors[1][1]) - int(own.tensors[1][1])
    game = offline(forged)
    game.run(lambda: Cooking(proposer(game, one, forged), 4, by * cooked), pieced(one, own))
    return game.record()


def unended() -> Record:
    one = network()
    own = own_run(one)
    game = offline(own)
    game.tick(lambda: proposer(game, one, own))
    return game.record()


KINDS: dict[str, Callable[[], Record]] = {
    "ELEMENT": refuted,
    "PIECE": in_pieces,
    "PARTIALS": partial(in_pieces, cooked=False),
    "TRACE_WITHHELD": withheld,
    "FINAL": upheld,
    "OPEN": unended,
}
"""By how they end."""


@cache
def record_of(kind: str) -> Record:
    return KINDS[kind]()


@cache
def value_of(kind: str) -> Any:
    return json.loads(encode_record(record_of(kind)))


@cache
def validator() -> Any:
    path = files("verifiable") / "schemas" / "dispute-1.json"
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == "urn:verifiable:schema:dispute:1"
    return Draft202012Validator(schema)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_is_read_back_and_replayed_to_its_verdict(kind: str) -> None:
    record = record_of(kind)
    data = encode_record(record)
    again = parse_record(data)
    assert again == record
    assert encode_record(again) == data
    found = replay(again)
    assert kind.replace("PARTIALS", "PIECE") in (found.status.name, found.reason.name)
    if kind in ("ELEMENT", "PIECE", "PARTIALS"):
        assert found.by == ALICE
    validator().validate(json.loads(data))


def test_between_them_the_records_hold_every_move() -> None:
    played = {type(p.move).__name__ for kind in KINDS for p in record_of(kind).moves}
    assert played >= MOVES.keys() - {"Collect"}


kinds = st.sampled_from(list(KINDS))


@costly(kinds, st.data())
def test_a_changed_record_gives_no_other_verdict(kind: str, data: st.DataObject) -> None:
    value = value_of(kind)
    path = data.draw(st.sampled_from(paths(value)))
    changed = replaced(value, path, data.draw(json_values | same_kind(value, path)))
    with suppress(VerifiableError):
        record = parse_record(canonical_json(changed))
        validator().validate(changed)
        assert replay(record) == record_of(kind).verdict


def same_kind(value: Any, path: tuple[str | int, ...]) -> st.SearchStrategy[Any]:
    """Values that pass for what stands there."""
    for step in path:
        value = value[step]
    if isinstance(value, str) and value.startswith("0x") and len(value) > 2:
        width = len(value) // 2 - 1
        return st.binary(min_size=width, max_size=width).map(lambda b: "0x" + b.hex())
    if isinstance(value, str):
        return st.sampled_from([ALICE, BOB, STRANGER, "1", "0", *MOVES])
    if isinstance(value, int):
        return st.integers(max(value - 2, 0), value + 2) | st.sampled_from([2**31, 2**53 - 1])
    if isinstance(value, list) and value:
        return st.lists(st.sampled_from(value), max_size=len(value) + 1) | st.permutations(value)
    return st.just(value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_claims_another_verdict_is_rejected(kind: str) -> None:
    value = value_of(kind)
    for other in KINDS:
        if value_of(other)["verdict"] == value["verdict"]:
            continue
        changed = replaced(value, ("verdict",), value_of(other)["verdict"])
        with pytest.raises(StatementRejectedError, match="the moves lead to"):
            replay(parse_record(canonical_json(changed)))


@pytest.mark.parametrize("kind", ["ELEMENT", "PIECE", "PARTIALS"])
def test_any_other_bit_of_a_proof_refutes_nothing(kind: str) -> None:
    value = value_of(kind)
    last = len(value["moves"]) - 1
    proof = ("moves", last, "arguments", "proof")
    for path in paths(value):
        here: Any = value
        for step in path:
            here = here[step]
        if path[:4] != proof or not isinstance(here, str) or not here.startswith("0x"):
            continue
        if len(here) == 2:
            continue
        flipped_digit = here[:-1] + ("0" if here[-1] != "0" else "1")
        changed = replaced(value, path, flipped_digit)
        with pytest.raises(VerifiableError):
            replay(parse_record(canonical_json(changed)))


@given(st.binary(max_size=200) | json_values.map(canonical_json))
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        parse_record(data)


def test_time_never_goes_back() -> None:
    value = value_of("ELEMENT")
    changed = replaced(value, ("moves", 0, "time"), value["moves"][-1]["time"] + 1)
    with pytest.raises(EncodingError, match="before that of the move before"):
        parse_record(canonical_json(changed))


def test_money_is_written_in_full() -> None:
    value = value_of("ELEMENT")
    assert value["deployment"]["policy"]["bond"] == str(POLICY.bond)
    for wrong in (POLICY.bond, f"0{POLICY.bond}", str(2**256), "-1"):
        changed = replaced(value, ("deployment", "policy", "bond"), wrong)
        with pytest.raises(EncodingError, match=r"policy\.bond"):
            parse_record(canonical_json(changed))
