"""The walk over the operators of a graph, each lowered by its family or written out.

What cannot be lowered is refused by name, and the walk goes on: whatever the machine does not have
at all is named wherever it stands, and what only waits for a refused one is counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import onnx

from verifiable.errors import GraphError, ModelError, UnsupportedError
from verifiable.frontend.facts import dtype_name
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.definitions import body_of, definition_of, is_known
from verifiable.frontend.lower.elements import NAMES
from verifiable.frontend.lower.halves import halves_of
from verifiable.frontend.lower.hints import FLOATS, MEND, of_unknown
from verifiable.frontend.lower.node import LOWERINGS, NEVER, Node, node_of
from verifiable.frontend.lower.refusal import Refusal
from verifiable.frontend.lower.scaled import on_integers

MOST_OPERATORS: Final = 2**20
"""Operators lowered, each use of a function written out: functions that call one another twice
would else come to billions."""
_DEEPEST: Final = 32
"""Nesting of functions."""
_MALFORMED: Final = (
    AssertionError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError,
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Walk:
    """State of the walk over one graph or function body."""

    builder: Builder
    versions: Mapping[str, int]
    functions: Mapping[tuple[str, str], onnx.FunctionProto]
    values: dict[str, Value | None] = field(default_factory=dict)
    """By name; None for what cannot be known: made by a refused operator, or of a strange dtype."""
    strange: dict[str, int] = field(default_factory=dict)
    """Constants of a dtype that the machine has not, and which; refused where they are read."""
    halves: set[str] = field(default_factory=set)
    """What is in half precision in the model."""
    refusals: list[Refusal] = field(default_factory=list)
    unreached: Counter[str] = field(default_factory=Counter)
    """By operator type, how many wait for a tensor that is not known."""
    depth: int = 0
    done: list[int] = field(default_factory=lambda: [0])
    """Operators so far, shared with the walks over function bodies."""
    unknown: set[str] = field(default_factory=set)
    """Operator types that the machine does not have, shared likewise."""


def run_nodes(walk: Walk, nodes: Sequence[onnx.NodeProto]) -> None:
    """Lower operators in order into ``walk.values``.

    Raises
    ------
    ModelError
        If there are more than `MOST_OPERATORS`, functions written out.
    """
    for number, proto in enumerate(nodes):
        name = f" `{proto.name}`" if proto.name else ""
        label = f"{proto.op_type}{name} (node {number + 1} of {len(nodes)})"
        start = len(walk.builder)
        walk.done[0] += 1
        if walk.done[0] > MOST_OPERATORS:
            raise ModelError(
                f"{label}: the model has more than {MOST_OPERATORS} operators, its functions "
                "written out",
                hint="cut it in several models",
            )
        try:
            made = _outputs(walk, proto, label)
        except UnsupportedError as error:
            walk.refusals.append(
                Refusal(op=proto.op_type, label=label, what=str(error), hint=error.hint or MEND)
            )
            made = {}
        walk.values.update(dict.fromkeys(filter(None, proto.output)) | made)
        if walk.depth == 0:
            walk.builder.region(f"{proto.op_type}{name}", start)


def _outputs(walk: Walk, proto: onnx.NodeProto, label: str) -> dict[str, Value | None]:
    """What an operator makes, by name; empty if it waits for what is not known."""
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    if not is_known(proto, domain, walk.functions, walk.versions):
        walk.unknown.add(f"{domain}.{proto.op_type}" if domain else proto.op_type)
        raise _unknown(proto, domain, label)
    read = [name for name in proto.input if name]
    for name in read:
        if name not in walk.values:
            raise UnsupportedError(f"{label}: reads `{name}`, which nothing makes", hint=MEND)
        if name in walk.strange:
            kind = dtype_name(walk.strange[name])
            raise UnsupportedError(
                f"{label}: reads constant `{name}`, which is {kind}, wanted one of {NAMES}",
                hint=FLOATS,
            )
    if any(walk.values[name] is None for name in read):
        walk.unreached[proto.op_type] += 1
        return {}
    inputs = [walk.values[name] if name else None for name in proto.input]
    version = walk.versions.get(domain, 0)
    node = node_of(walk.builder, proto, inputs, label=label, version=version)
    lowering = LOWERINGS.get((domain, proto.op_type))
    if lowering is not None:
        walk.halves |= halves_of(proto, domain, walk.halves, label)
    try:
        results = (
            _written_out(walk, node)
            if lowering is None
            else on_integers(walk.builder, node, lowering)
        )
    except GraphError as error:
        raise node.refuse(str(error), hint=error.hint) from error
    except _MALFORMED as error:
        # Nothing says that a model keeps ONNX's own rules; what breaks them breaks a lowering at
        # whatever place relied on them.
        raise node.refuse(
            f"its attributes or shapes do not fit one another ({type(error).__name__})"
        ) from error
    several = [results] if isinstance(results, Value) or results is None else list(results)
    for number, name in enumerate(proto.output):
        if name and (number >= len(several) or several[number] is None):
            raise node.refuse(f"does not make its output `{name}`")
    return {name: v for name, v in zip(proto.output, several, strict=False) if name}


def _unknown(proto: onnx.NodeProto, domain: str, label: str) -> UnsupportedError:
    if not domain and proto.op_type in NEVER:
        why, hint = NEVER[proto.op_type]
        return UnsupportedError(f"{label}: {why}", hint=hint)
    of_domain = f" of domain `{domain}`" if domain else ""
    return UnsupportedError(
        f"{label}: operator{of_domain} is not supported",
        hint=of_unknown(proto.op_type, domain, LOWERINGS),
    )


def _written_out(walk: Walk, node: Node) -> Sequence[Value | None]:
    """Lower the definition of an operator."""
    function = definition_of(node.proto, node.domain, walk.functions, walk.versions, node.inputs)
    if function is None:
        raise node.refuse("has no definition for what it reads")
    if walk.depth >= _DEEPEST:
        raise node.refuse(f"is nested more than {_DEEPEST} functions deep", hint="write it out")
    own = {entry.domain: entry.version for entry in function.opset_import}
    inner = Walk(
        builder=walk.builder,
        versions={**walk.versions, **own},
        functions=walk.functions,
        values=dict(zip(function.input, node.inputs, strict=False)),
        halves={
            inner
            for inner, outer in zip(function.input, node.proto.input, strict=False)
            if outer in walk.halves
        },
        depth=walk.depth + 1,
        done=walk.done,
        unknown=walk.unknown,
    )
    # Optional inputs left out: readers see them as absent.
    missing = set(function.input[len(node.inputs) :]) | {
        n for n, v in zip(function.input, node.inputs, strict=False) if v is None
    }
    nodes = body_of(function, node.proto, node.domain, walk.versions, missing)
    run_nodes(inner, nodes)
    if inner.refusals:
        first = inner.refusals[0]
        raise node.refuse(f"in its definition, {first.what}", hint=first.hint)
    walk.halves |= {
        outer
        for inner_name, outer in zip(function.output, node.proto.output, strict=False)
        if inner_name in inner.halves
    }
    return [inner.values.get(name) for name in function.output]
