"""The contracts' Dot of two rows gives the bits of the reference, on both EVM targets."""

from collections.abc import Iterator

import numpy as np
import pytest
from anvil import Anvil
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scalar_machine import Machine, anything, embedded, floats, on_node, osaka_node

from verifiable.chain.revert import RevertedError
from verifiable.crypto.hashing import keccak256
from verifiable.graph.ir import Array, Dot, Index, TensorType
from verifiable.graph.vocabulary import DType
from verifiable.ops.dot import dot
from verifiable.ops.scalar.floats import fma
from verifiable.ops.values import canonical

pytestmark = pytest.mark.evm

F32 = NDArray[np.float32]
PAIRS = 12
SEED = 20261122
STYLES = ("plain", "sparse", "ends", "small", "anything", "cancelling", "odd", "large")
# Gas of a step of a row of 4096 ordinary elements, all else included.
MOST_GAS = {"osaka": 182, "cancun": 300}
MOST_GAS_I8 = 15
# Of the dearest elements there are, by which a compiler must reckon.
WORST_GAS = {"osaka": 1_560, "cancun": 1_900}


def rows(numbers: np.random.Generator, style: str, k: int) -> F32:
    """Pairs of rows, ``[PAIRS, 2, k]``; all but ``plain`` try where the fast way ends."""
    size = (PAIRS, 2, k)
    plain = numbers.standard_normal(size).astype(np.float32)
    if style == "sparse":
        plain *= numbers.integers(0, 2, size) * np.float32(-1)  # -0 too
    elif style == "ends":  # about 2^-51 and 2^34, inside and outside
        fields = numbers.choice([75, 76, 77, 159, 160, 161], size)
        fractions = numbers.choice([0, 1, 2**22, 2**23 - 1], size)
        signs = numbers.integers(0, 2, size) << 31
        return floats((signs | fields << 23 | fractions).astype(np.uint32))
    elif style == "small":  # sums and products that are subnormal or vanish
        return np.ldexp(plain, numbers.integers(-100, -20, size)).astype(np.float32)
    elif style == "anything":
        return anything(numbers, DType.F32, plain.size).reshape(size)
    elif style == "cancelling" and k > 1:
        half = k // 2
        plain[:, 0, half : 2 * half] = -plain[:, 0, :half]
        plain[:, 1, half : 2 * half] = plain[:, 1, :half]
    elif style == "odd":  # a few elements that are not ordinary among many that are
        bits = [0x7F800000, 0xFF800000, 0x7FC00001, 0x80000001, 0x00800000, 0x7F7FFFFF, 0x0D000000]
        odd = floats(bits)[numbers.integers(0, len(bits), size)]
    elif style == "large":  # sums from 2^64 to 2^127, and ordinary elements after them
        odd = np.ldexp(np.float32(1), numbers.integers(64, 128, size)).astype(np.float32)
    if style in {"odd", "large"}:
        return np.where(numbers.random(size) < 0.03, odd, plain)
    return plain


def elements(pairs: Array, chunk: int) -> Array:
    """What the reference gives for each pair of rows."""
    k = pairs.shape[2]
    integer = pairs.dtype != np.float32
    kind = TensorType(DType.I32 if integer else DType.F32, (len(pairs), 1, 1))
    step = Dot(type=kind, a=Index(0), b=Index(1), chunk=chunk)
    with np.errstate(all="ignore"):
        return dot(step, pairs[:, :1, :].reshape(-1, 1, k), pairs[:, 1:, :].reshape(-1, 1, k))


def chains(pairs: F32) -> F32:
    """One chain of fmas for each pair of rows."""
    total = np.zeros(len(pairs), np.float32)
    with np.errstate(all="ignore"):
        for k in range(pairs.shape[2]):
            total = fma(pairs[:, 0, k], pairs[:, 1, k], total)
    return np.asarray(canonical(total))


def same_bits(found: bytes, wanted: Array, what: str) -> None:
    got, want = (
        np.frombuffer(found, ">u4"),
        np.ascontiguousarray(wanted).reshape(-1).view(np.uint32),
    )
    differ = np.flatnonzero(got != want)
    assert not len(differ), f"{what}: pair {differ[0]}: {got[differ[0]]:#x}, {want[differ[0]]:#x}"


def check(machine: Machine, style: str, k: int, chunk: int, seed: int) -> None:
    pairs = rows(np.random.default_rng(seed), style, k)
    what = f"{style}, k {k}, chunk {chunk}, seed {seed}"
    encoded = pairs.astype(">f4").tobytes()
    same_bits(machine("f32", encoded, k, chunk), elements(pairs, chunk), what)
    same_bits(machine("chunks", encoded, k), chains(pairs), f"{what}, one chain")


