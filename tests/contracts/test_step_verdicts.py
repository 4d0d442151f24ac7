"""The contracts say of every committed element what Python says, and what the engines compute."""

import random
from collections import Counter
from typing import Final

import numpy as np
import pytest
from costly import costly
from graph_zoo import LONG, SMALL, Case, case, cases
from hypothesis import strategies as st
from step_cases import FOLDS, PRODUCTS, chosen, copied, folded, graph_of, joined, multiplied, padded
from step_lab import lab
from step_runs import Run, disputable, honest, run_of

from verifiable.dispute.prove import (
    partials_of,
    prove_combination,
    prove_piece,
    prove_pieces,
    prove_step,
)
from verifiable.dispute.step import (
    check_combination,
    check_piece,
    check_step,
    partials_length,
    statement_of,
)
from verifiable.engines.cpu import Cpu
from verifiable.engines.reference import Reference
from verifiable.graph.ir import (
    Array,
    Index,
    Input,
    Instruction,
    Literal,
    Map,
    Program,
    Reduce,
    Step,
    TensorType,
    View,
)
from verifiable.graph.layout import layout
from verifiable.graph.vocabulary import (
    SIGNATURES,
    DType,
    Fold,
    Scalar,
    fold_result,
    scalar_result,
)

pytestmark = pytest.mark.evm

seeds = st.integers(0, 2**32 - 1)
zoo = cases(steps=6) | cases(steps=4, extents=LONG, most=4096)


def check(run: Run, index: Index, element: int, *, differs: bool) -> None:
    """Python and the contracts give this verdict."""
    statement = statement_of(run.trace)
    proof = prove_step(run.graph, run.weights, run, index, element)
    what = f"element {element} of {run.graph.instructions[index]}"
    assert check_step(statement, proof).differs == differs, what
    assert lab().differs(statement, proof) == differs, what


@costly(one=zoo, seed=seeds)
def test_contracts_engines_and_reference_agree_on_every_element(one: Case, seed: int) -> None:
    runs = [honest(one, engine.prepare(one.graph, one.weights)) for engine in (Reference(), Cpu())]
    assert runs[0].trace == runs[1].trace
    for index, element in disputable(runs[0], seed):
        check(runs[0], index, element, differs=False)


@costly(one=zoo, seed=seeds)
def test_contracts_refute_every_changed_element(one: Case, seed: int) -> None:
    run, rng = honest(one), random.Random(seed)
    for index, element in disputable(run, seed, 1):
        dtype = run.graph.instructions[index].type.dtype
        bit = rng.randrange(8 * dtype.itemsize)
        check(run.forge(index, element, 1 << bit), index, element, differs=True)


