"""Hashing, fields, curves, Poseidon, SRS, signatures: pure functions of bytes and integers."""
