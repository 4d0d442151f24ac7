"""The repository that the tests stand in: its files as git knows them."""

import functools
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]


@functools.cache
def tracked() -> tuple[str, ...]:
    """Paths below `ROOT` of all files but the ignored ones, so also of those not yet committed."""
    # A checkout may belong to another user than the one who tests it, as in a container.
    command = ("git", "-c", "safe.directory=*", "ls-files", "-z")
    listed = subprocess.run(
        [*command, "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    return tuple(sorted(name for name in set(listed.split("\0")) if (ROOT / name).is_file()))


@functools.cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
