"""Profiles, caches and material that many tests share."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings  # noqa: TID251 (the one place that sets profiles)
from run_folder import locked, open_run, run_folder

if TYPE_CHECKING:
    from evm_worlds import Kind, World

    from verifiable.engines.gpu import Gpu
    from verifiable.engines.protocol import Engine

settings.register_profile(
    "dev", max_examples=50, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile(
    "ci", max_examples=300, derandomize=True, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile("nightly", max_examples=20_000, deadline=None, print_blob=True)
# For planted bugs: that an example fails is all there is to know.
settings.register_profile(
    "mutants", settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_configure() -> None:
    """The run's folder is there before workers are."""
    open_run()


@pytest.fixture(scope="session", autouse=True)
def own_cache() -> Iterator[Path]:
    """A cache of this run's own, kept between runs only where VERIFIABLE_TEST_CACHE says so."""
    kept = os.environ.get("VERIFIABLE_TEST_CACHE")
    folder = Path(kept) if kept else run_folder() / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERIFIABLE_CACHE", str(folder))
        if find_spec("ezkl"):
            make_development_srs(folder)
        yield folder


def make_development_srs(cache: Path) -> None:
    """Put one SRS of each level that many tests use into the store.

    Two workers who want one at once would each make their own, and which of the two serves from
    then on is left open: a circuit compiled before would get another key when compiled again.
    """
    from verifiable.proofs.protocol import Limits
    from verifiable.proofs.srs_store import insecure_srs

    with locked(cache / ".srs.lock"):
        for level in (9, 10):
            insecure_srs(level, Limits())


def _world(kind: "Kind") -> "World":
    from evm_worlds import shared

    return shared(kind)


# Emissions on embedded chains that no test changes, of a plain, a reusable, and a plain verifier.
@pytest.fixture(scope="module")
def single() -> "World":
    return _world("single")


@pytest.fixture(scope="module")
def split() -> "World":
    return _world("split")


@pytest.fixture(scope="module")
def public() -> "World":
    return _world("public")


@pytest.fixture(scope="module", params=["single", "split"])
def either(request: pytest.FixtureRequest) -> "World":
    return _world(request.param)


@pytest.fixture(scope="module", params=["single", "split", "public"])
def each(request: pytest.FixtureRequest) -> "World":
    return _world(request.param)


@pytest.fixture(scope="session")
def gpu() -> "Gpu":
    """The gpu engine; tests that ask for it carry the mark of the same name."""
    from verifiable.engines.gpu import Gpu
    from verifiable.errors import MissingDependencyError

    try:
        return Gpu()
    except MissingDependencyError as error:
        pytest.skip(f"no CUDA device: {error}")


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> "Engine":
    """The engine that a test's parameter names; see ``named_engines``."""
    from named_engines import named

    if request.param == "gpu":
        found: Gpu = request.getfixturevalue("gpu")
        return found
    return named(request.param)
