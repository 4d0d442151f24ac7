"""Scalar functions as contracts compute them: the harnesses compiled, run, and given operands."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from anvil import Anvil, start
from compiled import compiled as compile_once
from scalar_signatures import signatures

from verifiable.chain.abi import Abi, decode_result, encode_call
from verifiable.chain.embedded import EmbeddedChain
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import DType, Scalar
from verifiable.ops.scalar import apply
from verifiable.solidity.artifacts import sources
from verifiable.solidity.standard import Artifact, EvmVersion, Settings

HARNESS = Path(__file__).with_name("harness")
GAS = 10**11
"""For one batch: these calls are no transactions."""
ROWS = 2_000
"""Of one batch: memory grows dearer with its square."""


def compiled(name: str, evm: EvmVersion, runs: int = 10_000) -> Artifact:
    """A harness and what it imports, compiled once per run."""
    harness = f"harness/{name}.sol"
    text = {**sources(evm), harness: (HARNESS / f"{name}.sol").read_text()}
    return compile_once(text, [harness], Settings(evm=evm, runs=runs))[name]


@dataclass(frozen=True, slots=True)
class Machine:
    """A harness, ready to be called."""

    abi: Abi
    run: Callable[[bytes], bytes]
    """Calldata, and what it returns."""

    def __call__(self, name: str, *arguments: object) -> Any:
        values = decode_result(self.abi, name, self.run(encode_call(self.abi, name, arguments)))
        return values[0] if len(values) == 1 else values


def embedded(name: str) -> Machine:
    """A harness at the Cancun rules, in this process."""
    artifact = compiled(name, "cancun")
    chain = EmbeddedChain()
    address = chain.deploy(artifact.bytecode).address
    return Machine(artifact.abi, lambda data: chain.call(address, data, gas=GAS))


def osaka_node() -> AbstractContextManager[Anvil]:
    """A node at the Osaka rules; this process's EVM knows none of its opcodes."""
    return start("--hardfork", "osaka", "--gas-limit", str(GAS))


def on_node(node: Anvil, name: str) -> Machine:
    """A harness on such a node."""
    artifact = compiled(name, "osaka")
    address = "0x" + hashlib.sha256(name.encode()).hexdigest()[:40]
    node.ask("anvil_setCode", address, "0x" + artifact.deployed.hex())

    def run(data: bytes) -> bytes:
        call = {"to": address, "data": "0x" + data.hex(), "gas": hex(GAS)}
        return bytes.fromhex(node.ask("eth_call", call, "latest")[2:])

    return Machine(artifact.abi, run)


@dataclass(frozen=True, slots=True)
class Case:
    """One scalar function on operands of given dtypes."""

    function: Scalar
    dtypes: tuple[DType, ...]
    gives: DType

    @property
    def name(self) -> str:
        return f"{self.function.name.lower()}-{self.dtypes[-1].word}"


CASES = tuple(Case(*signature) for signature in signatures())
"""Every function on every dtype that canon/1 defines it for."""
ARITHMETIC = tuple(
    case
    for case in CASES
    if case.function.value < Scalar.EXP.value
    or case.function in {Scalar.FLOOR, Scalar.ROUND, Scalar.LT, Scalar.LE, Scalar.EQ}
)


def widened(x: Array) -> Array:
    """Bits of elements in the low bits of 64."""
    unsigned = np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")
    return np.asarray(unsigned.astype(np.uint64))


def contract_results(machine: Machine, case: Case, operands: Sequence[Array]) -> Array:
    """Bits of what the harness's contract gives for each row of operands."""
    rows = np.stack([widened(x) for x in operands], axis=1).astype(">u8")
    found = []
    for first in range(0, len(rows), ROWS):
        block = rows[first : first + ROWS]
        fn, dtype = case.function.value, case.dtypes[-1].value
        answer = machine("batch", fn, dtype, len(operands), block.tobytes())
        found.append(np.frombuffer(answer, ">u8"))
    return np.concatenate(found).astype(np.uint64)


