"""Every scalar function of canon/1 gives the bits of the reference, on both EVM targets."""

from collections.abc import Iterator

import pytest
from anvil import Anvil
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st
from scalar_machine import (
    ARITHMETIC,
    CASES,
    Case,
    Machine,
    check,
    compiled,
    drawn,
    embedded,
    grid,
    on_node,
    osaka_node,
    thinned,
)

from verifiable.chain.revert import RevertedError
from verifiable.crypto.hashing import keccak256
from verifiable.graph.vocabulary import SIGNATURES, DType, Scalar

pytestmark = pytest.mark.evm

# Those that test_soft_float.py has.
FLOATS = [case for case in ARITHMETIC if case.dtypes[0] is DType.F32]
REST = [case for case in CASES if case not in FLOATS]
ROWS = 200
MANY = 1_500
SEED = 20261122


@pytest.fixture(scope="module")
def cancun() -> Machine:
    return embedded("ScalarHarness")


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with osaka_node() as found:
        yield found


def test_every_function_and_dtype_is_tried() -> None:
    tried = {(case.function, case.dtypes[-1]) for case in [*FLOATS, *REST]}
    assert tried == {(f, dtype) for f, s in SIGNATURES.items() for dtype in s.takes}


@pytest.mark.parametrize("case", REST, ids=lambda case: case.name)
def test_special_values_give_the_bits_of_the_reference(cancun: Machine, case: Case) -> None:
    check(cancun, case, grid(case), "none, the grid")


@given(case=st.sampled_from(REST), seed=st.integers(0, 2**32 - 1))
def test_any_bits_give_the_bits_of_the_reference(cancun: Machine, case: Case, seed: int) -> None:
    check(cancun, case, drawn(case, seed, ROWS), seed)


@pytest.mark.anvil
def test_the_osaka_build_gives_the_same_bits(node: Anvil) -> None:
    machine = on_node(node, "ScalarHarness")
    for case in REST:
        check(machine, case, thinned(grid(case), 60), "none, the grid")
        check(machine, case, drawn(case, SEED, 40), SEED)


@pytest.mark.slow
@pytest.mark.anvil
@pytest.mark.parametrize("evm", ["cancun", "osaka"])
def test_a_hundred_thousand_operands_give_the_bits_of_the_reference(
    cancun: Machine, node: Anvil, evm: str
) -> None:
    machine = cancun if evm == "cancun" else on_node(node, "ScalarHarness")
    tried = 0
    for case in CASES:
        operands = drawn(case, SEED, MANY)
        check(machine, case, operands, SEED)
        check(machine, case, grid(case), "none, the grid")
        tried += len(operands[0])
    assert tried >= 100_000


def test_what_canon_does_not_define_reverts(cancun: Machine) -> None:
    codes = {s.value: s for s in Scalar}
    for fn in (*range(70), 96, 128, 255, 256, 2**32, 2**255):
        for dtype in (*range(8), 31, 32, 255, 256, 2**255):
            known = fn in codes and dtype in {d.value for d in SIGNATURES[codes[fn]].takes}
            assert cancun("isDefined", fn, dtype) == known, (fn, dtype)
            if not known and (fn < 70 or dtype == 0):
                wanted = keccak256(b"UnknownScalar(uint256,uint256)")[:4]
                with pytest.raises(RevertedError) as caught:
                    cancun("batch", fn, dtype, 1, bytes(8))
                assert caught.value.data == wanted + encode(["uint256"] * 2, [fn, dtype])


@pytest.mark.parametrize("evm", ["cancun", "osaka"])
def test_all_functions_fit_a_contract_beside_other_code(evm: str) -> None:
    assert len(compiled("ScalarHarness", "osaka" if evm == "osaka" else "cancun").deployed) < 20_000
