"""The ``zk`` part of a bundle's LOCK: which circuits, under which keys, saying what.

The folder ``zk/`` of a bundle holds one folder for each part of the model, ``part-0`` first, and
``srs.verifier``, the 516 bytes of the SRS that verifying needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, get_args

import numpy as np

from verifiable.bundle import Bundle
from verifiable.crypto.hashing import Json
from verifiable.crypto.srs import MOST_K
from verifiable.crypto.strict import (
    read_bool,
    read_constant,
    read_count,
    read_list,
    read_object,
    read_sha256,
    read_text,
    shown,
)
from verifiable.errors import EncodingError, LockError
from verifiable.proofs.ezkl.files import MODEL, PLAIN, SETTINGS, VERIFYING_KEY
from verifiable.proofs.protocol import (
    InputVisibility,
    OutputVisibility,
    Tensors,
    Visibility,
    WeightVisibility,
)
from verifiable.proofs.statement import Form, Joint, Layout, Role, Slot
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

    0. Every field is there, of its type, and no other.
    1. The digests of model, settings and key are those that the LOCK has for the very files.
    2. Slots follow each other without gaps, and joints name slots that exist.

    Raises
    ------
    LockError
        If the bundle has no such part, or a step fails.
    """
    try:
        return _read(bundle, bundle.part("zk"))
    except EncodingError as e:
        raise LockError(f"LOCK.json of `{bundle.folder}`: {e}") from e


def _read(bundle: Bundle, value: Json) -> LockedCircuits:
    at = "zk"
    lock = read_object(value, at, _FIELDS)
    srs = read_object(lock["srs"], f"{at}.srs", ("sha256", "k", "insecure"))
    circuits = LockedCircuits(
        system=read_constant(lock["system"], f"{at}.system", "ezkl"),
        semantics=read_text(lock["semantics"], f"{at}.semantics", most=65),
        model=_file(bundle, "model.onnx", lock["model"], f"{at}.model"),
        visibility=_visibility(lock["visibility"], f"{at}.visibility"),
        srs=_digest(srs["sha256"], f"{at}.srs.sha256"),
        srs_k=_within(srs["k"], f"{at}.srs.k", 1, MOST_K),
        insecure_srs=read_bool(srs["insecure"], f"{at}.srs.insecure"),
        srs_verifier=bundle.folder / FOLDER / SRS_VERIFIER,
        parts=tuple(
            _part(bundle, i, part, f"{at}.parts[{i}]")
            for i, part in enumerate(read_list(lock["parts"], f"{at}.parts"))
        ),
        joints=tuple(
            _joint(joint, f"{at}.joints[{i}]")
            for i, joint in enumerate(read_list(lock["joints"], f"{at}.joints"))
        ),
        ranges={
            name: _range(ends, f"{at}.ranges.{name}")
            for name, ends in _mapping(lock["ranges"], f"{at}.ranges").items()
        },
    )
    _verified(bundle, f"{FOLDER}/{SRS_VERIFIER}")
    if not circuits.parts:
        raise EncodingError(f"{at}.parts is empty")
    for i, joint in enumerate(circuits.joints):
        for part, slot in ((joint.from_part, joint.from_slot), (joint.to_part, joint.to_slot)):
            if part >= len(circuits.parts) or slot >= len(circuits.parts[part].layout.slots):
                raise EncodingError(f"{at}.joints[{i}] names slot {slot} of part {part}: none")
    return circuits


_FIELDS = (
    "system", "semantics", "model", "visibility", "srs", "parts", "joints", "ranges",
)  # fmt: skip


def _part(bundle: Bundle, i: int, value: Json, at: str) -> LockedPart:
    names = ("folder", "onnx", "settings", "vk", "k", "weights", "error", "layout")
    part = read_object(value, at, names)
    folder = read_constant(part["folder"], f"{at}.folder", f"{FOLDER}/part-{i}")
    _verified(bundle, f"{folder}/{PLAIN}")
    return LockedPart(
        folder=bundle.folder / folder,
        onnx=_file(bundle, f"{folder}/{MODEL}", part["onnx"], f"{at}.onnx"),
        settings=_file(bundle, f"{folder}/{SETTINGS}", part["settings"], f"{at}.settings"),
        vk=_file(bundle, f"{folder}/{VERIFYING_KEY}", part["vk"], f"{at}.vk"),
        k=_within(part["k"], f"{at}.k", 1, MOST_K),
        layout=_layout(part["layout"], f"{at}.layout"),
        weights=tuple(
            read_text(text, f"{at}.weights[{j}]", most=256)
            for j, text in enumerate(read_list(part["weights"], f"{at}.weights"))
        ),
        error=_number(part["error"], f"{at}.error"),
    )


