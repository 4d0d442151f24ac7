"""What must not be proven is refused here, before anything is compiled.

ezkl proves wrong statements without a word (a NaN weight becomes 0, an integer constant beyond
2**24 loses its last bits) and fails on others with messages that name nothing. Each rule below
looks for one such thing and names tensor and operator. All are applied, and all that is found
is counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx

from verifiable.errors import ModelError
from verifiable.frontend.facts import Facts, attributes, dtype_name
from verifiable.frontend.operators import CONDITIONAL, PLAIN, REFUSED

MAX_EXACT_INTEGER: Final = 2**24
"""Integers up to here, of either sign, are float32 numbers; ezkl takes all constants for such."""
MAX_MAGNITUDE: Final = float(2**24)
"""Largest float constant: with scales of 7 bits and more, a larger one leaves the 2**32 or so that
range checks of practical size can decompose."""

ELEMENT_TYPES: Final = frozenset(
    int(t)
    for t in (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
        onnx.TensorProto.INT32,
        onnx.TensorProto.BOOL,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason not to take a model."""

    what: str
    """Names tensor and operator; says what was got and what is wanted."""
    hint: str


Rule = Callable[[Facts], Iterator[Problem]]


def admit(facts: Facts) -> None:
    """Check a model in normal form against every rule.

    Raises
    ------
    ModelError
        If a rule is broken: the first problem, the number of others, and what to do.
    """
    found = problems(facts)
    if not found:
        return
    others = len(found) - 1
    more = f" (and {others} more problem{'s' * (others > 1)})" if others else ""
    raise ModelError(found[0].what + more, hint=found[0].hint)


def problems(facts: Facts) -> tuple[Problem, ...]:
    """Everything that speaks against a model in normal form, in the order of the rules."""
    return tuple(problem for rule in RULES for problem in rule(facts))


def no_control_flow(facts: Facts) -> Iterator[Problem]:
    """A circuit has no branches or loops."""
    for i, node in enumerate(facts.model.graph.node):
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            yield Problem(
                what=f"{facts.label(i)}: control flow cannot be proven",
                hint="export the branch that is taken, with loops unrolled",
            )


def known_operators(facts: Facts) -> Iterator[Problem]:
    """Only what was measured to be proven as ONNX defines it."""
    for i, node in enumerate(facts.model.graph.node):
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            continue
        if node.op_type in REFUSED:
            yield Problem(
                what=f"{facts.label(i)}: not an operator that ezkl proves",
                hint=REFUSED[node.op_type],
            )
        elif node.domain or node.op_type not in PLAIN | CONDITIONAL.keys():
            domain = f" of domain {node.domain}" if node.domain else ""
            yield Problem(
                what=f"{facts.label(i)}: operator{domain} is not known to be proven correctly",
                hint="write it in operators of verifiable.frontend.operators",
            )
        else:
            for condition in CONDITIONAL.get(node.op_type, ()):
                wrong = condition(facts, node)
                if wrong is not None:
                    yield Problem(
                        what=f"{facts.label(i)} makes `{node.output[0]}`: {wrong}",
                        hint="change the module and export it again",
                    )


def float32_border(facts: Facts) -> Iterator[Problem]:
    """Inputs are float32 tensors; outputs are made by operators."""
    graph = facts.model.graph
    if not graph.input:
        yield Problem(what="the model has no input", hint="a constant needs no proof")
    for info in graph.input:
        elem, shape = facts.elem(info.name), facts.shape(info.name)
        if elem != onnx.TensorProto.FLOAT:
            got = "nothing known" if elem is None else dtype_name(elem)
            yield Problem(
                what=f"input `{info.name}` is {got}, wanted float",
                hint="take float32; class or token numbers as one-hot rows",
            )
        if shape == () or (shape is not None and 0 in shape):
            yield Problem(
                what=f"input `{info.name}` has shape {list(shape)}, wanted at least one axis "
                "and one element",
                hint="give it a batch axis of 1",
            )
        if info.name not in facts.consumers:
            yield Problem(
                what=f"input `{info.name}` is read by no operator",
                hint="remove it: a proof would say nothing about it",
            )
    for info in graph.output:
        if info.name not in facts.producers:
            kind = "a constant" if info.name in facts.constants else "an input"
            yield Problem(
                what=f"output `{info.name}` is {kind}, not made by an operator",
                hint="remove that output",
            )


