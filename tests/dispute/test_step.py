"""One element of a committed run is computed again: what that says, and what it refuses."""

import random
from dataclasses import replace

import pytest
from costly import costly
from graph_zoo import LONG, Case, case, cases
from hypothesis import given
from hypothesis import strategies as st
from step_cases import FOLDS, PRODUCTS, chosen, copied, folded, joined, multiplied, padded, run_on
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
from trace_runs import stored

from verifiable.crypto.merkle import Tag, tagged
from verifiable.dispute.prove import (
    partials_of,
    prove_combination,
    prove_piece,
    prove_pieces,
    prove_step,
)
from verifiable.dispute.recompute import partial_bytes
from verifiable.dispute.step import (
    StepProof,
    check_combination,
    check_piece,
    check_step,
    partials_length,
    statement_of,
)
from verifiable.errors import EncodingError, OpeningRejectedError
from verifiable.graph.commitment import Section, Slot
from verifiable.graph.ir import Dot, Index, Reduce, operands
from verifiable.graph.vocabulary import DType, Fold

seeds = st.integers(0, 2**32 - 1)
zoo = cases(steps=6) | cases(steps=4, extents=LONG, most=4096)


def prove(run: Run, index: Index, element: int) -> StepProof:
    return prove_step(run.graph, run.weights, run, index, element)


def refuses(run: Run, proof: StepProof) -> bool:
    try:
        result = check_step(statement_of(run.trace), proof)
    except (OpeningRejectedError, EncodingError):
        return True
    assert not result.differs, "a malformed proof refutes an honest trace"
    return False


@costly(one=zoo, seed=seeds)
def test_no_element_of_an_honest_trace_differs(one: Case, seed: int) -> None:
    run = honest(one)
    for index, element in disputable(run, seed):
        result = check_step(statement_of(run.trace), prove(run, index, element))
        assert not result.differs, f"element {element} of {run.graph.instructions[index]}"


@costly(one=zoo, seed=seeds)
def test_a_changed_element_differs_by_what_was_changed(one: Case, seed: int) -> None:
    run, rng = honest(one), random.Random(seed)
    for index, element in disputable(run, seed, 1):
        dtype = run.graph.instructions[index].type.dtype
        mask = 1 if dtype is DType.BOOL else 1 << rng.randrange(8 * dtype.itemsize)
        forged = run.forge(index, element, mask)
        result = check_step(statement_of(forged.trace), prove(forged, index, element))
        assert result.got ^ result.committed == mask


@costly(one=zoo, seed=seeds)
def test_no_changed_field_gets_a_verdict_against_an_honest_trace(one: Case, seed: int) -> None:
    run, rng = honest(one), random.Random(seed)
    for index, element in disputable(run, seed, 1):
        for path, changed in marred(prove(run, index, element), rng):
            # Another element may have the same leaves, and then the proof is one about it.
            assert refuses(run, changed) or path == "proof.element", path


