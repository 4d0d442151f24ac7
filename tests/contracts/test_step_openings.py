"""What is no opening of the committed tensors gets no verdict, whatever is wrong with it."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from costly import costly
from graph_zoo import LONG, Case, cases
from hypothesis import strategies as st
from step_cases import chosen, copied, counted, folded, joined, multiplied, padded, run_on
from step_lab import GAS, artifacts, lab
from step_runs import (
    Run,
    about_what_is_given,
    disputable,
    honest,
    marred,
    remodelled,
    showing,
    with_tree,
)

from verifiable.chain.abi import encode_call, encode_constructor
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.chain.step_values import proof_value, statement_value
from verifiable.crypto.eip712 import uint_word
from verifiable.crypto.hashing import keccak256
from verifiable.crypto.merkle import Tag, tagged
from verifiable.dispute.prove import (
    partials_of,
    prove_combination,
    prove_piece,
    prove_pieces,
    prove_step,
)
from verifiable.dispute.step import NOTHING, Statement, StepProof, check_step, statement_of
from verifiable.errors import ChainError, EncodingError, OpeningRejectedError
from verifiable.graph.commitment import Section, Slot
from verifiable.graph.encoding import descriptor
from verifiable.graph.ir import Index, Map, Program, Reduce, Step, TensorType
from verifiable.graph.vocabulary import DType, Fold, Scalar
from verifiable.types import Sha256

pytestmark = pytest.mark.evm

seeds = st.integers(0, 2**32 - 1)
zoo = cases(steps=6) | cases(steps=4, extents=LONG, most=4096)


def prove(run: Run, element: int) -> StepProof:
    """A proof about the last instruction."""
    index = Index(len(run.graph.instructions) - 1)
    return prove_step(run.graph, run.weights, run, index, element)


def verdict(statement: Statement, proof: StepProof) -> bool | None:
    """What Python says, None if it refuses; the contracts say the same."""
    said: bool | None = None
    try:
        said = check_step(statement, proof).differs
    except (OpeningRejectedError, EncodingError):
        with pytest.raises(RevertedError):
            lab().differs(statement, proof)
    else:
        assert lab().differs(statement, proof) == said
    return said


def refused(run: Run, proof: StepProof) -> bool:
    return verdict(statement_of(run.trace), proof) is None


@costly(one=zoo, seed=seeds)
def test_no_changed_field_gets_a_verdict_against_an_honest_trace(one: Case, seed: int) -> None:
    run, rng = honest(one), random.Random(seed)
    for index, element in disputable(run, seed, 1):
        proof = prove_step(run.graph, run.weights, run, index, element)
        for path, changed in marred(proof, rng):
            said = verdict(statement_of(run.trace), changed)
            # Another element may have the same leaves, and then the proof is one about it.
            assert said is None or (said is False and path == "proof.element"), path


@costly(one=zoo, seed=seeds)
def test_no_proof_holds_of_another_statement(one: Case, seed: int) -> None:
    run, rng = honest(one), random.Random(seed)
    for index, element in disputable(run, seed, 1):
        proof = prove_step(run.graph, run.weights, run, index, element)
        true = statement_of(run.trace)
        turned = Statement(model=true.model, input=true.output, body=true.input, output=true.body)
        wrong = replace(true, model=Sha256(rng.randbytes(32)))
        section = proof.result.instruction.slot.section
        other = replace(true, **{section.name.lower(): Sha256(rng.randbytes(32))})
        for statement in (turned, wrong, other):
            assert verdict(statement, proof) is None


def test_each_kind_wants_its_own_operands_and_no_more() -> None:
    view, concat, gather = padded(), joined(), chosen()
    outside, inside = prove(view, 0), prove(view, 1)
    assert refused(view, replace(outside, operands=inside.operands))
    assert refused(view, replace(inside, operands=()))
    assert refused(view, replace(inside, operands=inside.operands * 2))
    early, late = prove(concat, 0), prove(concat, 20)
    for operands in (
        (*early.operands, *late.operands[1:]), late.operands[:-1], (), late.operands[1:],
    ):  # fmt: skip
        assert refused(concat, replace(late, operands=operands))
    assert refused(concat, replace(early, operands=(*early.operands, late.operands[1])))
    good, none = prove(gather, 0), prove(gather, 4)
    assert refused(gather, replace(good, operands=(none.operands[0], good.operands[1])))
    assert refused(gather, replace(none, operands=(good.operands[0], none.operands[1])))
    assert refused(gather, replace(good, operands=good.operands[::-1]))
    empty = folded(Fold.SUM, DType.F32, 0, seed=0)
    full = folded(Fold.SUM, DType.F32, 1, seed=0)
    assert refused(empty, replace(prove(empty, 0), operands=prove(full, 0).operands))


def test_a_true_opening_of_another_leaf_or_row_is_refused() -> None:
    run = copied(5, 300)
    proof, beside, below = prove(run, 299), prove(run, 0), prove(run, 301)
    for other in (beside, below):
        assert refused(run, replace(proof, result=other.result))
        assert refused(run, replace(proof, operands=other.operands))
    long = multiplied((DType.F32, DType.F32), DType.F32, 600, seed=1)
    proof, other = prove(long, 0), prove(long, 5)
    for operands in ((proof.operands[0], other.operands[1]), other.operands, proof.operands[::-1]):
        assert refused(long, replace(proof, operands=operands))


def test_an_element_of_the_padding_is_none() -> None:
    for shape in ((3, 300), (7, 100), (), (1,)):
        run = copied(*shape)
        size = run.graph.instructions[1].type.size
        proof = prove(run, size - 1)
        for beyond in (size, size + 1, size + 300, 2**40, 2**64 - 1):
            assert refused(run, replace(proof, element=beyond))


def test_what_is_given_cannot_be_disputed() -> None:
    run = run_on([run_input := copied(4).tensors[0], run_input], copied(4).graph.instructions[1])
    for index in (0, 1):
        assert refused(run, about_what_is_given(run, prove(run, 0), Index(index)))
    with pytest.raises(RevertedError):
        lab().combines(statement_of(run.trace), prove(run, 0), b"")
    with pytest.raises(RevertedError):
        lab().piece_differs(statement_of(run.trace), prove(run, 0), b"", 0)


def test_a_leaf_of_64_bytes_is_no_node() -> None:
    run = copied(16)
    left, right = tagged(Tag.LEAF, b"left"), tagged(Tag.LEAF, b"right")
    statement = with_tree(run, tagged(Tag.NODE, left, right))
    assert verdict(statement, showing(prove(run, 0), left + right)) is None


@pytest.mark.parametrize("length", [0, 60, 63, 65, 68, 128])
def test_a_committed_leaf_of_another_length_cannot_be_shown(length: int) -> None:
    """It is no move, and the proposer's clock runs on: he cannot show a leaf that fits either."""
    run, data = copied(16), bytes(length)
    statement = with_tree(run, tagged(Tag.LEAF, data))
    assert verdict(statement, showing(prove(run, 0), data)) is None
    assert verdict(with_tree(run, tagged(Tag.LEAF, bytes(64))), showing(prove(run, 0), bytes(64)))


