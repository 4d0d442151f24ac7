"""The native SHA-256 is SHA-256."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from graph_zoo import tensors
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.merkle import Hasher, Tag, hash_pieces
from verifiable.engines.native_hash import NativeHasher, best_hasher
from verifiable.errors import MissingDependencyError
from verifiable.graph.ir import Array
from verifiable.graph.tensors import tensor_root

SOURCE = Path(__file__).parents[2] / "verifiable/native/sha256.cpp"


@pytest.fixture(scope="module")
def hasher(tmp_path_factory: pytest.TempPathFactory) -> Hasher:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    built = tmp_path_factory.mktemp("native") / "sha256.so"
    flags = ["-O3", "-std=c++17", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, str(SOURCE), "-o", str(built)], check=True)
    try:
        return NativeHasher(ctypes.CDLL(str(built)))
    except MissingDependencyError as e:
        pytest.skip(str(e))


@pytest.mark.parametrize("size", [*range(1, 132), 183, 184, 1000, 1015, 1016, 1023, 1024])
def test_every_length_is_padded_as_hashlib_pads(hasher: Hasher, size: int) -> None:
    for pieces in (0, 1, 2, 3):
        data = np.random.default_rng(size).integers(0, 256, (pieces, size), np.uint8)
        for tag in (Tag.LEAF, Tag.NODE):
            assert hasher(tag, data) == hash_pieces(tag, data)


@given(st.integers(0, 40), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_many_pieces_are_hashed_each(hasher: Hasher, pieces: int, size: int, seed: int) -> None:
    data = np.random.default_rng(seed).integers(0, 256, (pieces, size), np.uint8)
    assert hasher(Tag.NODE, data) == hash_pieces(Tag.NODE, data)


@given(tensors())
def test_roots_of_tensors_are_the_same(hasher: Hasher, array: Array) -> None:
    assert tensor_root(array, hasher=hasher) == tensor_root(array)
    assert tensor_root(array, hasher=best_hasher()) == tensor_root(array)


def test_code_without_the_function_is_passed_over() -> None:
    with pytest.raises(MissingDependencyError, match="has no SHA-256"):
        NativeHasher(ctypes.CDLL(None))
