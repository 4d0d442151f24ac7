"""Run pytest and count the skipped tests by reason, so that no check is skipped in silence."""

import sys
from collections import Counter

import pytest


class SkipCounter:
    """A pytest plugin that remembers why tests were skipped."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module skipped as a whole, whose tests nobody will hear of."""
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # The reason is the third of what pytest keeps; a test that fails as expected has none.
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[str(report.longrepr[2])] += 1


def main() -> int:
    """Run pytest with the given arguments; its status is ours."""
    counter = SkipCounter()
    status = pytest.main(sys.argv[1:], plugins=[counter])
    print(f"skipped: {sum(counter.reasons.values())}")
    for reason, count in counter.reasons.most_common():
        print(f"  {count} x {reason}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
