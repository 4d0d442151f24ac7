"""Running the command line in this process."""

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from verifiable.cli.main import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run of the command line ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The last JSON line on stderr."""
        return json.loads(self.err.splitlines()[-1])


def called(*words: object) -> Run:
    """Run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(word) for word in words])
        except SystemExit as e:  # --help and --version end so
            status = int(e.code or 0)
    return Run(status=status, out=out.getvalue(), err=err.getvalue())
