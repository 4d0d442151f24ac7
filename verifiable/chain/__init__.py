"""One way to talk to a chain, embedded or remote, and our contracts on it."""
