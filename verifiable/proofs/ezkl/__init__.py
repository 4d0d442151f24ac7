"""ezkl behind the protocol of ``verifiable.proofs.protocol``.

ezkl has no licence: it is an extra that the user installs, nothing of it is copied here, and
only ``worker.py`` imports it, in a child process.
"""