def test_partial_results_are_as_many_as_the_pieces() -> None:
    run = multiplied((DType.F32, DType.F32), DType.F32, 600, seed=5)
    what = run.graph, run.weights, run, Index(2), 3
    statement, partials = statement_of(run.trace), partials_of(*what)
    whole, piece, step = prove_combination(*what), prove_piece(*what, 1), prove_step(*what)
    assert lab().partials_length(statement, prove_pieces(*what)) == len(partials)
    calls: list[Callable[[], int]] = [
        lambda: lab().partials_length(statement, whole),
        lambda: lab().partials_length(statement, piece),
        lambda: lab().combines(statement, whole, b""),
        lambda: lab().combines(statement, whole, partials + b"\0"),
        lambda: lab().combines(statement, whole, partials[:-4]),
        lambda: lab().combines(statement, step, partials),
        lambda: lab().piece_differs(statement, piece, partials[:-1], 1),
        lambda: lab().piece_differs(statement, piece, partials, 0),
        lambda: lab().piece_differs(statement, piece, partials, 3),
        lambda: lab().piece_differs(statement, piece, partials, 2**256 - 1),
        lambda: lab().piece_differs(statement, replace(piece, result=whole.result), partials, 1),
    ]
    for call in calls:
        with pytest.raises(RevertedError):
            call()


def test_rows_that_cannot_be_cut_have_no_pieces() -> None:
    long = folded(Fold.SUM, DType.F32, 1024, seed=1)
    step = long.graph.instructions[1]
    assert isinstance(step, Reduce)
    coarse = run_on([long.tensors[0]], replace(step, chunk=512))
    for run in (coarse, folded(Fold.SUM, DType.F32, 255, seed=1)):
        whole = prove_combination(long.graph, long.weights, long, Index(1), 0)
        proof = replace(prove(run, 0), operands=whole.operands)
        with pytest.raises(RevertedError):
            lab().combines(statement_of(run.trace), proof, bytes(16))
        bare = replace(proof.result, part=NOTHING, above=())
        with pytest.raises(RevertedError):
            lab().partials_length(statement_of(run.trace), replace(proof, result=bare))


