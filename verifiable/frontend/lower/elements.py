"""Element types that ONNX and the machine have in common."""

from typing import Final

import onnx
from onnx import helper

from verifiable.frontend.facts import dtype_name
from verifiable.graph.ir import TensorType
from verifiable.graph.vocabulary import DType

ELEMENTS: Final = {
    int(onnx.TensorProto.FLOAT): DType.F32,
    int(onnx.TensorProto.INT8): DType.I8,
    int(onnx.TensorProto.UINT8): DType.U8,
    int(onnx.TensorProto.INT32): DType.I32,
    int(onnx.TensorProto.INT64): DType.I64,
    int(onnx.TensorProto.BOOL): DType.BOOL,
}
"""Element types of ONNX that the machine has."""

CODES: Final = {dtype: element for element, dtype in ELEMENTS.items()}
"""The other way."""

HALVES: Final = frozenset({int(onnx.TensorProto.FLOAT16), int(onnx.TensorProto.BFLOAT16)})
"""Widened to float32 in constants, which is exact."""

NAMES: Final = ", ".join(dtype_name(element) for element in ELEMENTS)
"""For messages."""


def type_proto(kind: TensorType) -> onnx.TypeProto:
    """ONNX's form of a type.

    >>> type_proto(TensorType(DType.I8, (2, 3))).tensor_type.elem_type
    3
    """
    return helper.make_tensor_type_proto(CODES[kind.dtype], kind.shape)
