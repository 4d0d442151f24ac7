"""The reference engine: the definition itself, one instruction after the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from verifiable.engines.inputs import check_inputs, check_weights
from verifiable.engines.protocol import Progress, RegionDone, Watcher
from verifiable.graph.check import input_types
from verifiable.graph.ir import (
    Array,
    Const,
    Graph,
    Index,
    Input,
    Weights,
    last_uses,
    operands,
    places,
)
from verifiable.ops import evaluate


def regions_done(graph: Graph) -> Iterator[tuple[RegionDone, ...]]:
    """For each instruction, the regions that end with it, in their order."""
    events = [
        (region.stop, RegionDone(number=i, of=len(graph.regions), label=region.label))
        for i, region in enumerate(graph.regions)
    ]
    done = 0
    for place in range(len(graph.instructions)):
        last = place + 1 == len(graph.instructions)
        start = done
        while done < len(events) and (last or events[done][0] <= place + 1):
            done += 1
        yield tuple(event for _, event in events[start:done])


@dataclass(frozen=True, slots=True)
class ReferenceRunner:
    """One graph with its weights. A tensor is let go after its last use."""

    graph: Graph
    weights: Weights

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        watch: Watcher | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Array]:
        """Compute the outputs, by name; see ``engines.protocol.Runner``.

        Raises
        ------
        TensorError
            If the inputs are not what the graph asks for.
        """
        graph = self.graph
        given = check_inputs(input_types(graph), inputs)
        sources = dict(zip(places(graph, Input), given.values(), strict=True))
        tensors: dict[Index, Array] = {}
        steps = zip(graph.instructions, last_uses(graph), regions_done(graph), strict=True)
        for place, (instruction, dead, events) in enumerate(steps):
            index = Index(place)
            match instruction:
                case Input():
                    tensors[index] = sources[index]
                case Const():
                    tensors[index] = self.weights[index]
                case _:
                    # No name for the operands: it would keep them until the next instruction's.
                    tensors[index] = evaluate(
                        instruction, [tensors[i] for i in operands(instruction)]
                    )
            if watch is not None:
                watch(index, tensors[index])
            if progress is not None:
                for event in events:
                    progress(event)
            for i in dead:
                del tensors[i]
        return {name: tensors[index].copy() for name, index in graph.outputs}


class Reference:
    """Slow and obvious; what every other engine is held against."""

    name = "reference"

    def prepare(self, graph: Graph, weights: Weights) -> ReferenceRunner:
        """Make a checked graph ready to run.

        Raises
        ------
        TensorError
            If the weights are not what the graph's Consts ask for; their roots are not computed.
        """
        return ReferenceRunner(graph, check_weights(graph, weights))
