"""Which versions of which operator sets a model asks for."""

from collections.abc import Iterable, Mapping
from typing import Final

import onnx

from verifiable.errors import ModelError

NEWEST: Final[Mapping[str, int]] = {
    "": onnx.defs.onnx_opset_version(),
    "ai.onnx.ml": onnx.defs.onnx_ml_opset_version(),
}
"""By domain, the newest version that the installed onnx defines."""


def versions_of(entries: Iterable[onnx.OperatorSetIdProto], where: str) -> dict[str, int]:
    """Version by domain, the default domain called ``""``.

    Parameters
    ----------
    entries : iterable of OperatorSetIdProto
        Of a model or of a function in one.
    where : str
        Whose they are, for the message.

    Raises
    ------
    ModelError
        If one is newer than the installed onnx: what its operators mean is not known here.
    """
    versions = {"" if e.domain == "ai.onnx" else str(e.domain): int(e.version) for e in entries}
    for domain, version in versions.items():
        newest = NEWEST.get(domain, version)
        if version > newest:
            of_domain = f" of domain `{domain}`" if domain else ""
            raise ModelError(
                f"{where} is of opset {version}{of_domain}, which the installed onnx "
                f"{onnx.__version__} does not know; the newest that it knows is {newest}",
                hint=f"export it with opset {newest} or older, or install a newer onnx",
            )
    return versions


def check_opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Versions that a model asks for, after a look at those of its functions.

    Raises
    ------
    ModelError
        As `versions_of`.
    """
    for function in model.functions:
        versions_of(function.opset_import, f"function `{function.name}` of the model")
    return versions_of(model.opset_import, "the model")
