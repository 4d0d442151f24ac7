"""The worlds of ``tests/contracts`` serve here too, and anvil."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from anvil import Anvil, start  # noqa: E402 (needs the path above)


@pytest.fixture(scope="session")
def anvil() -> Iterator[Anvil]:
    """One node for all tests that only add to its chain."""
    with start() as node:
        yield node
