"""Reading the text of an emitted verifier line by line, and saying where it is not as expected."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from verifiable.errors import EncodingError


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank, without the white space around it."""

    number: int
    """As editors count, from 1."""
    text: str

    def refuse(self, wanted: str) -> NoReturn:
        """Say that this line is not what was wanted.

        Raises
        ------
        EncodingError
            Always.
        """
        got = self.text if len(self.text) <= 120 else self.text[:120] + "..."
        raise EncodingError(
            f"emitted verifier, line {self.number}: got `{got}`, wanted {wanted}",
            hint="only the plain form that ezkl 23 emits is understood",
        )

    def match(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        """Match the whole line.

        Raises
        ------
        EncodingError
            If it does not match.
        """
        found = pattern.fullmatch(self.text)
        if found is None:
            self.refuse(wanted)
        return found


@dataclass(frozen=True, slots=True)
class Text:
    """Lines in order."""

    lines: tuple[Line, ...]

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def find(self, mark: str) -> int:
        """Index of the only line that starts with `mark`.

        Raises
        ------
        EncodingError
            If there is no such line, or more than one.
        """
        found = [i for i, line in enumerate(self.lines) if line.text.startswith(mark)]
        if len(found) != 1:
            raise EncodingError(f"emitted verifier: {len(found)} lines start `{mark}`, wanted one")
        return found[0]

    def between(self, first: str, last: str) -> "Text":
        """The lines after the one that starts with `first` and before the one with `last`.

        Raises
        ------
        EncodingError
            If either is missing or stands twice, or they stand in the other order.
        """
        start, end = self.find(first), self.find(last)
        if start > end:
            self.lines[start].refuse(f"it before `{last}`")
        return Text(self.lines[start + 1 : end])


def read_text(solidity: str) -> Text:
    """Split the text into lines."""
    stripped = ((number, line.strip()) for number, line in enumerate(solidity.split("\n"), 1))
    return Text(tuple(Line(number, text) for number, text in stripped if text))
