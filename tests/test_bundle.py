"""Bundles: every file is what LOCK.json says, and a LOCK is read without trust."""

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from costly import costly
from documents import json_values
from hypothesis import given
from hypothesis import strategies as st
from zk_material import bundle, case

from verifiable.bundle import LOCK_NAME, open_bundle, write_bundle
from verifiable.crypto.hashing import sha256, sha256_file
from verifiable.errors import InputError, LockError, VerifiableError
from verifiable.proofs.check import check, expect, expected_tensors
from verifiable.proofs.instances import check_joints, read_outputs
from verifiable.proofs.locked import from_lock, to_lock
from verifiable.receipt import check_document


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A bundle that may be damaged."""
    return Path(shutil.copytree(bundle("public").folder, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose LOCK the random tests overwrite again and again."""
    return Path(shutil.copytree(bundle("split").folder, tmp_path_factory.mktemp("fuzz") / "bundle"))


def read_lock(folder: Path) -> Any:
    return json.loads((folder / LOCK_NAME).read_bytes())


def write_lock(folder: Path, lock: object) -> None:
    (folder / LOCK_NAME).write_bytes(json.dumps(lock).encode())


def names(folder: Path) -> list[str]:
    return sorted(read_lock(folder)["files"])


def test_the_lock_lists_every_file_and_its_digest_identifies_the_bundle() -> None:
    found = bundle("public")
    lock = read_lock(found.folder)
    on_disk = {
        path.relative_to(found.folder).as_posix()
        for path in found.folder.rglob("*")
        if path.is_file()
    }
    assert set(lock["files"]) == on_disk - {LOCK_NAME}
    for name, entry in lock["files"].items():
        assert entry["sha256"] == sha256_file(found.folder / name).hex()
    assert found.digest == sha256((found.folder / LOCK_NAME).read_bytes())


def test_a_changed_byte_of_any_file_is_refused_and_the_file_named(copy: Path) -> None:
    for name in names(copy):
        path = copy / name
        honest = path.read_bytes()
        for damage in (bytes([honest[0] ^ 1]) + honest[1:], honest[:-1], honest + b"\0"):
            path.write_bytes(damage)
            with pytest.raises(LockError, match=f"`{name}`"):
                open_bundle(copy, "prove")
        path.write_bytes(honest)
    open_bundle(copy, "prove")


def test_a_missing_file_is_named(copy: Path) -> None:
    for name in names(copy):
        honest = (copy / name).read_bytes()
        (copy / name).unlink()
        with pytest.raises(LockError, match=f"lacks `{name}`"):
            open_bundle(copy, "prove")
        (copy / name).symlink_to(bundle("public").folder / name)
        with pytest.raises(LockError, match=f"lacks `{name}`"):
            open_bundle(copy, "prove")
        (copy / name).unlink()
        (copy / name).write_bytes(honest)


def test_a_file_too_many_is_named(copy: Path) -> None:
    (copy / "zk" / "part-0" / "extra").write_bytes(b"")
    with pytest.raises(LockError, match="`zk/part-0/extra`"):
        open_bundle(copy, "verify")


def test_verifying_needs_no_file_that_only_proving_needs(copy: Path) -> None:
    for name in ("pk", "circuit.ezkl"):
        (copy / "zk" / "part-0" / name).unlink()
    given_ = case("public")
    moved = replace(given_.expectation, bundle=copy)
    check(given_.document, moved, now=0, method="independent", allow_insecure_srs=True)
    with pytest.raises(LockError, match="lacks `zk/part-0/"):
        open_bundle(copy, "prove")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "", "a\\b", "."])
def test_a_lock_cannot_name_a_file_outside(name: str, copy: Path) -> None:
    lock = read_lock(copy)
    lock["files"][name] = {"bytes": 0, "for": "verify", "sha256": sha256(b"").hex()}
    (copy.parent / "outside").write_bytes(b"")
    write_lock(copy, lock)
    with pytest.raises(LockError):
        open_bundle(copy, "verify")


def test_another_version_of_a_prover_is_named_before_anything_else_goes_wrong(copy: Path) -> None:
    lock = read_lock(copy)
    lock["versions"]["ezkl"] = "1.2.3"
    write_lock(copy, lock)
    with pytest.raises(LockError, match=r"made with ezkl 1.2.3, and .* is installed") as refused:
        open_bundle(copy, "prove")
    assert "pip install 'ezkl==1.2.3'" in (refused.value.hint or "")
    open_bundle(copy, "verify")


@pytest.mark.parametrize("package", ["", "no-such-package", "../x", "a b"])
def test_packages_that_do_not_exist_are_no_crash(package: str, copy: Path) -> None:
    lock = read_lock(copy)
    lock["versions"][package] = "1"
    write_lock(copy, lock)
    with pytest.raises(LockError):
        open_bundle(copy, "prove")


