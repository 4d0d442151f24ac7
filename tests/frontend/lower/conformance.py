"""The node cases that ONNX ships, lowered and run by the machine's own definition.

Eligible is a case whose inputs and outputs are tensors of the machine's dtypes, without control
flow, sequences, optionals or training: 1,413 of onnx 1.23.2. Two more, of ReverseSequence, were
left out of that count for the word in their name; they are run besides.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import version_converter
from onnx.backend.test import loader

from verifiable.engines.reference import Reference
from verifiable.errors import GraphError, ModelError, UnsupportedError
from verifiable.frontend.lower import lower
from verifiable.frontend.lower.lowering import MINIMUM_OPSET
from verifiable.frontend.lower.node import ELEMENTS
from verifiable.graph.ir import Array, Graph, Weights
from verifiable.ops import canonical

LIST: Final = Path(__file__).with_name("onnx_cases.json")
RTOL: Final = 1e-3
ATOL: Final = 1e-5

_FLOW: Final = frozenset({"If", "Loop", "Scan"})
_WORDS: Final = ("Sequence", "Optional")

FROZEN: Final[Mapping[str, tuple[int, ...]]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "ReduceL1": (1,),
    "ReduceL2": (1,),
    "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceProd": (1,),
    "ReduceSum": (1,),
    "ReduceSumSquare": (1,),
    "Reshape": (1,),
    "Resize": (2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""By operator, the inputs that give a shape, axes, pads, counts or scales, hence sizes of the
result: only these are constants of the compilation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case: a model of one operator, or of its definition in simpler ones."""

    name: str
    op: str
    """Operator that the case is about."""
    model: onnx.ModelProto
    inputs: Mapping[str, Array]
    frozen: Mapping[str, Array]
    outputs: Sequence[tuple[str, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a case; `status` is passed, refused, wrong or crashed."""

    case: Case
    status: str
    detail: str = ""
    hint: str | None = None

    @property
    def reason(self) -> str:
        """Why a case is refused, the same wherever the operator stands."""
        return self.detail.replace(" (node 1 of 1)", "")


def _eligible(case: Any) -> bool:
    for info in (*case.model.graph.input, *case.model.graph.output):
        if not info.type.HasField("tensor_type") or info.type.tensor_type.elem_type not in ELEMENTS:
            return False
    ops = {node.op_type for node in case.model.graph.node}
    if ops & _FLOW or any(word in op for op in ops for word in _WORDS):
        return False
    return not any("training" in entry.domain for entry in case.model.opset_import)


def _recent(model: onnx.ModelProto) -> onnx.ModelProto:
    """Apply the hint of the refusal of old models: convert them."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("", MINIMUM_OPSET) >= MINIMUM_OPSET:
        return model
    return version_converter.convert_version(model, MINIMUM_OPSET)


@cache
def every_node_case() -> tuple[Any, ...]:
    """All that ONNX ships, made with a fixed seed; making them takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(loader.load_model_tests(kind="node"))


def as_case(given: Any, frozen: Sequence[str], op: str) -> Case:
    """One of ONNX's cases as a `Case` with inputs of these names frozen."""
    ((inputs, outputs),) = given.data_sets
    names = [info.name for info in given.model.graph.input]
    arrays = {n: canonical(np.ascontiguousarray(a)) for n, a in zip(names, inputs, strict=True)}
    arrays = {n: a.reshape(np.shape(i)) for (n, a), i in zip(arrays.items(), inputs, strict=True)}
    return Case(
        name=given.name,
        op=op,
        model=_recent(given.model),
        inputs={n: a for n, a in arrays.items() if n not in frozen},
        frozen={n: a for n, a in arrays.items() if n in frozen},
        outputs=[
            (info.name, np.asarray(a))
            for info, a in zip(given.model.graph.output, outputs, strict=True)
        ],
    )


def cases() -> Iterator[Case]:
    """The eligible cases."""
    about: dict[str, tuple[str, list[str]]] = {}
    for given in every_node_case():
        base, expanded, _ = given.name.partition("_expanded")
        if not expanded:
            node = given.model.graph.node[0]
            places = FROZEN.get(node.op_type, ())
            names = [node.input[i] for i in places if i < len(node.input) and node.input[i]]
            about[given.name] = (node.op_type, names)
        if _eligible(given):
            op, names = about[base if expanded else given.name]
            yield as_case(given, names, op)


def run_slowly(graph: Graph, weights: Weights, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs by the definition of each instruction."""
    return Reference().prepare(graph, weights).run(inputs)


def difference(got: Array, wanted: Array) -> str | None:
    """What is wrong with a result, None if nothing."""
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return f"got {got.dtype}{list(got.shape)}, wanted {wanted.dtype}{list(wanted.shape)}"
    if got.dtype != np.float32:
        return None if np.array_equal(got, wanted) else f"got {got}, wanted {wanted}"
    if np.allclose(got, wanted, rtol=RTOL, atol=ATOL, equal_nan=True):
        return None
    with np.errstate(all="ignore"):
        return f"off by up to {np.nanmax(np.abs(got - wanted))}: got {got}, wanted {wanted}"


def outcome(case: Case) -> Outcome:
    """Lower a case, run it, compare."""
    try:
        graph, weights = lower(case.model, frozen=case.frozen)
    except (UnsupportedError, ModelError, GraphError) as error:
        return Outcome(case=case, status="refused", detail=str(error), hint=error.hint)
    results = run_slowly(graph, weights, case.inputs)
    for name, wanted in case.outputs:
        problem = difference(results[name], wanted)
        if problem is not None:
            return Outcome(case=case, status="wrong", detail=f"{name}: {problem}")
    return Outcome(case=case, status="passed")


def outcomes(chosen: Callable[[Case], bool] = lambda _: True) -> Iterator[Outcome]:
    """What comes of each chosen case."""
    return (outcome(case) for case in cases() if chosen(case))


def listed() -> dict[str, str]:
    """Cases that are known to be refused, and why."""
    known: dict[str, str] = json.loads(LIST.read_text())
    return known
