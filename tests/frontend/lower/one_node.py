"""One operator, lowered and run by the machine's definition, and run by onnxruntime."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import onnx
from conformance import run_slowly
from onnx import helper, numpy_helper

from verifiable.engines.ort import Session
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array, Graph

OPSET: Final = 22
Given = Sequence[Array | None]


def model(
    op: str,
    given: Given,
    *,
    constants: Collection[int] = (),
    outputs: int = 1,
    opset: int = OPSET,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one operator; inputs numbered in `constants` are initializers."""
    names = [f"x{i}" if a is not None else "" for i, a in enumerate(given)]
    infos, initial = [], []
    for i, (name, array) in enumerate(zip(names, given, strict=True)):
        if array is None:
            continue
        if i in constants:
            initial.append(numpy_helper.from_array(array, name))
        else:
            element = helper.np_dtype_to_tensor_dtype(array.dtype)
            infos.append(helper.make_tensor_value_info(name, element, array.shape))
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, name="it", **attributes)
    untyped = [onnx.ValueInfoProto(name=n) for n in results]
    graph = helper.make_graph([node], op, infos, untyped, initial)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def _feeds(made: onnx.ModelProto, given: Given) -> dict[str, Array]:
    # NumPy gives scalars where arrays without axes were multiplied.
    return {info.name: np.asarray(given[int(info.name[1:])]) for info in made.graph.input}


def graph_of(made: onnx.ModelProto) -> Graph:
    """The graph alone."""
    return lower(made)[0]


def ours(made: onnx.ModelProto, given: Given) -> list[Array]:
    """Lowered, and run by the definition of each instruction."""
    graph, weights = lower(made)
    found = run_slowly(graph, weights, _feeds(made, given))
    return [found[info.name] for info in made.graph.output]


def theirs(made: onnx.ModelProto, given: Given) -> list[Array]:
    """Run by onnxruntime."""
    inferred = onnx.shape_inference.infer_shapes(made)
    found = Session(inferred.SerializeToString()).run(_feeds(made, given))
    return [found[info.name] for info in made.graph.output]


def agree(
    op: str,
    given: Given,
    *,
    constants: Collection[int] = (),
    outputs: int = 1,
    opset: int = OPSET,
    rtol: float = 1e-4,
    atol: float = 2e-5,
    **attributes: Any,
) -> None:
    """Hold one operator against onnxruntime: integers equal, floats near."""
    made = model(op, given, constants=constants, outputs=outputs, opset=opset, **attributes)
    for got, wanted in zip(ours(made, given), theirs(made, given), strict=True):
        near(got, wanted, rtol=rtol, atol=atol)


def near(got: Array, wanted: Array, *, rtol: float = 1e-4, atol: float = 2e-5) -> None:
    """Same dtype and shape; integers equal, floats near."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    if got.dtype == np.float32:
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)
    else:
        np.testing.assert_array_equal(got, wanted)


def floats(seed: int, *shape: int) -> Array:
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def small_integers(seed: int, dtype: type[np.generic], *shape: int) -> Array:
    """Integers over the whole range of an 8-bit dtype, or -100..100 of a wider one."""
    info = np.iinfo(dtype)  # type: ignore[type-var]
    low, high = (info.min, info.max) if info.bits == 8 else (-100, 100)
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, shape, endpoint=True).astype(dtype)