def test_a_file_marked_as_the_prover_s_cannot_escape_the_check(copy: Path) -> None:
    # Otherwise the key could be swapped under a lock that says verifying does not need it.
    for name in ("vk", "settings.json", "verifier.sol", "model.onnx"):
        lock = read_lock(copy)
        lock["files"][f"zk/part-0/{name}"]["for"] = "prove"
        write_lock(copy, lock)
        with pytest.raises(LockError, match=name):
            from_lock(open_bundle(copy, "verify"))
        lock["files"][f"zk/part-0/{name}"]["for"] = "verify"
        write_lock(copy, lock)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b'{"schema": "verifiable/lock/1"}',
        b'{"schema": "verifiable/lock/1", "versions": 5, "files": {}}',
        b'{"schema": "verifiable/lock/1", "versions": {}, "files": {"x": 5}}',
        b'{"schema": "verifiable/lock/2", "versions": {}, "files": {}}',
        b'{"schema": "verifiable/lock/1", "schema": "verifiable/lock/1"}',
        b'{"schema": ' + b"9" * 5000 + b"}",
        b'{"schema":"verifiable/lock/1","versions":{},"files":{"' + b"n" * 5000 + b'":{"for":""}}}',
    ],
    ids=range(14),
)
def test_a_lock_that_is_none_is_refused(raw: bytes, copy: Path) -> None:
    (copy / LOCK_NAME).write_bytes(raw)
    with pytest.raises(LockError, match=LOCK_NAME):
        from_lock(open_bundle(copy, "prove"))


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", Path("/dev/null"), tmp_path / ("n" * 5000)):
        with pytest.raises(LockError, match="is not a bundle"):
            open_bundle(path, "verify")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_as_a_lock_never_give_a_traceback(shared: Path, raw: bytes) -> None:
    (shared / LOCK_NAME).write_bytes(raw)
    with suppress(VerifiableError):
        from_lock(open_bundle(shared, "prove"))


def paths(value: object) -> list[tuple[object, ...]]:
    """Every place inside a JSON value, the value itself first."""
    found: list[tuple[object, ...]] = [()]
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return found
    for key, inner in items:
        found += [(key, *rest) for rest in paths(inner)]
    return found


@costly(st.data())
def test_a_lock_with_one_value_replaced_by_another_never_gives_a_traceback(
    shared: Path, data: st.DataObject
) -> None:
    lock = read_lock(bundle("split").folder)
    place = data.draw(st.sampled_from(paths(lock)[1:]))
    value = data.draw(json_values | st.integers() | st.sampled_from([-1, 0, 99, 10**40, "../.."]))
    target = lock
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    write_lock(shared, lock)
    honest = case("split")
    instances = [part.instances for part in honest.claim.subject.parts]
    with suppress(VerifiableError):
        # All of a verification but the proofs, which take a tenth of a second.
        opened = open_bundle(shared, "verify")
        circuits = from_lock(opened)
        known = expected_tensors(opened, circuits, honest.expectation, Path())
        expected = expect(circuits, honest.expectation, known, allow_insecure_srs=True)
        check_document(honest.receipt, expected, now=0)
        layouts = [part.layout for part in circuits.parts]
        check_joints(circuits.joints, layouts, instances)
        read_outputs(layouts[-1], instances[-1])


@pytest.mark.parametrize("kind", ["split", "committed-weights", "hashed-all"])
def test_the_lock_of_circuits_reads_back_as_it_was_written(kind: str) -> None:
    found = bundle(kind)
    circuits = from_lock(found)
    assert json.loads(json.dumps(to_lock(circuits))) == found.lock["zk"]


def test_a_bundle_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "file").write_bytes(b"content")
        raise InterruptedError

    with pytest.raises(InterruptedError), write_bundle(tmp_path / "b", {}, set()) as partial:
        fill(partial)
    assert list(tmp_path.iterdir()) == []
    with write_bundle(tmp_path / "b", {}, set()) as partial:
        (partial / "file").write_bytes(b"content")
        assert not (tmp_path / "b").exists()
    assert open_bundle(tmp_path / "b", "prove").lock["files"]["file"]["bytes"] == 7
    with pytest.raises(InputError, match="exists already"), write_bundle(tmp_path / "b", {}, set()):
        pass


def test_a_bundle_compiled_for_another_venue_says_so(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "b", {}, set()):
        pass
    with pytest.raises(LockError, match="no part `zk`") as refused:
        from_lock(open_bundle(tmp_path / "b", "verify"))
    assert refused.value.hint
