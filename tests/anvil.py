"""A development node for the tests; skipped, with the reason, where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager

import devnode
import pytest
from devnode import Anvil

from verifiable.crypto.signatures import SigningKey

# First account of anvil's public development mnemonic.
KEY = SigningKey(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))


def require() -> None:
    """Skip the test where no node can be started; `make setup` installs one."""
    if devnode.find() is None:
        pytest.skip("no anvil: run `npm ci --prefix verifiable/contracts`")


@contextmanager
def start(*options: str) -> Iterator[Anvil]:
    """See `devnode.start`."""
    require()
    with devnode.start(*options) as node:
        yield node


__all__ = ["KEY", "Anvil", "require", "start"]
