"""The files of one circuit: their names, and the forms ezkl reads and writes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from verifiable.crypto.felt import felt_to_ezkl
from verifiable.crypto.hashing import sha256
from verifiable.frontend.export import signature_of
from verifiable.proofs.ezkl import cost, tuner
from verifiable.proofs.ezkl.settings import parse_settings
from verifiable.proofs.protocol import Circuit, Tensors
from verifiable.proofs.statement import Layout
from verifiable.types import Felt

MODEL, SETTINGS, COMPILED = "model.onnx", "settings.json", "circuit.ezkl"
PROVING_KEY, VERIFYING_KEY = "pk", "vk"
PLAIN, REUSABLE, KEY_MATERIAL = "verifier.sol", "reusable.sol", "vka"
PROVERS_ONLY = frozenset({COMPILED, PROVING_KEY})
"""Files of a circuit that only proving needs."""


def read_circuit(folder: Path, layout_: Layout) -> Circuit:
    """The circuit that lies in `folder`, whose files have been checked against a LOCK.

    Raises
    ------
    EncodingError
        If the settings are not what we write.
    """
    raw, model = (folder / SETTINGS).read_bytes(), (folder / MODEL).read_bytes()
    settings = parse_settings(raw)
    return Circuit(
        folder=folder,
        onnx=sha256(model),
        settings=sha256(raw),
        layout=layout_,
        inputs=tuple(spec.name for spec in signature_of(model).inputs),
        k=int(settings["run_args"]["logrows"]),
        estimate=cost.estimate(settings, error=0.0),
    )


def read_outputs(layout_: Layout, outputs: Sequence[Sequence[str]]) -> Tensors:
    """Output tensors from a witness's felts in ezkl's hex, one list a tensor."""
    slots = layout_.of("output")
    return {
        slot.name: tuner.felts_to_floats(felts, slot.scale).astype(np.float32).reshape(slot.shape)
        for slot, felts in zip(slots, outputs, strict=True)
    }


def proof_json(instances: Sequence[Felt], proof: bytes) -> bytes:
    """A proof file as ezkl reads it; what it would only print is left empty."""
    value: dict[str, Any] = {
        "protocol": None,
        "instances": [[felt_to_ezkl(x) for x in instances]],
        "proof": list(proof),
        "hex_proof": "0x" + proof.hex(),
        "split": None,
        "pretty_public_inputs": None,
        "timestamp": None,
        "version": None,
    }
    return json.dumps(value).encode()
