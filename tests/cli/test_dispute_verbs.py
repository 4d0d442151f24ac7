"""serve, post, watch, challenge, defend and replay of a dispute, at a referee on a node."""

import json
import shutil
import signal
import socket
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_calls import called
from court_lab import (
    BAD_INPUT,
    CANNOT_CHECK,
    CHAIN_FAILED,
    DEPOSIT,
    FALSE,
    ONE,
    POLICY,
    PRICE,
    PROVIDER,
    REFUTED,
    REQUESTER,
    WATCHER,
    Court,
    failed,
    job,
    moves_of,
    spent,
    town,
    with_words,
)
from zk_material import PYTHON, environment

from verifiable.chain.referee_values import canon_claim_value, job_value
from verifiable.chain.rpc import RpcChain
from verifiable.claim import claim_id, parse_canon_claim
from verifiable.cli.following import Settled
from verifiable.dispute.files import encode_policy, parse_job
from verifiable.dispute.state import Claim, Status
from verifiable.errors import ChainError
from verifiable.types import ClaimId

pytestmark = [pytest.mark.anvil, pytest.mark.evm]

__all__ = ["job", "town"]


def test_posting_twice_posts_once(town: Court, job: Path) -> None:
    first = town.post(job)
    before = spent(town)
    assert town.post(job) == first
    assert spent(town) == before
    assert town.claim(first).status is Status.OPEN


def test_a_posted_claim_is_written_and_its_receipt_is_upheld_by_the_chain(
    town: Court, job: Path, tmp_path: Path
) -> None:
    claim, receipt = tmp_path / "claim", tmp_path / "receipt"
    key = town.post(job, "-o", claim, "--receipt", receipt)
    made = parse_canon_claim(claim.read_bytes())
    assert claim_id(made) == key
    header, subject = made.header, made.subject
    expected = {
        "schema": "verifiable/expectation/1", "venue": "optimistic",
        "semantics": header.semantics, "provider": header.provider,
        "job_id": "0x" + header.job_id.hex(), "nonce": "0x" + header.nonce.hex(),
        "chain_id": header.chain_id, "verifier": header.verifier,
        "model": "0x" + subject.model.hex(), "input": "0x" + subject.input.hex(),
        "output": None, "policy": None,
    }  # fmt: skip
    (tmp_path / "expect.json").write_text(json.dumps(expected))
    words = ("verify", receipt, "--expect", tmp_path / "expect.json", "--rpc", town.node.url)
    done = called("--json", *words)
    assert done.status == 0, done
    assert "open" in done.out


def test_an_honest_claim_is_left_alone_and_paid(town: Court, job: Path, tmp_path: Path) -> None:
    key = town.post(job)
    before = town.free(PROVIDER)
    done = town.challenge(key)
    assert (done.status, done.json["upheld"], moves_of(done)) == (0, True, [])
    only = ("--claim", "0x" + key.hex(), "--records", tmp_path)
    assert moves_of(town.defend(*only)) == []
    town.pass_time(POLICY.window + 1)
    done = town.defend(*only)
    assert (done.status, done.json["status"], moves_of(done)) == (0, "final", ["Finalize"])
    assert town.free(PROVIDER) == before + POLICY.bond + PRICE
    replayed = called("--json", "replay", tmp_path / f"{key.hex()}.json")
    assert (replayed.status, replayed.json["verdict"]) == (0, "final")


@pytest.fixture(scope="module")
def record(town: Court) -> bytes:
    """The record of a dispute that refuted a claim whose bytes were withheld."""
    job = town.open_job("recorded")
    words = town.forge(job, FALSE)
    key = town.post(job, *words)
    path = town.home / "record.json"
    defence = ("--claim", "0x" + key.hex(), *words[2:])
    town.play_out(key, ["--record", path], defence)
    return path.read_bytes()


