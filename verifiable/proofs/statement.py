"""What the instances of a circuit mean.

A proof system checks a flat list of field elements. A `Layout` says which of them are which tensor,
so that a verifier can write the list itself from the values it expects, instead of reading
the prover's. Circuits of a split model are tied together by `Joint`s.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["input", "weights", "output"]
Form = Literal["felts", "hash", "commitment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where one tensor stands among the instances of a circuit.

    Fixed point: an element ``x`` stands as the felt ``round(x * 2**scale)``, negative ones as
    ``r - |.|``.
    """

    role: Role
    name: str
    """Name of the tensor in the ONNX graph; ``weights`` for the model's parameters."""
    form: Form
    """``felts``: one instance an element, row-major. ``hash``: one Poseidon digest.
    ``commitment``: no instance; a KZG commitment at the head of the proof."""
    start: int
    """Index of the first instance."""
    count: int
    """Instances taken: the number of elements, 1 for a hash, 0 for a commitment."""
    shape: tuple[int, ...]
    scale: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All slots of one circuit, ordered by ``start`` and without gaps."""

    slots: tuple[Slot, ...]

    @property
    def count(self) -> int:
        """Number of instances."""
        return sum(slot.count for slot in self.slots)

    def of(self, role: Role) -> tuple[Slot, ...]:
        """Slots with that role, in order."""
        return tuple(slot for slot in self.slots if slot.role == role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """Two slots, of different parts of a split model, that must hold the same instances."""

    from_part: int
    from_slot: int
    to_part: int
    to_slot: int
