"""The Poseidon hash that ezkl commits to tensors with.

Width 2, rate 1, S-box x**5, 8 full and 56 partial rounds over the BN254 scalar field; constants
from the Grain generator of the paper. The sponge absorbs one felt a permutation, whatever the
length of the message, and the capacity starts at 2**64, the tag of the length 1.

The length is thus not part of the hash, and two messages of different lengths are only kept apart
by the permutation. A verifier must know the length of a tensor from elsewhere, as ours does
from the settings.

References
----------
Grassi et al., "Poseidon: A New Hash Function for Zero-Knowledge Proof Systems", USENIX Security
2021, section 4 and appendix E (Grain LFSR); the capacity's tag is that of the halo2 book,
"Poseidon", for messages of constant length. Found by comparing with ezkl 23.0.5.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Final

from verifiable.crypto.felt import MODULUS
from verifiable.errors import EncodingError
from verifiable.types import Felt

WIDTH: Final = 2
FULL_ROUNDS: Final = 8
PARTIAL_ROUNDS: Final = 56
_BITS: Final = MODULUS.bit_length()
# The tag of the constant-length domain is the length times 2**64; ezkl's is always that of 1.
_CAPACITY: Final = 1 << 64

_Pair = tuple[int, int]


def poseidon_hash(message: Sequence[Felt]) -> Felt:
    """Hash a tensor's felts, row-major, as ezkl does for ``hashed`` visibility.

    Costs one permutation, about 0.25 ms, for each felt.

    Parameters
    ----------
    message : sequence of Felt
        At least one.

    Raises
    ------
    EncodingError
        If the message is empty.
    """
    if not message:
        raise EncodingError("Poseidon of an empty tensor is not defined")
    rate, capacity = 0, _CAPACITY
    for x in message:
        rate, capacity = permute((rate + x, capacity))
    return Felt(rate)


def permute(state: _Pair) -> _Pair:
    """Apply the permutation to two field elements, which need not be reduced.

    Full rounds raise both to the fifth power, partial rounds the first only.
    """
    before, middle, after = _rounds()
    ((a, b), (c, d)) = mds_matrix()
    p = MODULUS
    x, y = state
    for k, m in before:
        x, y = x + k, y + m
        x, y = pow(x, 5, p), pow(y, 5, p)
        x, y = (a * x + b * y) % p, (c * x + d * y) % p
    for k, m in middle:
        x = (x + k) % p
        s = x * x % p
        x, y = x * (s * s % p) % p, y + m
        x, y = (a * x + b * y) % p, (c * x + d * y) % p
    for k, m in after:
        x, y = x + k, y + m
        x, y = pow(x, 5, p), pow(y, 5, p)
        x, y = (a * x + b * y) % p, (c * x + d * y) % p
    return x, y


def round_constants() -> tuple[_Pair, ...]:
    """Give the two constants added before each of the 64 rounds."""
    return _parameters()[0]


def mds_matrix() -> tuple[_Pair, _Pair]:
    """Give the matrix of the linear layer, row by row."""
    return _parameters()[1]


@cache
def _rounds() -> tuple[tuple[_Pair, ...], tuple[_Pair, ...], tuple[_Pair, ...]]:
    constants, half = round_constants(), FULL_ROUNDS // 2
    return constants[:half], constants[half:-half], constants[-half:]


@cache
def _parameters() -> tuple[tuple[_Pair, ...], tuple[_Pair, _Pair]]:
    grain = _grain()

    def integer() -> int:
        bits = "".join("1" if bit else "0" for bit in islice(grain, _BITS))
        return int(bits, 2)

    def below_r() -> int:
        while (x := integer()) >= MODULUS:
            pass
        return x

    rounds = FULL_ROUNDS + PARTIAL_ROUNDS
    constants = tuple((below_r(), below_r()) for _ in range(rounds))
    # A Cauchy matrix 1 / (x_i + y_j). These integers are reduced, not rejected.
    while True:
        x0, x1, y0, y1 = (integer() % MODULUS for _ in range(2 * WIDTH))
        if len({x0, x1, y0, y1}) == 2 * WIDTH:
            break
    p = MODULUS
    return constants, (
        (pow(x0 + y0, -1, p), pow(x0 + y1, -1, p)),
        (pow(x1 + y0, -1, p), pow(x1 + y1, -1, p)),
    )


def _grain() -> Iterator[bool]:
    """Yield the bits of the self-shrinking Grain LFSR, seeded with the parameters."""
    seed = (
        "01"  # a prime field
        "0000"  # S-box x**alpha
        f"{_BITS:012b}{WIDTH:012b}{FULL_ROUNDS:010b}{PARTIAL_ROUNDS:010b}" + "1" * 30
    )
    state = [bit == "1" for bit in seed]

    def step() -> bool:
        new = state[62] ^ state[51] ^ state[38] ^ state[23] ^ state[13] ^ state[0]
        state.pop(0)
        state.append(new)
        return new

    for _ in range(160):
        step()
    while True:
        # Of each pair, the first bit says whether the second is used.
        use, bit = step(), step()
        if use:
            yield bit
