"""Instances from the caller's own tensors: what a circuit must say of them, felt by felt.

This is what lets a verifier write the instances itself instead of reading the prover's.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from verifiable.crypto.felt import dequantize, felt_from_ezkl, quantize
from verifiable.crypto.poseidon import poseidon_hash
from verifiable.errors import StatementRejectedError, TensorError
from verifiable.proofs.statement import Joint, Layout, Slot
from verifiable.types import Felt


def slot_instances(slot: Slot, values: NDArray[np.floating]) -> tuple[Felt, ...]:
    """Instances of one tensor.

    Parameters
    ----------
    slot : Slot
    values : float array of ``slot.shape``

    Raises
    ------
    TensorError
        If `values` has another number of elements.

    Examples
    --------
    >>> slot = Slot(role="output", name="y", form="felts", start=0, count=2, shape=(2,), scale=3)
    >>> slot_instances(slot, np.array([0.5, 1.0]))
    (4, 8)
    """
    flat = np.ravel(values)
    if slot.form != "commitment" and flat.size != int(np.prod(slot.shape)):
        raise TensorError(f"`{slot.name}` has {flat.size} elements, wanted {list(slot.shape)}")
    felts = tuple(quantize(float(x), slot.scale) for x in flat)
    match slot.form:
        case "felts":
            return felts
        case "hash":
            return (poseidon_hash(felts),)
        case "commitment":
            return ()


def known_instances(
    layout: Layout, tensors: Mapping[str, NDArray[np.floating]], weights: Sequence[str]
) -> tuple[Felt | None, ...]:
    """One entry for each instance: the felt if its tensor is known, else None.

    Parameters
    ----------
    layout : Layout
    tensors : mapping of str to float array
        What the caller knows, by name.
    weights : sequence of str
        What the caller's bundle pins for weights that are not fixed in the key: digests in ezkl's
        little-endian hex, or commitments, which are no instances.
    """
    known: list[Felt | None] = []
    for slot in layout.slots:
        if slot.role == "weights":
            known += [felt_from_ezkl(text) for text in weights[: slot.count]]
        elif slot.name in tensors:
            known += slot_instances(slot, tensors[slot.name])
        else:
            known += [None] * slot.count
    return tuple(known)


def read_outputs(layout: Layout, instances: Sequence[Felt]) -> dict[str, NDArray[np.float64]]:
    """Values of the public outputs; a hashed output cannot be read and is left out."""
    return {
        slot.name: np.array(
            [dequantize(x, slot.scale) for x in instances[slot.start : slot.start + slot.count]]
        ).reshape(slot.shape)
        for slot in layout.of("output")
        if slot.form == "felts"
    }


def check_joints(
    joints: Sequence[Joint], layouts: Sequence[Layout], instances: Sequence[Sequence[Felt]]
) -> None:
    """Check that both sides of every joint hold the same instances.

    Raises
    ------
    StatementRejectedError
        At the first joint that does not hold: parts were proven about different tensors.
    """
    for joint in joints:
        one = layouts[joint.from_part].slots[joint.from_slot]
        other = layouts[joint.to_part].slots[joint.to_slot]
        got = tuple(instances[joint.to_part][other.start : other.start + other.count])
        wanted = tuple(instances[joint.from_part][one.start : one.start + one.count])
        if not wanted or got != wanted:
            raise StatementRejectedError(
                f"part {joint.to_part} reads another `{other.name}` than part {joint.from_part} has"
            )