def check_i8(machine: Machine, k: int, seed: int, *, signed: bool) -> None:
    numbers = np.random.default_rng(seed)
    least, most = (-128, 128) if signed else (0, 256)
    ends = numbers.choice([least, most - 1, 0, 1], (PAIRS, k))
    some = numbers.integers(least, most, (PAIRS, k))
    a = np.where(numbers.random((PAIRS, 1)) < 0.5, ends, some)
    b = np.where(
        numbers.random((PAIRS, 1)) < 0.5,
        numbers.choice([-128, 127, 0], (PAIRS, k)),
        numbers.integers(-128, 128, (PAIRS, k)),
    )
    wanted = (a * b).sum(axis=1).astype(np.int32)
    encoded = np.stack([a, b], axis=1).astype(np.uint8).tobytes()
    same_bits(machine("i8", encoded, k, signed), wanted, f"k {k}, signed {signed}, seed {seed}")


@pytest.fixture(scope="module")
def cancun() -> Machine:
    return embedded("DotHarness")


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with osaka_node() as found:
        yield found


@given(
    style=st.sampled_from(STYLES),
    k=st.integers(1, 70),
    chunk=st.sampled_from([1, 3, 8, 16, 31, 64, 256]),
    seed=st.integers(0, 2**32 - 1),
)
def test_floats_give_the_bits_of_the_reference(
    cancun: Machine, style: str, k: int, chunk: int, seed: int
) -> None:
    check(cancun, style, k, chunk, seed)


@given(k=st.integers(1, 200), signed=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_integers_give_the_exact_sum(cancun: Machine, k: int, signed: bool, seed: int) -> None:
    check_i8(cancun, k, seed, signed=signed)


@pytest.mark.parametrize("style", STYLES)
def test_long_rows_give_the_bits_of_the_reference(cancun: Machine, style: str) -> None:
    check(cancun, style, 1000, 256, SEED)


@pytest.mark.parametrize("k", [4096, 4100, 17_000])
def test_the_longest_chains_give_the_bits_of_the_reference(cancun: Machine, k: int) -> None:
    # Sums that grow as far as they can, one of them past 2^80.
    pairs = np.full((2, 2, k), floats([0x507FFFFF])[0])
    pairs[1, 0] *= -1
    pairs[1, 1, : k // 2] = 1
    wanted = chains(pairs)
    same_bits(cancun("chunks", pairs.astype(">f4").tobytes(), k), wanted, f"k {k}")


def test_a_sum_too_small_for_the_fast_way_is_kept(cancun: Machine) -> None:
    pairs = np.zeros((4, 2, 40), np.float32)
    pairs[:, 1] = 1
    pairs[:, 0, 0] = floats([0x80000001, 0x00000001, 0x80000003, 0x80800000])
    same_bits(cancun("chunks", pairs.astype(">f4").tobytes(), 40), pairs[:, 0, 0], "small")


@pytest.mark.anvil
def test_the_osaka_build_gives_the_same_bits(node: Anvil) -> None:
    machine = on_node(node, "DotHarness")
    for i, style in enumerate(STYLES):
        for k, chunk in ((1, 256), (29, 8), (70, 31), (300, 256)):
            check(machine, style, k, chunk, SEED + i)
    for k in (1, 31, 32, 33, 100):
        check_i8(machine, k, SEED, signed=True)
        check_i8(machine, k, SEED, signed=False)


@pytest.mark.slow
@pytest.mark.anvil
@pytest.mark.parametrize("style", STYLES)
def test_many_rows_give_the_bits_of_the_reference(cancun: Machine, node: Anvil, style: str) -> None:
    for machine in (cancun, on_node(node, "DotHarness")):
        for seed in range(20):
            check(machine, style, 1 + 37 * seed % 300, 64, seed)


def test_rows_without_elements_give_zero(cancun: Machine) -> None:
    assert cancun("gasF32", b"", 0, 256)[1] == 0
    assert cancun("gasI8", b"", 0, True)[1] == 0


def test_chunks_without_elements_are_refused(cancun: Machine) -> None:
    with pytest.raises(RevertedError) as caught:
        cancun("gasF32", bytes(8), 1, 0)
    assert caught.value.data == keccak256(b"EmptyChunks()")[:4]


@pytest.mark.anvil
@pytest.mark.parametrize("evm", ["cancun", "osaka"])
def test_a_step_stays_cheap(node: Anvil, evm: str) -> None:
    machine = embedded("DotHarness") if evm == "cancun" else on_node(node, "DotHarness")
    numbers = np.random.default_rng(SEED)
    k = 4096
    plain = numbers.standard_normal((2, k)).astype(">f4").tobytes()
    assert machine("gasF32", plain, k, 256)[0] / k <= MOST_GAS[evm]
    subnormal = numbers.integers(1, 2**23, (2, k)).astype(">u4").tobytes()
    mixed = np.stack([np.ones(k), floats(numbers.integers(1, 2**23, k))]).astype(">f4").tobytes()
    for worst in (subnormal, mixed):
        assert machine("gasF32", worst, k, 256)[0] / k <= WORST_GAS[evm]
    integers = numbers.bytes(2 * k)
    assert machine("gasI8", integers, k, True)[0] / k <= MOST_GAS_I8
