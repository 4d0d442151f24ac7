"""`replay`: only a model that was run again refutes; all else is material that does not fit."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Run, called, signing_key
from dispute_lab import network, offline, own_run, proposer
from onnx import helper
from test_canonical_runs import Liar, folder, onnx_file, replayed

from verifiable.bundle import open_bundle
from verifiable.canon import open_canon
from verifiable.crypto.hashing import canonical_json
from verifiable.dispute.record import encode_record
from verifiable.engines.reference import Reference
from verifiable.graph.ir import Dot, Index, Instruction, Map, View, places
from verifiable.trace.store import StoredTrace, store_run

__all__ = ["folder", "signing_key"]

DONE, BAD_INPUT, REFUTED, CANNOT_CHECK = 0, 2, 3, 4


def forged_trace(folder: Path, path: Path, place: Index) -> StoredTrace:
    """A run of which the last element of one tensor is a lie."""
    canon = open_canon(open_bundle(folder / "bundle", "verify"))
    with np.load(folder / "input.npz") as given:
        inputs = dict(given)
    liar = Liar(Reference().prepare(canon.graph, canon.weights), place)
    return store_run(path, canon.graph, liar, inputs)[0]


def claim_file(
    folder: Path, path: Path, change: Callable[[dict[str, dict[str, str]]], None]
) -> Path:
    """The honest claim with something else in it."""
    value = json.loads((folder / "claim").read_bytes())
    change(value)
    path.write_bytes(canonical_json(value))
    return path


def of_trace(folder: Path, path: Path, trace: StoredTrace) -> Path:
    """The claim of a provider whose outputs are those of a trace."""

    def change(value: dict[str, dict[str, str]]) -> None:
        value["subject"]["output"] = "0x" + trace.trace.sections.output.hex()

    return claim_file(folder, path, change)


@pytest.mark.parametrize("kind", [Dot, Map, View])
def test_a_forged_trace_is_refuted_at_its_first_false_element(
    folder: Path, tmp_path: Path, kind: type[Instruction]
) -> None:
    graph = open_canon(open_bundle(folder / "bundle", "verify")).graph
    place = places(graph, kind)[-1]
    trace = forged_trace(folder, tmp_path / "forged", place)
    claim = of_trace(folder, tmp_path / "claim", trace)
    done = replayed(folder, "--trace", tmp_path / "forged", claim=str(claim))
    assert (done.status, done.json["wrong"]) == (REFUTED, "trace"), done
    assert done.json["instruction"] == place
    assert done.json["element"] == graph.instructions[place].type.size - 1
    assert done.json["claimed"] != done.json["computed"]


def test_a_false_output_is_refuted_whatever_trace_comes_with_it(
    folder: Path, tmp_path: Path
) -> None:
    claim = claim_file(
        folder, tmp_path / "claim", lambda v: v["subject"].update(output="0x" + "ab" * 32)
    )
    for words in ((), ("--trace", folder / "trace")):
        done = replayed(folder, *words, claim=str(claim))
        assert (done.status, done.json["wrong"]) == (REFUTED, "output"), done


def test_a_trace_of_another_run_refutes_no_claim(folder: Path, tmp_path: Path) -> None:
    graph = open_canon(open_bundle(folder / "bundle", "verify")).graph
    outputs = dict(graph.outputs)["logits"]
    forged_trace(folder, tmp_path / "forged", outputs)
    words = ("-o", tmp_path / "claim", "--trace", tmp_path / "other")
    assert called("run", folder / "bundle", folder / "other.npz", *words).status == DONE
    for name in ("forged", "other"):
        done = replayed(folder, "--trace", tmp_path / name)
        assert (done.status, done.out) == (BAD_INPUT, "")
        assert "the claim stands, but the trace is not of it" in done.error["message"]
        assert done.error["hint"]


def test_another_input_than_the_claims_refutes_nothing(folder: Path) -> None:
    done = replayed(folder, given="other.npz")
    assert (done.status, done.out) == (BAD_INPUT, "")
    assert "the input you gave has the input root 0x" in done.error["message"]
    assert "nothing was checked" in done.error["hint"]


def test_another_model_than_the_claims_refutes_nothing(folder: Path, tmp_path: Path) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    assert called("compile", onnx_file(tmp_path / "m.onnx", relu), "-o", tmp_path / "b").status == 0
    np.savez(tmp_path / "in.npz", x=np.ones((2, 3), np.float32))
    done = called("--json", "replay", folder / "claim", tmp_path / "b", tmp_path / "in.npz")
    assert (done.status, done.out) == (BAD_INPUT, "")
    assert "the bundle you gave has the model root 0x" in done.error["message"]
    assert "nothing was checked" in done.error["hint"]


def test_a_claim_of_semantics_that_are_not_run_here_cannot_be_checked(
    folder: Path, tmp_path: Path
) -> None:
    claim = claim_file(
        folder, tmp_path / "claim", lambda v: v["header"].update(semantics="canon/2")
    )
    done = replayed(folder, claim=str(claim))
    assert (done.status, done.out) == (CANNOT_CHECK, "")
    assert "semantics canon/2, this version runs canon/1" in done.error["message"]
    assert done.error["hint"]


def test_a_dispute_of_semantics_that_are_not_run_here_cannot_be_checked(tmp_path: Path) -> None:
    one = network()
    own = own_run(one)
    game = offline(own)
    game.tick(lambda: proposer(game, one, own))
    record = game.record()
    header = replace(record.claim.header, semantics="canon/2")
    later = replace(record, claim=replace(record.claim, header=header))
    (tmp_path / "record.json").write_bytes(encode_record(record))
    assert called("--json", "replay", tmp_path / "record.json").status == DONE
    (tmp_path / "later.json").write_bytes(encode_record(later))
    done = called("--json", "replay", tmp_path / "later.json")
    assert (done.status, done.out) == (CANNOT_CHECK, "")
    assert "semantics canon/2" in done.error["message"]


def test_a_claim_is_not_replayed_without_its_material(folder: Path) -> None:
    for words in ((folder / "claim",), (folder / "claim", folder / "bundle"), (folder / "trace",)):
        done = called("--json", "replay", *words)
        assert done.status == BAD_INPUT
        assert done.error["hint"]


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda home: flip(home / "tensors.bin", 0), "instruction 0, .*bytes in leaf 0, elements"),
        (lambda home: flip(home / "tensors.bin", -1), "tensors.bin has other bytes in leaf"),
        (lambda home: flip(home / "nodes.bin", 0), "instruction 0, .*digest of leaf 0 than"),
        (lambda home: flip(home / "nodes.bin", -1), "nodes.bin has another digest of"),
    ],
    ids=["first byte", "last byte", "first node", "last node"],
)
def test_a_damaged_trace_is_no_refuted_claim(
    folder: Path, tmp_path: Path, change: Callable[[Path], None], told: str
) -> None:
    shutil.copytree(folder / "trace", tmp_path / "trace")
    change(tmp_path / "trace")
    done = replayed(folder, "--trace", tmp_path / "trace")
    assert (done.status, done.out) == (BAD_INPUT, "")
    assert re.search(f"trace` is damaged: .*{told}", done.error["message"]), done.err
    assert "without it" in done.error["hint"]


def compared(folder: Path, one: Path, other: Path) -> Run:
    return called("--json", "replay", one, folder / "bundle", "--against", other)


def test_two_traces_are_compared(folder: Path, tmp_path: Path) -> None:
    graph = open_canon(open_bundle(folder / "bundle", "verify")).graph
    place = places(graph, Map)[0]
    forged_trace(folder, tmp_path / "forged", place)
    shutil.copytree(folder / "trace", tmp_path / "copy")
    same = compared(folder, folder / "trace", tmp_path / "copy")
    assert (same.status, same.json["same"]) == (DONE, True)
    found = compared(folder, tmp_path / "forged", folder / "trace")
    assert (found.status, found.json["same"]) == (DONE, False)
    assert found.json["instruction"] == place
    assert found.json["element"] == graph.instructions[place].type.size - 1
    assert f"instruction {place}, Map of" in found.json["where"]
    turned = compared(folder, folder / "trace", tmp_path / "forged")
    pair = (found.json["first"], found.json["second"])
    assert (turned.json["second"], turned.json["first"]) == pair
    flip(tmp_path / "copy" / "tensors.bin", -1)
    damaged = compared(folder, folder / "trace", tmp_path / "copy")
    assert damaged.status == BAD_INPUT
    assert "copy` is damaged" in damaged.error["message"]


def test_traces_are_compared_with_their_bundle_and_nothing_else(folder: Path) -> None:
    trace = folder / "trace"
    for words in (
        (trace, "--against", trace),
        (trace, folder / "bundle", folder / "input.npz", "--against", trace),
        (trace, folder / "bundle", "--against", trace, "--trace", trace),
    ):
        done = called("--json", "replay", *words)
        assert done.status == BAD_INPUT
        assert done.error["hint"] == "verifiable replay TRACE BUNDLE --against TRACE"
    done = compared(folder, folder / "claim", trace)
    assert done.status == CANNOT_CHECK
    assert "cannot read the trace" in done.error["message"]
