"""The whole way: find, calibrate, rewrite, measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verifiable.engines.protocol import Engine
from verifiable.errors import UnsupportedError
from verifiable.frontend.quantize.calibrate import observe
from verifiable.frontend.quantize.fidelity import Fidelity, Twin, compare
from verifiable.frontend.quantize.find import biased, feeding, weighted
from verifiable.frontend.quantize.rewrite import Rewriter
from verifiable.graph.ir import Array, Graph, Index, Weights
from verifiable.graph.vocabulary import DType


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """An int8 graph and how faithful it is."""

    graph: Graph
    weights: dict[Index, Array]
    dots: int
    """Dots that are integer ones now."""
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
        What the report is measured on; the calibration data if None.

    Raises
    ------
    UnsupportedError
        If no Dot has constant weights.
    TensorError
        If the data does not fit the graph, is empty, or overflows in it.
    """
    dots = weighted(graph)
    if not dots:
        raise UnsupportedError(
            "no Dot of the model has constant f32 weights to quantise",
            hint="compile it without --int8",
        )
    biases = biased(graph, weights, dots)
    feeds = feeding(graph, dots)
    wanted = feeds | set(dots)
    wanted = {i for i in wanted if graph.instructions[i].type.dtype is DType.F32}
    whole = engine.prepare(graph, weights)
    exponents = observe(
        whole, calibration, wanted, {b.dot: b.bias for b in biases.values() if b.rest == "more"}
    )
    rewriter = Rewriter(
        graph, weights, dots=dots, biases=biases, exponents=exponents, feeding=feeds
    )
    rewriter.run()
    made, own = rewriter.builder.finish(rewriter.outputs())
    moved = rewriter.builder.moved
    twins = [
        Twin(
            old=index,
            new=moved[held.value.index],
            exponent=held.exponent,
            label=_label(graph, index),
        )
        for index, held in rewriter.integers.items()
        if held.value.index in moved and index in wanted and index not in dots
    ]
    small = engine.prepare(made, own)
    samples = calibration if test is None else test
    return Quantised(
        graph=made, weights=own, dots=len(dots), fidelity=compare(whole, small, samples, twins)
    )


def _label(graph: Graph, index: Index) -> str:
    for region in graph.regions:
        if region.start <= index < region.stop:
            return region.label
    return f"tensor {index}"


def samples_of(arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Cut arrays ``[samples, ...]`` into one set of inputs for each sample."""
    count = min((len(values) for values in arrays.values()), default=0)
    return [
        {name: np.ascontiguousarray(values[i]) for name, values in arrays.items()}
        for i in range(count)
    ]
