"""Whole models, every tensor of them: each engine commits to the trace of the plain cpu engine."""

from functools import lru_cache

import pytest
from named_engines import GPU
from small_nets import lowered_net

from verifiable.engines.cpu import Cpu
from verifiable.engines.protocol import Engine
from verifiable.graph.ir import Array, Graph, Weights
from verifiable.trace.commit import Trace, commit

MODELS = ("resnet18", "mobilenet_v2", "bert_base", "gpt2", "gpt2_decode", "llama_block")


@lru_cache(maxsize=1)  # weights are large, and a model's engines come one after the other
def lowered(name: str, *, small: bool) -> tuple[Graph, Weights, dict[str, Array]]:
    return lowered_net(name, small=small)


@lru_cache(maxsize=1)
def committed(name: str, *, small: bool) -> tuple[Trace, dict[str, bytes]]:
    """By the build for any processor, each instruction alone, in one thread."""
    graph, weights, inputs = lowered(name, small=small)
    plain = Cpu(threads=1, build="base", fuse=False).prepare(graph, weights)
    trace, outputs = commit(graph, plain, inputs)
    return trace, {key: value.tobytes() for key, value in outputs.items()}


def hold(engine: Engine, name: str, *, small: bool) -> None:
    graph, weights, inputs = lowered(name, small=small)
    wanted, outputs = committed(name, small=small)
    runner = engine.prepare(graph, weights)
    # What runs together without a watcher is another plan than what is committed.
    found = runner.run(inputs)
    assert {key: value.tobytes() for key, value in found.items()} == outputs
    trace, again = commit(graph, runner, inputs)
    assert {key: value.tobytes() for key, value in again.items()} == outputs
    differs = [i for i, (a, b) in enumerate(zip(trace.roots, wanted.roots, strict=True)) if a != b]
    assert not differs, f"tensor {differs[0]} of {name}: {graph.instructions[differs[0]]}"
    assert trace.root == wanted.root


@pytest.mark.parametrize("engine", ["cpu", "ort", GPU], indirect=True)
@pytest.mark.parametrize("name", MODELS)
def test_a_small_model_gives_the_same_trace(engine: Engine, name: str) -> None:
    hold(engine, name, small=True)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["cpu", "ort", GPU], indirect=True)
@pytest.mark.parametrize("name", MODELS)
def test_a_whole_model_gives_the_same_trace(engine: Engine, name: str) -> None:
    hold(engine, name, small=False)
