"""Whole architectures, against onnxruntime."""

import numpy as np
import onnx
import pytest
from architectures import NAMES, NORMED, Architecture, architecture
from side_by_side import Arrays, Pair, on_test_samples
from small_nets import small_net

from circuits import recipe

NORMS = ("BatchNorm2d", "LayerNorm", "RMSNorm")
CASES = [(name, True) for name in NAMES] + [(name, False) for name in NORMED]
TOKENS = 100
"""Of the smallest vocabulary."""


def agrees(made: Architecture, model: bytes, share: float, *, threads: int = 1) -> None:
    """Both engines give the same numbers up to this share of the largest, here and elsewhere."""
    pair = Pair(model, threads=threads)
    one, two = pair.run(made.inputs), pair.run(others(made.inputs))
    for found in (one, two):
        assert found.difference < share * found.largest
    # Else the input would not matter, and the comparison would be one of constants.
    first = next(iter(one.peer))
    moved = float(np.abs(one.peer[first] - two.peer[first]).max())
    assert moved > 0.1 * float(np.abs(one.peer[first]).max())
    print(f"{one.difference / one.largest:.2g} of the largest, {moved:.2g} by the input")


def others(inputs: Arrays) -> dict[str, np.ndarray]:
    """Inputs that have little in common with these."""
    return {k: -a if a.dtype == np.float32 else (a + 1) % TOKENS for k, a in inputs.items()}


# A small gpt2_512 is a small gpt2.
@pytest.mark.parametrize(("name", "fold"), [case for case in CASES if case[0] != "gpt2_512"])
def test_a_small_one_agrees_with_onnxruntime(name: str, fold: bool) -> None:
    agrees(*small_net(name, fold=fold), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fold"), CASES)
def test_a_whole_one_agrees_with_onnxruntime(name: str, fold: bool) -> None:
    made = architecture(name)
    agrees(made, made.onnx(fold=fold).SerializeToString(), 3e-5, threads=2)


@pytest.mark.parametrize("name", NORMED)
def test_batch_norms_are_operators_of_their_own_unless_folded(name: str) -> None:
    made, kept = small_net(name, fold=False)
    norms = [node for node in onnx.load_from_string(kept).graph.node if "Norm" in node.op_type]
    convolutions = [m for m in made.module.modules() if type(m).__name__ == "Conv2d"]
    assert {node.op_type for node in norms} == {"BatchNormalization"}
    assert len(norms) == len(convolutions)
    folded = onnx.load_from_string(small_net(name)[1])
    assert not [node for node in folded.graph.node if "Norm" in node.op_type]


@pytest.mark.parametrize("name", NAMES)
def test_no_norm_is_as_torch_makes_it(name: str) -> None:
    # With 1 and 0 throughout, whether they are read at all would not show.
    norms = [
        m for m in architecture(name, small=True).module.modules() if type(m).__name__ in NORMS
    ]
    given = [tensor for norm in norms for tensor in norm.state_dict().values() if tensor.dim()]
    assert given
    assert all(float(tensor.std()) > 0.05 for tensor in given)


@pytest.mark.parametrize("name", recipe.names())
def test_a_trained_one_gives_the_same_answers_on_all_test_samples(name: str) -> None:
    found = on_test_samples(name, Pair(recipe.model(name)))
    assert found.same == found.count
    assert found.right == found.peer_right > 0.9
    assert found.difference < 1e-5 * found.largest
