"""Files of jobs and policies: read back as they were written, and nothing else is read."""

import json
from importlib.resources import files
from typing import Any

import pytest
from documents import json_values
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from verifiable.crypto.address import checksum_address
from verifiable.dispute.errors import PolicyInvalidError
from verifiable.dispute.files import encode_job, encode_policy, parse_job, parse_policy
from verifiable.dispute.terms import MOST_SECONDS, WHOLE, Job, Policy
from verifiable.errors import EncodingError
from verifiable.types import Bytes32, Sha256

WORDS = st.binary(min_size=32, max_size=32)
ACCOUNTS = st.binary(min_size=20, max_size=20).map(checksum_address)
AMOUNTS = st.integers(0, 2**256 - 1)
BONDS = st.integers(1, 2**256 - 1)
TIMES = st.integers(1, MOST_SECONDS)
JOBS = st.builds(
    Job, requester=ACCOUNTS, referee=ACCOUNTS, model=WORDS.map(Sha256), input=WORDS.map(Sha256),
    semantics=st.just("canon/1"), price=AMOUNTS, deadline=st.integers(0, 2**53 - 1),
    provider=ACCOUNTS, challengers=WORDS.map(Bytes32), salt=WORDS.map(Bytes32),
)  # fmt: skip
POLICIES = st.builds(
    Policy, window=TIMES, allowance=TIMES, bond=BONDS, challenge_bond=BONDS, reveal_fee=AMOUNTS,
    burnt_share=st.integers(0, WHOLE // 2), requester_share=st.integers(0, WHOLE // 2),
    refuter_gas=AMOUNTS,
)  # fmt: skip


def validator(name: str) -> Any:
    schema = json.loads((files("verifiable") / "schemas" / f"{name}-1.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@given(JOBS)
def test_a_job_is_read_back_and_valid(job: Job) -> None:
    data = encode_job(job)
    assert parse_job(data) == job
    validator("job").validate(json.loads(data))


@given(POLICIES)
def test_a_policy_is_read_back_and_valid(policy: Policy) -> None:
    data = encode_policy(policy)
    assert parse_policy(data) == policy
    validator("policy").validate(json.loads(data))


@given(JOBS, st.data())
def test_a_job_with_one_value_changed_is_another_or_none(job: Job, data: st.DataObject) -> None:
    value = json.loads(encode_job(job))
    name = data.draw(st.sampled_from([*sorted(value), "more"]))
    value[name] = data.draw(json_values)
    try:
        found = parse_job(json.dumps(value).encode())
    except EncodingError:
        return
    assert json.loads(encode_job(found)) == value


@given(st.binary(max_size=200))
def test_what_is_no_file_is_refused(data: bytes) -> None:
    for parse in (parse_job, parse_policy):
        with pytest.raises(EncodingError):
            parse(data)


@given(JOBS, POLICIES)
def test_one_kind_is_not_read_as_the_other(job: Job, policy: Policy) -> None:
    with pytest.raises(EncodingError, match="schema"):
        parse_policy(encode_job(job))
    with pytest.raises(EncodingError, match="schema"):
        parse_job(encode_policy(policy))


def test_terms_that_no_referee_takes_are_refused() -> None:
    policy = Policy(
        window=1, allowance=1, bond=1, challenge_bond=1, reveal_fee=0, burnt_share=0,
        requester_share=0, refuter_gas=0,
    )  # fmt: skip
    value = json.loads(encode_policy(policy)) | {"burnt_share": WHOLE + 1}
    with pytest.raises(PolicyInvalidError):
        parse_policy(json.dumps(value).encode())
