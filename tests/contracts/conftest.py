"""Worlds for the contract tests: deployed once, and never changed (`call`, not `send`)."""

import pytest
from evm_worlds import World, world


@pytest.fixture(scope="session")
def single() -> World:
    return world("single")


@pytest.fixture(scope="session")
def split() -> World:
    return world("split")


@pytest.fixture(scope="session")
def public() -> World:
    return world("public")


@pytest.fixture(scope="session", params=["single", "split"])
def either(request: pytest.FixtureRequest) -> World:
    """The plain and the reusable form."""
    found: World = request.getfixturevalue(request.param)
    return found