def test_a_record_replays_offline_to_its_verdict(record: bytes, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes(record)
    done = called("--json", "replay", tmp_path / "record.json")
    assert done.status == 0, done
    assert done.json["verdict"] == "refuted"
    assert (done.json["instruction"], done.json["element"]) == (8, 71)
    assert done.json["by"] == WATCHER.address
    told = called("--json", "inspect", tmp_path / "record.json")
    assert told.status == 0, told
    assert told.json["kind"] == "dispute, not replayed"
    same = done.json.keys() - {"schema"}
    assert {name: told.json[name] for name in same} == {name: done.json[name] for name in same}


def test_inspect_reads_jobs_and_terms(job: Path, tmp_path: Path) -> None:
    told = called("--json", "inspect", job).json
    assert (told["kind"], told["job"]["price"]) == ("job", str(PRICE))
    path = tmp_path / "policy.json"
    path.write_bytes(encode_policy(POLICY))
    told = called("--json", "inspect", path).json
    assert (told["kind"], told["policy"]["window"]) == ("policy", POLICY.window)


def changed(record: bytes, *path: Any, value: Any) -> bytes:
    document = json.loads(record)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict", "element"), 70),
        (("verdict", "status"), 2),
        (("moves", -1, "arguments", "proof", "element"), 3),
        (("moves", 1, "sender"), PROVIDER.address),
        (("moves", 1, "time"), None),
    ],
)
def test_a_tampered_record_is_refuted(
    record: bytes, tmp_path: Path, path: tuple[Any, ...], value: Any
) -> None:
    if value is None:
        # A challenge after the end of its window, and so are all the moves that follow.
        document = json.loads(record)
        for move in document["moves"][1:]:
            move["time"] += POLICY.window + 1
        tampered = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    else:
        tampered = changed(record, *path, value=value)
    assert tampered != record
    (tmp_path / "record.json").write_bytes(tampered)
    failed(called("--json", "replay", tmp_path / "record.json"), REFUTED)


