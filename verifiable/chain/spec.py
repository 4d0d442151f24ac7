"""What an emission is made from: everything a contract pins about one model, and a real proof."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from verifiable.errors import InputError
from verifiable.proofs.statement import Joint, Layout, Slot
from verifiable.solidity.standard import EvmVersion
from verifiable.types import Felt, Sha256

_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,63}\Z")
_SEMANTICS: Final = re.compile(r"[0-9A-Za-z./+-]{1,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """One circuit."""

    onnx: Sha256
    settings: Sha256
    vk: Sha256
    layout: Layout
    plain_source: str
    """Verifier as the proof system emitted it, with the key in its code."""
    reusable_source: str | None = None
    """Verifier that takes its key with each call; needed if the plain one is too large."""
    key_material: bytes | None = None
    """Key for the reusable verifier, as the proof system wrote it."""
    fixed: tuple[tuple[int, Felt], ...] = ()
    """Instances with one permitted value, by index: all those of the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A real proof, which the emitted tests carry."""

    instances: tuple[tuple[Felt, ...], ...]
    """Those of each part."""
    proofs: tuple[bytes, ...]
    """One for each part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionSpec:
    """One model.

    Raises
    ------
    InputError
        If the parts do not fit each other, a weight is bound by nothing, or the vector is of
        another shape.
    """

    name: str
    """Name of the emitted contract, in capitalised words without spaces."""
    model: Sha256
    semantics: str
    """What the numbers mean, as in claims: ``ezkl/23.0.5``."""
    insecure_srs: bool
    parts: tuple[PartSpec, ...]
    joints: tuple[Joint, ...] = ()
    vector: Vector
    evm: EvmVersion = "cancun"
    form: Literal["auto", "plain", "reusable"] = "auto"
    """``auto``: plain where it fits in a contract, else reusable."""

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise InputError(f"`{self.name}` is no contract name, wanted such as DigitsCnn")
        if not _SEMANTICS.match(self.semantics):
            raise InputError(f"semantics `{self.semantics}` is not of the form ezkl/23.0.5")
        if not self.parts:
            raise InputError("there are no parts")
        for i, part in enumerate(self.parts):
            _check_part(i, part)
        for joint in self.joints:
            self._check_joint(joint)
        counts = [part.layout.count for part in self.parts]
        got = [len(instances) for instances in self.vector.instances]
        if got != counts or len(self.vector.proofs) != len(counts):
            raise InputError(
                f"the vector has {got} instances and {len(self.vector.proofs)} proofs, "
                f"wanted {counts} instances and {len(counts)} proofs"
            )

    @property
    def inputs(self) -> tuple[tuple[int, Slot], ...]:
        """Part and slot of each input of the model: inputs of parts that no joint feeds."""
        fed = {(j.to_part, j.to_slot) for j in self.joints}
        return self._slots("input", fed)

    @property
    def outputs(self) -> tuple[tuple[int, Slot], ...]:
        """Part and slot of each output of the model: outputs of parts that feed no joint."""
        feeding = {(j.from_part, j.from_slot) for j in self.joints}
        return self._slots("output", feeding)

    def _slots(
        self, role: Literal["input", "output"], inner: set[tuple[int, int]]
    ) -> tuple[tuple[int, Slot], ...]:
        return tuple(
            (i, slot)
            for i, part in enumerate(self.parts)
            for j, slot in enumerate(part.layout.slots)
            if slot.role == role and slot.count and (i, j) not in inner
        )

    def _check_joint(self, joint: Joint) -> None:
        ends = ((joint.from_part, joint.from_slot), (joint.to_part, joint.to_slot))
        for part, slot in ends:
            known = 0 <= part < len(self.parts)
            if not known or not 0 <= slot < len(self.parts[part].layout.slots):
                raise InputError(f"a joint names slot {slot} of part {part}, which is not there")
        a, b = (self.parts[part].layout.slots[slot] for part, slot in ends)
        # Slices of one operator all read its input, be it an input of the model.
        handed_on = (a.role, b.role) == ("output", "input")
        shared = (a.role, b.role) == ("input", "input") and a.name == b.name
        if not (handed_on or shared) or (a.form, a.count) != (b.form, b.count):
            raise InputError(
                f"a joint ties {a.role} `{a.name}` ({a.count} {a.form}) to "
                f"{b.role} `{b.name}` ({b.count} {b.form})"
            )
        if a.form == "commitment":
            raise InputError(
                f"the joint `{a.name}` is of commitments, which no contract of ours compares",
                hint="hash the boundaries of split models",
            )


def _check_part(i: int, part: PartSpec) -> None:
    expected = 0
    for slot in part.layout.slots:
        if slot.start != expected:
            raise InputError(f"slot `{slot.name}` of part {i} leaves a gap in the instances")
        expected += slot.count
    fixed = {index for index, _ in part.fixed}
    if not fixed <= set(range(part.layout.count)) or len(fixed) != len(part.fixed):
        raise InputError(f"part {i} fixes instances {sorted(fixed)} of {part.layout.count}")
    for slot in part.layout.of("weights"):
        # Weights that stand in instances are whatever the prover says unless the value is pinned.
        if (
            slot.form == "commitment"
            or not set(range(slot.start, slot.start + slot.count)) <= fixed
        ):
            raise InputError(
                f"the weights of part {i} ({slot.form}) are not bound to this model",
                hint="use fixed weights, or hashed ones whose digest stands in `fixed`",
            )
