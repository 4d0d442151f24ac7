"""Names for the plain values that cross layer borders.

A ``NewType`` costs nothing at run time and stops one 32-byte string from being passed where
another is meant.
"""

from typing import NewType

Sha256 = NewType("Sha256", bytes)
"""A 32-byte SHA-256 digest of a file or of canonical bytes."""

ClaimId = NewType("ClaimId", bytes)
"""The 32-byte EIP-712 digest of a claim."""

Bytes32 = NewType("Bytes32", bytes)
"""32 bytes that only the application gives a meaning: a job id, a nonce."""

Address = NewType("Address", str)
"""An account or contract: 0x and 40 hex digits, EIP-55 checksummed."""

Felt = NewType("Felt", int)
"""An element of the BN254 scalar field in ``0 <= x < r``."""

Gas = NewType("Gas", int)
"""An amount of EVM gas."""
