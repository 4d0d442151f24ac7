"""Close the sharp edges of the Solidity that ezkl emits.

What an emitted verifier reads of its calldata it reads in two ways: the transcript, from which the
challenges come, follows the ABI offsets; the equations read evaluations and commitments at fixed
places. With an offset that is not the canonical one these are different bytes, and whoever chooses
the second kind after the challenges of the first can make the equations hold for false instances.
The patched source therefore requires that

* the proof starts where a canonical encoder puts it, and so do the instances and the key material;
* the calldata ends where the last argument ends;
* the reusable verifier consumes the whole proof (as emitted it takes any length that fits), finds
  the key at the fixed memory address it reads it from, and returns flag and key digest without
  the rescaling loops, whose bounds come from calldata and whose answer is no valid ABI.

Nothing of the emitted text stands here, only anchors to search for. ezkl's source has no licence
to copy; each anchor must be found exactly once, or nothing is emitted.
"""

import re
from dataclasses import dataclass
from typing import Final

from verifiable.errors import EncodingError, StageFailedError

_PLAIN_NAME: Final = re.compile(r"\bcontract\s+Halo2Verifier\b")
_REUSABLE_NAME: Final = re.compile(r"\bcontract\s+Halo2VerifierReusable\b")
_PLAIN_LENGTH: Final = re.compile(r"^.*\beq\((0x[0-9a-f]+), proof\.length\)\).*\n", re.MULTILINE)
_REUSABLE_LENGTH: Final = re.compile(
    r"^.*\beq\(sub\(instance_cptr, 0xa4\), proof\.length\)\).*\n", re.MULTILINE
)
_LAST_POINT: Final = re.compile(r"^.*\bproof_cptr\b.*// W'[ \t]*\n", re.MULTILINE)
_VERIFIED: Final = re.compile(r"^\s*success = _verifyProof\([^;]*\);[ \t]*\n", re.MULTILINE)

# Head of verifyProof(bytes,uint256[]): selector and two offsets; the proof's length follows.
_PLAIN_CHECKS: Final = """
                // Added by `verifiable`: one calldata per proof.
                success := and(success, eq(proof.offset, 0x64))
                success := and(
                    success,
                    eq(instances.offset, add(add(proof.offset, proof.length), 0x20))
                )
                success := and(
                    success,
                    eq(calldatasize(), add(instances.offset, mul(0x20, instances.length)))
                )
"""

# Head of verifyProof(bytes,uint256[],bytes32[]): one offset more. The emitted line before checks
# the instances' offset against the proof's length. Key material is read from memory at 0xa0 on.
_REUSABLE_CHECKS: Final = """
                // Added by `verifiable`: one calldata per proof.
                success := and(success, eq(proof.offset, 0x84))
                success := and(success, eq(vka, 0x80))
                success := and(
                    success,
                    eq(
                        add(calldataload(0x44), 4),
                        add(instances.offset, mul(0x20, instances.length))
                    )
                )
                success := and(
                    success,
                    eq(
                        calldatasize(),
                        add(
                            add(instances.offset, 0x20),
                            mul(0x20, add(instances.length, mload(vka)))
                        )
                    )
                )
"""

_REUSABLE_END: Final = """
                // Added by `verifiable`: no byte of the proof is left over.
                success := and(success, eq(proof_cptr, add(proof.offset, proof.length)))
"""

_REUSABLE_ANSWER: Final = """
        // Added by `verifiable`: the flag and the key's digest, without rescaled instances.
        assembly {
            mstore(0x00, success)
            mstore(0x20, vka_digest)
            return(0x00, 0x40)
        }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainVerifier:
    """A patched verifier with the key in its code."""

    source: str
    proof_bytes: int
    """The one length of a proof that it accepts."""


def patch_plain(source: str, name: str = "Halo2Verifier") -> PlainVerifier:
    """Patch the verifier emitted for one key.

    Parameters
    ----------
    source : str
        What ``create_evm_verifier(reusable=False)`` wrote.
    name : str
        Name the contract is to have.

    Returns
    -------
    PlainVerifier

    Raises
    ------
    StageFailedError
        If the source is not of the form known: an anchor is absent or ambiguous.
    """
    match = _only(_PLAIN_LENGTH, source, "the check of the proof's length")
    proof_bytes = int(match[1], 16)
    if proof_bytes % 32:
        # Padding would come between proof and instances, where the check above does not look.
        raise StageFailedError(f"ezkl emitted a verifier of proofs of {proof_bytes} bytes")
    patched = _insert_after(source, match, _PLAIN_CHECKS)
    return PlainVerifier(source=_rename(patched, _PLAIN_NAME, name), proof_bytes=proof_bytes)


def patch_reusable(source: str, name: str = "Halo2VerifierReusable") -> str:
    """Patch the verifier that takes its key with each call.

    Parameters
    ----------
    source : str
        What ``create_evm_verifier(reusable=True)`` wrote.
    name : str
        Name the contract is to have.

    Returns
    -------
    str
        Source; its ``verifyProof`` returns flag and key digest, 64 bytes.

    Raises
    ------
    StageFailedError
        If the source is not of the form known: an anchor is absent or ambiguous.
    """
    patched = source
    for anchor, what, text in (
        (_VERIFIED, "the end of the verification", _REUSABLE_ANSWER),
        (_REUSABLE_LENGTH, "the check of the proof's length", _REUSABLE_CHECKS),
        (_LAST_POINT, "the last point of the proof", _REUSABLE_END),
    ):
        matches = list(anchor.finditer(patched))
        patched = _insert_after(patched, _only_of(matches, what), text)
    return _rename(patched, _REUSABLE_NAME, name)


def parse_key_material(data: bytes) -> tuple[bytes, ...]:
    r"""Read the file that ``create_evm_vka`` writes.

    Parameters
    ----------
    data : bytes
        A count as 8 bytes, little-endian, then that many words of 32 bytes.

    Returns
    -------
    tuple of bytes
        The words, as the reusable verifier wants them in ``bytes32[]``.

    Raises
    ------
    EncodingError
        If the length is not what the count says, or there is no word.

    Examples
    --------
    >>> parse_key_material(b"\x01" + bytes(7) + bytes(31) + b"\x05")[0][-1]
    5
    """
    count = int.from_bytes(data[:8], "little")
    if count == 0 or len(data) != 8 + 32 * count:
        raise EncodingError(f"key material of {len(data)} bytes says it holds {count} words")
    return tuple(data[i : i + 32] for i in range(8, len(data), 32))


def _only(anchor: re.Pattern[str], source: str, what: str) -> re.Match[str]:
    return _only_of(list(anchor.finditer(source)), what)


def _only_of(matches: list[re.Match[str]], what: str) -> re.Match[str]:
    if len(matches) != 1:
        raise StageFailedError(
            f"{what} was found {len(matches)} times in the emitted verifier, wanted once",
            hint="this ezkl emits another source than the versions this package knows",
        )
    return matches[0]


def _insert_after(source: str, match: re.Match[str], text: str) -> str:
    return source[: match.end()] + text.lstrip("\n") + source[match.end() :]


def _rename(source: str, anchor: re.Pattern[str], name: str) -> str:
    match = _only(anchor, source, "the contract's name")
    return f"{source[: match.start()]}contract {name}{source[match.end() :]}"
