"""The ``zk`` part of a bundle's LOCK: which circuits, under which keys, saying what.

The folder ``zk/`` of a bundle holds one folder for each part of the model, ``part-0`` first, and
``srs.verifier``, the 516 bytes of the SRS that verifying needs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verifiable.bundle import Bundle
from verifiable.errors import LockError
from verifiable.proofs.protocol import Tensors, Visibility
from verifiable.proofs.statement import Joint, Layout, Slot
from verifiable.types import Sha256

FOLDER = "zk"
SRS_VERIFIER = "srs.verifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPart:
    """One circuit of a bundle."""

    folder: Path
    onnx: Sha256
    settings: Sha256
    vk: Sha256
    k: int
    layout: Layout
    weights: tuple[str, ...]
    """What pins weights that are not fixed in the key: their digest or compressed commitments, in
    ezkl's little-endian hex; empty for fixed weights."""
    error: float
    """Largest error found when it was compiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCircuits:
    """Everything the LOCK says of the zk venue."""

    system: str
    semantics: str
    model: Sha256
    visibility: Visibility
    srs: Sha256
    """Digest of the SRS file the keys were made with."""
    srs_k: int
    insecure_srs: bool
    srs_verifier: Path
    parts: tuple[LockedPart, ...]
    joints: tuple[Joint, ...]
    ranges: Mapping[str, tuple[float, float]]
    """Smallest and largest calibrated element of each input tensor."""

    @property
    def calibrated(self) -> Tensors:
        """The calibrated ranges as two samples, for ``frontend.inputs.check_covers``."""
        return {name: np.array(ends, np.float32) for name, ends in self.ranges.items()}


def to_lock(circuits: LockedCircuits) -> dict[str, Any]:
    """JSON value of the part; the inverse of `from_lock`."""
    return {
        "system": circuits.system,
        "semantics": circuits.semantics,
        "model": circuits.model.hex(),
        "visibility": asdict(circuits.visibility),
        "srs": {
            "sha256": circuits.srs.hex(),
            "k": circuits.srs_k,
            "insecure": circuits.insecure_srs,
        },
        "parts": [
            {
                "folder": f"{FOLDER}/{part.folder.name}",
                "onnx": part.onnx.hex(),
                "settings": part.settings.hex(),
                "vk": part.vk.hex(),
                "k": part.k,
                "weights": list(part.weights),
                "error": part.error,
                "layout": [asdict(slot) for slot in part.layout.slots],
            }
            for part in circuits.parts
        ],
        "joints": [asdict(joint) for joint in circuits.joints],
        "ranges": {name: list(ends) for name, ends in circuits.ranges.items()},
    }


def from_lock(bundle: Bundle) -> LockedCircuits:
    """Read the part of a bundle whose LOCK was checked.

    Raises
    ------
    LockError
        If the bundle has no such part, or it is malformed.
    """
    lock = bundle.part("zk")
    try:
        return LockedCircuits(
            system=lock["system"],
            semantics=lock["semantics"],
            model=_digest(lock["model"]),
            visibility=Visibility(**lock["visibility"]),
            srs=_digest(lock["srs"]["sha256"]),
            srs_k=int(lock["srs"]["k"]),
            insecure_srs=bool(lock["srs"]["insecure"]),
            srs_verifier=bundle.folder / FOLDER / SRS_VERIFIER,
            parts=tuple(_part(bundle.folder, part) for part in lock["parts"]),
            joints=tuple(Joint(**joint) for joint in lock["joints"]),
            ranges={name: (low, high) for name, (low, high) in lock["ranges"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise LockError(f"part `zk` of the LOCK of `{bundle.folder}` is malformed: {e!r}") from e


def _part(bundle: Path, part: Mapping[str, Any]) -> LockedPart:
    slots = (Slot(**(slot | {"shape": tuple(slot["shape"])})) for slot in part["layout"])
    return LockedPart(
        folder=bundle / part["folder"],
        onnx=_digest(part["onnx"]),
        settings=_digest(part["settings"]),
        vk=_digest(part["vk"]),
        k=int(part["k"]),
        layout=Layout(slots=tuple(slots)),
        weights=tuple(part["weights"]),
        error=float(part["error"]),
    )


def _digest(text: str) -> Sha256:
    raw = bytes.fromhex(text)
    if len(raw) != 32:
        raise ValueError(f"{text!r} is no SHA-256")
    return Sha256(raw)
