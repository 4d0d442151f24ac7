"""An ONNX file of one product, written by hand: engines do not import ``onnx``.

References
----------
onnx/onnx.proto of the ONNX repository, for the numbers of the fields; Protocol Buffers Encoding.
"""

from typing import Final

import numpy as np

from verifiable.graph.ir import Array

IR_VERSION: Final = 8
OPSET: Final = 13
"""MatMul of 13 and MatMulInteger of 10 are what every onnxruntime from 1.8 on has."""
MOST_BYTES: Final = 2**31 - 2**12
"""Of a constant: a message of Protocol Buffers is shorter than 2 GiB, all told."""

_TYPES: Final = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6}
"""``TensorProto.DataType``."""


def product_model(constant: Array, rows: "np.dtype[np.generic]") -> bytes:
    """Write a model that multiplies rows by a constant matrix.

    Its input ``x`` has any number of rows; its output ``y`` is ``x @ constant``: a MatMul of
    floats, a MatMulInteger of bytes.

    Parameters
    ----------
    constant : f32, i8 or u8, ``[K, N]``
    rows : dtype
        Of ``x``.

    Returns
    -------
    bytes
        ONNX file.
    """
    float_product = constant.dtype == np.float32
    length, width = constant.shape
    node = (
        _text(1, "x") + _text(1, "w") + _text(2, "y")
        + _text(4, "MatMul" if float_product else "MatMulInteger")
    )  # fmt: skip
    weight = (
        b"".join(_number(1, extent) for extent in constant.shape)
        + _number(2, _TYPES[constant.dtype.name])
        + _text(8, "w")
        + _bytes(9, np.ascontiguousarray(constant).tobytes())
    )
    gives = "float32" if float_product else "int32"
    graph = (
        _bytes(1, node)
        + _text(2, "product")
        + _bytes(5, weight)
        + _bytes(11, _value("x", rows.name, length))
        + _bytes(12, _value("y", gives, width))
    )
    opset = _text(1, "") + _number(2, OPSET)
    return _number(1, IR_VERSION) + _bytes(7, graph) + _bytes(8, opset)


def _value(name: str, dtype: str, width: int) -> bytes:
    shape = _bytes(1, _text(2, "rows")) + _bytes(1, _number(1, width))
    kind = _bytes(1, _number(1, _TYPES[dtype]) + _bytes(2, shape))
    return _text(1, name) + _bytes(2, kind)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
