"""The Solidity that is written for one model: a contract of constants over `InferenceVerifier`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from verifiable.chain.spec import EmissionSpec
from verifiable.proofs.statement import Slot

INSECURE_NOTICE: Final = (
    "INSECURE SRS: these keys come from a development SRS. Whoever made it can prove anything."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedPart:
    """What compilation adds to a part of the spec."""

    verifier: str
    """Name of the Halo2 verifier's contract."""
    proof_bytes: int
    verifier_hash: bytes
    """Keccak-256 of its runtime code."""
    key_hash: bytes | None
    """Keccak-256 of the key contract's code; None for a plain verifier."""
    key_digest: bytes | None
    """Keccak-256 of the key's words, by which the reusable verifier registers it."""


def model_contract(spec: EmissionSpec, parts: Sequence[PinnedPart]) -> str:
    """Write the contract ``{spec.name}Verifier``.

    Parameters
    ----------
    spec : EmissionSpec
    parts : sequence of PinnedPart
        One for each part of `spec`.

    Returns
    -------
    str
        Solidity source, to stand beside ``InferenceVerifier.sol``.
    """
    reusable = any(part.key_hash is not None for part in parts)
    sections = [
        _head(spec, reusable=reusable),
        _constants(spec, parts),
        _constructor(spec, parts),
        _identity(),
        _parts(spec, parts),
        _slots("_inputs", spec.inputs),
        _slots("_outputs", spec.outputs),
        _joints(spec),
        _fixed(spec),
    ]
    return "\n\n".join(sections) + "\n}\n"


def _head(spec: EmissionSpec, *, reusable: bool) -> str:
    insecure = f"/// @custom:insecure {INSECURE_NOTICE}\n" if spec.insecure_srs else ""
    form = "reusable verifier, keys pinned by their code" if reusable else "keys in the verifiers"
    library = 'import {Halo2Call} from "./lib/Halo2Call.sol";\n' if reusable else ""
    return f"""// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {{InferenceVerifier}} from "./InferenceVerifier.sol";
{library}
/// @title Checks claims about the model {spec.name}
/// @notice Written by `verifiable contract emit`: {len(spec.parts)} part(s), {form}.
{insecure}contract {spec.name}Verifier is InferenceVerifier {{"""


def _constants(spec: EmissionSpec, parts: Sequence[PinnedPart]) -> str:
    lines = [
        f"    /// @notice {INSECURE_NOTICE}" if spec.insecure_srs else "    /// @notice No.",
        f"    bool public constant INSECURE_SRS = {_bool(spec.insecure_srs)};",
        "    /// @notice SHA-256 of the whole model's ONNX file.",
        f"    bytes32 public constant MODEL = {_word(spec.model)};",
        "    /// @notice What the numbers in a claim mean.",
        f'    string public constant SEMANTICS = "{spec.semantics}";',
    ]
    for i, part in enumerate(parts):
        lines += [
            f"    /// @notice Verifier of part {i}: {part.verifier}.",
            f"    address public immutable HALO2_{i};",
            f"    bytes32 private constant HALO2_{i}_CODEHASH = {_word(part.verifier_hash)};",
        ]
        if part.key_hash is not None and part.key_digest is not None:
            lines += [
                f"    /// @notice Key material of part {i}.",
                f"    address public immutable KEY_{i};",
                f"    bytes32 private constant KEY_{i}_CODEHASH = {_word(part.key_hash)};",
                f"    /// @notice Keccak-256 of the key material of part {i}.",
                f"    bytes32 public constant KEY_{i}_DIGEST = {_word(part.key_digest)};",
            ]
    if spec.insecure_srs:
        lines += [
            "",
            "    /// @notice The deployer did not say that an insecure SRS is accepted.",
            "    error InsecureSrs();",
        ]
    return "\n".join(lines)


