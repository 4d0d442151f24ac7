"""Constants of an ONNX model as arrays of the machine, NaNs refused wherever they stand."""

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from verifiable.errors import ModelError
from verifiable.frontend.facts import dtype_name
from verifiable.frontend.lower.elements import ELEMENTS, HALVES, NAMES
from verifiable.frontend.lower.hints import FLOATS, NUMBERS
from verifiable.graph.ir import Array


def check_numbers(what: str, values: Any) -> None:
    """Pass numbers that a model gives: weights, or an attribute of floats.

    Parameters
    ----------
    what : str
        Names them, for the message.
    values : array, or what NumPy makes one of
        Of any dtype.

    Raises
    ------
    ModelError
        If one is a NaN.
    """
    array = np.asarray(values)
    if array.dtype.kind != "f" or not np.isnan(array).any():
        return
    where = [int(i) for i in np.argwhere(np.isnan(array))[0]]
    place = f"{where}" if where else ""
    raise ModelError(f"{what}{place} is NaN, wanted a number", hint=NUMBERS)


def constant_array(tensor: onnx.TensorProto, what: str) -> Array:
    """Elements of an ONNX constant in a dtype of the machine; f16 and bf16 are widened.

    Raises
    ------
    ModelError
        If the dtype is none of the machine's, the bytes do not fill the shape, or one is a NaN.
    """
    if tensor.data_type not in ELEMENTS and tensor.data_type not in HALVES:
        raise ModelError(
            f"{what} is {dtype_name(tensor.data_type)}, wanted one of {NAMES}", hint=FLOATS
        )
    try:
        array = np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"{what} is damaged: {error}", hint="export the model again, and copy all of it"
        ) from error
    if tensor.data_type in HALVES:
        array = array.astype(np.float32)
    check_numbers(what, array)
    return array