def _layout(value: Json, at: str) -> Layout:
    slots: list[Slot] = []
    start = 0
    for i, entry in enumerate(read_list(value, at)):
        here = f"{at}[{i}]"
        slot = read_object(
            entry, here, ("role", "name", "form", "start", "count", "shape", "scale")
        )
        shape = tuple(
            read_count(extent, f"{here}.shape[{j}]")
            for j, extent in enumerate(read_list(slot["shape"], f"{here}.shape"))
        )
        form: Form = _one_of(slot["form"], f"{here}.form", get_args(Form))
        count = {"felts": prod(shape), "hash": 1, "commitment": 0}[form]
        if (read_count(slot["start"], here), read_count(slot["count"], here)) != (start, count):
            raise EncodingError(f"{here} does not stand at {start} with {count} instances")
        slots.append(
            Slot(
                role=_one_of(slot["role"], f"{here}.role", get_args(Role)),
                name=read_text(slot["name"], f"{here}.name"),
                form=form,
                start=start,
                count=count,
                shape=shape,
                scale=_within(slot["scale"], f"{here}.scale", 0, 127),
            )
        )
        start += count
    return Layout(slots=tuple(slots))


def _joint(value: Json, at: str) -> Joint:
    names = ("from_part", "from_slot", "to_part", "to_slot")
    joint = read_object(value, at, names)
    return Joint(**{name: read_count(joint[name], f"{at}.{name}") for name in names})


def _visibility(value: Json, at: str) -> Visibility:
    found = read_object(value, at, ("input", "weights", "output"))
    return Visibility(
        input=_one_of(found["input"], f"{at}.input", get_args(InputVisibility)),
        weights=_one_of(found["weights"], f"{at}.weights", get_args(WeightVisibility)),
        output=_one_of(found["output"], f"{at}.output", get_args(OutputVisibility)),
    )


def _range(value: Json, at: str) -> tuple[float, float]:
    ends = read_list(value, at)
    if len(ends) != 2:
        raise EncodingError(f"{at} has {len(ends)} ends, wanted 2")
    return _number(ends[0], at), _number(ends[1], at)


def _mapping(value: Json, at: str) -> Mapping[str, Json]:
    return read_object(value, at, (), value if isinstance(value, dict) else ())


def _one_of(value: Json, at: str, known: Sequence[str]) -> Any:
    if not isinstance(value, str) or value not in known:
        raise EncodingError(f"{at} is {shown(value)}, wanted one of {', '.join(known)}")
    return value


def _within(value: Json, at: str, low: int, high: int) -> int:
    number = read_count(value, at)
    if not low <= number <= high:
        raise EncodingError(f"{at} is {number}, wanted {low} to {high}")
    return number


def _number(value: Json, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EncodingError(f"{at} is not a number: {shown(value)}")
    # What does not fit in float32 is nothing that a tensor ever held.
    if not abs(value) < 2.0**128:
        raise EncodingError(f"{at} is beyond the range of a float: {shown(value)}")
    return float(value)


def _digest(value: Json, at: str) -> Sha256:
    return read_sha256(f"0x{value}" if isinstance(value, str) else value, at)


def _file(bundle: Bundle, name: str, value: Json, at: str) -> Sha256:
    """The digest at `at`, which must be that of the file `name`."""
    digest = _digest(value, at)
    if _verified(bundle, name) != digest.hex():
        raise EncodingError(f"{at} is not the digest of `{name}`")
    return digest


def _verified(bundle: Bundle, name: str) -> str:
    """The digest of a file that was checked when the bundle was opened, be it for verifying."""
    entry = bundle.lock["files"].get(name)
    if entry is None or entry["for"] != "verify":
        raise EncodingError(f"`{name}` is not listed among the files to verify with")
    digest: str = entry["sha256"]
    return digest