def check(machine: Machine, case: Case, operands: Sequence[Array], seed: object) -> None:
    """The contract's bits are the reference's."""
    found = contract_results(machine, case, operands)
    wanted = widened(apply(case.function, operands))
    differ = np.flatnonzero(found != wanted)
    if len(differ):
        i = int(differ[0])
        row = ", ".join(f"{int(widened(x)[i]):#x}" for x in operands)
        got = f"got {int(found[i]):#x}, wanted {int(wanted[i]):#x}"
        raise AssertionError(f"{case.name}({row}): {got}; {len(differ)} differ; seed {seed}")


# Zeros, ends of the subnormals and normals, infinities, NaNs of both signs, quiet and signalling;
# ones, halves and other ties and their neighbours; powers of two whose products and sums are at an
# end of the range.
PAIRED = (
    0x00000000, 0x00000001, 0x00000003, 0x007FFFFF, 0x00400000, 0x00800000, 0x00800001, 0x00FFFFFF,
    0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3F000000,
    0x3FC00000, 0x4B000001, 0x4B7FFFFF, 0x4B800000, 0x1F800000, 0x1FFFFFFF, 0x20000000, 0x5F7FFFFF,
    0x5F800000, 0x33800000, 0x33800001, 0x34000000,
)  # fmt: skip
# What of these three operands may be.
TRIPLED = (
    0x00000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x00800001, 0x7F7FFFFF, 0x7F800000, 0x7FC00001,
    0x3F800000, 0x3F7FFFFF, 0x33800001, 0x4B800001, 0x1F800000,
)  # fmt: skip
# Where functions of one operand change their branch, round to whole numbers or leave a dtype.
ALONE = (
    0x3EFFFFFF, 0x3F000001, 0x40200000, 0x4A800001, 0x4AFFFFFF, 0x42FE0000, 0x42FFFFFF, 0x437F8000,
    0x4EFFFFFF, 0x5EFFFFFF, 0x3F200000, 0x3F1FFFFF, 0x3F700000, 0x3F6FFFFF, 0x407C0000, 0x41200000,
    0x42D00000, 0x42CFFFFF, 0x42B17218, 0x42B17217, 0x42AEAC50, 0x42CFF1B5, 0x3F2AAAAB, 0x3F2AAAAA,
    0x3FAAAAAB, 0x3FAAAAAA, 0x497FFFFF, 0x40490FDB, 0x3FC90FDB, 0x3FC90FDA, 0x7FFFFFFF, 0x7FBFFFFF,
)  # fmt: skip


def floats(bits: Sequence[int] | Array) -> Array:
    return np.array(bits, np.uint32).view(np.float32)


def signed(magnitudes: Sequence[int]) -> Array:
    return floats([bits | sign for bits in magnitudes for sign in (0, 1 << 31)])


def boundaries() -> Array:
    """Both neighbours of every power of two, and it."""
    powers = [e << 23 for e in range(255)]
    return signed(sorted({p + d for p in powers for d in (-1, 0, 1) if p + d >= 0}))


def edges(dtype: DType, arity: int) -> Array:
    """Values at ends and ties, fewer where there are more operands."""
    if dtype is DType.F32:
        if arity == 1:
            return np.concatenate([signed((*PAIRED, *ALONE)), boundaries()])
        return signed(PAIRED if arity == 2 else TRIPLED)
    if dtype is DType.BOOL:
        return np.array([False, True])
    ends = np.iinfo(dtype.numpy)
    near = {0, 1, 2, 30, 31, 32, 63, 64, ends.min, ends.min + 1, ends.max - 1, ends.max}
    near |= {-1, -2, -31, -64} if ends.min else set()
    if arity < 3:
        halves = {2**24 + 1, 2**24 + 3, 2**31, 2**31 - 1, 2**40 + 2**16, 2**63 - 2**38}
        near |= {s * v for v in halves for s in (-1, 1) if ends.min <= s * v <= ends.max}
    return np.array(sorted(near), dtype.numpy)


