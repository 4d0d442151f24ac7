"""The Fiat-Shamir transcript: Keccak-256 over big-endian words.

The state is 32 bytes. What is absorbed is appended to it; drawing a challenge hashes the lot,
keeps the hash as the new state, and reduces it modulo ``r``.
"""

from verifiable.crypto.bn254 import G1, encode_g1
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.hashing import keccak256
from verifiable.types import Felt


class Transcript:
    r"""What prover and verifier have said so far.

    Parameters
    ----------
    digest : int
        Stands for the verifying key.

    Examples
    --------
    >>> transcript = Transcript(Felt(1))
    >>> transcript.absorb_felt(2)
    >>> word = keccak256(bytes(31) + b"\x01" + bytes(31) + b"\x02")
    >>> transcript.draw() == int.from_bytes(word, "big") % MODULUS
    True
    """

    def __init__(self, digest: Felt) -> None:
        self._state = digest.to_bytes(32, "big")
        self._absorbed = bytearray()

    def absorb_felt(self, value: int) -> None:
        """Absorb a felt as one word."""
        self._absorbed += value.to_bytes(32, "big")

    def absorb_point(self, point: G1) -> None:
        """Absorb a point as two words."""
        self._absorbed += encode_g1(point)

    def draw(self) -> Felt:
        """Draw a challenge from all that was absorbed.

        Two challenges in a row must differ, so a byte 1 stands for having absorbed nothing.
        """
        self._state = keccak256(self._state + (bytes(self._absorbed) or b"\x01"))
        self._absorbed.clear()
        return Felt(int.from_bytes(self._state, "big") % MODULUS)