@given(seed=st.integers(0, 2**32 - 1))
def test_a_stored_run_is_a_source(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    one = case(seed, steps=2)
    run = honest(one)
    kept = stored(one, tmp_path_factory.mktemp("run") / "trace")
    for index, element in disputable(run, seed, 1):
        proof = prove_step(one.graph, one.weights, kept, index, element)
        assert proof == prove(run, index, element)


def test_a_view_outside_its_box_opens_nothing() -> None:
    run = padded()
    for element, opened in enumerate((0, 1, 1, 1, 0)):
        proof = prove(run, Index(1), element)
        assert len(proof.operands) == opened
    outside, inside = prove(run, Index(1), 0), prove(run, Index(1), 1)
    assert refuses(run, replace(outside, operands=inside.operands))
    assert refuses(run, replace(inside, operands=()))


def test_a_concat_opens_types_up_to_the_part_that_holds_the_element() -> None:
    run = joined()
    for element, opened in ((0, 1), (5, 1), (6, 3), (17, 3), (18, 4)):
        proof = prove(run, Index(4), element)
        assert [bool(o.part.data) for o in proof.operands] == [False] * (opened - 1) + [True]
    early, late = prove(run, Index(4), 0), prove(run, Index(4), 20)
    assert refuses(run, replace(early, operands=(*early.operands, *late.operands[1:])))
    assert refuses(run, replace(late, operands=(*early.operands, *late.operands[1:])))
    assert refuses(run, replace(late, operands=late.operands[:-1]))
    assert refuses(run, replace(late, operands=()))


def test_a_gather_out_of_range_opens_the_type_of_its_operand_alone() -> None:
    run = chosen()
    opened = [bool(prove(run, Index(2), 2 * j).operands[0].part.data) for j in range(5)]
    assert opened == [True, True, False, False, True]
    good, none = prove(run, Index(2), 0), prove(run, Index(2), 4)
    assert refuses(run, replace(good, operands=(none.operands[0], good.operands[1])))
    assert refuses(run, replace(none, operands=(good.operands[0], none.operands[1])))


def test_what_is_given_cannot_be_disputed() -> None:
    run = padded()
    with pytest.raises(OpeningRejectedError, match="is given"):
        prove(run, Index(0), 0)
    given = about_what_is_given(run, prove(run, Index(1), 1), Index(0))
    with pytest.raises(OpeningRejectedError, match="is given"):
        check_step(statement_of(run.trace), given)


def test_an_element_beyond_the_tensor_is_none() -> None:
    run = copied(3, 300)
    with pytest.raises(OpeningRejectedError, match="no element 900"):
        prove(run, Index(1), 900)
    assert refuses(run, replace(prove(run, Index(1), 899), element=900))


def test_s7_a_const_stands_in_the_model_alone() -> None:
    run = chosen()
    for section in (Section.INPUT, Section.BODY, Section.OUTPUT):
        said = remodelled(run, prove(run, Index(2), 0), Index(1), Slot(section, 0))
        with pytest.raises(OpeningRejectedError, match="stands in the model"):
            check_step(*said)
    whole = remodelled(run, prove(run, Index(2), 0), Index(1), Slot(Section.MODEL, 0))
    assert not check_step(*whole).differs


def test_a_leaf_of_64_bytes_is_no_node() -> None:
    """Tags keep a proposer from committing a tree that opens in two ways."""
    run = copied(16)
    left, right = tagged(Tag.LEAF, b"left"), tagged(Tag.LEAF, b"right")
    statement = with_tree(run, tagged(Tag.NODE, left, right))
    with pytest.raises(OpeningRejectedError, match="leads to"):
        check_step(statement, showing(prove(run, Index(1), 0), left + right))


@pytest.mark.parametrize("length", [0, 1, 31, 255, 256, 257, 1025])
@pytest.mark.parametrize(("fold", "dtype"), FOLDS)
def test_every_fold_of_every_dtype_is_recomputed(fold: Fold, dtype: DType, length: int) -> None:
    if not length and fold is not Fold.SUM:
        length = 2
    run = folded(fold, dtype, length, seed=length)
    for element in range(2):
        assert not check_step(statement_of(run.trace), prove(run, Index(1), element)).differs


def pieces(run: Run, element: int, change: int) -> None:
    """Hold every piece of an element against true partial results, and against changed ones."""
    index = Index(len(run.graph.instructions) - 1)
    what = run.graph, run.weights, run, index, element
    statement = statement_of(run.trace)
    partials = partials_of(*what)
    whole = prove_combination(*what)
    assert partials_length(statement, prove_pieces(*what)) == len(partials)
    assert not check_combination(statement, whole, partials).differs
    count = len(partials) // partial_width(run, index)
    wrong = bytearray(partials)
    wrong[change % len(wrong)] ^= 1
    for piece in range(count):
        opened = prove_piece(*what, piece)
        assert not check_piece(statement, opened, partials, piece).differs
        hit = change % len(wrong) // partial_width(run, index) == piece
        assert check_piece(statement, opened, bytes(wrong), piece).differs == hit
    with pytest.raises(OpeningRejectedError, match="none is number"):
        prove_piece(*what, count)
    for other in (partials + b"\0", partials[:-1], b""):
        with pytest.raises(OpeningRejectedError, match="partial results"):
            check_combination(statement, whole, other)


def partial_width(run: Run, index: Index) -> int:
    ins = run.graph.instructions[index]
    assert isinstance(ins, Dot | Reduce)
    return partial_bytes(ins, [run.graph.instructions[i].type for i in operands(ins)])


@pytest.mark.parametrize("length", [1024, 1025, 2500])
@pytest.mark.parametrize(("fold", "dtype"), FOLDS)
def test_pieces_of_a_fold_combine_to_the_fold(fold: Fold, dtype: DType, length: int) -> None:
    pieces(folded(fold, dtype, length, seed=length), 1, 7 * length)


@pytest.mark.parametrize("length", [1024, 1025, 2500])
@pytest.mark.parametrize(("dtypes", "gives"), PRODUCTS)
def test_pieces_of_a_product_combine_to_it(
    dtypes: tuple[DType, DType], gives: DType, length: int
) -> None:
    pieces(multiplied(dtypes, gives, length, seed=length), 4, 7 * length)


def test_rows_that_cannot_be_cut_have_no_pieces() -> None:
    short = folded(Fold.SUM, DType.F32, 255, seed=1)
    long = folded(Fold.SUM, DType.F32, 1024, seed=1)
    (given, step) = long.graph.instructions
    assert isinstance(step, Reduce)
    other = run_on([long.tensors[0]], replace(step, chunk=512))
    assert given == other.graph.instructions[0]
    for run, match in ((short, "no trees"), (other, "no leaves"), (padded(), "no rows")):
        index = Index(len(run.graph.instructions) - 1)
        with pytest.raises(OpeningRejectedError, match=match):
            partials_of(run.graph, run.weights, run, index, 0)


def test_a_combination_opens_types_and_a_piece_no_result() -> None:
    run = multiplied((DType.F32, DType.F32), DType.F32, 600, seed=5)
    what = run.graph, run.weights, run, Index(2), 3
    statement, partials = statement_of(run.trace), partials_of(*what)
    whole, piece, step = prove_combination(*what), prove_piece(*what, 1), prove_step(*what)
    assert not any(operand.part.data for operand in whole.operands)
    assert not piece.result.part.data
    with pytest.raises(OpeningRejectedError, match="type alone"):
        check_combination(statement, step, partials)
    for opened in (whole, step, piece):
        with pytest.raises(OpeningRejectedError, match="type alone"):
            partials_length(statement, opened)
    with pytest.raises(OpeningRejectedError, match="type alone"):
        check_piece(statement, replace(piece, result=whole.result), partials, 1)
    for other in (0, 2):
        with pytest.raises(OpeningRejectedError):
            check_piece(statement, piece, partials, other)