def test_a_document_that_is_no_record_is_bad_input(record: bytes, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    for content in (record[:-40], changed(record, "moves", value=7), b"{}", b"\xff"):
        path.write_bytes(content)
        failed(called("--json", "replay", path), BAD_INPUT)
    path.write_bytes(record)
    failed(called("--json", "replay", path, tmp_path, tmp_path), BAD_INPUT, "without bundle")


def test_a_watcher_forecasts_without_a_key_and_sends_nothing(town: Court, job: Path) -> None:
    honest = town.post(job)
    other = town.open_job("forecast-false")
    forged = town.post(other, *town.forge(other, FALSE))
    before = spent(town)
    node = town.words[:4]
    done = with_words(
        WATCHER, "watch", *node, *town.library, "--once", "--traces", town.home / "traces"
    )
    assert done.status == REFUTED
    results = [json.loads(line) for line in done.out.splitlines()]
    said = {one["claim"]: one for one in results}
    assert said["0x" + honest.hex()]["forecast"] == "final"
    assert said["0x" + forged.hex()]["forecast"] == "refuted"
    assert "outputs" in said["0x" + forged.hex()]["why"]
    assert spent(town) == before


def test_a_sample_depends_on_the_seed_alone(town: Court) -> None:
    for number in range(3):
        town.post(town.open_job(f"sampled-{number}"))

    def seen(share: float, seed: int) -> set[str]:
        done = with_words(
            WATCHER, "watch", *town.words, *town.library, "--once", "--share", share,
            "--seed", f"{seed:064x}",
        )  # fmt: skip
        assert "Traceback" not in done.err
        return {json.loads(line)["claim"] for line in done.out.splitlines()}

    everything = seen(1, 0)
    assert len(everything) >= 3
    assert seen(0, 0) == set()
    samples = [seen(0.5, seed) for seed in range(4)]
    assert samples == [seen(0.5, seed) for seed in range(4)]
    assert len(set(map(frozenset, samples))) > 1


def test_a_watcher_challenges_what_is_false_and_is_paid(
    town: Court, job: Path, tmp_path: Path
) -> None:
    words = town.forge(job, FALSE)
    key = town.post(job, *words)
    url = town.home / "objects"
    exported = called("serve", words[3], "--bundle", town.home / "bundle", "--export", url)
    assert exported.status == 0
    before, made = town.free(WATCHER), []
    for _ in range(3):
        done = town.play(
            WATCHER, "watch", *town.library, "--challenge", "--deposit", DEPOSIT, "--once",
            "--served", url, "--records", tmp_path,
        )  # fmt: skip
        made += moves_of(done)
        town.defend("--claim", "0x" + key.hex(), *words[2:])
    assert town.claim(key).status is Status.REFUTED
    assert made.count("Refute") >= 1
    assert "DemandBytes" not in made
    assert town.free(WATCHER) > before
    assert called("replay", tmp_path / f"{key.hex()}.json").status == 0


def test_what_only_a_strange_requester_or_provider_writes_hides_nothing(town: Court) -> None:
    """A job whose text is no UTF-8; an expiry that no document can hold is not even taken."""
    chain = RpcChain(town.node.url, keys=[PROVIDER, REQUESTER])
    register = town.venue.register(chain)
    job = town.open_job("plain")
    task = parse_job(job.read_bytes())
    from verifiable.chain.abi import encode_call
    from verifiable.chain.contract import abi_of

    odd = encode_call(
        abi_of("IJobRegister"), "open", (job_value(replace(task, semantics="QQQQ", price=0)),)
    )
    chain.send(
        register.address, odd.replace(b"QQQQ", b"\xff\xfe\xff\xfe"), sender=REQUESTER.address
    )
    words = town.forge(job, FALSE)
    claim = parse_canon_claim(Path(str(words[1])).read_bytes())
    (venue, semantics, key, nonce, _, provider), subject = canon_claim_value(claim)
    header = (venue, semantics, key, nonce, 2**53, provider)
    post = encode_call(abi_of("Referee"), "post", ((header, subject), job_value(task), bytes(32)))
    with pytest.raises(ChainError, match="ExpiryTooLarge"):
        chain.send(town.referee.address, post, sender=PROVIDER.address)
    posted = town.post(job, *words)
    assert town.challenge(posted).status == 0
    assert town.claim(posted).challenges == 1
    town.pass_time(POLICY.allowance + 1)
    assert town.challenge(posted).status == REFUTED


def test_a_private_job_is_disputed_by_those_whom_it_names(town: Court, tmp_path: Path) -> None:
    members = tmp_path / "members"
    members.write_text(f"{REQUESTER.address}\n{WATCHER.address}\n")
    job = town.open_job("private", "--challengers", members)
    key = town.post(job, *town.forge(job, FALSE))
    before = spent(town)
    failed(town.challenge(key), BAD_INPUT, "names its challengers")
    wrong = tmp_path / "wrong"
    wrong.write_text(f"{REQUESTER.address}\n")
    failed(town.challenge(key, "--challengers", wrong), BAD_INPUT, "not all of them")
    assert spent(town) == before
    done = town.challenge(key, "--challengers", members)
    assert moves_of(done) == ["OpenChallenge"]


def test_what_defend_lacks_is_named_and_both_claims_are_paid_once_it_is_there(
    town: Court, job: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    keys = [town.post(path) for path in (job, town.open_job("second"))]
    town.pass_time(POLICY.window + 1)
    away.mkdir()
    words = [w for key in keys for w in ("--claim", "0x" + key.hex())]
    given = ("--bundles", away, "--inputs", town.home / "input.npz", "--once")
    failed(town.play(PROVIDER, "defend", *given, *words), CANNOT_CHECK, "no bundle in")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "index.json").write_text("{")
    done = town.defend(*words[:2], "--trace", broken)
    assert done.status == BAD_INPUT
    done = town.defend(*words)
    assert moves_of(done) == ["Finalize", "Finalize"]


def test_one_claim_that_cannot_be_read_keeps_no_other_waiting(town: Court, job: Path) -> None:
    """Blocks are read from behind the opening of the first claim's job."""
    since = town.referee.chain.block_number() + 1
    hidden, seen = town.post(job), town.post(town.open_job("behind"))
    town.pass_time(POLICY.window + 1)
    done = town.defend("--since", since)
    assert done.status == CHAIN_FAILED
    assert "begin earlier with --since" in done.error["hint"]
    assert town.claim(hidden).status is Status.OPEN
    assert town.claim(seen).status is Status.FINAL


def test_an_input_is_found_among_many(town: Court, job: Path, tmp_path: Path) -> None:
    key = town.post(job)
    task = parse_job(job.read_bytes())
    for number in range(3):
        other = {"x": ONE.inputs["x"] + number + 1, "picked": ONE.inputs["picked"]}
        np.savez(tmp_path / f"{number}.npz", allow_pickle=False, **other)
    (tmp_path / "notes.json").write_text("[]")
    words = ("0x" + key.hex(), "--bundles", town.home, "--inputs", tmp_path, "--once")
    assert town.play(WATCHER, "challenge", *words).status == CANNOT_CHECK
    for name in ("some.npz", f"{task.input.hex()}.npz"):
        shutil.copy(town.home / "input.npz", tmp_path / name)
        assert town.play(WATCHER, "challenge", *words).json["upheld"]
        (tmp_path / name).unlink()


def test_a_decision_that_is_undone_has_to_stand_anew() -> None:
    settled, key = Settled(3), ClaimId(b"k" * 32)
    over, open_again = Claim(status=Status.FINAL), Claim(status=Status.OPEN)
    assert [settled.stands(key, over, block) for block in (7, 8, 9)] == [False, False, True]
    assert not settled.stands(key, open_again, 9)
    assert [settled.stands(key, over, block) for block in (9, 10, 11)] == [False, False, True]
    assert Settled(1).stands(key, over, 7)


def started(*words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [PYTHON, "-m", "verifiable.cli", "--json", *map(str, words)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(child: "subprocess.Popen[str]") -> None:
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130, err
    assert "Traceback" not in err


def test_serve_gives_a_trace_out_until_it_is_interrupted(town: Court, job: Path) -> None:
    trace = town.forge(job, FALSE)[3]
    with started("serve", trace, "--bundle", town.home / "bundle") as child:
        assert child.stdout is not None
        said = json.loads(child.stdout.readline())
        root = said["traces"][0][2:]
        with urllib.request.urlopen(f"{said['url']}/objects/{root[:2]}/{root[2:]}") as answer:
            assert len(answer.read()) > 32
        interrupted(child)


def test_a_follower_is_interrupted_cleanly(town: Court, job: Path) -> None:
    town.post(job)
    with started("watch", *town.words[:4], *town.library, "--interval", 60) as child:
        assert child.stdout is not None
        child.stdout.readline()
        interrupted(child)


def test_a_trace_of_another_model_is_not_served(town: Court, job: Path, tmp_path: Path) -> None:
    failed(called("--json", "serve", tmp_path, "--bundle", town.home / "bundle"), CANNOT_CHECK)
    trace = town.forge(job, FALSE)[3]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = ("serve", trace, "--bundle", town.home / "bundle", "--port", taken.getsockname()[1])
        failed(called("--json", *words), CANNOT_CHECK, "cannot listen")


def test_a_venue_is_deployed_from_a_file_of_terms(town: Court, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(encode_policy(POLICY))
    words = ("contract", "deploy-venue", path, "--rpc", town.node.url, "--evm", "osaka")
    failed(with_words(PROVIDER, *words), BAD_INPUT, "--yes")
    done = with_words(PROVIDER, *words, "--yes")
    assert done.status == 0, done
    assert len(done.json["addresses"]) == len(town.venue.addresses)
    chain = RpcChain(town.node.url)
    from verifiable.chain.referee import Referee

    assert Referee(chain, done.json["referee"]).policy() == POLICY
    path.write_bytes(path.read_bytes().replace(b'"window":600', b'"window":0'))
    failed(with_words(PROVIDER, *words, "--yes"), BAD_INPUT, "PolicyInvalid")
