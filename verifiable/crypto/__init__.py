"""Hashing, fields, curves, Poseidon, SRS files, signatures: pure functions on bytes and integers."""
