"""A referee on anvil, and players who use the command line with keys and folders of their own."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from anvil import KEY, Anvil, start
from cli_calls import Run, called
from dispute_lab import Own, Told, lying, network
from zk_material import PYTHON, environment

from verifiable.bundle import write_bundle
from verifiable.canon import PART, part_of
from verifiable.chain.referee import Referee
from verifiable.chain.rpc import RpcChain
from verifiable.chain.venue import Venue, deploy_venue
from verifiable.claim import CanonClaim, CanonSubject, Header, encode_claim
from verifiable.crypto.signatures import SigningKey
from verifiable.dispute.files import parse_job
from verifiable.dispute.state import Claim, Status
from verifiable.dispute.terms import Policy
from verifiable.graph.ir import Index
from verifiable.trace.store import store_run
from verifiable.types import Bytes32, ClaimId

ONE = network()
FALSE = lying(ONE, Index(8), 71)
"""Its last output has a wrong bit."""
POLICY = Policy(
    window=600, allowance=1_200, bond=10**16, challenge_bond=10**15, reveal_fee=10**12,
    burnt_share=3_000, requester_share=1_000, refuter_gas=10**15,
)  # fmt: skip
PRICE = 10**15
DEPOSIT = 10**17
BAD_INPUT, REFUTED, CANNOT_CHECK, CHAIN_FAILED = 2, 3, 4, 5


def key_of(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(b"court " + name.encode()).digest())


REQUESTER, PROVIDER, WATCHER = (key_of(name) for name in ("requester", "provider", "watcher"))
KEYS = (REQUESTER, PROVIDER, WATCHER)


@dataclass(frozen=True, kw_only=True)
class Court:
    """A node with a referee, and a folder with one model's bundle and input."""

    node: Anvil
    venue: Venue
    home: Path

    @property
    def referee(self) -> Referee:
        return self.venue.referee(RpcChain(self.node.url))

    @property
    def words(self) -> tuple[object, ...]:
        """Which node and referee, and that money may be spent."""
        address = self.venue.addresses["Referee"]
        return ("--rpc", self.node.url, "--referee", address, "--yes")

    @property
    def library(self) -> tuple[object, ...]:
        return ("--bundles", self.home / "bundle", "--inputs", self.home / "input.npz")

    def play(self, key: SigningKey, verb: str, *words: object) -> Run:
        """Run a verb in this process, by the owner of a key."""
        traces = () if verb in ("post", "contract") else ("--traces", self.home / key.address)
        with patch.dict(os.environ, secret(key)):
            return called("--json", verb, *words, *self.words, *traces)

    def start(self, key: SigningKey, verb: str, *words: object) -> "subprocess.Popen[str]":
        """Start a verb as a program."""
        command = ["--json", verb, *words, *self.words, "--traces", self.home / key.address]
        return subprocess.Popen(
            [PYTHON, "-m", "verifiable.cli", *map(str, command)],
            env=environment() | secret(key),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def open_job(self, name: str = "job", *words: object) -> Path:
        """A new job, opened by the requester."""
        path = self.home / f"{name}.json"
        done = self.play(
            REQUESTER, "contract", "open-job", self.home / "bundle", self.home / "input.npz",
            "--price", PRICE, "--deposit", DEPOSIT, "-o", path, *words,
        )  # fmt: skip
        assert done.status == 0, done
        return path

    def post(self, job: Path, *words: object) -> ClaimId:
        """The provider answers a job, honestly unless told otherwise."""
        done = self.play(PROVIDER, "post", *self.material(job), *words)
        assert done.status == 0, done
        return ClaimId(bytes.fromhex(done.json["claim"][2:]))

    def material(self, job: Path) -> tuple[object, ...]:
        return (
            self.home / "bundle", self.home / "input.npz", "--job", job, "--deposit", DEPOSIT
        )  # fmt: skip

    def forge(self, job: Path, run: Own) -> tuple[object, ...]:
        """Options by which `post` posts a false claim, with the trace that goes with it."""
        claim, trace = job.with_suffix(".claim"), job.with_suffix(".trace")
        claim.write_bytes(encode_claim(self.claim_about(job, run)))
        store_run(trace, ONE.graph, Told(ONE.graph, run.tensors), ONE.inputs)
        return ("--claim", claim, "--trace", trace)

    def claim_about(self, job: Path, run: Own) -> CanonClaim:
        task = parse_job(job.read_bytes())
        key = self.referee.register().id_of(task)
        whole = run.trace.sections
        return CanonClaim(
            header=Header(
                venue="optimistic", semantics=task.semantics, job_id=key, nonce=Bytes32(key),
                chain_id=self.venue.chain_id, verifier=task.referee, expiry=task.deadline,
                provider=PROVIDER.address,
            ),
            subject=CanonSubject(model=task.model, input=task.input, output=whole.output),
        )  # fmt: skip

    def defend(self, *words: object) -> Run:
        return self.play(PROVIDER, "defend", *self.library, "--once", *words)

    def challenge(self, claim: ClaimId, *words: object) -> Run:
        given = ("0x" + claim.hex(), *self.library, "--deposit", DEPOSIT, "--once")
        return self.play(WATCHER, "challenge", *given, *words)

    def claim(self, key: ClaimId) -> Claim:
        return self.referee.claim(key)

    def free(self, key: SigningKey) -> int:
        return self.referee.vault().free(key.address)

    def pass_time(self, seconds: int) -> None:
        self.node.ask("evm_increaseTime", seconds)
        self.node.ask("evm_mine")

    def play_out(
        self, claim: ClaimId, challenge: Sequence[object], defend: Sequence[object]
    ) -> int:
        """Both sides look in turn until the claim is decided; gives the number of looks."""
        for looks in range(60):
            self.challenge(claim, *challenge)
            if self.claim(claim).status is not Status.OPEN:
                return looks
            self.defend(*defend)
            if self.claim(claim).status is not Status.OPEN:
                return looks
        raise AssertionError("the dispute does not end")


def secret(key: SigningKey) -> dict[str, str]:
    return {"VERIFIABLE_PRIVATE_KEY": key.secret.hex()}


def moves_of(run: Run) -> list[str]:
    """Names of the moves that a verb made."""
    events = (json.loads(line) for line in run.err.splitlines())
    said = [e["message"] for e in events if e.get("event") == "move"]
    return [text.split(": ")[1].split(",")[0] for text in said]


def prepare(home: Path) -> None:
    """A bundle of the network, and its input."""
    parts: dict[str, object] = {}
    with write_bundle(home / "bundle", parts, set()) as folder:
        parts[PART] = part_of(ONE.graph, ONE.weights)(folder)
    np.savez(home / "input.npz", allow_pickle=False, **ONE.inputs)


@contextmanager
def court(home: Path, *options: str, policy: Policy = POLICY) -> Iterator[Court]:
    """A node of its own, at the Osaka rules."""
    prepare(home)
    with start("--hardfork", "osaka", *options) as node:
        venue = deploy_venue(RpcChain(node.url, keys=[KEY]), policy, evm="osaka")
        for key in KEYS:
            node.ask("anvil_setBalance", key.address, hex(10**20))
        yield Court(node=node, venue=venue, home=home)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    with court(tmp_path_factory.mktemp("town")) as found:
        yield found


@pytest.fixture
def job(town: Court, request: pytest.FixtureRequest) -> Path:
    """A job of the test's own."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:80]
    return town.open_job(name)


def failed(run: Run, status: int, *said: str) -> None:
    """It failed so, in one message with a hint or without, and printed no result."""
    assert run.status == status, run
    assert run.out == ""
    assert "Traceback" not in run.err
    assert run.error["status"] == status
    for text in said:
        assert text in run.error["message"] + str(run.error["hint"]), run.error


def spent(town: Court) -> list[int]:
    """Transactions that each of us sent."""
    keys = (REQUESTER, PROVIDER, WATCHER)
    return [int(town.node.ask("eth_getTransactionCount", k.address, "latest"), 16) for k in keys]


def with_words(key: SigningKey, verb: str, *words: object) -> Run:
    """A verb with its own idea of node and referee."""

    with patch.dict(os.environ, secret(key)):
        return called("--json", verb, *words)
