"""What an engine is: something that runs a graph, with the bits that ``verifiable.ops`` defines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from verifiable.graph.ir import Array, Graph, Index, Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionDone:
    """Progress of a run: one region is computed."""

    number: int
    of: int
    label: str


class Progress(Protocol):
    """Is told about each region. Must not raise and must not change the run."""

    def __call__(self, event: RegionDone, /) -> None:
        """Take note of `event`."""


class Watcher(Protocol):
    """Sees every tensor of a run, Inputs and Consts too, in the order of the instructions."""

    def __call__(self, index: Index, tensor: Array, /) -> None:
        """Read `tensor`, which is valid during this call alone."""


class Runner(Protocol):
    """One graph with its weights, ready to run."""

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        watch: Watcher | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Array]:
        """Compute the outputs, by name.

        Parameters
        ----------
        inputs : mapping of str to array
            Exactly the graph's inputs, of its shapes and dtypes.
        watch : Watcher, optional
            Makes the engine compute every tensor, fused kernels or not.
        progress : Progress, optional

        Raises
        ------
        TensorError
            If an input is absent, unknown, of another shape or dtype, or holds a NaN other than
            0x7fc00000 or a bool other than 0 and 1.
        """


class Engine(Protocol):
    """Where arithmetic happens."""

    name: str

    def prepare(self, graph: Graph, weights: Weights) -> Runner:
        """Make a checked graph ready to run; weights may be packed here, once.

        Raises
        ------
        HostError
            If this machine cannot run it.
        """


def ignore(event: RegionDone, /) -> None:
    """Observe nothing."""
