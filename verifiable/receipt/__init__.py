"""Receipt v1: a claim, the evidence for it and the provider's signatures, in one document.

* ``document`` is what both venues share;
* ``zk``: the evidence is a proof for each part of the claim;
* ``bonded``: the evidence is a bond that whoever refutes the claim takes away.
"""

from verifiable.receipt.bonded import (
    Bond,
    BondedReceipt,
    build_bonded_receipt,
    check_bonded_document,
    check_policy,
    encode_bonded_receipt,
    parse_bonded_receipt,
)
from verifiable.receipt.document import PAYLOAD_TYPE, SCHEMA
from verifiable.receipt.zk import (
    Receipt,
    build_receipt,
    check_document,
    encode_receipt,
    parse_receipt,
)

__all__ = [
    "PAYLOAD_TYPE",
    "SCHEMA",
    "Bond",
    "BondedReceipt",
    "Receipt",
    "build_bonded_receipt",
    "build_receipt",
    "check_bonded_document",
    "check_document",
    "check_policy",
    "encode_bonded_receipt",
    "encode_receipt",
    "parse_bonded_receipt",
    "parse_receipt",
]
