"""Results on stdout, everything else on stderr.

With ``--json`` the result is one tagged object, and progress and errors are JSON lines on stderr.
JSON has no word for a float that is no number, and an output of a model may be one: everywhere it
is written as the string "nan", "inf" or "-inf".
"""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Where a verb writes, and how much."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: bool = True
    _width: list[int] = field(default_factory=lambda: [0])

    def result(self, schema: str, value: Mapping[str, Any], lines: Sequence[str] = ()) -> None:
        """Write the result: `value` tagged with `schema`, or `lines` for a person.

        Parameters
        ----------
        schema : str
            Such as ``verdict``; becomes ``verifiable/verdict/1``.
        value : mapping
            JSON values; digests as 0x-hex, wei as decimal strings.
        lines : sequence of str
            What a person reads instead; by default the fields of `value`.
        """
        self.clear()
        if self.as_json:
            tagged = {"schema": f"verifiable/{schema}/1"} | dict(value)
            # Verbs that never end have several results, and whoever reads them waits for each.
            print(json_text(tagged, sort_keys=True), flush=True)
            return
        if not lines:
            width = max(map(len, value))
            lines = [f"{key:<{width}}  {_plain(entry)}" for key, entry in value.items()]
        print("\n".join(lines), flush=True)

    def tell(self, message: str) -> None:
        """Write a line meant for a person; left out with ``--quiet`` or ``--json``."""
        if not self.quiet and not self.as_json:
            self.clear()
            print(message, file=sys.stderr, flush=True)

    def event(self, stage: str, message: str, seconds: float) -> None:
        """Report progress: a line that replaces itself on a terminal, a JSON line with --json."""
        if self.as_json:
            value = {"event": stage, "message": message, "seconds": round(seconds, 3)}
            print(json_text(value), file=sys.stderr, flush=True)
        elif self.verbose:
            print(f"{stage}: {message}", file=sys.stderr, flush=True)
        elif self.progress and not self.quiet and sys.stderr.isatty():
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            text = f"{stage}: {' '.join(message.split())}"[: columns - 1]
            self._width[0] = len(text)
            print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the progress line away."""
        if self._width[0]:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._width[0] = 0

    def error(self, word: str, status: int, message: str, hint: str | None) -> None:
        """Write an error and its hint."""
        self.clear()
        if self.as_json:
            value = {"error": word, "status": status, "message": message, "hint": hint}
            print(json_text(value), file=sys.stderr, flush=True)
            return
        red, plain = ("\x1b[31m", "\x1b[0m") if _colours() else ("", "")
        print(f"{red}{word}{plain}: {message}", file=sys.stderr)
        if hint:
            print(f"hint: {hint}", file=sys.stderr)


def json_text(value: Any, *, sort_keys: bool = False) -> str:
    """Strict JSON (RFC 8259); the only place of the command line that writes any.

    >>> json_text({"y": [0.5, float("nan"), float("-inf")]})
    '{"y": [0.5, "nan", "-inf"]}'
    """
    return json.dumps(_strict(value), sort_keys=sort_keys, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value


def _colours() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _plain(value: Any) -> str:
    if isinstance(value, dict | list):
        return json_text(value)
    return str(value)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a table with columns as wide as they need to be.

    >>> table(("stage", "s"), [("prove", 2.5)])
    ['stage  s', 'prove  2.5']
    """
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    ]
