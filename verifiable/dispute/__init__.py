"""The rules of a dispute as pure functions: what the referee's contracts do, in Python."""
