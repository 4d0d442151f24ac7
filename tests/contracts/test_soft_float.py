"""The contracts' arithmetic of binary32 gives the bits of the reference, on both EVM targets."""

import random
from collections.abc import Iterator

import pytest
from anvil import Anvil
from hypothesis import given
from hypothesis import strategies as st
from scalar_machine import (
    ARITHMETIC,
    Case,
    Machine,
    check,
    drawn,
    embedded,
    grid,
    on_node,
    osaka_node,
    thinned,
)

from verifiable.graph.vocabulary import DType

pytestmark = pytest.mark.evm

CASES = [case for case in ARITHMETIC if case.dtypes[0] is DType.F32]
ROWS = 200
SEED = 20261122
# Gas of one operation on ordinary numbers.
MOST_GAS = {
    "osaka": {"add": 430, "mul": 300, "fma": 500, "div": 450, "sqrt": 540, "exp": 5_500},
    "cancun": {"add": 600, "mul": 300, "fma": 670, "div": 450, "sqrt": 710, "exp": 7_200},
}
OPERANDS = {
    "add": (0x3FA66666, 0x402CCCCD),
    "mul": (0x3FA66666, 0x402CCCCD),
    "fma": (0x3FA66666, 0x402CCCCD, 0x40466666),
    "div": (0x3FA66666, 0x402CCCCD),
    "sqrt": (0x40133333,),
    "exp": (0x3F8CCCCD,),
}


@pytest.fixture(scope="module")
def cancun() -> Machine:
    return embedded("ScalarHarness")


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with osaka_node() as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_special_values_give_the_bits_of_the_reference(cancun: Machine, case: Case) -> None:
    check(cancun, case, grid(case), "none, the grid")


@given(case=st.sampled_from(CASES), seed=st.integers(0, 2**32 - 1))
def test_any_bits_give_the_bits_of_the_reference(cancun: Machine, case: Case, seed: int) -> None:
    check(cancun, case, drawn(case, seed, ROWS), seed)


@pytest.mark.anvil
def test_the_osaka_build_gives_the_same_bits(node: Anvil) -> None:
    machine = on_node(node, "ScalarHarness")
    for case in CASES:
        check(machine, case, thinned(grid(case), 150), "none, the grid")
        check(machine, case, drawn(case, SEED, ROWS), SEED)


@pytest.mark.anvil
@pytest.mark.parametrize("evm", ["cancun", "osaka"])
def test_the_highest_bit_of_a_word_is_found(node: Anvil, evm: str) -> None:
    machine = embedded("FloatHarness") if evm == "cancun" else on_node(node, "FloatHarness")
    numbers = random.Random(SEED)
    words = [w for n in range(256) for w in (1 << n, (2 << n) - 1, numbers.getrandbits(n + 1))]
    words += [0, (1 << 255) + 1]
    found = machine("highestBits", words)
    for word, zeros, half in zip(words, found[::2], found[1::2], strict=True):
        assert zeros == 256 - word.bit_length(), hex(word)
        assert half == (1 << word.bit_length() >> 25), hex(word)


@pytest.mark.anvil
@pytest.mark.parametrize("evm", ["cancun", "osaka"])
def test_operations_on_ordinary_numbers_stay_cheap(node: Anvil, evm: str) -> None:
    machine = embedded("FloatHarness") if evm == "cancun" else on_node(node, "FloatHarness")
    gas = {name: machine(name, *operands)[0] for name, operands in OPERANDS.items()}
    assert all(gas[name] <= most for name, most in MOST_GAS[evm].items()), gas
