"""Parts of a model, run one after another, are the model."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_zoo import indexed, model, node, number, weights

from verifiable.engines import ort
from verifiable.errors import ModelError
from verifiable.frontend.export import load_model, signature_of
from verifiable.frontend.split import Link, boundaries, cut, links


def residual() -> bytes:
    """Two dense layers with a way round the second, and a second output from the middle."""
    nodes = [
        node("MatMul", ["x", "w1"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("MatMul", ["b", "w2"], ["c"]),
        node("Tanh", ["c"], ["d"]),
        node("Add", ["b", "d"], ["e"]),
        node("Mul", ["e", "half"], ["f"]),
        node("MatMul", ["f", "w2"], ["y"]),
    ]
    constants = {"w1": weights(8, 6), "w2": weights(6, 6), "half": number(0.5)}
    return load_model(model(nodes, (1, 8), constants))


WHOLE = residual()
X = {"x": np.random.default_rng(3).normal(size=(1, 8)).astype(np.float32)}


def test_boundaries_are_where_one_tensor_separates() -> None:
    assert [(b.tensor, b.size) for b in boundaries(WHOLE)] == [
        ("a", 6),
        ("b", 6),
        ("e", 6),
        ("f", 6),
    ]


@given(st.sets(st.sampled_from("abcdef")), st.randoms())
def test_parts_compose_to_the_whole_bit_for_bit(places: set[str], random: Random) -> None:
    at = sorted(places)
    random.shuffle(at)
    parts = cut(WHOLE, at)
    assert len(parts) == len(at) + 1
    known = dict(X)
    for part in parts:
        assert part.inputs == tuple(s.name for s in signature_of(part.model).inputs)
        known |= ort.run(part.model, {name: known[name] for name in part.inputs})
    assert known["y"].tobytes() == ort.run(WHOLE, X)["y"].tobytes()


@given(st.sets(st.sampled_from("abcdef"), min_size=1))
def test_every_input_of_a_later_part_is_linked_to_an_earlier_one(places: set[str]) -> None:
    parts = cut(WHOLE, sorted(places))
    found = {(link.tensor, link.to_part): link for link in links(parts)}
    for i, part in enumerate(parts[1:], start=1):
        for name in part.inputs:
            link = found[name, i]
            assert link.from_part < i
            assert name in parts[link.from_part].outputs


def test_parts_are_normal_forms() -> None:
    for part in cut(WHOLE, ["b", "e"]):
        assert load_model(part.model) == part.model


def test_a_cut_between_boundaries_lets_several_tensors_cross() -> None:
    first, second = cut(WHOLE, ["c"])
    assert first.outputs == ("b", "c")
    assert second.inputs == ("b", "c")
    assert links((first, second)) == (
        Link(tensor="b", from_part=0, to_part=1),
        Link(tensor="c", from_part=0, to_part=1),
    )


def test_an_input_that_two_parts_read_is_linked() -> None:
    nodes = [node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("Add", ["b", "x"], ["y"])]
    parts = cut(load_model(model(nodes, (1, 8))), ["a"])
    assert Link(tensor="x", from_part=0, to_part=1) in links(parts)


def test_outputs_made_early_stay_outputs() -> None:
    nodes = [node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("Exp", ["b"], ["y"])]
    whole = load_model(model(nodes, (1, 8), outputs=("y", "a")))
    first, second = cut(whole, ["b"])
    assert first.outputs == ("a", "b")
    assert second.outputs == ("y",)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (["x"], "cannot cut at `x`: no operator makes it"),
        (["w1"], "cannot cut at `w1`: no operator makes it"),
        (["nowhere"], "no operator makes it"),
        (["y"], "cannot cut at `y`: nothing comes after it"),
        (["a", "a"], "cannot cut twice at one place"),
    ],
)
def test_an_impossible_cut_is_named(at: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        cut(WHOLE, at)


def test_integers_do_not_cross() -> None:
    with pytest.raises(ModelError, match="`i` would cross and is int64"):
        cut(load_model(indexed("ArgMax")), ["i"])
    assert boundaries(load_model(indexed("ArgMax"))) == ()
