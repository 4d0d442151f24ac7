"""The store of SRS files: what is secure is known by digest, not by name."""

from pathlib import Path

import pytest

from verifiable.crypto.hashing import sha256
from verifiable.crypto.srs import ceremony_digest, rebuild_k1, reduced
from verifiable.errors import (
    EncodingError,
    InputError,
    LockError,
    SrsRejectedError,
    StorageError,
)
from verifiable.proofs.protocol import Limits
from verifiable.proofs.srs_store import (
    ceremony_srs,
    import_srs,
    insecure_family,
    insecure_srs,
    locked_srs,
    srs_folder,
    srs_of_level,
)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("VERIFIABLE_CACHE", str(tmp_path / "cache"))
    return srs_folder()


@pytest.fixture
def ceremony(tmp_path: Path) -> Path:
    path = tmp_path / "kzg1.srs"
    path.write_bytes(rebuild_k1())
    return path


def test_the_ceremony_s_file_is_accepted_as_secure(ceremony: Path) -> None:
    found = import_srs(ceremony)
    assert not found.insecure
    assert found.digest == ceremony_digest(1) == sha256(ceremony.read_bytes())
    stored = ceremony_srs(1)
    assert stored.read_bytes() == ceremony.read_bytes()
    assert locked_srs(found.digest, 1) == stored
    with pytest.raises(InputError, match="no ceremony SRS of level 2"):
        ceremony_srs(2)


@pytest.mark.parametrize("at", [0, 5, 70, 140, 200, 262, 300, 400, 515])
def test_a_damaged_file_is_refused_and_not_stored(at: int, ceremony: Path, store: Path) -> None:
    data = bytearray(ceremony.read_bytes())
    data[at] ^= 1
    ceremony.write_bytes(data)
    with pytest.raises((SrsRejectedError, EncodingError)):
        import_srs(ceremony)
    assert not store.exists()


def test_what_is_no_srs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"not an SRS")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("text", "empty"):
        with pytest.raises(EncodingError):
            import_srs(tmp_path / name)
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(StorageError):
            import_srs(path)


def test_a_development_srs_is_marked_and_used_again_at_its_own_level(store: Path) -> None:
    made = insecure_srs(3, Limits())
    assert made.name.startswith("insecure-k3-")
    assert insecure_srs(3, Limits()) == made
    for other in (2, 4):
        assert insecure_srs(other, Limits()).name.startswith(f"insecure-k{other}-")
    with pytest.raises(InputError, match="no ceremony SRS") as refused:
        ceremony_srs(3)
    assert "--insecure-srs" in (refused.value.hint or "")
    assert all(path.suffix == ".srs" for path in store.iterdir())
    found = import_srs(made)
    assert found.insecure


def test_a_family_has_one_tau_and_is_made_once(store: Path) -> None:
    made = insecure_family([4, 2, 3, 4], Limits())
    assert sorted(made) == [2, 3, 4]
    assert len({reduced(path) for path in made.values()}) == 1
    assert insecure_family([4, 2], Limits()) == {4: made[4], 2: made[2]}
    assert {srs_of_level(made[4], k) for k in (2, 3, 4)} == set(made.values())
    assert all(path.suffix == ".srs" for path in store.iterdir())


def test_a_level_is_taken_from_files_of_the_same_tau_only() -> None:
    alone = insecure_srs(2, Limits())
    made = insecure_family([2, 4], Limits())
    assert srs_of_level(made[4], 2) == made[2] != alone
    assert srs_of_level(alone, 2) == alone
    assert srs_of_level(made[4], 3) == made[4]
    damaged = bytearray(made[2].read_bytes())
    damaged[100] ^= 1
    made[2].write_bytes(damaged)
    assert srs_of_level(made[4], 2) == made[4]


def test_what_is_made_later_changes_no_earlier_choice() -> None:
    first = insecure_srs(3, Limits())
    for _ in range(3):
        made = insecure_family([2, 3], Limits())
        made[2].unlink()
    assert insecure_srs(3, Limits()) == first


def test_two_development_srs_differ() -> None:
    one = insecure_srs(2, Limits())
    one.unlink()
    assert insecure_srs(2, Limits()).name != one.name


def test_a_name_alone_makes_nothing_secure(store: Path) -> None:
    made = insecure_srs(3, Limits())
    made.rename(store / made.name.replace("insecure", "ceremony"))
    with pytest.raises(LockError, match="not the ceremony's"):
        ceremony_srs(3)


def test_other_files_in_the_store_are_left_alone(store: Path) -> None:
    store.mkdir(parents=True)
    for name in ("x.srs", "insecure-kx-12.srs", ".srs", "a-b-c.srs", "insecure-k99-00.srs"):
        (store / name).write_bytes(b"")
    insecure_srs(2, Limits())
    with pytest.raises(InputError):
        ceremony_srs(2)


def test_the_srs_of_a_bundle_s_keys_must_be_there_and_whole(store: Path) -> None:
    made = insecure_srs(3, Limits())
    digest = sha256(made.read_bytes())
    assert locked_srs(digest, 3) == made
    data = bytearray(made.read_bytes())
    data[100] ^= 1
    made.write_bytes(data)
    with pytest.raises(LockError, match="has SHA-256"):
        locked_srs(digest, 3)
    made.write_bytes(data[:-1])
    with pytest.raises(LockError, match="damaged"):
        locked_srs(digest, 3)
    made.unlink()
    with pytest.raises(LockError, match=f"not in `{store}`"):
        locked_srs(digest, 3)
    with pytest.raises(LockError):
        locked_srs(digest, 4)


def test_a_store_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, ceremony: Path
) -> None:
    monkeypatch.setenv("VERIFIABLE_CACHE", "/dev/null/cache")
    with pytest.raises(StorageError, match="/dev/null/cache"):
        import_srs(ceremony)
    with pytest.raises(StorageError, match="/dev/null/cache"):
        insecure_srs(2, Limits())
