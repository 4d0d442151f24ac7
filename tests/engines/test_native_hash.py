"""The native SHA-256 is SHA-256, on any number of threads."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from graph_zoo import tensors
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.merkle import HASHLIB, Hasher, Tag, hash_pieces
from verifiable.engines.cpu import Cpu
from verifiable.engines.cpu_library import supported
from verifiable.engines.native_hash import NativeHasher, best_hasher, hasher_for
from verifiable.engines.reference import Reference
from verifiable.errors import MissingDependencyError
from verifiable.graph.ir import Array, Graph
from verifiable.graph.tensors import tensor_root

WIDTHS = (1, 4, 8)


@pytest.fixture(
    scope="module",
    params=[(build, threads) for build in supported() or ("none",) for threads in (1, 3)],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def hasher(request: pytest.FixtureRequest) -> Iterator[Hasher]:
    build, threads = request.param
    try:
        yield NativeHasher(Cpu(build=build, threads=threads))
    except MissingDependencyError as e:
        pytest.skip(str(e))


def some_bytes(seed: int, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("size", [*range(1, 132), 183, 184, 1000, 1015, 1016, 1023, 1024])
def test_every_length_is_padded_as_hashlib_pads(hasher: Hasher, size: int) -> None:
    for pieces in (0, 1, 2, 3, 4):
        data = some_bytes(size, pieces, size)
        for tag in (Tag.LEAF, Tag.NODE):
            assert hasher(tag, data) == hash_pieces(tag, data)


@given(st.integers(0, 40), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_many_pieces_are_hashed_each(hasher: Hasher, pieces: int, size: int, seed: int) -> None:
    data = some_bytes(seed, pieces, size)
    assert hasher(Tag.NODE, data) == hash_pieces(Tag.NODE, data)


@given(
    st.integers(1, 70), st.integers(1, 80), st.integers(1, 33), st.sampled_from(WIDTHS),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_trees_of_any_shape_are_the_same(
    hasher: Hasher, trees: int, span: int, size: int, width: int, seed: int
) -> None:
    data = some_bytes(seed, trees, span * width)
    wanted = HASHLIB.tree(data, size * width, width)
    assert np.array_equal(hasher.tree(data, size * width, width), wanted)
    assert hasher.root(data, size * width, width) == wanted[-1].tobytes()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("trees", "span"), [(1, 1 << 20), (300, 3072), (129, 1032), (2, 99 << 10)])
def test_threads_share_a_large_tree(hasher: Hasher, trees: int, span: int, width: int) -> None:
    data = some_bytes(trees, trees, span)
    wanted = HASHLIB.tree(data, 1024, width)
    for _ in range(3):
        assert np.array_equal(hasher.tree(data, 1024, width), wanted)
        assert hasher.root(data, 1024, width) == wanted[-1].tobytes()


@given(tensors())
def test_roots_of_tensors_are_the_same(hasher: Hasher, array: Array) -> None:
    assert tensor_root(array, hasher=hasher) == tensor_root(array)
    assert tensor_root(array, hasher=best_hasher()) == tensor_root(array)


def test_a_run_is_hashed_by_the_threads_that_run_it() -> None:
    graph = Graph(instructions=(), inputs=(), outputs=())
    engine = Cpu(threads=1)
    found = hasher_for(engine.prepare(graph, {}))
    if isinstance(best_hasher(), NativeHasher):
        assert isinstance(found, NativeHasher)
        assert found.engine is engine
    assert hasher_for(Reference().prepare(graph, {})) is best_hasher()


def test_code_without_the_functions_is_passed_over() -> None:
    import _ctypes

    other = SimpleNamespace(library=SimpleNamespace(path=Path(_ctypes.__file__)))
    with pytest.raises(MissingDependencyError, match="has no SHA-256"):
        NativeHasher(cast("Cpu", other))