@pytest.mark.parametrize(
    "run",
    [
        copied(3, 300), chosen(), joined(), folded(Fold.SUM, DType.F32, 300, seed=2),
        multiplied((DType.F32, DType.F32), DType.F32, 300, seed=2),
    ],
)  # fmt: skip
def test_a_verdict_does_not_depend_on_the_gas(run: Run) -> None:
    index = Index(len(run.graph.instructions) - 1)
    for one in (run, run.forge(index, 1, 4)):
        statement, proof = statement_of(one.trace), prove(one, 1)
        wanted = check_step(statement, proof).differs
        verdicts = 0
        for gas in count(25_000, 1_777):
            try:
                assert lab().differs(statement, proof, gas=gas) == wanted
            except (RevertedError, OutOfGasError, ChainError):
                assert not verdicts, "a verdict needs no more gas than a smaller limit gave"
                continue
            verdicts += 1
            if verdicts == 5:
                break


def test_a_kind_is_asked_only_of_the_contract_that_knows_it() -> None:
    made, chain = artifacts(), lab().chain
    statement, proof = statement_of(padded().trace), prove(padded(), 0)
    values = statement_value(statement), proof_value(proof)
    for name in ("DotStep", "ReduceStep", "MapStep"):
        address = chain.deploy(made[name].bytecode).address
        for function, more in (
            ("differs", ()),
            ("partialsLength", ()),
            ("combines", (b"",)),
            ("pieceDiffers", (b"", 0)),
        ):
            data = encode_call(made[name].abi, function, (*values, *more))
            with pytest.raises(RevertedError):
                chain.call(address, data, gas=GAS)


def test_the_router_wants_contracts_behind_it() -> None:
    steps = artifacts()["Steps"]
    nobody = ["0x" + "11" * 20] * 4
    with pytest.raises(RevertedError):
        lab().chain.deploy(steps.bytecode + encode_constructor(steps.abi, nobody))


def test_s7_only_a_const_stands_in_the_model() -> None:
    """Of a Const the root follows the shape; behind an Input's a caller could write one."""
    run = copied(4)
    whole = prove(run, 1)
    bare = replace(whole, operands=(replace(whole.operands[0], above=()),))
    statement, proof = remodelled(run, bare, Index(0), Slot(Section.MODEL, 77))
    data = lab().data("differs", statement_value(statement), proof_value(proof))
    start = data.index(uint_word(Section.MODEL) + uint_word(77))
    text = proof.operands[0].instruction.descriptor
    far = data[: start + 64] + uint_word(len(data) - start) + data[start + 96 :]
    with pytest.raises(RevertedError) as e:
        lab().chain.call(
            lab().steps, far + uint_word(len(text)) + text + run.trace.roots[0], gas=GAS
        )
    assert e.value.data[:4] == keccak256(b"NoSuchTensor(uint256,uint256)")[:4]


@pytest.mark.parametrize("run", [copied(4), chosen(), joined(), folded(Fold.SUM, DType.F32, 3, 1)])
def test_an_instruction_is_as_long_as_it_says(run: Run) -> None:
    last = Index(len(run.graph.instructions) - 1)
    proof, text = prove(run, 0), descriptor(run.graph.instructions[last])
    assert verdict(*remodelled(run, proof, last, said=text)) is False
    for said in (text + b"\0", text + text, text[:-1], text[:4], text[:3], b""):
        assert verdict(*remodelled(run, proof, last, said=said)) is None


def test_a_program_reads_only_what_it_has_written() -> None:
    x = TensorType(DType.I32, (4,))
    negated = Program(steps=(Step(Scalar.NEG, (0,)),))
    run = run_on([counted(4)], Map(type=x, operands=(Index(0),), program=negated))
    proof, text = prove(run, 1), descriptor(run.graph.instructions[1])
    assert verdict(*remodelled(run, proof, Index(1), said=text)) is False
    # Of the one step's four registers the first; 0 is the operand, 1 what it writes.
    for register in (1, 2, 255):
        said = text[:-4] + bytes([register]) + text[-3:]
        with pytest.raises(RevertedError) as e:
            lab().differs(*remodelled(run, proof, Index(1), said=said))
        assert e.value.data == keccak256(b"ProgramMalformed()")[:4]
        with pytest.raises(EncodingError, match="step 0 of the program"):
            check_step(*remodelled(run, proof, Index(1), said=said))
