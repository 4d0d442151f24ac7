"""Felts, Poseidon, SRS files and commitments, held to what ezkl itself computes.

A circuit of 2**7 rows with a committed input is compiled and proven once.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.bn254 import G1, encode_g1
from verifiable.crypto.felt import (
    MODULUS,
    felt_from_ezkl,
    felt_from_signed,
    felt_to_bytes,
    felt_to_ezkl,
    felt_to_signed,
    quantize,
)
from verifiable.crypto.kzg import columns_of, commit
from verifiable.crypto.poseidon import poseidon_hash
from verifiable.crypto.srs import check_pairing, identify, identify_reduced, open_srs, reduced
from verifiable.types import Felt

K = 7
SCALE = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Files of one proven circuit."""

    folder: Path
    srs: Path
    input: tuple[float, ...]

    @property
    def proof(self) -> bytes:
        """The proof's bytes."""
        text = json.loads((self.folder / "proof.json").read_text())["hex_proof"]
        return bytes.fromhex(text.removeprefix("0x"))


@pytest.fixture(scope="module")
def ezkl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    home = tmp_path_factory.mktemp("ezkl-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("EZKL_REPO_PATH", str(home))
        yield pytest.importorskip("ezkl", reason="needs `verifiable[ezkl]`")


def make_circuit(ezkl: ModuleType, folder: Path, srs_level: int) -> Proven:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(7)
    weights = draw.normal(size=(20, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    x = tuple(float(v) for v in draw.normal(size=20).astype(np.float32))
    (folder / "input.json").write_text(json.dumps({"input_data": [x]}))

    srs = folder / "srs"
    ezkl.gen_srs(str(srs), srs_level)
    args = ezkl.PyRunArgs()
    args.input_visibility, args.param_visibility = "polycommit", "fixed"
    args.input_scale = args.param_scale = SCALE
    args.decomp_base, args.decomp_legs, args.logrows = 16, 6, K
    at = {
        name: str(folder / name)
        for name in ("model.onnx", "settings.json", "circuit", "vk", "pk", "input.json")
    }
    witness, proof = str(folder / "witness.json"), str(folder / "proof.json")
    ezkl.gen_settings(model=at["model.onnx"], output=at["settings.json"], py_run_args=args)
    ezkl.compile_circuit(
        model=at["model.onnx"], compiled_circuit=at["circuit"], settings_path=at["settings.json"]
    )
    ezkl.setup(model=at["circuit"], vk_path=at["vk"], pk_path=at["pk"], srs_path=str(srs))
    ezkl.gen_witness(
        data=at["input.json"],
        model=at["circuit"],
        output=witness,
        vk_path=at["vk"],
        srs_path=str(srs),
    )
    ezkl.prove(
        witness=witness,
        model=at["circuit"],
        pk_path=at["pk"],
        proof_path=proof,
        srs_path=str(srs),
    )
    return Proven(folder=folder, srs=srs, input=x)


@pytest.fixture(scope="module")
def proven(ezkl: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Proven:
    return make_circuit(ezkl, tmp_path_factory.mktemp("committed"), K)


@pytest.fixture(scope="module")
def proven_with_larger_srs(ezkl: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Proven:
    return make_circuit(ezkl, tmp_path_factory.mktemp("committed-larger"), K + 1)


@given(st.integers(0, MODULUS - 1).map(Felt))
def test_felts_are_written_as_ezkl_writes_them(ezkl: ModuleType, x: Felt) -> None:
    text = felt_to_ezkl(x)
    assert ezkl.felt_to_big_endian(text) == "0x" + felt_to_bytes(x).hex()
    if abs(felt_to_signed(x)) < 2**127:
        assert ezkl.felt_to_int(text) == felt_to_signed(x)


@given(st.integers(-(2**126), 2**126))
def test_signed_felts_mean_what_they_mean_to_ezkl(ezkl: ModuleType, value: int) -> None:
    assert ezkl.felt_to_int(felt_to_ezkl(felt_from_signed(value))) == value


@given(
    st.floats(-1e20, 1e20) | st.integers(-(2**20), 2**20).map(lambda n: n / 2**8),
    st.integers(0, 20),
)
def test_floats_are_rounded_as_ezkl_rounds(ezkl: ModuleType, x: float, scale: int) -> None:
    assert quantize(x, scale) == felt_from_ezkl(ezkl.float_to_felt(x, scale))


@pytest.mark.parametrize("n", [*range(1, 71), 784])
def test_poseidon_is_ezkls(ezkl: ModuleType, n: int) -> None:
    draw = random.Random(n)
    message = [Felt(draw.randrange(MODULUS)) for _ in range(n)]
    assert [felt_to_ezkl(poseidon_hash(message))] == ezkl.poseidon_hash(
        [felt_to_ezkl(x) for x in message]
    )


def test_a_generated_srs_is_consistent_and_insecure(proven: Proven) -> None:
    check_pairing(proven.srs)
    found = identify(proven.srs)
    assert (found.k, found.insecure) == (K, True)


def test_ezkl_verifies_with_the_reduced_srs_and_no_other(
    ezkl: ModuleType, proven: Proven, tmp_path: Path
) -> None:
    from verifiable.crypto.srs import rebuild_k1

    def verify(srs: Path) -> bool:
        verified: bool = ezkl.verify(
            str(proven.folder / "proof.json"),
            str(proven.folder / "settings.json"),
            str(proven.folder / "vk"),
            str(srs),
            reduced_srs=True,
        )
        return verified

    (tmp_path / "reduced").write_bytes(reduced(proven.srs))
    assert verify(tmp_path / "reduced")
    assert identify_reduced(reduced(proven.srs)).insecure
    (tmp_path / "other").write_bytes(rebuild_k1())
    with pytest.raises(RuntimeError, match="not satisfied"):
        verify(tmp_path / "other")


# 122 rows are usable: one element short of a column, a full column, one more, and three columns.
@pytest.mark.parametrize("n", [1, 20, 121, 122, 123, 244])
def test_commitments_are_ezkls(ezkl: ModuleType, proven: Proven, n: int) -> None:
    draw = random.Random(n)
    message = [felt_from_signed(draw.randrange(-1000, 1000)) for _ in range(n)]
    theirs = ezkl.kzg_commit(
        [felt_to_ezkl(x) for x in message],
        vk_path=str(proven.folder / "vk"),
        settings_path=str(proven.folder / "settings.json"),
        srs_path=str(proven.srs),
    )
    assert commit(message, open_srs(proven.srs), K) == tuple(_affine(p.x, p.y) for p in theirs)
    assert columns_of(n, K) == len(theirs)


@pytest.mark.parametrize("circuit", ["proven", "proven_with_larger_srs"])
def test_a_proof_begins_with_the_commitment_to_its_input(
    circuit: str, request: pytest.FixtureRequest
) -> None:
    made: Proven = request.getfixturevalue(circuit)
    message = [quantize(x, SCALE) for x in made.input]
    (point,) = commit(message, open_srs(made.srs), K)
    assert made.proof[:64] == encode_g1(point)


def _affine(x: str, y: str) -> G1:
    # Coordinates are of the base field, hence no felts.
    return int.from_bytes(bytes.fromhex(x), "little"), int.from_bytes(bytes.fromhex(y), "little")
