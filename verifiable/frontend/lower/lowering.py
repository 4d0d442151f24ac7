"""ONNX to Graph: the inputs, the walk over the operators, the outputs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

import onnx

from verifiable.errors import GraphError, ModelError, UnsupportedError
from verifiable.frontend.axes import check_sizes, inputs_of
from verifiable.frontend.lower.border import Problem, check_outputs, input_type, strange_output
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.constants import check_numbers, constant_array
from verifiable.frontend.lower.elements import ELEMENTS, HALVES
from verifiable.frontend.lower.hints import LIMIT
from verifiable.frontend.lower.refusal import Refusal, too_dear_operators
from verifiable.frontend.lower.walk import Walk, run_nodes
from verifiable.frontend.opsets import check_opsets
from verifiable.graph.ir import Array, Graph, Index
from verifiable.graph.passes import with_fused_maps

MINIMUM_OPSET: Final = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """What came of a model; `graph` is None if anything was refused."""

    graph: Graph | None
    weights: dict[Index, Array]
    refusals: tuple[Refusal, ...]
    operators: dict[str, int]
    """How often each operator type occurs, functions not expanded."""
    unreached: Mapping[str, int] = field(default_factory=dict)
    """How many of each type wait for a tensor that a refused one would make."""
    unknown: tuple[str, ...] = ()
    """Operator types that the machine does not have, those of other domains with the domain."""
    problems: tuple[ModelError, ...] = ()
    """Of `survey` alone: what is wrong with the model as a whole, first things first."""

    def error(self) -> UnsupportedError:
        """The first refusal, and how many others there are."""
        first = self.refusals[0]
        others = len(self.refusals) - 1
        more = f" (and {others} more refused)" if others else ""
        return UnsupportedError(first.what + more, hint=first.hint)


def lower_model(
    model: onnx.ModelProto,
    *,
    sizes: Mapping[str, int] | None = None,
    frozen: Mapping[str, Array] | None = None,
) -> Lowered:
    """Lower a model and say what could not be.

    Parameters
    ----------
    model : onnx.ModelProto
        As ``frontend.files.parse_model`` returns it, weights inside.
    sizes : mapping of str to int, optional
        Extent of each dynamic axis, by its name (``batch``) or place (``image:0``).
    frozen : mapping of str to array, optional
        Inputs that are constants of this compilation: shapes, axes, pads, counts.

    Raises
    ------
    ModelError
        If the opset is too old or newer than the installed onnx, an input has an axis nobody sized
        or a dtype the machine has not, a size is of no axis, a weight is a NaN, or an output is
        declared otherwise than the graph makes it.
    """

    def stop(error: ModelError) -> NoReturn:
        raise error

    return _lowered(model, sizes or {}, frozen or {}, stop)


def survey(model: onnx.ModelProto, *, sizes: Mapping[str, int] | None = None) -> Lowered:
    """As `lower_model`, but go on past what is wrong with the model, for a report of all of it.

    A dynamic axis that nobody sized is taken for 1, and an input of another dtype for float.

    Raises
    ------
    ModelError
        If the opset is too old or too new: then no operator's meaning is known.
    """
    found: list[ModelError] = []
    lowered = _lowered(model, sizes or {}, {}, found.append)
    if not found:
        return lowered
    return Lowered(
        graph=None,
        weights={},
        refusals=lowered.refusals,
        operators=lowered.operators,
        unreached=lowered.unreached,
        unknown=lowered.unknown,
        problems=tuple(found),
    )


def _lowered(
    model: onnx.ModelProto,
    sizes: Mapping[str, int],
    frozen: Mapping[str, Array],
    problem: Problem,
) -> Lowered:
    versions = _versions(model)
    told: list[ModelError] = []

    def tell(error: ModelError) -> None:
        told.append(error)
        problem(error)

    try:
        check_sizes(model, sizes)
    except ModelError as error:
        tell(error)
    functions = {(f.domain, f.name): f for f in model.functions}
    walk = Walk(builder=Builder(), versions=versions, functions=functions)
    _fill(walk, model, sizes, frozen, tell)
    run_nodes(walk, model.graph.node)
    if not told:  # else outputs are made of assumptions
        check_outputs(model.graph.output, walk.values, tell)
    operators = Counter(str(node.op_type) for node in model.graph.node)
    refusals = tuple(walk.refusals)
    outputs = [(o.name, walk.values.get(o.name)) for o in model.graph.output]
    found = {name: value for name, value in outputs if value is not None}
    if not refusals and len(found) == len(outputs):
        graph, weights = _finished(walk.builder, found)
        refusals = too_dear_operators(graph)
        if not refusals:
            return Lowered(graph=graph, weights=weights, refusals=(), operators=operators)
    return Lowered(
        graph=None,
        weights={},
        refusals=refusals,
        operators=operators,
        unreached=walk.unreached,
        unknown=tuple(sorted(walk.unknown)),
    )


def _finished(builder: Builder, outputs: Mapping[str, Value]) -> tuple[Graph, dict[Index, Array]]:
    try:
        finished, weights = builder.finish(outputs.items())
        fused, moved = with_fused_maps(finished)
    except GraphError as error:
        raise GraphError(str(error), hint=LIMIT) from error
    return fused, {moved[i]: array for i, array in weights.items() if i in moved}


def _versions(model: onnx.ModelProto) -> dict[str, int]:
    versions = check_opsets(model)
    uses = any(node.domain in {"", "ai.onnx"} for node in model.graph.node)
    version = versions.setdefault("", 0 if uses else onnx.defs.onnx_opset_version())
    if version < MINIMUM_OPSET:
        raise ModelError(
            f"the model is of opset {version}, wanted {MINIMUM_OPSET} or later",
            hint="convert it with onnx.version_converter, or export it again",
        )
    return versions


def _fill(
    walk: Walk,
    model: onnx.ModelProto,
    sizes: Mapping[str, int],
    frozen: Mapping[str, Array],
    problem: Problem,
) -> None:
    """Inputs and constants, where the walk begins."""
    for info in inputs_of(model):
        if info.name in frozen:
            check_numbers(f"frozen input `{info.name}`", frozen[info.name])
            walk.values[info.name] = walk.builder.constant(frozen[info.name])
        else:
            kind = input_type(info, sizes, problem)
            walk.values[info.name] = walk.builder.input(info.name, kind) if kind else None
    for tensor in model.graph.initializer:
        walk.values[tensor.name] = None
        if tensor.data_type not in ELEMENTS and tensor.data_type not in HALVES:
            # Refused where it is read; one that nobody reads does no harm.
            walk.strange[tensor.name] = tensor.data_type
            if any(tensor.name == output.name for output in model.graph.output):
                problem(strange_output(tensor))
            continue
        if tensor.data_type in HALVES:
            walk.halves.add(tensor.name)
        try:
            array = constant_array(tensor, f"constant `{tensor.name}`")
            walk.values[tensor.name] = walk.builder.constant(array)
        except ModelError as error:
            problem(error)


def lower(
    model: onnx.ModelProto,
    *,
    sizes: Mapping[str, int] | None = None,
    frozen: Mapping[str, Array] | None = None,
) -> tuple[Graph, dict[Index, Array]]:
    """Lower a model to a checked graph and its weights; see `lower_model`.

    Raises
    ------
    UnsupportedError
        If an operator was refused: the first one, and how many others.
    ModelError
        As `lower_model`.
    """
    lowered = lower_model(model, sizes=sizes, frozen=frozen)
    if lowered.graph is None:
        raise lowered.error()
    return lowered.graph, lowered.weights
