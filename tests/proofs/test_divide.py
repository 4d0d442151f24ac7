"""A model is cut where its parts are cheap to prove, and the parts prove the whole."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from documents import KEY
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from zk_material import JOB

from verifiable.crypto.srs import open_srs
from verifiable.errors import PolicyError
from verifiable.proofs.compile import compile_model
from verifiable.proofs.divide import Cuts, Piece, choose, find_cuts
from verifiable.proofs.ezkl.cost import peak_memory
from verifiable.proofs.locked import from_lock
from verifiable.proofs.protocol import Limits, Policy, Visibility
from verifiable.proofs.prove import prove
from verifiable.proofs.srs_store import locked_srs, srs_of_level

LEVERS = {
    "scale": 7,
    "scale_rebase_multiplier": 1,
    "decomp_base": 128,
    "decomp_legs": 4,
    "num_inner_cols": 2,
}


@cache
def convolutional() -> bytes:
    """Few numbers cross after the pooling, many before it."""
    from onnx import TensorProto, helper, numpy_helper

    from verifiable.frontend.export import load_model

    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["bent"]),
        helper.make_node("AveragePool", ["bent"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Reshape", ["pooled", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "last"], ["y"]),
    ]
    tensors = {
        "kernel": rng.uniform(-1, 1, (2, 1, 3, 3)).astype(np.float32),
        "flat": np.array([1, 8], np.int64),
        "last": rng.uniform(-1, 1, (8, 2)).astype(np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return load_model(bytes(made.SerializeToString()))


def data(samples: int = 6) -> dict[str, NDArray[np.float32]]:
    values = np.random.default_rng(1).uniform(-1, 1, (samples, 1, 1, 6, 6))
    return {"x": values.astype(np.float32)}


def policy(**changes: object) -> Policy:
    made = Policy(error=0.5, visibility=Visibility(input="hashed"), levers=LEVERS)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_two_parts_meet_where_little_crosses() -> None:
    cuts = find_cuts(convolutional(), data(), policy(), parts=2)
    assert cuts.at in {("pooled",), ("row",)}
    assert (cuts.slices, cuts.scale) == ({}, 7)


def test_a_convolution_is_sliced_when_more_parts_are_wanted() -> None:
    cuts = find_cuts(convolutional(), data(), policy(), parts=3)
    assert cuts.slices == {"pooled": 2}
    private = policy(visibility=Visibility(input="private"))
    assert not find_cuts(convolutional(), data(), private, parts=3).slices


def test_a_model_that_fits_stays_whole() -> None:
    assert find_cuts(convolutional(), data(), policy(), parts=None).at == ()


@st.composite
def divisions(draw: st.DrawFn) -> tuple[list[Piece], int]:
    """Pieces for every run of up to four stretches, some in slices."""
    end = draw(st.integers(1, 4))
    pieces = [
        Piece(start=i, stop=j, groups=groups, key_bytes=draw(st.integers(1, 9)) * 10**8)
        for i, j in combinations(range(end + 1), 2)
        for groups in range(1, draw(st.integers(1, 2)) + 1)
    ]
    return pieces, end


def every_way(pieces: Sequence[Piece], start: int, end: int) -> Iterator[list[Piece]]:
    if start == end:
        yield []
    for piece in pieces:
        if piece.start == start:
            for rest in every_way(pieces, piece.stop, end):
                yield [piece, *rest]


def cost_of(way: Sequence[Piece]) -> tuple[int, int, int]:
    """Number of parts, the largest key, all keys."""
    return (
        sum(piece.groups for piece in way),
        max(piece.key_bytes for piece in way),
        sum(piece.groups * piece.key_bytes for piece in way),
    )


@given(divisions(), st.integers(1, 8))
def test_the_largest_part_is_as_small_as_that_many_parts_allow(
    given_: tuple[list[Piece], int], parts: int
) -> None:
    pieces, end = given_
    costs = [cost_of(way) for way in every_way(pieces, 0, end)]
    fit = [cost for cost in costs if cost[0] == parts]
    if not fit:
        with pytest.raises(PolicyError, match=f"cannot be cut in {parts} parts"):
            choose(pieces, end, 0, parts)
        return
    found = cost_of(choose(pieces, end, 0, parts))
    assert found[0] == parts
    assert found[1] == min(cost[1] for cost in fit)


@given(divisions(), st.integers(1, 9))
def test_memory_decides_how_many_parts_there_are(
    given_: tuple[list[Piece], int], allowed: int
) -> None:
    pieces, end = given_
    memory = peak_memory(allowed * 10**8)
    costs = [cost_of(way) for way in every_way(pieces, 0, end)]
    fit = [(parts, total) for parts, largest, total in costs if largest <= allowed * 10**8]
    if not fit:
        need = peak_memory(min(cost[1] for cost in costs)) / 2**30
        with pytest.raises(PolicyError, match=f"some part needs {need:.2f} GiB"):
            choose(pieces, end, memory, None)
        return
    parts, _, total = cost_of(choose(pieces, end, memory, None))
    assert (parts, total) == min(fit)


def test_one_part_is_the_whole_and_a_thousand_are_too_many() -> None:
    assert find_cuts(convolutional(), data(), policy(), parts=1) == Cuts()
    with pytest.raises(PolicyError, match="in at most 6 parts, not 1000"):
        find_cuts(convolutional(), data(), policy(), parts=1000)


def test_a_sliced_model_is_proven_with_one_tau_and_each_level_s_own_srs(tmp_path: Path) -> None:
    cuts = Cuts(at=("pooled",), slices={"pooled": 2}, scale=7)
    made = compile_model(
        convolutional(), data(2), policy(), tmp_path / "bundle", at=cuts, allow_insecure_srs=True
    )
    circuits = from_lock(made.bundle)
    levels = [part.k for part in circuits.parts]
    assert len(set(levels)) > 1
    main = locked_srs(circuits.srs, circuits.srs_k)
    assert [open_srs(srs_of_level(main, k)).k for k in levels] == levels
    # Both slices read the input, the last part reads both slices.
    assert len(circuits.joints) == 3
    sample = {"x": np.full((1, 1, 6, 6), 0.5, np.float32)}
    proven = prove(made.bundle, sample, JOB, KEY)
    from verifiable.engines.ort import run

    np.testing.assert_allclose(proven.outputs["y"], run(convolutional(), sample)["y"], atol=0.2)


@pytest.mark.slow
def test_lenet_is_proven_within_one_and_a_quarter_gigabyte(tmp_path: Path) -> None:
    from circuits import recipe

    model, samples = recipe.model("lenet"), recipe.load("lenet").samples()
    limits = Limits(memory=1_250_000_000)
    terms = Policy(error=0.05, visibility=Visibility(input="hashed"), limits=limits)
    cuts = find_cuts(model, samples.calibration, terms, parts=None)
    made = compile_model(
        model, samples.calibration, terms, tmp_path / "b", at=cuts, allow_insecure_srs=True
    )
    sample = {name: array[0] for name, array in samples.test.items()}
    usages = (*made.setups, *prove(made.bundle, sample, JOB, KEY, limits=limits).usages)
    assert max(usage.peak_memory for usage in usages) <= 1.2e9
