"""Run ONNX's own node cases through the lowering; print what passes, operator by operator."""

import argparse
import json
import sys
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "frontend" / "lower")]

from conformance import LIST, Case, Outcome, cases, outcome  # noqa: E402

from verifiable.frontend.lower.node import LOWERINGS  # noqa: E402

_MISTAKES = (
    ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError,
    RecursionError, NotImplementedError, MemoryError,
)  # fmt: skip


def safely(case: Case) -> Outcome:
    """As `outcome`, and a crash of ours is one too."""
    try:
        return outcome(case)
    except _MISTAKES:
        return Outcome(case=case, status="crashed", detail=traceback.format_exc(limit=-4))


def by_reason(found: Iterable[Outcome]) -> dict[str, Counter[str]]:
    """How often each operator is refused, by what is said about it; the most frequent first."""
    groups: dict[str, Counter[str]] = {}
    for one in found:
        where, _, why = one.reason.partition(": ")
        groups.setdefault(why, Counter())[where.split()[0]] += 1
    return dict(sorted(groups.items(), key=lambda group: -group[1].total()))


def main() -> int:
    """Run the chosen cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--op", action="append", help="only cases about this operator")
    parser.add_argument("--name", help="only cases with this in their name")
    parser.add_argument("--write", action="store_true", help=f"rewrite {LIST.name}")
    parser.add_argument("-v", action="store_true", help="say why for each case")
    args = parser.parse_args()
    found = [
        safely(c)
        for c in cases()
        if (not args.op or c.op in args.op) and (not args.name or args.name in c.name)
    ]
    by_op: dict[str, Counter[str]] = {}
    for one in found:
        by_op.setdefault(one.case.op, Counter())[one.status] += 1
        if args.v and one.status != "passed":
            print(f"{one.case.name}: {one.status}: {one.detail}\n")
    for op, counts in sorted(by_op.items()):
        total = counts.total()
        rest = {k: v for k, v in counts.items() if k != "passed"}
        print(f"{op:28} {counts['passed']:3} of {total:3} {rest or ''}")
    for why, operators in by_reason(o for o in found if o.status == "refused").items():
        named = ", ".join(f"{count} {op}" for op, count in operators.most_common())
        print(f"refused {operators.total():3}: {why} ({named})")
    statuses = Counter(one.status for one in found)
    print(f"{dict(statuses)} of {len(found)}; {len(LOWERINGS)} operator types")
    bad = statuses["wrong"] + statuses["crashed"]
    if args.write and not bad and not args.op and not args.name:
        reasons = {one.case.name: one.reason for one in found if one.status == "refused"}
        LIST.write_text(json.dumps(reasons, indent=1, sort_keys=True) + "\n")
    elif args.write:
        print("not written: it takes all cases, and none of them wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
