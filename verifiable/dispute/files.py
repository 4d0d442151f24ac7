"""Files that people write by hand or keep beside a dispute: a job, and the terms of a referee."""

from typing import Any, Final

from verifiable.crypto.hashing import Json, canonical_json, parse_json
from verifiable.crypto.strict import read_constant
from verifiable.dispute.coding import from_json, to_json
from verifiable.dispute.terms import Job, Policy
from verifiable.errors import EncodingError

JOB: Final = "verifiable/job/1"
POLICY: Final = "verifiable/policy/1"


def encode_job(job: Job) -> bytes:
    """Write a job; `parse_job` reads it."""
    return _encode(JOB, job)


def parse_job(data: bytes) -> Job:
    """Read a job.

    Raises
    ------
    EncodingError
        If a field is missing, unknown or malformed; the message names it.
    """
    job: Job = _parse(Job, JOB, "job", data)
    return job


def encode_policy(policy: Policy) -> bytes:
    """Write the terms of a referee; `parse_policy` reads them."""
    return _encode(POLICY, policy)


def parse_policy(data: bytes) -> Policy:
    """Read the terms of a referee.

    Raises
    ------
    EncodingError
        As `parse_job`.
    PolicyInvalidError
        If no referee takes them.
    """
    policy: Policy = _parse(Policy, POLICY, "policy", data)
    return policy


def _encode(schema: str, value: Any) -> bytes:
    fields = to_json(value)
    assert isinstance(fields, dict), "a dataclass becomes an object"
    return canonical_json({"schema": schema, **fields}) + b"\n"


def _parse(kind: Any, schema: str, at: str, data: bytes) -> Any:
    value: Json = parse_json(data, what=at)
    if not isinstance(value, dict) or "schema" not in value:
        raise EncodingError(f"{at} is no JSON object with a schema, wanted {schema!r}")
    fields = dict(value)
    read_constant(fields.pop("schema"), f"{at}.schema", schema)
    return from_json(kind, fields, at)
