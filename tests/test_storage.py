"""Files and folders appear whole or not at all, whatever the disk does."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from zk_material import environment

from verifiable.errors import InputError, StorageError
from verifiable.storage import check_new, copy_file, new_folder, write_file

UNWRITABLE = (
    ("/proc/nothing", "the folder above it|permission|not|fail"),
    ("/dev/null/nothing", "not a folder"),
    ("/no/such/folder/at/all", "does not exist"),
    ("/tmp/" + "n" * 300, "too long"),
)


@pytest.mark.parametrize(("path", "reason"), UNWRITABLE)
def test_a_place_that_cannot_be_written_is_named_with_the_reason(path: str, reason: str) -> None:
    with pytest.raises(StorageError, match=f"cannot write `{path}`.*({reason})"):
        write_file(Path(path), b"content")
    with (
        pytest.raises(StorageError, match=f"cannot write `{path}`.*({reason})"),
        new_folder(Path(path)),
    ):
        pass


def test_a_folder_is_not_overwritten_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="it is a folder"):
        write_file(tmp_path / "folder", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_exists_is_found_before_any_work_is_done(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "dangling"):
        with pytest.raises(InputError, match="exists already"):
            check_new(tmp_path / name)
    with pytest.raises(StorageError, match="does not exist"):
        check_new(tmp_path / "none" / "file")
    check_new(tmp_path / "fresh")


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    with path.open("rb") as reader:
        write_file(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    copy_file(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "file"]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_bytes(b"content")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "folder") as partial:
        fill(partial)
    assert list(tmp_path.iterdir()) == []


FULL = """
import sys
from pathlib import Path
from verifiable.errors import StorageError
from verifiable.storage import new_folder, write_file
target = Path(sys.argv[1])
for attempt in ("file", "folder"):
    try:
        if attempt == "file":
            write_file(target / "file", bytes(1 << 20))
        else:
            with new_folder(target / "folder") as partial:
                (partial / "a").write_bytes(bytes(1 << 20))
    except StorageError as e:
        print(e, "|", e.hint)
"""


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    # A limit on the size of files stands in for a disk: it fails in the middle of writing, too.
    (tmp_path / "file").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    assert all("may not grow that large" in line and "make room" in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"
