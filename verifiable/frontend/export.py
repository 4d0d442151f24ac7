"""A torch module or an ONNX file becomes the bytes that are proven.

Both ways end in the same normal form (see ``normalise``), admitted by the same rules (see
``admit``). Equal models give equal bytes, whoever exported them and where.
"""

import contextlib
import copy
import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from verifiable.errors import MissingDependencyError, ModelError
from verifiable.frontend.admit import admit
from verifiable.frontend.facts import Facts, dtype_name, facts_of
from verifiable.frontend.files import MAX_MODEL_BYTES, parse_model, serialise
from verifiable.frontend.normalise import OPSET, normalise
from verifiable.frontend.signature import DType, Signature, TensorSpec

if TYPE_CHECKING:
    import torch

DTYPES: Final[Mapping[int, DType]] = {
    int(onnx.TensorProto.FLOAT): "float32",
    int(onnx.TensorProto.INT64): "int64",
    int(onnx.TensorProto.BOOL): "bool",
}

_FLOATS: Final = frozenset(
    int(t) for t in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
)


def export_module(
    module: "torch.nn.Module",
    example: Mapping[str, NDArray[np.float32]],
    *,
    outputs: Sequence[str] = ("output",),
) -> bytes:
    """Export a torch module to checked ONNX bytes.

    The module is left as it is; a copy of it is put in evaluation mode. Not for several threads
    at once: torch's loggers and the standard streams are silenced meanwhile.

    Parameters
    ----------
    module : torch.nn.Module
        Float32 weights.
    example : mapping of str to float32 array
        Arguments of ``module.forward`` in order: their names become the input names, their
        shapes the fixed shapes. The values do not matter.
    outputs : sequence of str
        Names of what ``forward`` returns, in order.

    Returns
    -------
    bytes
        ONNX, opset 18, weights inside; the same bytes for the same module.

    Raises
    ------
    ModelError
        If torch cannot export the module, or the result is not admitted.
    MissingDependencyError
        If torch or onnxscript is not installed.
    """
    try:
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            f"exporting a torch module needs {error.name}", hint="install `verifiable[torch]`"
        ) from error
    with quiet_torch():
        try:
            # A copy, so that neither the caller's mode nor its device changes.
            still = copy.deepcopy(module).cpu().eval()
            arguments = tuple(torch.from_numpy(np.array(a, np.float32)) for a in example.values())
            program = torch.onnx.export(
                still,
                arguments,
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                input_names=list(example),
                output_names=list(outputs),
                verbose=False,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"torch cannot export {type(module).__name__}: {_reason(error)}",
                hint="does the module run on inputs of these shapes, and without Python branches "
                "on tensor values?",
            ) from error
        model = program.model_proto
    return _finish(parse_model(serialise(model)), {})


def load_model(source: Path | bytes, *, dims: Mapping[str, int] | None = None) -> bytes:
    """Read an ONNX model into checked ONNX bytes.

    Parameters
    ----------
    source : Path or bytes
        The file, or its contents. Weights in other files are found beside the file only.
    dims : mapping of str to int, optional
        Sizes of open axes, by name (``batch``) or place (``image:0``).

    Returns
    -------
    bytes
        The normal form, with fixed shapes and weights inside. Normal forms come back unchanged.

    Raises
    ------
    ModelError
        If it cannot be read, is no valid ONNX, has axes without size, or is not admitted.
    """
    if isinstance(source, bytes):
        return _finish(parse_model(source), dims or {})
    try:
        if source.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(
                f"`{source}` is larger than an ONNX file can be",
                hint="store its weights in files beside it (external_data=True)",
            )
        data = source.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read `{source}`: {error.strerror}", hint="name an ONNX file that is there"
        ) from error
    return _finish(parse_model(data, folder=source.parent), dims or {})


def signature_of(model: bytes) -> Signature:
    """Names, shapes and dtypes at the border of a model in normal form.

    Raises
    ------
    ModelError
        If `model` is no ONNX model with fixed shapes.
    """
    return signature_from(facts_of(parse_model(model)))


def _finish(model: onnx.ModelProto, dims: Mapping[str, int]) -> bytes:
    return serialise(admitted(model, dims).model)


def admitted(model: onnx.ModelProto, dims: Mapping[str, int]) -> Facts:
    """The normal form of a model, admitted, and what is known about it.

    Parameters
    ----------
    model : onnx.ModelProto
        As ``parse_model`` returns it; left as it is.
    dims : mapping of str to int
        As `load_model`.

    Raises
    ------
    ModelError
        As `load_model`.
    """
    # As a rule of `admit` does, but before a model of gigabytes is rewritten for nothing.
    constants = {tensor.name for tensor in model.graph.initializer}
    for info in model.graph.input:
        elem = info.type.tensor_type.elem_type
        if info.name not in constants and elem in {onnx.TensorProto.INT64, onnx.TensorProto.INT32}:
            raise ModelError(
                f"input `{info.name}` is {dtype_name(elem)}, wanted float",
                hint="take float32; class or token numbers as one-hot rows",
            )
    plain = normalise(model, dims)
    facts = facts_of(plain)
    admit(facts)
    signature_from(facts)  # refuses border types that no rule knows
    return facts


def signature_from(facts: Facts) -> Signature:
    """As `signature_of`, of what is known already."""
    graph = facts.model.graph
    return Signature(
        inputs=tuple(_spec(facts, info.name) for info in graph.input),
        outputs=tuple(_spec(facts, info.name) for info in graph.output),
        parameters=sum(prod(t.dims) for t in graph.initializer if t.data_type in _FLOATS),
        operators=tuple(sorted(Counter(str(node.op_type) for node in graph.node).items())),
    )


def _spec(facts: Facts, name: str) -> TensorSpec:
    known = facts.types.get(name)
    if known is None or known.shape is None or known.elem not in DTYPES:
        raise ModelError(
            f"`{name}` has no fixed shape or no type that can go in or out",
            hint="take and give float32 tensors of fixed shapes",
        )
    return TensorSpec(name=name, shape=known.shape, dtype=DTYPES[known.elem])


def _reason(error: BaseException) -> str:
    """Say what torch means: the innermost cause, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextlib.contextmanager
def quiet_torch() -> Iterator[None]:
    """Silence what torch prints, warns and logs while it exports."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    sink = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
