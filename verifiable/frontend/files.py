"""Bytes to ONNX model and back: the one place where untrusted model bytes are parsed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import onnx
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from onnx import external_data_helper

from verifiable.errors import ModelError
from verifiable.frontend.facts import first_line

MAX_MODEL_BYTES: Final = 2**31 - 1
"""Protobuf cannot hold more."""
Model = onnx.ModelProto
"""For those who may not import onnx."""
_AGAIN: Final = "export the model again; onnx.checker says the same of it"
_BESIDE: Final = "put that file beside the model, or export with external_data=False"


def parse_model(data: bytes, *, folder: Path | None = None) -> onnx.ModelProto:
    """Parse an ONNX file into a model that the ONNX checker accepts.

    Parameters
    ----------
    data : bytes
        Contents of the file.
    folder : Path, optional
        Where weights stored outside the file are looked for.

    Raises
    ------
    ModelError
        If the bytes are no ONNX model, break a rule of ONNX, or lack their weights.
    """
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(
            f"model is {len(data)} bytes, more than the {MAX_MODEL_BYTES} of a file",
            hint="store its weights in files beside it (external_data=True)",
        )
    if not data:
        raise ModelError(
            "not an ONNX model: the file is empty",
            hint="was its export or download cut short? make it again",
        )
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(
            "not an ONNX file: its bytes are no protobuf message",
            hint="torch checkpoints (.pt, .pth) hold no graph: export the module to ONNX first",
        ) from error
    if not _is_text(model):
        raise ModelError("not a valid ONNX model: a name in it is no UTF-8 text", hint=_AGAIN)
    if not model.graph.node:
        raise ModelError(
            "not an ONNX model: its graph has no operators",
            hint="torch checkpoints and other files may look like one: export the module to ONNX",
        )
    for kind, infos in (("input", model.graph.input), ("output", model.graph.output)):
        for info in infos:
            tensor = info.type.tensor_type
            if info.type.HasField("tensor_type") and not tensor.HasField("shape"):
                raise shapeless(f"{kind} `{info.name}`")
    outside = read_outside_weights(model, folder)
    try:
        # The bytes that are there already, since a model of gigabytes takes long to write.
        onnx.checker.check_model(model if outside else data)
    except (onnx.checker.ValidationError, RuntimeError, ValueError, UnicodeError) as error:
        raise ModelError(f"not a valid ONNX model: {_said(error)}", hint=_AGAIN) from error
    return model


def shapeless(what: str) -> ModelError:
    """The error to raise for an input or output whose very number of axes is unknown."""
    return ModelError(
        f"{what} has no shape",
        hint="export it with one; an axis may be left open, with a name, and sized by --dim",
    )


def read_outside_weights(model: onnx.ModelProto, folder: Path | None) -> bool:
    """Bring weights that lie in other files into `model`, in place; say whether there were any.

    Raises
    ------
    ModelError
        If a file is absent, lies outside `folder` or is too short.
    """
    found = False
    for tensor in _tensors(model.graph):
        if not external_data_helper.uses_external_data(tensor):
            continue
        found = True
        if folder is None:
            raise _outside(tensor, "but only the model's bytes were given")
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            raise _outside(tensor, *_why_not(tensor, folder, error)) from error
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return found


def _outside(tensor: onnx.TensorProto, problem: str, hint: str = _BESIDE) -> ModelError:
    where = _entries(tensor).get("location", "")
    return ModelError(
        f"constant `{tensor.name}` is stored outside the model, in `{where}`, {problem}", hint=hint
    )


def _why_not(tensor: onnx.TensorProto, folder: Path, error: Exception) -> tuple[str, str]:
    """Why weights in another file could not be read, and what to do."""
    entries = _entries(tensor)
    path = folder / entries.get("location", "")
    try:
        held = path.stat().st_size
        wanted = int(entries.get("offset", 0)) + int(entries.get("length", 0))
    except (OSError, ValueError):
        return "which cannot be read: there is no such file", _BESIDE
    if held < wanted:
        return f"which holds {held} bytes, wanted {wanted}", "copy all of that file"
    return f"which cannot be read: {first_line(error)}", _BESIDE


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _said(error: BaseException) -> str:
    """What ONNX's checker means: its first line, and the innermost thing that it names."""
    context = [line for line in str(error).splitlines() if line.startswith("==> Context: ")]
    named = f" ({context[-1].removeprefix('==> Context: ')[:200]})" if context else ""
    return first_line(error) + named


def serialise(model: onnx.ModelProto) -> bytes:
    """Write a model, the same bytes for equal models.

    Raises
    ------
    ModelError
        If it is larger than a protobuf file can be.
    """
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except ValueError as error:
        raise ModelError(
            "model is larger than the 2 GiB of a protobuf file",
            hint="cut it in several models, or compile it without circuits",
        ) from error


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            for inner in attribute.graphs:
                yield from _tensors(inner)


def _is_text(message: Any) -> bool:
    """Whether every string of a message is one; protobuf hands out bytes for those that are not."""
    for field, value in message.ListFields():
        if field.type not in {field.TYPE_STRING, field.TYPE_MESSAGE}:
            continue
        for item in (value,) if isinstance(value, str | bytes | Message) else value:
            if isinstance(item, bytes) or (isinstance(item, Message) and not _is_text(item)):
                return False
    return True
