"""Gas of the optimistic venue: ``gas_report.py [ROW ...] [--json FILE] [--check | --write]``.

Each row is a transaction to the referee on anvil, at Osaka rules with the calldata floor, or a
whole dispute. Keys, order of creation and data are fixed, so that a row is the same number each
time. ``--check`` compares with the snapshot beside this file, ``--write`` replaces it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, Final

from benchmark import Row, report
from gas_venue import DAY, Court, court
from made_up import cases, made_up, product

from verifiable.chain.agent import Tick
from verifiable.chain.protocol import Sent
from verifiable.dispute.moves import (
    CommitTrace,
    DemandBytes,
    DemandPartials,
    Finalize,
    Post,
    Refute,
    Reveal,
    RevealPartials,
)
from verifiable.dispute.step import Statement, StepProof
from verifiable.graph.vocabulary import DType
from verifiable.solidity.standard import EvmVersion
from verifiable.types import Gas

SNAPSHOT: Final = Path(__file__).with_name("gas-snapshot.json")

MUST: Final = {
    "refute-dot-f32-4096": 1_800_000,
    "refute-dot-f32-768": 600_000,
    "refute-dot-int8-4096": 600_000,
    "refute-view": 250_000,
    "refute-map1": 250_000,
    "refute-map2": 320_000,
    "refute-map3": 400_000,
    "refute-gather": 320_000,
    "fma-step-osaka": 250,
    "fma-step-cancun": 450,
    "post": 180_000,
    "challenge": 180_000,
    "commit-trace": 250_000,
    "finalize": 100_000,
    "demand": 220_000,
    "reveal": 220_000,
    "withheld-gpt2-128": 1_600_000,
    "withheld-gpt2-128-txs": 20,
    "withheld-gpt2-128-map": 1_600_000,
}
"""Most that each row should be."""

MISSED: Final[dict[str, str]] = {}
"""Rows above their limit, and where the gas goes."""

DEAR: Final = (
    "demand", "reveal", "withheld-gpt2-128", "withheld-gpt2-128-txs", "withheld-gpt2-128-map",
)  # fmt: skip
"""Rows for which a model is exported and run, which takes a minute and 3 GB."""

TOLERANCE: Final = dict.fromkeys(DEAR, 0.005)
"""Share by which a row may differ from the snapshot, where it may: torch's random weights are not
the same on every processor, and zero bytes of a digest cost less than others."""

SHORT, LONG = 2048, 4096
"""Lengths of two rows, whose difference is so many steps of a Dot."""


class Report:
    """Measures rows, on nodes that are started when the first row needs them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.court = cache(self._court)
        self.dispute = cache(self._dispute)

    def _court(self, evm: EvmVersion) -> Court:
        found = self._stack.enter_context(court(evm))
        # The first wei that is ever burnt, and the like, cost more than all later ones.
        refuted(found, *made_up(*cases()["refute-view"]), number=0)
        return found

    def measure(self, name: str) -> Row:
        """One row."""
        if name.startswith("refute-"):
            sent = refuted(self.court("osaka"), *made_up(*cases()[name]), number=_number(name))
            return _gas(name, sent.gas)
        return _OTHERS[name](self, name)

    def fma(self, name: str) -> Row:
        """What one more element of both rows costs the contract that recomputes a Dot."""
        where = self.court("osaka" if name.endswith("osaka") else "cancun")
        used = []
        for i, length in enumerate((SHORT, LONG)):
            proof = made_up(*product(DType.F32, length))
            sent = refuted(where, *proof, number=_number(name) + i * len(MUST))
            used.append(_used_in(where, sent, "DotStep"))
        return _gas(name, round((used[1] - used[0]) / (LONG - SHORT), 1))

    def post(self, name: str) -> Row:
        """Post a claim; its trace is not committed."""
        where = self.court("osaka")
        return _gas(name, where.post(where.dispute(_some()[0], _number(name))))

    def challenge(self, name: str) -> Row:
        """Open the first challenge."""
        where = self.court("osaka")
        found = where.dispute(_some()[0], _number(name))
        where.post(found)
        return _gas(name, where.challenge(found))

    def commit(self, name: str) -> Row:
        """Commit the trace of a claim that was challenged."""
        where, about = self.court("osaka"), _some()[0]
        found = where.dispute(about, _number(name))
        where.post(found)
        where.challenge(found)
        move = CommitTrace(claim_id=found.key, body=about.body)
        return _gas(name, where.play(move, where.proposer).gas)

    def finalize(self, name: str) -> Row:
        """Finalise a claim that nobody challenged."""
        where = self.court("osaka")
        found = where.dispute(_some()[0], _number(name))
        where.post(found)
        where.wait(DAY + 1)
        move = Finalize(claim_id=found.key, job=found.job)
        return _gas(name, where.play(move, where.proposer).gas)

    def _dispute(self) -> tuple[list[Tick], list[Tick]]:
        from gas_withheld import withheld

        return withheld(self.court("osaka"), 3 * len(MUST))

    def withheld(self, name: str) -> Row:
        """From the challenge to the refutation."""
        ticks = self.dispute()[1 if name.endswith("-map") else 0]
        made = [tick for tick in ticks if not isinstance(tick.move, Post)]
        if name.endswith("-txs"):
            return Row(id=name, ours=len(made), peer=None, unit="transactions")
        return _gas(name, sum(_spent(tick) for tick in made))

    def dearest(self, name: str) -> Row:
        """The dearest move of a kind in that dispute."""
        kinds = {"demand": (DemandBytes, DemandPartials), "reveal": (Reveal, RevealPartials)}[name]
        return _gas(name, max(_spent(t) for t in self.dispute()[0] if isinstance(t.move, kinds)))


