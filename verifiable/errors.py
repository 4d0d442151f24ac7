"""Every error this package raises on purpose, and the exit status each becomes.

* VerifiableError
  x InputError (2)              what you handed over is malformed; fix it and call again
    - ModelError                  an ONNX or torch model we must not or cannot take
    - UnsupportedError            an operator, or a use of one, that has no canonical meaning
    - GraphError                  a graph breaks a rule of ``graph.check``
    - TensorError                 an input tensor of the wrong name, shape, dtype or range
    - EncodingError               bytes that are not the canonical encoding of anything
    - PolicyError                 no settings satisfy what was asked for
  x RejectedError (3)           well-formed, checked, and false
    - ProofRejectedError          the proof does not satisfy the verifying key
    - StatementRejectedError      a receipt says something else than what was expected
    - SignatureRejectedError      a signature is not the provider's
    - SrsRejectedError            an SRS file is not what it claims to be
    - OpeningRejectedError        a Merkle opening does not lead to the root
  x HostError (4)               nothing is known to be wrong; this machine cannot check it
    - MissingDependencyError      an extra, a program or a device is absent
    - LockError                   a file of a bundle is absent or of another digest
    - InsecureSrsError            made with a development SRS, which proves nothing
    - OutOfMemoryError            a stage needed more memory than it was given
    - StageTimeoutError           a stage ran past its time limit
    - StageFailedError            a stage ended without a result
    - StorageError                the disk is full, or the folder cannot be written
  x ChainError (5)              the node refused, timed out, or answered nonsense

A bug in this package raises ``AssertionError`` or another built-in, never one of these.
"""


class VerifiableError(Exception):
    """Base class of every error raised on purpose.

    Parameters
    ----------
    message : str
        What is wrong, what was got and what was wanted.
    hint : str, optional
        What the reader can do about it; the command line prints it after ``hint:``.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InputError(VerifiableError):
    """What the caller handed over is malformed."""


class ModelError(InputError):
    """A model we must not or cannot take; the message names tensor and operator."""


class UnsupportedError(InputError):
    """An operator, or a use of one, that cannot be lowered; the message names it."""


class GraphError(InputError):
    """A canonical graph breaks a rule; the message names the instruction and the rule."""


class TensorError(InputError):
    """An input tensor of the wrong name, shape, dtype or range."""


class EncodingError(InputError):
    """Bytes that are not the canonical encoding of anything."""


class PolicyError(InputError):
    """No settings satisfy what was asked for; the hint names the nearest that would."""


class RejectedError(VerifiableError):
    """The thing is well-formed, was checked, and is false."""


class ProofRejectedError(RejectedError):
    """The proof does not satisfy the verifying key."""


class StatementRejectedError(RejectedError):
    """A receipt says something else than what was expected."""


class SignatureRejectedError(RejectedError):
    """A signature is not the provider's."""


class SrsRejectedError(RejectedError):
    """An SRS file is not what it claims to be."""


class OpeningRejectedError(RejectedError):
    """A Merkle opening does not lead to the root."""


class HostError(VerifiableError):
    """Nothing is known to be wrong; this machine cannot check it."""


class MissingDependencyError(HostError):
    """An extra, a program or a device is absent."""


class LockError(HostError):
    """A file of a bundle is absent or of another digest; the message names it."""


class InsecureSrsError(HostError):
    """Made with a development SRS: whoever made that SRS can prove anything."""


class OutOfMemoryError(HostError):
    """A stage needed more memory than it was given."""


class StageTimeoutError(HostError):
    """A stage ran past its time limit."""


class StageFailedError(HostError):
    """A stage ended without a result."""


class StorageError(HostError):
    """The disk is full, or the folder cannot be written."""


class ChainError(VerifiableError):
    """The node refused, timed out, or answered nonsense."""
