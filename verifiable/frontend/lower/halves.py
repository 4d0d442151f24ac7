"""Constants in half precision, which the machine holds as float32.

That is exact as long as they are moved and cast, as models with weights stored in half precision
do. Arithmetic on them would be rounded to half precision in ONNX and not here, so it is refused.
"""

from collections.abc import Collection
from typing import Final

import onnx

from verifiable.errors import UnsupportedError
from verifiable.frontend.lower.elements import HALVES
from verifiable.frontend.lower.hints import FLOATS

MOVES: Final = frozenset(
    {
        "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GatherElements",
        "GatherND", "Identity", "Pad", "Reshape", "ScatterElements", "ScatterND", "Slice",
        "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
    }
)  # fmt: skip
"""Operators whose result is made of the elements that they read, as they are."""
ENDS: Final = frozenset({"Cast", "Shape", "Size"})
"""Operators that read halves and give none."""


def halves_of(proto: onnx.NodeProto, domain: str, halves: Collection[str], label: str) -> set[str]:
    """Outputs of an operator that are in half precision.

    Parameters
    ----------
    proto : NodeProto
        Lowered, not written out.
    domain : str
    halves : collection of str
        What is in half precision so far.
    label : str
        For the message.

    Raises
    ------
    UnsupportedError
        If the operator computes with halves.
    """
    made = {name for name in proto.output if name}
    if not domain and proto.op_type in {"Constant", "ConstantOfShape"}:
        tensors = [a.t for a in proto.attribute if a.name == "value"]
        return made if any(t.data_type in HALVES for t in tensors) else set()
    read = [name for name in proto.input if name in halves]
    if not read or (not domain and proto.op_type in ENDS):
        return set()
    if domain or proto.op_type not in MOVES:
        raise UnsupportedError(
            f"{label}: computes in half precision, with `{read[0]}`, wanted float",
            hint=f"cast it to float before, or {FLOATS}",
        )
    return made
