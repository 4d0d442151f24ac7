"""Traces of real models, stored by the engine that providers use."""

from pathlib import Path

import numpy as np
import pytest

from circuits import recipe
from verifiable.engines.cpu import Cpu
from verifiable.engines.reference import Reference
from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower_model
from verifiable.graph.ir import Const, Graph, Index, Weights
from verifiable.graph.tensors import tensor_root
from verifiable.trace.commit import commit, input_root, output_root
from verifiable.trace.compare import compare
from verifiable.trace.store import estimate, open_trace, size_of, store_run

NAMES = ("digits_cnn", "digits_mlp", "forest", "lstm", "mlp_tiny", "transformer_block")


def lowered(name: str) -> tuple[Graph, Weights]:
    found = lower_model(parse_model(recipe.model(name)))
    assert found.graph is not None
    return found.graph, found.weights


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_stored_checked_and_read_back(name: str, tmp_path: Path) -> None:
    graph, weights = lowered(name)
    inputs = {key: value[0] for key, value in recipe.load(name).samples().test.items()}
    runner = Cpu(threads=2).prepare(graph, weights)
    made, outputs = store_run(tmp_path / "trace", graph, runner, inputs)
    stored = open_trace(tmp_path / "trace", graph)
    stored.check()
    assert size_of(tmp_path / "trace") == estimate(graph)
    assert stored.is_of(input_root(graph, inputs), output_root(graph, outputs))
    # A run that fuses what it may gives the same outputs, which are the stored ones.
    plain = runner.run(inputs)
    for key, index in graph.outputs:
        assert outputs[key].tobytes() == plain[key].tobytes()
        assert stored.tensor(index).tobytes() == plain[key].tobytes()
    for i, instruction in enumerate(graph.instructions):
        if not isinstance(instruction, Const):
            assert tensor_root(np.array(stored.mapped(Index(i)))) == made.trace.roots[i]
    # The reference engine, which shares no code with it, has the same roots.
    trace, _ = commit(graph, Reference().prepare(graph, weights), inputs)
    assert trace == stored.trace
    assert compare(stored, trace) is None
