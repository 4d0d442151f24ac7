"""Proof systems behind one protocol; ezkl is the first."""
