"""Find solc, compile, and load the contracts that ship compiled."""
