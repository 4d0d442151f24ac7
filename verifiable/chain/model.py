"""What to emit for a bundle: its circuits, keys and joints, with a real receipt as the vector."""

import re

from verifiable.bundle import Bundle
from verifiable.chain.spec import EmissionSpec, PartSpec, Vector
from verifiable.crypto.felt import felt_from_ezkl
from verifiable.errors import StatementRejectedError
from verifiable.proofs.ezkl.files import KEY_MATERIAL, PLAIN, REUSABLE
from verifiable.proofs.locked import LockedPart, from_lock
from verifiable.receipt import Receipt
from verifiable.solidity.standard import EvmVersion


def emission_spec(
    bundle: Bundle, receipt: Receipt, *, name: str | None = None, evm: EvmVersion = "cancun"
) -> EmissionSpec:
    """Say what the contracts of a bundle pin.

    Parameters
    ----------
    bundle : Bundle
    receipt : Receipt
        A receipt for this bundle, for whichever chain: its proofs become the emitted tests'
        vector, and are tried on the contracts before anything is written.
    name : str, optional
        Contract name; by default the bundle's folder in capitalised words.
    evm : "cancun" or "osaka"

    Raises
    ------
    StatementRejectedError
        If the receipt is about another model or circuit.
    LockError
        If the bundle has no zk part.
    InputError
        If the name is none, or the parts do not fit each other.
    """
    circuits = from_lock(bundle)
    claimed = receipt.claim.subject
    ours = [(part.onnx, part.settings, part.vk) for part in circuits.parts]
    theirs = [(part.onnx, part.settings, part.vk) for part in claimed.parts]
    if claimed.model != circuits.model or ours != theirs:
        raise StatementRejectedError("the receipt is about other circuits than the bundle's")
    return EmissionSpec(
        name=name or contract_name(bundle.folder.resolve().name),
        model=circuits.model,
        semantics=circuits.semantics,
        insecure_srs=circuits.insecure_srs,
        parts=tuple(_part(part) for part in circuits.parts),
        joints=circuits.joints,
        vector=Vector(
            instances=tuple(part.instances for part in claimed.parts), proofs=receipt.proofs
        ),
        evm=evm,
    )


def contract_name(text: str) -> str:
    """Capitalised words of a file name.

    >>> contract_name("digits-cnn_v2"), contract_name("7seg")
    ('DigitsCnnV2', 'Model7seg')
    """
    words = re.findall(r"[A-Za-z0-9]+", text) or ["Model"]
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined[0].isalpha() else f"Model{joined}"


def _part(part: LockedPart) -> PartSpec:
    weights = [slot for slot in part.layout.of("weights") if slot.form == "hash"]
    return PartSpec(
        onnx=part.onnx,
        settings=part.settings,
        vk=part.vk,
        layout=part.layout,
        plain_source=(part.folder / PLAIN).read_text(encoding="utf-8"),
        reusable_source=(part.folder / REUSABLE).read_text(encoding="utf-8"),
        key_material=(part.folder / KEY_MATERIAL).read_bytes(),
        fixed=tuple(
            (slot.start, felt_from_ezkl(text))
            for slot, text in zip(weights, part.weights, strict=bool(weights))
        ),
    )
