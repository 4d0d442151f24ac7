"""What is handed on as it came is asked like a plain call: same answers, same refusals."""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from compiled import compiled
from costly import costly
from graph_zoo import LONG, Case, cases
from hypothesis import strategies as st
from step_cases import multiplied
from step_lab import GAS, lab
from step_runs import disputable, honest, marred
from walk_material import GARBAGE, NO_DEMAND, site, spoilt

from verifiable.chain.abi import encode_call
from verifiable.chain.referee_values import walk_value
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.chain.step_values import proof_value, statement_value
from verifiable.crypto.hashing import keccak256
from verifiable.dispute.prove import (
    partials_of,
    prove_combination,
    prove_piece,
    prove_pieces,
    prove_step,
)
from verifiable.dispute.step import Statement, StepProof, statement_of
from verifiable.dispute.terms import Walk, Zone
from verifiable.graph.ir import Index
from verifiable.graph.vocabulary import DType
from verifiable.solidity.artifacts import sources
from verifiable.solidity.standard import Settings
from verifiable.types import Address, ClaimId

pytestmark = pytest.mark.evm

HARNESS = Path(__file__).with_name("harness") / "AskingHarness.sol"
PROOF = (
    "((uint32,uint32,uint32,uint32,bytes32,bytes32),uint32,uint64,"
    "((uint8,uint32,bytes,bytes32[]),bytes,bytes32[],bytes32[]),"
    "((uint8,uint32,bytes,bytes32[]),bytes,bytes32[],bytes32[])[])"
)
STATEMENT = "(bytes32,bytes32,bytes32,bytes32)"
DIFFERS, LENGTH, COMBINES, PIECE = (
    keccak256(f"{name}({STATEMENT},{PROOF}{rest})".encode())[:4]
    for name, rest in (
        ("differs", ""),
        ("partialsLength", ""),
        ("combines", ",bytes"),
        ("pieceDiffers", ",bytes,uint256"),
    )
)
CLAIM = ClaimId(bytes([7]) * 32)
zoo = cases(steps=6) | cases(steps=4, extents=LONG, most=4096)
seeds = st.integers(0, 2**32 - 1)


@cache
def deployed() -> tuple[Address, Address, Any]:
    """The harness, the walks, and the harness's ABI."""
    text = {**sources("cancun"), "harness/AskingHarness.sol": HARNESS.read_text()}
    made = compiled(text, ("harness/AskingHarness.sol", "referee/Walks.sol"), Settings())
    chain = lab().chain
    harness, walks = (chain.deploy(made[n].bytecode).address for n in ("AskingHarness", "Walks"))
    return harness, walks, made["AskingHarness"].abi


def outcome(name: str, *arguments: object, gas: int = GAS) -> bytes:
    """The answer, or after a mark what the call reverts with."""
    harness, _, abi = deployed()
    try:
        return lab().chain.call(harness, encode_call(abi, name, arguments), gas=gas)
    except RevertedError as e:
        return b"reverted" + e.data


def same(
    question: bytes, said: Statement, proof: StepProof, partials: bytes = b"", piece: int = 0
) -> bytes:
    told = (lab().steps, question, proof_value(proof), statement_value(said), partials, piece)
    found = outcome("raw", *told)
    assert found == outcome("plain", *told)
    return found


@costly(one=zoo, seed=seeds)
def test_a_step_says_the_same_of_a_proof_as_it_came(one: Case, seed: int) -> None:
    run, rng = honest(one), random.Random(seed)
    for index, element in disputable(run, seed, 1):
        proof = prove_step(run.graph, run.weights, run, index, element)
        said = statement_of(run.trace)
        assert same(DIFFERS, said, proof) == bytes(32)
        for _, changed in marred(proof, rng):
            same(DIFFERS, said, changed)


def test_pieces_are_asked_about_with_and_without_results() -> None:
    run = multiplied((DType.F32, DType.F32), DType.F32, 1024, seed=3)
    index = Index(len(run.graph.instructions) - 1)
    asked = (run.graph, run.weights, run, index, 0)
    said, partials = statement_of(run.trace), partials_of(*asked)
    whole = prove_combination(*asked)
    true = bytes(31) + b"\1"
    assert same(COMBINES, said, whole, partials) == true
    assert same(LENGTH, said, prove_pieces(*asked)) == len(partials).to_bytes(32, "big")
    for odd in (b"", partials[:-1]):
        assert same(COMBINES, said, whole, odd).startswith(b"reverted")
    assert same(LENGTH, said, whole).startswith(b"reverted")
    wrong = bytes([partials[0] ^ 1]) + partials[1:]
    for piece in range(len(partials) // 4):
        proof = prove_piece(*asked, piece)
        assert same(PIECE, said, proof, partials, piece) == bytes(32)
        assert same(PIECE, said, proof, wrong, piece) == (bytes(32) if piece else true)
    same(PIECE, said, whole, b"", 0)


def test_want_of_gas_is_no_answer() -> None:
    run = multiplied((DType.F32, DType.F32), DType.F32, 1024, seed=3)
    index = Index(len(run.graph.instructions) - 1)
    proof = prove_step(run.graph, run.weights, run, index, 0)
    said = statement_value(statement_of(run.trace))
    told = (lab().steps, DIFFERS, proof_value(proof), said, b"", 0)
    assert outcome("raw", *told) == bytes(32)
    for gas in range(200_000, 600_000, 25_000):
        try:
            found = outcome("raw", *told, gas=gas)
        except OutOfGasError:
            continue
        assert found == bytes(32) or found.startswith(b"reverted")


def test_nobody_at_the_address_answers_nothing() -> None:
    run = multiplied((DType.F32, DType.F32), DType.F32, 1024, seed=3)
    index = Index(len(run.graph.instructions) - 1)
    proof = proof_value(prove_step(run.graph, run.weights, run, index, 0))
    said = statement_value(statement_of(run.trace))
    nobody = "0x" + "11" * 20
    assert outcome("raw", nobody, DIFFERS, proof, said, b"", 0).startswith(b"reverted")


@pytest.mark.parametrize("odd", ["", "node", "index", "height", "zone", "siblings", "crossing"])
def test_a_walk_leads_to_the_same_demand(odd: str) -> None:
    place = site(70)
    walks: list[Walk] = [place.into_const(Index(1))]
    for zone in (Zone.INPUT, Zone.BODY, Zone.OUTPUT, Zone.MODEL):
        walks += [place.walk(zone, level, 0) for level in range(place.zone(zone).height + 1)]
    for walk in walks:
        given = spoilt(walk, odd, [NO_DEMAND]) if odd else walk
        for said in (place.statement, replace(place.statement, model=GARBAGE)):
            told = (deployed()[1], walk_value(given), statement_value(said), CLAIM)
            assert outcome("rawTarget", *told) == outcome("plainTarget", *told)
