"""ezkl's settings: the levers we set, the canonical form, and what it says about instances."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from verifiable.crypto.hashing import parse_json
from verifiable.errors import EncodingError
from verifiable.proofs.protocol import Visibility
from verifiable.proofs.statement import Form, Layout, Role, Slot

_EZKL_NAME = {"committed": "polycommit"}
_LEVERS = {
    "scale": "scale",
    "rebase": "scale_rebase_multiplier",
    "base": "decomp_base",
    "legs": "decomp_legs",
    "columns": "num_inner_cols",
}
"""Our names and those an estimate shows."""
_UNORDERED = ("required_range_checks", "required_lookups")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Candidate:
    """One point of the sweep: every lever that changes cost or error.

    ``base ** legs`` bounds the magnitudes the circuit can decompose; ``base`` is also the size of
    a range table, so it bounds ``k`` from below.
    """

    scale: int
    """Fractional bits of inputs and weights."""
    rebase: int
    """Results are scaled back once their scale exceeds ``rebase * scale``."""
    base: int
    legs: int
    columns: int
    """Inner columns: rows shrink by it, keys and proofs grow with it."""

    @classmethod
    def of_levers(cls, levers: Mapping[str, int]) -> "Candidate":
        """The candidate that an estimate's settings describe.

        Raises
        ------
        EncodingError
            If a lever is missing or unknown.
        """
        try:
            known = {field: levers[name] for field, name in _LEVERS.items()}
        except KeyError as e:
            raise EncodingError(f"the settings lack {e}") from e
        if len(levers) != len(_LEVERS):
            raise EncodingError(f"settings are {sorted(_LEVERS.values())}, got {sorted(levers)}")
        return cls(**known)

    @property
    def levers(self) -> dict[str, int]:
        """The inverse of `of_levers`."""
        return {name: getattr(self, field) for field, name in _LEVERS.items()}

    def run_args(self, visibility: Visibility) -> dict[str, object]:
        """Arguments of ``ezkl.PyRunArgs``."""
        return {
            "input_scale": self.scale,
            "param_scale": self.scale,
            "scale_rebase_multiplier": self.rebase,
            "decomp_base": self.base,
            "decomp_legs": self.legs,
            "num_inner_cols": self.columns,
            "input_visibility": _EZKL_NAME.get(visibility.input, visibility.input),
            "param_visibility": _EZKL_NAME.get(visibility.weights, visibility.weights),
            "output_visibility": _EZKL_NAME.get(visibility.output, visibility.output),
        }


def candidate_of(settings: Mapping[str, Any]) -> Candidate:
    """The levers behind calibrated settings."""
    args = settings["run_args"]
    return Candidate(
        scale=args["input_scale"],
        rebase=args["scale_rebase_multiplier"],
        base=args["decomp_base"],
        legs=args["decomp_legs"],
        columns=args["num_inner_cols"],
    )


def canonical_bytes(settings: Mapping[str, Any]) -> bytes:
    """Settings without what varies between equal runs, in one byte form.

    ezkl stamps the time and leaves two lists in random order; both change the key or the digest
    of what is otherwise the same circuit.

    >>> canonical_bytes({"required_range_checks": [[0, 63], [-1, 1]], "timestamp": 7})
    b'{"required_range_checks":[[-1,1],[0,63]],"timestamp":0}'
    """
    fixed = dict(settings)
    fixed["timestamp"] = 0
    for name in _UNORDERED:
        if name in fixed:
            fixed[name] = sorted(fixed[name], key=lambda entry: json.dumps(entry, sort_keys=True))
    return json.dumps(_sorted(fixed), sort_keys=True, separators=(",", ":")).encode()


def _sorted(value: Any) -> Any:
    """`value` with the keys of all mappings in order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(entry) for entry in value]
    return value


def parse_settings(raw: bytes) -> dict[str, Any]:
    """Read settings that are in canonical form.

    Raises
    ------
    EncodingError
        If they are not JSON, lack what we read, or are not in the canonical form.
    """
    try:
        settings = parse_json(raw, what="ezkl settings")
        assert_fields = (settings["run_args"]["logrows"], settings["model_output_scales"])
        canonical = canonical_bytes(settings)
    except (ValueError, KeyError, TypeError) as e:
        raise EncodingError(f"these are not ezkl settings: {e}") from e
    if not all(assert_fields) or canonical != raw:
        raise EncodingError("the settings are not in canonical form")
    checked: dict[str, Any] = settings
    return checked


def layout(
    settings: Mapping[str, Any],
    visibility: Visibility,
    inputs: Sequence[tuple[str, tuple[int, ...]]],
    outputs: Sequence[tuple[str, tuple[int, ...]]],
) -> Layout:
    """What the instances of a circuit with these settings are, in order.

    The order was found by proving all combinations with ezkl 23.0.5: digests of inputs, digest of
    weights, public inputs, then digests or elements of outputs.

    Parameters
    ----------
    settings : mapping
        Calibrated settings.
    visibility : Visibility
    inputs, outputs : sequence of (name, shape)
        Tensors of the ONNX model in its order.
    """
    slots: list[Slot] = []

    def add(role: Role, name: str, form: Form, shape: tuple[int, ...], scale: int) -> None:
        start = sum(slot.count for slot in slots)
        count = {"felts": prod(shape), "hash": 1, "commitment": 0}[form]
        slots.append(
            Slot(
                role=role, name=name, form=form, start=start, count=count, shape=shape, scale=scale
            )
        )

    scaled_inputs = list(zip(inputs, settings["model_input_scales"], strict=True))
    if visibility.input in {"hashed", "committed"}:
        form: Form = "hash" if visibility.input == "hashed" else "commitment"
        for (name, shape), scale in scaled_inputs:
            add("input", name, form, shape, scale)
    if visibility.weights != "fixed":
        add("weights", "weights", "hash" if visibility.weights == "hashed" else "commitment", (), 0)
    if visibility.input == "public":
        for (name, shape), scale in scaled_inputs:
            add("input", name, "felts", shape, scale)
    for (name, shape), scale in zip(outputs, settings["model_output_scales"], strict=True):
        add("output", name, "hash" if visibility.output == "hashed" else "felts", shape, scale)
    return Layout(slots=tuple(slots))