def _constructor(spec: EmissionSpec, parts: Sequence[PinnedPart]) -> str:
    keyed = [i for i, part in enumerate(parts) if part.key_hash is not None]
    lines = [
        "    /// @param halo2 Verifier of each part, with the code that was emitted.",
        "    /// @param keys Key material of each part; zero where the key is in the verifier.",
    ]
    parameters = "address[] memory halo2, address[] memory keys"
    if not keyed:
        lines.pop()
        parameters = "address[] memory halo2"
    if spec.insecure_srs:
        lines.append("    /// @param acceptInsecureSrs Must be true: see INSECURE_SRS.")
        parameters += ", bool acceptInsecureSrs"
    lines.append(f"    constructor({parameters}) {{")
    if spec.insecure_srs:
        lines.append("        if (!acceptInsecureSrs) revert InsecureSrs();")
    lines += [
        f"        HALO2_{i} = _requireCode(halo2[{i}], HALO2_{i}_CODEHASH);"
        for i in range(len(parts))
    ]
    for i in keyed:
        lines += [
            f"        KEY_{i} = _requireCode(keys[{i}], KEY_{i}_CODEHASH);",
            f"        Halo2Call.register(halo2[{i}], keys[{i}]);",
        ]
    return "\n".join([*lines, "    }"])


def _identity() -> str:
    return """    function model() public pure override returns (bytes32) {
        return MODEL;
    }

    function semantics() public pure override returns (string memory) {
        return SEMANTICS;
    }

    function insecureSrs() public pure override returns (bool) {
        return INSECURE_SRS;
    }"""


def _parts(spec: EmissionSpec, pinned: Sequence[PinnedPart]) -> str:
    entries = []
    for i, (part, pin) in enumerate(zip(spec.parts, pinned, strict=True)):
        entries.append(f"""        parts[{i}] = Part({{
            onnx: {_word(part.onnx)},
            settings: {_word(part.settings)},
            vk: {_word(part.vk)},
            instances: {part.layout.count},
            proofBytes: {pin.proof_bytes},
            halo2: HALO2_{i},
            key: {f"KEY_{i}" if pin.key_hash is not None else "address(0)"}
        }});""")
    return _array("_parts", "view", "Part", "parts", entries)


def _slots(function: str, slots: Sequence[tuple[int, Slot]]) -> str:
    entries = [
        f"        // {slot.role} {_safe(slot.name)}, shape {list(slot.shape)}\n"
        f"        slots[{i}] = Slot({{part: {part}, start: {slot.start}, count: {slot.count}, "
        f"scale: {slot.scale}, hashed: {_bool(slot.form == 'hash')}}});"
        for i, (part, slot) in enumerate(slots)
    ]
    return _array(function, "pure", "Slot", "slots", entries)


def _joints(spec: EmissionSpec) -> str:
    entries = []
    for i, joint in enumerate(spec.joints):
        source = spec.parts[joint.from_part].layout.slots[joint.from_slot]
        target = spec.parts[joint.to_part].layout.slots[joint.to_slot]
        entries.append(
            f"        joints[{i}] = Joint({{fromPart: {joint.from_part}, "
            f"fromStart: {source.start}, toPart: {joint.to_part}, toStart: {target.start}, "
            f"count: {source.count}}});"
        )
    return _array("_joints", "pure", "Joint", "joints", entries)


def _fixed(spec: EmissionSpec) -> str:
    pins = [(p, i, value) for p, part in enumerate(spec.parts) for i, value in part.fixed]
    entries = [
        f"        pins[{n}] = Fixed({{part: {p}, index: {i}, value: {value}}});"
        for n, (p, i, value) in enumerate(pins)
    ]
    return _array("_fixed", "pure", "Fixed", "pins", entries)


def _array(
    function: str, mutability: str, struct: str, variable: str, entries: Sequence[str]
) -> str:
    head = f"    function {function}() internal {mutability} override"
    if not entries:
        return f"{head} returns ({struct}[] memory) {{\n        return new {struct}[](0);\n    }}"
    lines = [
        f"{head} returns ({struct}[] memory {variable}) {{",
        f"        {variable} = new {struct}[]({len(entries)});",
        *entries,
        "    }",
    ]
    return "\n".join(lines)


def _word(data: bytes) -> str:
    return "0x" + data.hex()


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _safe(name: str) -> str:
    # A tensor's name is foreign text; in a comment it must not end the line.
    return "".join(c if c.isalnum() or c in "_./-" else "_" for c in name if ord(c) < 128)[:64]
