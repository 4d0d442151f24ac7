"""A model on our cpu engine and on onnxruntime, for tests and for the README's coverage tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from circuits import recipe
from verifiable.engines.cpu import Cpu
from verifiable.engines.ort import Session
from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array

Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Outputs of one run of both, by name."""

    ours: Arrays
    peer: Arrays

    @property
    def difference(self) -> float:
        """Largest difference of two numbers."""
        return _largest(self.ours[name] - wanted for name, wanted in self.peer.items())

    @property
    def largest(self) -> float:
        """Largest magnitude of the peer's numbers."""
        return _largest(self.peer.values())


class Pair:
    """One model on both.

    Parameters
    ----------
    model : bytes
        ONNX file.
    threads : int
        Of each.
    """

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        graph, weights = lower(parse_model(model))
        self.instructions = len(graph.instructions)
        self.weight_bytes = sum(array.nbytes for array in weights.values())
        self._ours = Cpu(threads=threads).prepare(graph, weights)
        self._peer = Session(model, threads=threads, optimise=True)

    def run(self, inputs: Arrays) -> Answers:
        """Outputs for one input.

        Raises
        ------
        ValueError
            If outputs differ in name, dtype or shape.
        """
        answers = Answers(ours=self._ours.run(inputs), peer=self._peer.run(inputs))
        kinds = {key: (array.dtype, array.shape) for key, array in answers.ours.items()}
        wanted = {key: (array.dtype, array.shape) for key, array in answers.peer.items()}
        if kinds != wanted:
            raise ValueError(f"outputs are {kinds}, wanted {wanted}")
        return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTestSamples:
    """A recipe's model on all its test samples."""

    difference: float
    largest: float
    right: float
    """Share of right answers of ours."""
    peer_right: float
    same: int
    """Samples that both answer alike."""
    count: int


def on_test_samples(name: str, pair: Pair) -> OnTestSamples:
    """Run a recipe's model on all of its test samples."""
    source = recipe.load(name)
    samples = source.samples()
    count = len(samples.labels)
    runs = [pair.run({key: a[i] for key, a in samples.test.items()}) for i in range(count)]
    ours = {key: np.stack([run.ours[key] for run in runs]) for key in runs[0].ours}
    peer = {key: np.stack([run.peer[key] for run in runs]) for key in runs[0].peer}
    return OnTestSamples(
        difference=max(run.difference for run in runs),
        largest=max(run.largest for run in runs),
        right=source.accuracy(ours, samples.labels),
        peer_right=source.accuracy(peer, samples.labels),
        same=sum(_class(run.ours) == _class(run.peer) for run in runs),
        count=count,
    )


def _class(outputs: Arrays) -> int:
    """What a classifier answers: the place of the largest score, or the sign of the only one."""
    (scores,) = outputs.values()
    return int(scores.argmax()) if scores.size > 1 else int(scores.item() > 0)


def _largest(tensors: Iterable[Array]) -> float:
    return max(float(np.abs(tensor).max()) for tensor in tensors)