def test_the_zoo_holds_every_kind_and_layout() -> None:
    """What the two properties above are tried on; the seeds are fixed."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        one = case(seed, extents=LONG if seed % 2 else SMALL, most=4096)
        for ins in one.graph.instructions:
            if ins.type.size:
                plan = layout(ins.type)
                form = "long" if plan.rows_are_trees else "packed"
                leaves = min(plan.leaves, 2)
                seen[f"{type(ins).__name__} {form} {leaves}"] += 1
                seen[f"{type(ins).__name__} {ins.type.dtype.word}"] += 1
                seen[f"rank {len(ins.type.shape)}"] += 1
    for kind in ("Map", "View", "Gather", "Concat"):
        for form in ("long 2", "packed 1", "packed 2"):
            assert seen[f"{kind} {form}"], f"{kind} {form}"
        for dtype in DType:
            assert seen[f"{kind} {dtype.word}"], f"{kind} {dtype.word}"
    for wanted in ("Dot f32", "Dot i32", "Reduce f32", "Reduce i64", "rank 0", "rank 8"):
        assert seen[wanted], wanted


@pytest.mark.parametrize("run", [padded(), joined(), chosen(), copied(7, 100), copied(3, 300)])
def test_every_element_of_every_move_is_recomputed(run: Run) -> None:
    index = Index(len(run.graph.instructions) - 1)
    size = run.graph.instructions[index].type.size
    for element in range(0, size, 1 + size // 40):
        check(run, index, element, differs=False)
        check(run.forge(index, element, 4), index, element, differs=True)


@pytest.mark.parametrize("length", [0, 1, 32, 33, 255, 256, 257, 1025])
@pytest.mark.parametrize(("fold", "dtype"), FOLDS)
def test_every_fold_of_every_dtype_is_recomputed(fold: Fold, dtype: DType, length: int) -> None:
    if not length and fold is not Fold.SUM:
        length = 2
    run = folded(fold, dtype, length, seed=length)
    check(run, Index(1), 1, differs=False)
    check(run.forge(Index(1), 1, 1), Index(1), 1, differs=True)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 255, 256, 257, 1025])
@pytest.mark.parametrize(("dtypes", "gives"), PRODUCTS)
def test_every_product_is_recomputed(
    dtypes: tuple[DType, DType], gives: DType, length: int
) -> None:
    run = multiplied(dtypes, gives, length, seed=length)
    check(run, Index(2), 4, differs=False)
    check(run.forge(Index(2), 4, 1 << 31), Index(2), 4, differs=True)


NO_ELEMENTS: Final[dict[DType, Array]] = {
    DType.F32: np.array([0x7FC00001, 0xFFC00000, 0x7F800001, 0x3F800000], np.uint32),
    DType.BOOL: np.array([7, 255, 0, 2], np.uint8),
}
"""NaNs and bools that no tensor of the machine holds, but a trace may."""


def settled(x: Array, last: Instruction) -> Run:
    """A run on such a tensor whose first element is what Python says."""
    kind = TensorType({"float32": DType.F32, "bool": DType.BOOL}[x.dtype.name], x.shape)
    graph = graph_of(Input(type=kind), last)
    run = run_of(graph, {}, [x, np.zeros(last.type.shape, last.type.dtype.numpy)])
    proof = prove_step(graph, {}, run, Index(1), 0)
    result = check_step(statement_of(run.trace), proof)
    mask = result.got ^ result.committed
    return run.forge(Index(1), 0, mask) if mask else run


TAKERS: Final = [
    (function, dtype)
    for function in Scalar
    for dtype in NO_ELEMENTS
    if scalar_result(function, (dtype,) * SIGNATURES[function].arity)
]


@pytest.mark.parametrize(("function", "dtype"), TAKERS)
def test_bytes_that_are_no_elements_mean_the_same_to_every_function(
    function: Scalar, dtype: DType
) -> None:
    """Whoever commits them, a verdict is one: two may never follow from the same bytes."""
    signature = SIGNATURES[function]
    gives = scalar_result(function, (dtype,) * signature.arity)
    assert gives is not None
    program = Program(steps=(Step(function, (0,) * signature.arity),))
    for bits in NO_ELEMENTS[dtype]:
        x = np.array([bits]).view(dtype.numpy)
        last = Map(type=TensorType(gives, (1,)), operands=(Index(0),), program=program)
        check(settled(x, last), Index(1), 0, differs=False)


@pytest.mark.parametrize(("fold", "dtype"), [one for one in FOLDS if one[1] in NO_ELEMENTS])
def test_bytes_that_are_no_elements_mean_the_same_to_every_fold(fold: Fold, dtype: DType) -> None:
    gives = fold_result(fold, dtype)
    assert gives is not None
    for turn in range(4):
        x = np.roll(NO_ELEMENTS[dtype], turn).view(dtype.numpy)
        last = Reduce(type=TensorType(gives, ()), x=Index(0), fold=fold)
        check(settled(x, last), Index(1), 0, differs=False)


def test_bytes_that_are_no_elements_are_moved_as_they_are() -> None:
    for dtype, bits in NO_ELEMENTS.items():
        x = bits.view(dtype.numpy)
        last = View(
            type=TensorType(dtype, (4,)), x=Index(0), offset=3, strides=(-1,), low=(0,), high=(4,),
            fill=Literal(dtype, 0),
        )  # fmt: skip
        run = run_of(graph_of(Input(type=TensorType(dtype, (4,))), last), {}, [x, x[::-1].copy()])
        for element in range(4):
            check(run, Index(1), element, differs=False)


def pieces(run: Run, element: int, seed: int) -> None:
    """Python and the contracts agree on an element's pieces, true and changed."""
    index = Index(len(run.graph.instructions) - 1)
    what = run.graph, run.weights, run, index, element
    statement, rng = statement_of(run.trace), random.Random(seed)
    partials, whole = partials_of(*what), prove_combination(*what)
    cut = prove_pieces(*what)
    assert lab().partials_length(statement, cut) == partials_length(statement, cut) == len(partials)
    assert lab().combines(statement, whole, partials)
    wrong = bytearray(partials)
    wrong[rng.randrange(len(wrong))] ^= 1 << rng.randrange(8)
    for given in (bytes(wrong), rng.randbytes(len(partials))):
        differs = check_combination(statement, whole, given).differs
        assert lab().combines(statement, whole, given) != differs
    plan = layout(run.graph.instructions[0].type)
    for piece in range(plan.leaves_of_tree):
        opened = prove_piece(*what, piece)
        assert not lab().piece_differs(statement, opened, partials, piece)
        differs = check_piece(statement, opened, bytes(wrong), piece).differs
        assert lab().piece_differs(statement, opened, bytes(wrong), piece) == differs


@pytest.mark.parametrize("length", [1024, 1025, 2500])
@pytest.mark.parametrize(("fold", "dtype"), FOLDS)
def test_pieces_of_every_fold_are_recomputed(fold: Fold, dtype: DType, length: int) -> None:
    pieces(folded(fold, dtype, length, seed=length), 1, seed=length)


@pytest.mark.parametrize("length", [1024, 1025, 2500])
@pytest.mark.parametrize(("dtypes", "gives"), PRODUCTS)
def test_pieces_of_every_product_are_recomputed(
    dtypes: tuple[DType, DType], gives: DType, length: int
) -> None:
    pieces(multiplied(dtypes, gives, length, seed=length), 4, seed=length)
