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
        raise ModelError(f"model is {len(data)} bytes, more than the {MAX_MODEL_BYTES} of a file")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(
            "not an ONNX file: its bytes are no protobuf message",
            hint="torch checkpoints (.pt, .pth) hold no graph: export the module to ONNX first",
        ) from error
    if not _is_text(model):
        raise ModelError("not a valid ONNX model: a name in it is no UTF-8 text")
    if not model.graph.node:
        raise ModelError("not an ONNX model: its graph has no operators")
    outside = read_outside_weights(model, folder)
    try:
        # The bytes that are there already, since a model of gigabytes takes long to write.
        onnx.checker.check_model(model if outside else data)
    except (onnx.checker.ValidationError, RuntimeError, ValueError, UnicodeError) as error:
        raise ModelError(f"not a valid ONNX model: {first_line(error)}") from error
    return model


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
        where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
        missing = ModelError(
            f"constant `{tensor.name}` is stored outside the model, in `{where}`, "
            + ("which cannot be read" if folder else "but only the model's bytes were given"),
            hint="put that file beside the model, or export with external_data=False",
        )
        if folder is None:
            raise missing
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            raise missing from error
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return found


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
        raise ModelError("model is larger than the 2 GiB of a protobuf file") from error


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
