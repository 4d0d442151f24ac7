"""What the verbs of a dispute refuse: one message, the right status, and no money spent."""

import argparse
import os
import shutil
import socket
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
    FALSE,
    POLICY,
    PROVIDER,
    REQUESTER,
    WATCHER,
    Court,
    failed,
    job,
    spent,
    town,
    with_words,
)

from verifiable.chain.rpc import RpcChain
from verifiable.cli.following import follow
from verifiable.cli.output import Console
from verifiable.crypto.signatures import SigningKey
from verifiable.dispute.files import encode_job, parse_job
from verifiable.errors import ChainError, InputError
from verifiable.types import Bytes32, ClaimId, Sha256

pytestmark = [pytest.mark.anvil, pytest.mark.evm]

__all__ = ["job", "town"]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("verb", ["post", "challenge", "defend", "watch"])
def test_a_wrong_node_chain_or_referee_costs_nothing(town: Court, job: Path, verb: str) -> None:
    more: tuple[object, ...] = {
        "post": town.material(job),
        "challenge": ("0x" + "11" * 32, *town.library, "--once"),
        "defend": (*town.library, "--once"),
        "watch": (*town.library, "--once", "--challenge"),
    }[verb]
    url, referee = town.node.url, town.venue.addresses["Referee"]
    before = spent(town)

    def tried(status: int, *said: str, rpc: object = url, at: object = referee, **o: Any) -> None:
        words = ["--rpc", rpc, "--referee", at, *o.get("words", ["--yes"])]
        failed(with_words(WATCHER, verb, *more, *words), status, *said)

    tried(CHAIN_FAILED, "cannot be reached", rpc=f"http://127.0.0.1:{closed_port()}")
    tried(BAD_INPUT, "no http(s) address", rpc="ftp://127.0.0.1")
    tried(CHAIN_FAILED, "wanted 5", words=["--yes", "--chain-id", 5])
    tried(CHAIN_FAILED, "no contract at", at="0x" + "11" * 20)
    tried(CHAIN_FAILED, "no referee", at=town.venue.addresses["StakeVault"])
    tried(BAD_INPUT, "not an address", at="0x12")
    tried(BAD_INPUT, "--yes", words=[])
    tried(BAD_INPUT, "--confirmations", words=["--yes", "--confirmations", 0])
    tried(BAD_INPUT, "--deposit", words=["--yes", "--deposit", -1])
    tried(CHAIN_FAILED, "--since", words=["--yes", "--since", 10**9])
    with pytest.MonkeyPatch.context() as context:
        context.delenv("VERIFIABLE_PRIVATE_KEY", raising=False)
        words = ("--rpc", url, "--referee", referee, "--yes")
        failed(called("--json", verb, *more, *words), BAD_INPUT, "no signing key")
    assert spent(town) == before


def test_a_job_that_cannot_be_answered_is_refused_before_it_is_run(
    town: Court, job: Path, tmp_path: Path
) -> None:
    task = parse_job(job.read_bytes())
    before = spent(town)

    def refused(status: int, *said: str, **changes: Any) -> None:
        path = tmp_path / "job.json"
        path.write_bytes(encode_job(replace(task, **changes)))
        failed(town.play(PROVIDER, "post", *town.material(path)), status, *said)

    refused(BAD_INPUT, "not opened", salt=Bytes32(b"s" * 32))
    refused(BAD_INPUT, "referee", referee=PROVIDER.address)
    refused(BAD_INPUT, "semantics", semantics="canon/2")
    refused(BAD_INPUT, "for the provider", provider=WATCHER.address)
    (tmp_path / "job.json").write_bytes(job.read_bytes()[:-9])
    broken = ("--job", tmp_path / "job.json")
    failed(town.play(PROVIDER, "post", *town.material(job), *broken), BAD_INPUT)
    assert spent(town) == before


def opened(town: Court, **changes: Any) -> Path:
    """A job of which the requester says something else."""
    task = replace(parse_job(town.open_job("template").read_bytes()), **changes)
    chain = RpcChain(town.node.url, keys=[REQUESTER])
    town.venue.register(chain).open(task)
    path = town.home / "changed.json"
    path.write_bytes(encode_job(task))
    return path


