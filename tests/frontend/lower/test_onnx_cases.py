"""ONNX's own node cases: each passes, or is listed with the reason why it is refused."""

from collections.abc import Sequence
from functools import cache

import onnx
import pytest
from conformance import Outcome, as_case, every_node_case, listed, outcome, outcomes

from verifiable.frontend.lower.node import LOWERINGS

pinned = pytest.mark.skipif(
    onnx.__version__ != "1.23.2", reason="the list is of the cases of onnx 1.23.2"
)

ONNXRUNTIME = 1235
"""Cases that onnxruntime 1.31.1 passes."""


@cache
def found() -> Sequence[Outcome]:
    return tuple(outcomes())


def test_a_hundred_operator_types_are_lowered() -> None:
    assert len(LOWERINGS) >= 100


@pinned
def test_each_case_passes_or_is_listed() -> None:
    known = listed()
    failed = {o.case.name: f"{o.status}: {o.detail}" for o in found() if o.status != "passed"}
    assert {name: why for name, why in failed.items() if name not in known} == {}
    assert sorted(set(known) - set(failed)) == [], "these pass now: scripts/onnx_cases.py --write"


@pinned
def test_each_listed_reason_is_what_the_refusal_says() -> None:
    refused = {o.case.name: o.reason for o in found() if o.status == "refused"}
    assert refused == listed(), "write them anew: scripts/onnx_cases.py --write"


@pinned
def test_a_wrong_number_is_never_listed() -> None:
    assert {o.case.name: o.detail for o in found() if o.status == "wrong"} == {}
    assert all(known.strip() for known in listed().values())


@pinned
def test_each_refusal_says_what_to_do() -> None:
    assert [o.case.name for o in found() if o.status == "refused" and not o.hint] == []


@pinned
def test_more_cases_pass_than_onnxruntime_passes() -> None:
    assert len(found()) == 1413
    assert sum(o.status == "passed" for o in found()) > ONNXRUNTIME


@pinned
def test_reversed_sequences_pass_too() -> None:
    names = ("test_reversesequence_batch", "test_reversesequence_time")
    given = [c for c in every_node_case() if c.name in names]
    assert [outcome(as_case(c, [], "ReverseSequence")).status for c in given] == ["passed"] * 2
