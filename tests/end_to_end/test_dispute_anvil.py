"""Whole disputes over RPC, at the Osaka rules, played by the command line as two parties use it."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_calls import called
from court_lab import (
    DEPOSIT,
    ONE,
    POLICY,
    PRICE,
    PROVIDER,
    REQUESTER,
    WATCHER,
    Court,
    court,
    moves_of,
    town,
)
from dispute_lab import Own, lying, own_run, wrong_middle

from verifiable.chain.rpc import RpcChain
from verifiable.crypto.signatures import SigningKey
from verifiable.dispute.moves import CommitTrace
from verifiable.dispute.state import Reason, Status
from verifiable.graph.ir import Index
from verifiable.types import ClaimId, Sha256

pytestmark = [pytest.mark.anvil, pytest.mark.evm]

FORGERIES: dict[str, Callable[[], Own]] = {
    "early": lambda: lying(ONE, Index(4), 5),
    "late": lambda: lying(ONE, Index(8), 71),
    "in an output that others read": lambda: wrong_middle(ONE, Index(6), 700),
    "in the output alone": lambda: wrong_middle(ONE, Index(8), 3),
}
TRUE = own_run(ONE)
LOST = POLICY.bond * (POLICY.burnt_share + POLICY.requester_share) // 10_000


__all__ = ["town"]


def forged(town: Court, name: str, run: Own, *more: object) -> tuple[ClaimId, tuple[object, ...]]:
    """A false claim, and what `defend` needs for it."""
    assert run.trace.sections.output != TRUE.trace.sections.output
    job = town.open_job("-".join(name.split()))
    words = town.forge(job, run)
    key = town.post(job, *words, *more)
    return key, ("--claim", "0x" + key.hex(), *words[2:])


def exported(town: Court, trace: object, folder: Path) -> Path:
    done = called("serve", trace, "--bundle", town.home / "bundle", "--export", folder)
    assert done.status == 0, done
    return folder


def check_slashed(town: Court, key: ClaimId, record: Path) -> None:
    """The claim is refuted for ever, and its record says why to whoever was not there."""
    assert town.claim(key).status is Status.REFUTED
    replayed = called("--json", "replay", record)
    assert (replayed.status, replayed.json["verdict"]) == (0, "refuted")


def test_an_honest_claim_is_paid_and_a_forged_one_slashed(town: Court, tmp_path: Path) -> None:
    job = town.open_job("honest")
    honest = town.post(job)
    assert moves_of(town.challenge(honest)) == []
    town.pass_time(POLICY.window + 1)
    before = town.free(PROVIDER)
    done = town.defend("--claim", "0x" + honest.hex())
    assert (done.json["status"], moves_of(done)) == ("final", ["Finalize"])
    assert town.free(PROVIDER) == before + POLICY.bond + PRICE

    key, defence = forged(town, "forged", FORGERIES["late"](), "--eager")
    source = exported(town, defence[3], tmp_path / "served")
    before = town.free(WATCHER)
    done = town.challenge(key, "--served", source, "--record", tmp_path / "record.json")
    assert done.status == 3
    assert moves_of(done) == ["OpenChallenge", "Refute"]
    assert town.free(WATCHER) == before + DEPOSIT + POLICY.bond - LOST
    check_slashed(town, key, tmp_path / "record.json")


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("served", [True, False], ids=["served", "withheld"])
def test_every_forgery_is_slashed(town: Court, tmp_path: Path, name: str, served: bool) -> None:
    key, defence = forged(town, f"{name} {served}", FORGERIES[name]())
    more: tuple[object, ...] = ("--record", tmp_path / "record.json")
    if served:
        more += ("--served", exported(town, defence[3], tmp_path / "served"))
    looks = town.play_out(key, more, defence)
    assert looks <= (1 if served else 10)
    assert town.claim(key).reason is Reason.ELEMENT
    check_slashed(town, key, tmp_path / "record.json")


@pytest.mark.slow
@pytest.mark.parametrize("silence", ["no trace", "a garbage root", "no bytes"])
def test_whoever_cannot_or_will_not_show_his_trace_is_slashed(
    town: Court, tmp_path: Path, silence: str
) -> None:
    key, defence = forged(town, silence, FORGERIES["late"]())
    town.challenge(key)
    if silence == "a garbage root":
        garbage = CommitTrace(claim_id=key, body=Sha256(b"g" * 32))
        chain = RpcChain(town.node.url, keys=[PROVIDER])
        town.venue.referee(chain).play(garbage, sender=PROVIDER.address)
    elif silence == "no bytes":
        assert moves_of(town.defend(*defence)) == ["CommitTrace"]
    town.challenge(key)
    town.pass_time(POLICY.allowance + 1)
    done = town.challenge(key, "--record", tmp_path / "record.json")
    assert (done.status, moves_of(done)) == (3, ["Timeout"])
    withheld = silence == "no trace"
    wanted = Reason.TRACE_WITHHELD if withheld else Reason.BYTES_WITHHELD
    assert town.claim(key).reason is wanted
    check_slashed(town, key, tmp_path / "record.json")


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_reorg_in_mid_dispute_changes_nothing_in_the_end(
    town: Court, tmp_path: Path, depth: int
) -> None:
    """Four times the last blocks are undone, and all moves that stand in them."""
    key, defence = forged(town, f"reorg {depth}", FORGERIES["late"]())
    town.node.ask("anvil_mine", hex(10))
    undone = 0
    for look in range(60):
        town.challenge(key)
        town.defend(*defence)
        if town.claim(key).status is not Status.OPEN:
            break
        if look % 2 and undone < 4:
            before = town.referee.chain.block_number()
            # The same number of blocks, all empty: every move of these is gone.
            town.node.ask("anvil_reorg", depth, [])
            assert town.referee.chain.block_number() == before
            undone += 1
    assert undone >= 2
    town.challenge(key, "--record", tmp_path / "record.json")
    check_slashed(town, key, tmp_path / "record.json")


@pytest.mark.slow
def test_a_verdict_counts_once_blocks_stand_on_it(town: Court) -> None:
    key, defence = forged(town, "unsettled", FORGERIES["late"](), "--eager")
    more = ("--served", exported(town, defence[3], town.home / "unsettled"))
    snapshot = town.node.ask("evm_snapshot")
    assert town.challenge(key, *more).status == 3
    town.node.ask("evm_revert", snapshot)
    assert town.claim(key).status is Status.OPEN
    done = town.challenge(key, *more)
    assert (done.status, town.claim(key).status) == (3, Status.REFUTED)


def killed_again_and_again(
    start: Callable[[], "subprocess.Popen[str]"],
    over: Callable[[], bool],
    rng: random.Random,
    slowness: float,
) -> int:
    """Start a program and kill it without warning, until it is over; how often."""
    kills = 0
    while True:
        with start() as child:
            deadline = time.monotonic() + rng.uniform(0.8, 3) * slowness
            while time.monotonic() < deadline:
                if over():
                    child.kill()
                    return kills
                time.sleep(0.2)
            child.send_signal(signal.SIGKILL)
            kills += 1


@pytest.mark.slow
def test_both_players_are_killed_and_restarted_until_the_end(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    with court(tmp_path) as town:
        key, defence = forged(town, "killed", FORGERIES["late"]())
        honest = town.post(town.open_job("honest"))
        began = time.monotonic()
        with town.start(PROVIDER, "defend", *town.library, "--once") as child:
            child.communicate()
        slowness = time.monotonic() - began
        town.node.ask("evm_setIntervalMining", 1)
        until = time.monotonic() + 60 * slowness

        def over() -> bool:
            assert time.monotonic() < until, "the dispute does not end"
            return town.claim(key).status is not Status.OPEN

        def start(who: SigningKey, verb: str, *words: object) -> "subprocess.Popen[str]":
            return town.start(who, verb, *town.library, "--interval", 0.3, *words)

        def defending() -> "subprocess.Popen[str]":
            return start(PROVIDER, "defend", "--trace", defence[3])

        def disputing() -> "subprocess.Popen[str]":
            return start(WATCHER, "challenge", "0x" + key.hex(), "--deposit", DEPOSIT)

        with ThreadPoolExecutor(2) as pool:
            games = [
                pool.submit(killed_again_and_again, make, over, random.Random(seed + i), slowness)
                for i, make in enumerate((defending, disputing))
            ]
            kills = [game.result() for game in games]
        print(f"killed {kills} times, a start takes {slowness:.1f} s")
        assert min(kills) >= 1
        town.node.ask("evm_setIntervalMining", 0)
        town.node.ask("evm_setAutomine", True)
        town.challenge(key, "--record", tmp_path / "record.json")
        check_slashed(town, key, tmp_path / "record.json")
        assert town.claim(key).reason is Reason.ELEMENT
        assert town.claim(key).challenges == 1
        town.pass_time(POLICY.window + 1)
        town.defend()
        assert town.claim(honest).status is Status.FINAL
        vault = town.referee.vault()
        assert vault.reserved(REQUESTER.address, town.referee.register().address) == PRICE
