"""Holding what a caller hands over against what a graph asks for; every engine does it alike."""

from collections.abc import Callable, Mapping

import numpy as np

from verifiable.errors import TensorError
from verifiable.graph.ir import Array, Const, Graph, Index, TensorType, Weights, places
from verifiable.ops import check_values, dtype_of

CheckValues = Callable[[str, Array], None]
"""Refuses elements that no tensor of the machine holds, as ``ops.check_values`` does."""


def check_inputs(
    wanted: Mapping[str, TensorType], inputs: Mapping[str, Array], *,
    check: CheckValues = check_values,
) -> dict[str, Array]:  # fmt: skip
    """Check the inputs of a run.

    Parameters
    ----------
    wanted : mapping of str to TensorType
        Of the graph (``graph.check.input_types``).
    inputs : mapping of str to array
    check : callable
        Of an engine that does it faster.

    Returns
    -------
    dict of str to array
        C-contiguous, in the order of `wanted`.

    Raises
    ------
    TensorError
        If an input is absent, unknown, of another shape or dtype, or holds a NaN other than
        0x7fc00000 or a bool other than 0 and 1.
    """
    for name in inputs:
        if name not in wanted:
            names = ", ".join(f"`{name}` {kind}" for name, kind in wanted.items()) or "none"
            raise TensorError(f"there is no input `{name}`", hint=f"the inputs are {names}")
    for name, kind in wanted.items():
        if name not in inputs:
            raise TensorError(f"input `{name}` is absent, wanted {kind}")
        _check_type(f"input `{name}`", inputs[name], kind)
        check(name, inputs[name])
    return {name: _contiguous(inputs[name]) for name in wanted}


def check_weights(graph: Graph, weights: Weights) -> dict[Index, Array]:
    """Check the elements of a graph's Consts, but for their roots, which cost a hash.

    Returns
    -------
    dict of Index to array
        C-contiguous, by place.

    Raises
    ------
    TensorError
        If one is absent, of another shape or dtype, or holds an element that is not canonical.
    """
    found = {}
    for place in places(graph, Const):
        if place not in weights:
            raise TensorError(f"the elements of Const {place} are absent")
        _check_type(f"Const {place}", weights[place], graph.instructions[place].type)
        check_values(f"Const {place}", weights[place])
        found[place] = _contiguous(weights[place])
    return found


def _contiguous(array: Array) -> Array:
    # np.ascontiguousarray would give a scalar an axis.
    return np.asarray(array, order="C")


def _check_type(what: str, array: Array, wanted: TensorType) -> None:
    if not isinstance(array, np.ndarray):
        raise TensorError(f"{what} is a {type(array).__name__}, wanted a NumPy array")
    dtype = dtype_of(array)
    if dtype is not wanted.dtype:
        raise TensorError(
            f"{what} is {array.dtype}, wanted {wanted.dtype.numpy}",
            hint=f"convert it: x.astype('{wanted.dtype.numpy}')",
        )
    if array.shape != wanted.shape:
        raise TensorError(f"{what} has shape {list(array.shape)}, wanted {list(wanted.shape)}")
