"""Whole architectures, against onnxruntime."""

from typing import Any

import numpy as np
import pytest
from architectures import NAMES, architecture
from exported import small_model

from circuits import recipe
from verifiable.engines.cpu import Cpu
from verifiable.engines.ort import Session
from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array

TRAINED = ("mlp_tiny", "digits_mlp", "digits_cnn", "lenet", "transformer_block", "lstm", "forest")


def difference(model: Any, inputs: dict[str, Array], *, threads: int = 1) -> float:
    """Largest difference to onnxruntime, over the largest output."""
    graph, weights = lower(model)
    got = Cpu(threads=threads).prepare(graph, weights).run(inputs)
    wanted = Session(model.SerializeToString(), threads=threads, optimise=True).run(inputs)
    assert got.keys() == wanted.keys()
    assert all(got[name].shape == wanted[name].shape for name in wanted)
    largest = max(float(np.abs(value).max()) for value in wanted.values())
    return max(float(np.abs(got[n] - wanted[n]).max()) for n in wanted) / max(largest, 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_small_one_agrees_with_onnxruntime(name: str) -> None:
    assert difference(*small_model(name)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_one_agrees_with_onnxruntime(name: str) -> None:
    made = architecture(name)
    found = difference(made.onnx(), made.inputs, threads=2)
    print(f"{name}: {found:.2g} of the largest output")
    assert found < 1e-4


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_one_gives_the_same_answers(name: str) -> None:
    model = recipe.model(name)
    graph, weights = lower(parse_model(model))
    runner, peer = Cpu(threads=1).prepare(graph, weights), Session(model)
    test = recipe.load(name).samples().test
    for i in range(min(20, len(next(iter(test.values()))))):
        inputs = {key: values[i] for key, values in test.items()}
        got, wanted = runner.run(inputs), peer.run(inputs)
        for key, value in wanted.items():
            assert np.allclose(got[key], value, rtol=1e-4, atol=1e-5)
            assert got[key].argmax() == value.argmax()