def element_types(facts: Facts) -> Iterator[Problem]:
    """Float32, bool and index arithmetic only."""
    hint = "export the module in float32 (module.float())"
    for name in facts.constants:
        kind, shape = facts.types[name].elem, facts.types[name].shape or ()
        if kind not in ELEMENT_TYPES:
            reader = facts.label(facts.consumers[name][0]) if name in facts.consumers else "nothing"
            yield Problem(
                what=f"constant `{name}` {list(shape)}, read by {reader}, "
                f"is {dtype_name(kind)}, wanted float",
                hint=hint,
            )
    for i, node in enumerate(facts.model.graph.node):
        for name in filter(None, node.output):
            elem = facts.elem(name)
            if elem is not None and elem not in ELEMENT_TYPES:
                yield Problem(
                    what=f"{facts.label(i)} makes `{name}` in {dtype_name(elem)}, wanted float",
                    hint=hint,
                )


def fixed_shapes(facts: Facts) -> Iterator[Problem]:
    """Every tensor has a size before anything runs."""
    for i, node in enumerate(facts.model.graph.node):
        if node.domain or node.op_type not in PLAIN | CONDITIONAL.keys():
            continue
        for name in filter(None, node.output):
            if facts.shape(name) is None:
                yield Problem(
                    what=f"{facts.label(i)} makes `{name}`, whose shape depends on the input",
                    hint="export with fixed shapes; a circuit has one size",
                )


def finite_constants(facts: Facts) -> Iterator[Problem]:
    """No NaN, no infinity, nothing too large for fixed point."""
    for name, value in facts.constants.items():
        if value.dtype.kind != "f" or not value.size:
            continue
        bad = ~np.isfinite(value) | (np.abs(value) > MAX_MAGNITUDE)
        if not bad.any():
            continue
        index = [int(axis) for axis in np.argwhere(bad)[0]]
        first = float(value[tuple(index)])
        readers = facts.consumers.get(name, ())
        reader = facts.label(readers[0]) if readers else "no operator"
        where = f"constant `{name}`{index}, read by {reader}, is {first:g}"
        masks = any(facts.model.graph.node[i].op_type in {"Add", "Where"} for i in readers)
        if masks and first < 0:
            yield Problem(
                what=f"{where}: a mask of that size has no fixed-point form",
                hint="mask with a finite number a little below the smallest score, such as -20; "
                "tables grow with it",
            )
        else:
            yield Problem(
                what=f"{where}, wanted finite and at most 2**24 in size ({int(bad.sum())} such)",
                hint="ezkl would prove 0 in place of NaN; train or load the weights again",
            )
    for i, node in enumerate(facts.model.graph.node):
        for name, value in attributes(node).items():
            numbers = value if isinstance(value, list) else [value]
            if any(isinstance(v, float) and not np.isfinite(v) for v in numbers):
                yield Problem(
                    what=f"{facts.label(i)}: attribute {name} is not finite",
                    hint="change the module and export it again",
                )


def exact_integers(facts: Facts) -> Iterator[Problem]:
    """Integer constants survive the trip through float32."""
    for name, value in facts.constants.items():
        if value.dtype.kind not in "iu" or not value.size:
            continue
        # Compared on both sides: abs(-2**63) overflows.
        bad = (value > MAX_EXACT_INTEGER) | (value < -MAX_EXACT_INTEGER)
        if bad.any():
            index = [int(axis) for axis in np.argwhere(bad)[0]]
            readers = facts.consumers.get(name, ())
            reader = facts.label(readers[0]) if readers else "no operator"
            yield Problem(
                what=f"integer constant `{name}`{index}, read by {reader}, is "
                f"{int(value[tuple(index)])}, beyond 2**24: ezkl would round it",
                hint="keep integer constants within 2**24",
            )


RULES: Final[tuple[Rule, ...]] = (
    no_control_flow,
    known_operators,
    float32_border,
    element_types,
    fixed_shapes,
    finite_constants,
    exact_integers,
)
