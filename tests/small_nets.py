"""Small architectures as ONNX, exported once in a run of the tests: an export takes a second."""

from architectures import Architecture, architecture
from run_folder import value_once


def small_net(name: str, *, fold: bool = True) -> tuple[Architecture, bytes]:
    """A small one of ``architectures.NAMES``, and its ONNX."""
    made = architecture(name, small=True)
    kind = "folded" if fold else "kept"
    return made, value_once(
        f"small-{name}-{kind}", lambda: bytes(made.onnx(fold=fold).SerializeToString())
    )
