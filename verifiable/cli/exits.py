"""What the process says with its exit status.

Status 1 is left to Python, which uses it for an uncaught exception: a crash must never be mistaken
for a refuted claim, since the next command in the script may slash somebody.
"""

from enum import IntEnum

from verifiable.errors import (
    ChainError,
    HostError,
    InputError,
    RejectedError,
    VerifiableError,
)


class Exit(IntEnum):
    """Exit statuses; see the table in STYLE and README."""

    DONE = 0
    CRASHED = 1
    BAD_INPUT = 2
    REFUTED = 3
    CANNOT_CHECK = 4
    CHAIN_FAILED = 5
    INTERRUPTED = 130


_STATUSES: tuple[tuple[type[VerifiableError], Exit, str], ...] = (
    (InputError, Exit.BAD_INPUT, "error"),
    (RejectedError, Exit.REFUTED, "refuted"),
    (HostError, Exit.CANNOT_CHECK, "cannot check here"),
    (ChainError, Exit.CHAIN_FAILED, "chain failed"),
)


def status_of(error: VerifiableError) -> tuple[Exit, str]:
    """Exit status of an error, and the word that stands before its message.

    >>> status_of(InputError("x"))
    (<Exit.BAD_INPUT: 2>, 'error')
    """
    for kind, status, word in _STATUSES:
        if isinstance(error, kind):
            return status, word
    raise AssertionError(f"{type(error).__name__} has no exit status")
