"""Architectures as ONNX and as graphs; small ones are exported once in a run of the tests."""

from architectures import Architecture, architecture
from run_folder import value_once

from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array, Graph, Weights


def small_net(name: str, *, fold: bool = True) -> tuple[Architecture, bytes]:
    """A small one of ``architectures.NAMES``, and its ONNX."""
    made = architecture(name, small=True)
    kind = "folded" if fold else "kept"
    return made, value_once(
        f"small-{name}-{kind}", lambda: bytes(made.onnx(fold=fold).SerializeToString())
    )


def lowered_net(name: str, *, small: bool) -> tuple[Graph, Weights, dict[str, Array]]:
    """One of them as a graph, with its inputs."""
    if small:
        made, data = small_net(name)
        return *lower(parse_model(data)), dict(made.inputs)
    made = architecture(name)
    return *lower(made.onnx()), dict(made.inputs)
