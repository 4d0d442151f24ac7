"""Halo2 proofs, verified without ezkl: see `verifier`."""

from verifiable.proofs.halo2.constraints import System, VerifyingKey
from verifiable.proofs.halo2.verifier import commitments, read_key, verify

__all__ = ["System", "VerifyingKey", "commitments", "read_key", "verify"]
