"""Small float graphs to quantise, and both forms of them run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from verifiable.engines.reference import Reference
from verifiable.frontend.lower import lower
from verifiable.frontend.quantize import Quantised, quantise
from verifiable.graph.ir import Array, Graph, Map, Weights
from verifiable.graph.vocabulary import Scalar

node = helper.make_node
Made = tuple[Graph, Weights]
Samples = list[dict[str, Array]]


def model(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int],
    constants: Mapping[str, NDArray[Any]],
    outputs: Sequence[str] = ("y",),
) -> onnx.ModelProto:
    """A model of one float input ``x``; outputs are of the types that ONNX infers."""
    graph = helper.make_graph(
        nodes,
        "lab",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return onnx.shape_inference.infer_shapes(made)


def lowered(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int],
    constants: Mapping[str, NDArray[Any]],
    outputs: Sequence[str] = ("y",),
) -> Made:
    return lower(model(nodes, shape, constants, outputs))


def drawn(seed: int, count: int, *shape: int) -> Samples:
    rng = np.random.default_rng(seed)
    return [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(count)]


def small(made: Made, samples: Samples, test: Samples | None = None) -> Quantised:
    return quantise(*made, samples, Reference(), test=test)


def both(made: Made, int8: Quantised, sample: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Outputs of the float graph and of the int8 one."""
    pair = (made, (int8.graph, int8.weights))
    return [Reference().prepare(*one).run(sample) for one in pair]


def requantises(int8: Quantised) -> bool:
    """Whether sums of some Dot become int8 by a shift."""
    maps = [ins for ins in int8.graph.instructions if isinstance(ins, Map)]
    return any(s.function is Scalar.REQUANTISE for ins in maps for s in ins.program.steps)