def _spent(tick: Tick) -> Gas:
    assert tick.sent is not None, "it was made"
    return tick.sent.gas


_OTHERS: Final[dict[str, Callable[[Report, str], Row]]] = {
    "fma-step-osaka": Report.fma,
    "fma-step-cancun": Report.fma,
    "post": Report.post,
    "challenge": Report.challenge,
    "commit-trace": Report.commit,
    "finalize": Report.finalize,
    "demand": Report.dearest,
    "reveal": Report.dearest,
    **dict.fromkeys(DEAR[2:], Report.withheld),
}


def refuted(where: Court, about: Statement, proof: StepProof, *, number: int) -> Sent:
    """A refutation by a challenger, of a claim whose trace is committed."""
    found = where.dispute(about, number)
    where.post(found, about.body)
    where.challenge(found)
    return where.play(Refute(claim_id=found.key, job=found.job, proof=proof), where.challenger)


@cache
def _some() -> tuple[Statement, StepProof]:
    return made_up(*cases()["refute-view"])


def _number(name: str) -> int:
    """Of a row's dispute: the same whichever rows are measured."""
    return 1 + list(MUST).index(name)


def _gas(name: str, gas: float) -> Row:
    return Row(id=name, ours=gas, peer=None, unit="gas")


def _used_in(where: Court, sent: Sent, name: str) -> int:
    """Gas of the one call of a contract in a transaction."""
    asked = {"tracer": "callTracer"}
    frame = where.node.ask("debug_traceTransaction", "0x" + sent.transaction.hex(), asked)
    address = where.venue.addresses[name].lower()
    (used,) = (int(one["gasUsed"], 16) for one in _frames(frame) if one["to"] == address)
    return used


def _frames(frame: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield frame
    for inner in frame.get("calls", []):
        yield from _frames(inner)


def measured(names: Sequence[str]) -> Iterator[Row]:
    """These rows, as they are measured."""
    with ExitStack() as stack:
        found = Report(stack)
        for name in names:
            yield found.measure(name)


def snapshot() -> dict[str, float]:
    """Rows as they are committed."""
    rows = json.loads(SNAPSHOT.read_text())["rows"]
    return {row["id"]: row["ours"] for row in rows}


def complaints(rows: Sequence[Row], known: Mapping[str, float]) -> Iterator[str]:
    """What is wrong with rows, each by name."""
    for row in rows:
        if row.id not in known:
            yield f"{row.id}: {row.ours:,} {row.unit}, and not in the snapshot"
            continue
        wanted = known[row.id]
        if abs(row.ours - wanted) > TOLERANCE.get(row.id, 0) * wanted:
            yield f"{row.id}: {row.ours:,} {row.unit}, in the snapshot {wanted:,}"


def main() -> int:
    """Measure the rows that were asked for; 1 if ``--check`` finds something wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="ROW", help=", ".join(MUST))
    parser.add_argument("--json", type=Path)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true")
    action.add_argument("--write", action="store_true")
    args = parser.parse_args()
    unknown = set(args.names) - set(MUST)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if args.write and args.names:
        parser.error("--write takes all rows")
    rows = list(measured(args.names or list(MUST)))
    report(rows, SNAPSHOT if args.write else args.json)
    for row in rows:
        if row.ours > MUST[row.id]:
            why = MISSED.get(row.id, "nobody knows why")
            print(f"{row.id} is above {MUST[row.id]:,}: {why}", file=sys.stderr)
    found = list(complaints(rows, snapshot())) if args.check else []
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
