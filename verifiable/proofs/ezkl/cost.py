"""What a circuit will cost, from its calibrated settings alone.

The proving key of halo2 holds, for each fixed and each permutation column, its values, its
polynomial and its extended coset, and three more extended cosets; that is exact. How many
columns there are follows from the levers; the rules below were read off 90 circuits built with
ezkl 23.0.5 and predict key bytes within a few percent. Memory, time and gas are linear fits over
measured runs; ``scripts/bench.py zk`` prints predicted against measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from verifiable.proofs.ezkl.settings import candidate_of
from verifiable.proofs.protocol import Estimate

FIELD_BYTES = 32
POINT_BYTES = 64

# Fixed columns that ezkl's simple selectors share after compression, by inner columns.
_SHARED_SELECTORS = {1: 3, 2: 5, 3: 6, 4: 6, 5: 7, 6: 8}

# Fits over circuits of k = 9..18 on two cores, in the units their names say.
_BASE_MEMORY = 28e6
_MEMORY_PER_KEY_BYTE = 2.25
_SECONDS_START = 0.3
_PROVE_SECONDS_PER_KEY_BYTE = 50e-9
_SETUP_SECONDS_PER_KEY_BYTE = 33e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Size of the constraint system, in columns and lookup arguments."""

    k: int
    inner: int
    advice: int
    fixed: int
    permuted: int
    lookups: int
    extension: int
    """Extended domain over domain: the quotient's degree, rounded up to a power of two."""
    instances: int

    @property
    def rows(self) -> int:
        """Rows of the circuit, ``2**k``."""
        return 1 << self.k

    @property
    def key_bytes(self) -> int:
        """Size of the proving key's polynomials."""
        columns = (self.fixed + self.permuted) * (2 + self.extension) + 3 * self.extension
        return columns * self.rows * FIELD_BYTES

    @property
    def permutation_products(self) -> int:
        """Grand products of the permutation argument, a few columns each."""
        per_product = 3 if self.extension == 4 else 6
        return -(-self.permuted // per_product)

    @property
    def points(self) -> int:
        """Commitments in a proof."""
        quotient = self.extension if self.extension == 4 else 7
        return self.advice + 2 * self.lookups + self.permutation_products + 1 + quotient + 2

    @property
    def evaluations(self) -> int:
        """Evaluations in a proof."""
        queries = self.advice + 2 * self.inner + self.fixed + self.permuted + 1
        return queries + 3 * self.permutation_products + 3 * self.lookups

    @property
    def proof_bytes(self) -> int:
        """Length of a proof."""
        return self.points * POINT_BYTES + self.evaluations * FIELD_BYTES


def shape(settings: Mapping[str, Any]) -> Shape:
    """Derive the size of the constraint system from calibrated settings."""
    args = settings["run_args"]
    k, inner = int(args["logrows"]), int(args["num_inner_cols"])
    # Six rows at the end of each column are halo2's blinding.
    usable = (1 << k) - 6
    modules = settings["module_sizes"]
    hashed = int(modules["poseidon"][0] > 0)
    committed = len(modules["polycommit"])
    ranges, tables = settings["required_range_checks"], settings["required_lookups"]
    shuffled = int(settings["num_shuffles"] > 0 or settings["num_dynamic_lookups"] > 0)
    contracted = int(settings["einsum_params"]["total_einsum_col_size"] > 0)

    low, high = args["lookup_range"]
    table_columns = -(-(high - low + 1) // usable)
    range_columns = sum(-(-(high - low + 1) // usable) for low, high in ranges)
    constants = -(-max(settings["total_const_size"], 1) // usable)

    permuted = 3 * inner + 2 + 4 * hashed + committed + 3 * shuffled + 6 * inner * contracted
    fixed = (
        range_columns
        + (table_columns * (len(tables) + 1) if tables else 0)
        + constants
        + inner * (len(ranges) + len(tables))
        + _SHARED_SELECTORS[min(inner, 6)]
        + 5 * hashed
        + (1 + inner) * shuffled
        + 9 * contracted
    )
    arguments = inner * (range_columns + table_columns * len(tables))
    if inner > 4:  # a higher degree lets halo2 put two lookups into one argument
        arguments //= 2
    return Shape(
        k=k,
        inner=inner,
        advice=permuted - 2,
        fixed=fixed,
        permuted=permuted,
        lookups=arguments + shuffled,
        extension=8 if hashed or shuffled or inner >= 4 else 4,
        instances=_instances(settings),
    )


def _instances(settings: Mapping[str, Any]) -> int:
    elements = sum(prod(extents) for extents in settings["model_instance_shapes"])
    return int(elements + sum(settings["module_sizes"]["poseidon"][1]))


def estimate(settings: Mapping[str, Any], error: float) -> Estimate:
    """Predict what a circuit with these settings costs.

    Parameters
    ----------
    settings : mapping
        Calibrated settings; their ``logrows`` is the k that will be used.
    error : float
        Largest error found at these settings; carried over.
    """
    size = shape(settings)
    key = size.key_bytes
    return Estimate(
        rows=int(settings["num_rows"]),
        k=size.k,
        key_bytes=key,
        peak_memory=peak_memory(key),
        setup_seconds=_SECONDS_START + _SETUP_SECONDS_PER_KEY_BYTE * key,
        prove_seconds=_SECONDS_START + _PROVE_SECONDS_PER_KEY_BYTE * key,
        proof_bytes=size.proof_bytes,
        gas=gas(size),
        error=error,
        settings=candidate_of(settings).levers,
    )


def peak_memory(key_bytes: int) -> int:
    """Bytes that proving with a key of so many bytes takes at its peak."""
    return int(_BASE_MEMORY + _MEMORY_PER_KEY_BYTE * key_bytes)


def gas(size: Shape) -> int:
    """Gas of the bare verifier: transaction, calldata, pairing, one multiplication a point."""
    calldata = 16 * (size.proof_bytes + FIELD_BYTES * (size.instances + 5))
    opened = size.points + size.fixed + size.permuted
    constraints = 500 * size.evaluations + 900 * size.instances
    return 21_000 + calldata + 113_000 + 6_900 * opened + constraints
