"""A signing key in the environment, as a provider would have it."""

import pytest
from documents import KEY


@pytest.fixture(autouse=True)
def signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFIABLE_PRIVATE_KEY", "0x" + KEY.secret.hex())