def test_a_job_about_another_model_or_input_is_not_answered(town: Court) -> None:
    before = spent(town)[1:]
    for changes, said in (
        ({"model": Sha256(b"m" * 32)}, "the bundle is of the model"),
        ({"input": Sha256(b"i" * 32)}, "the input has root"),
    ):
        path = opened(town, salt=Bytes32(os.urandom(32)), **changes)
        failed(town.play(PROVIDER, "post", *town.material(path)), BAD_INPUT, said)
    assert spent(town)[1:] == before


def test_a_bond_that_nobody_has_is_asked_for_with_a_hint(town: Court, job: Path) -> None:
    key = town.post(job, *town.forge(job, FALSE))
    poor = SigningKey(b"p" * 32)
    town.node.ask("anvil_setBalance", poor.address, hex(10**18))
    given = ("0x" + key.hex(), *town.library, "--once")
    failed(town.play(poor, "challenge", *given), BAD_INPUT, "0 wei free", "--deposit")
    failed(town.play(poor, "challenge", *given, "--deposit", 5), BAD_INPUT, "--deposit")
    another = town.open_job("poor")
    words = (town.home / "bundle", town.home / "input.npz", "--job", another)
    failed(town.play(poor, "post", *words), BAD_INPUT, "0 wei free", "--deposit")
    assert town.claim(key).challenges == 0
    assert int(town.node.ask("eth_getTransactionCount", poor.address, "latest"), 16) == 0
    # A watcher may still do what takes no bond, for claims of other tests.
    done = town.play(poor, "watch", "--once", "--challenge", *town.library)
    assert done.status == BAD_INPUT
    assert "0 wei free" in done.error["message"]
    assert town.claim(key).challenges == 0


def test_a_claim_that_cannot_be_disputed_is_named(town: Court, job: Path, tmp_path: Path) -> None:
    before = spent(town)
    failed(town.challenge(ClaimId(b"c" * 32)), CHAIN_FAILED, "is not in the blocks")
    failed(town.play(WATCHER, "challenge", "0x12", *town.library), BAD_INPUT, "neither a claim")
    assert spent(town) == before
    key = town.post(job, *town.forge(job, FALSE))
    before = spent(town)
    own = town.play(PROVIDER, "challenge", "0x" + key.hex(), *town.library, "--once")
    failed(own, BAD_INPUT, "your own", "defend")
    empty = tmp_path / "empty"
    empty.mkdir()
    np.savez(empty / "other.npz", x=np.zeros(3, np.float32))
    wide = tmp_path / "wide.npz"
    with np.load(town.home / "input.npz") as given:
        np.savez(wide, **{name: x.astype(np.float64) for name, x in given.items()})
    for library, said in (
        (("--bundles", town.home, "--inputs", wide), "`wide.npz` is no input of the job: input"),
        (("--bundles", empty, "--inputs", empty), "no bundle in"),
        (("--bundles", town.home, "--inputs", empty), "no file in"),
    ):
        done = town.play(WATCHER, "challenge", "0x" + key.hex(), *library, "--once")
        failed(done, CANNOT_CHECK, said)
    damaged = tmp_path / "bundle"
    shutil.copytree(town.home / "bundle", damaged)
    (damaged / "canon" / "weights.bin").write_bytes(b"x")
    library = ("--bundles", damaged, "--inputs", town.home / "input.npz")
    done = town.play(WATCHER, "challenge", "0x" + key.hex(), *library, "--once")
    failed(done, CANNOT_CHECK, "weights.bin")
    town.pass_time(POLICY.window + 1)
    failed(town.challenge(key), BAD_INPUT, "window ended")
    assert spent(town) == before


def test_a_node_that_fails_for_a_while_is_asked_again_and_with_once_it_is_an_error() -> None:
    answers: list[Exception | bool] = [ChainError("down"), False, ChainError("down"), True]

    def look() -> bool:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    follow(look, argparse.Namespace(interval=0.001, once=False), Console(quiet=True))
    assert answers == []
    answers = [ChainError("down")]
    with pytest.raises(ChainError, match="down"):
        follow(look, argparse.Namespace(interval=0.001, once=True), Console(quiet=True))
    with pytest.raises(InputError, match="--interval"):
        follow(look, argparse.Namespace(interval=0.0, once=True), Console(quiet=True))
