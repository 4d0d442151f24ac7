"""The whole way: find, calibrate, rewrite, measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from verifiable.crypto.hashing import sha256
from verifiable.engines.protocol import Engine
from verifiable.errors import TensorError, UnsupportedError
from verifiable.frontend.quantize.calibrate import observe
from verifiable.frontend.quantize.fidelity import Fidelity, Twin, compare
from verifiable.frontend.quantize.find import biased, feeding, padding, weighted
from verifiable.frontend.quantize.rewrite import Rewriter
from verifiable.graph.ir import Array, Graph, Index, Input, Weights, places
from verifiable.graph.vocabulary import DType


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """An int8 graph and how faithful it is."""

    graph: Graph
    weights: dict[Index, Array]
    dots: int
    """Dots that are integer ones now."""
    zero: tuple[str, ...]
    """int8 tensors, by their operators, that were 0 on all the calibration data: their exponent
    is a guess, and other data may find them coarse."""
    fidelity: Fidelity


def quantise(
    graph: Graph,
    weights: Weights,
    calibration: Sequence[Mapping[str, Array]],
    engine: Engine,
    *,
    test: Sequence[Mapping[str, Array]] | None = None,
) -> Quantised:
    """Turn a float graph into an int8 one.

    Every Dot with constant weights becomes an integer Dot; what lies between stays int8 where
    that is what Dots read, and float elsewhere (softmax, norms). Inputs and outputs keep their
    dtypes.

    Parameters
    ----------
    graph, weights
        The float graph.
    calibration : sequence of inputs
        What exponents are chosen by.
    engine : Engine
        Runs both graphs.
    test : sequence of inputs, optional
        What the report is measured on; the calibration data if None, and the report says so.

    Raises
    ------
    UnsupportedError
        If no Dot has constant, finite weights.
    TensorError
        If the data does not fit the graph, is empty, or overflows in it.
    """
    if test is not None and not test:
        raise TensorError(
            "the data to measure fidelity on is empty",
            hint="name at least one sample, or None for the calibration data",
        )
    dots = weighted(graph, weights)
    if not dots:
        raise UnsupportedError(
            "no Dot of the model has constant, finite f32 weights to quantise",
            hint="compile it without --int8",
        )
    biases = biased(graph, weights, dots)
    feeds = feeding(graph, dots)
    wanted = feeds | set(dots)
    wanted = {i for i in wanted if graph.instructions[i].type.dtype is DType.F32}
    whole = engine.prepare(graph, weights)
    filled = padding(graph, weights)
    observed = observe(
        whole,
        calibration,
        wanted,
        {b.dot: b.bias for b in biases.values() if b.rest == "more"},
        padding=filled,
        label=partial(_label, graph),
    )
    rewriter = Rewriter(
        graph,
        weights,
        dots=dots,
        biases=biases,
        exponents=observed.exponents,
        feeding=feeds,
        padded=filled.keys(),
    )
    rewriter.run()
    made, own = rewriter.builder.finish(rewriter.outputs())
    moved = rewriter.builder.moved
    # The integers of a Dot with a bias are those of its sum with it, which the float graph has not.
    plain = wanted - {b.dot for b in biases.values()}
    twins = [
        Twin(
            old=index,
            new=moved[held.value.index],
            exponent=held.exponent,
            label=_label(graph, index),
        )
        for index, held in rewriter.integers.items()
        if held.value.index in moved and index in plain
    ]
    samples = calibration if test is None else test
    known = {_digest(sample) for sample in calibration}
    return Quantised(
        graph=made,
        weights=own,
        dots=len(dots),
        zero=tuple(dict.fromkeys(t.label for t in twins if t.old in observed.zero)),
        fidelity=compare(
            whole,
            engine.prepare(made, own),
            samples,
            twins,
            padding=filled,
            seen=sum(_digest(sample) in known for sample in samples),
        ),
    )


def _digest(sample: Mapping[str, Array]) -> bytes:
    """Tells samples apart: of one graph's inputs, which have one shape each."""
    ordered = (np.ascontiguousarray(sample[name]).tobytes() for name in sorted(sample))
    return b"".join(sha256(data) for data in ordered)


def _label(graph: Graph, index: Index) -> str:
    given = places(graph, Input)
    if index in given:
        return f"input `{graph.inputs[given.index(index)]}`"
    for region in graph.regions:
        if region.start <= index < region.stop:
            return region.label
    return f"tensor {index}"


def samples_of(arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Cut arrays ``[samples, ...]`` into one set of inputs for each sample.

    Raises
    ------
    TensorError
        If the arrays differ in their number of samples.
    """
    counts = {name: len(values) for name, values in arrays.items()}
    if len(set(counts.values())) > 1:
        raise TensorError(f"inputs differ in their number of samples: {counts}")
    return [
        {name: np.ascontiguousarray(values[i]) for name, values in arrays.items()}
        for i in range(max(counts.values(), default=0))
    ]
