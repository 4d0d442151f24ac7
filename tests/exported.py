"""Small architectures, exported once per run: torch takes seconds over each."""

import onnx
from run_folder import value_once

from verifiable.graph.ir import Array


def small_model(name: str) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """One of ``architectures.NAMES`` with its inputs."""
    data, inputs = value_once(f"small-{name}", lambda: _exported(name))
    return onnx.load_from_string(data), inputs


def _exported(name: str) -> tuple[bytes, dict[str, Array]]:
    from architectures import architecture

    made = architecture(name, small=True)
    return made.onnx().SerializeToString(), made.inputs