def grid(case: Case) -> list[Array]:
    """Every edge against every edge."""
    pools = [edges(dtype, len(case.dtypes)) for dtype in case.dtypes]
    columns = np.meshgrid(*[np.arange(len(pool)) for pool in pools], indexing="ij")
    return [pool[column.reshape(-1)] for pool, column in zip(pools, columns, strict=True)]


def thinned(operands: Sequence[Array], count: int) -> list[Array]:
    """About `count` rows, evenly spread by a stride that no row of a grid has."""
    step = max(1, len(operands[0]) // count) | 1
    return [x[::step] for x in operands]


def anything(numbers: np.random.Generator, dtype: DType, count: int) -> Array:
    """Any bits; of floats half near each other and near either end in exponent."""
    if dtype is DType.BOOL:
        return numbers.integers(0, 2, count).astype(np.bool_)
    width = 8 * dtype.itemsize
    bits = numbers.integers(0, 2**width, count, dtype=np.uint64)
    if dtype is DType.F32:
        centre = numbers.choice([1, 64, 127, 127, 127, 150, 190, 253])
        exponent = np.clip(numbers.integers(-30, 31, count) + centre, 0, 255).astype(np.uint64)
        # Long runs of equal bits make ties and carries.
        run = np.uint64(2**23 - 1) << numbers.integers(0, 24, count, dtype=np.uint64)
        fraction = np.where(numbers.random(count) < 0.5, bits, run) & np.uint64(2**23 - 1)
        near = (bits & np.uint64(1 << 31)) | exponent << np.uint64(23) | fraction
        bits = np.where(numbers.random(count) < 0.7, near, bits)
        return floats(bits.astype(np.uint32))
    small = numbers.integers(-70, 71, count).astype(dtype.numpy)
    wide = bits.astype(f"u{dtype.itemsize}").view(dtype.numpy)
    return np.where(numbers.random(count) < 0.3, small, wide)


def drawn(case: Case, seed: int, count: int) -> list[Array]:
    """Random operands; of an fma, a third nearly cancel and a third lie near a tie."""
    numbers = np.random.default_rng(seed)
    operands = [anything(numbers, dtype, count) for dtype in case.dtypes]
    if case.function in {Scalar.ADD, Scalar.SUB} and case.dtypes[0] is DType.F32:
        third = slice(0, count // 3)
        nudge = numbers.integers(-3, 4, count).astype(np.int32)[third]
        sign = np.int32(-(2**31)) * numbers.integers(0, 2, count).astype(np.int32)[third]
        operands[1][third] = ((operands[0][third].view(np.int32) + nudge) ^ sign).view(np.float32)
    if case.function is Scalar.FMA:
        _hard_sums(numbers, operands, count // 3)
    return operands


def _hard_sums(numbers: np.random.Generator, operands: list[Array], third: int) -> None:
    x, y, z = operands
    with np.errstate(all="ignore"):
        product = np.asarray(x * y)
    nudge = numbers.integers(-2, 3, third).astype(np.int32)
    z[:third] = (-product[:third].view(np.int32) + nudge).view(np.float32)
    # A power of two times a power of two, half of the last place of the third, or next to it.
    tie = slice(third, 2 * third)
    place = (z[tie].view(np.int32) >> 23) & 255
    first = numbers.integers(1, 255, third)
    second = np.clip(place - 24 + 127 - first + 127, 0, 254)
    odd = numbers.integers(0, 2, (2, third))
    for operand, field, low in ((x, first, odd[0]), (y, second, odd[1])):
        sign = numbers.integers(0, 2, third) << 31
        operand[tie] = floats((sign | field << 23 | low).astype(np.uint32))
