"""What must vanish on every row: the gates, the permutation argument, the lookup arguments.

The gates are the circuit's. The two arguments are written out here from the literature, from
nothing but the layout of columns and running products.

References
----------
The halo2 Book, "Permutation argument" (with columns split into sets and blinded rows). Haböck,
"Multivariate lookups based on logarithmic derivatives", https://eprint.iacr.org/2022/1530,
section 3.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, assert_never

from verifiable.crypto.felt import MODULUS
from verifiable.proofs.halo2.constraints import (
    Challenge,
    Constant,
    Evaluation,
    Expressions,
    Known,
    Lookup,
    Negation,
    PermutationSet,
    Product,
    Sum,
    System,
    Variable,
)

DELTA: Final = pow(7, 1 << 28, MODULUS)
"""Generator of the subgroup of odd order: ``DELTA**i * omega**j`` names row j of column i. 7
generates the whole multiplicative group, and ``r - 1`` is ``2**28`` times an odd number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Everything that stands at the leaves of the constraints, as felts."""

    evaluations: Sequence[int]
    challenges: Sequence[int]
    known: Mapping[Variable, int]


def evaluate(expressions: Expressions, values: Values) -> list[int]:
    """Value of each root, as felts.

    Examples
    --------
    >>> square = Expressions(nodes=(Evaluation(0), Product(0, 0)), roots=(1,))
    >>> evaluate(square, Values(evaluations=[5], challenges=[], known={}))
    [25]
    """
    at: list[int] = []
    for node in expressions.nodes:
        match node:
            case Sum(left, right):
                at.append((at[left] + at[right]) % MODULUS)
            case Product(left, right):
                at.append(at[left] * at[right] % MODULUS)
            case Negation(of):
                at.append(-at[of] % MODULUS)
            case Evaluation(index):
                at.append(values.evaluations[index])
            case Challenge(index):
                at.append(values.challenges[index])
            case Constant(value):
                at.append(value)
            case Known(name):
                at.append(values.known[name])
            case _:
                assert_never(node)
    return [at[root] for root in expressions.roots]


def constraints(system: System, values: Values) -> Iterator[int]:
    """Value at x of every constraint, in the order in which powers of y fold them.

    Gates; the permutation argument; three constraints a lookup.
    """
    for gate in system.gates:
        yield from evaluate(gate, values)
    yield from permutation_constraints(system.permutation, values)
    for lookup in system.lookups:
        yield from lookup_constraints(lookup, values)


def permutation_constraints(sets: Sequence[PermutationSet], values: Values) -> Iterator[int]:
    """Values that vanish if every copied cell equals its copies.

    The grand product starts at 1 in the first set, is handed on from the last usable row of a
    set to the first row of the next, ends at 1 (or 0, which happens with negligible
    probability), and grows on every usable row by the ratio of two products over the columns.
    """
    if not sets:
        return
    at, known = values.evaluations, values.known
    l_0, l_last = known["l_0"], known["l_last"]
    beta, gamma = known["beta"], known["gamma"]
    yield l_0 * (1 - at[sets[0].z]) % MODULUS
    last = at[sets[-1].z]
    yield l_last * (last * last - last) % MODULUS
    for before, after in pairwise(sets):
        assert before.z_last is not None
        yield l_0 * (at[after.z] - at[before.z_last]) % MODULUS

    usable = 1 - l_last - known["l_blind"]
    name = beta * known["x"] % MODULUS
    for chunk in sets:
        left, right = at[chunk.z_next], at[chunk.z]
        for column, sigma in zip(chunk.columns, chunk.sigmas, strict=True):
            value = known["instance"] if column == "instance" else at[column]
            left = left * (value + beta * at[sigma] + gamma) % MODULUS
            right = right * (value + name + gamma) % MODULUS
            name = name * DELTA % MODULUS
        yield usable * (left - right) % MODULUS


def lookup_constraints(lookup: Lookup, values: Values) -> Iterator[int]:
    """Values that vanish if the input is in the table on every usable row.

    With f the compressed input and t the compressed table, phi is the running sum of
    ``1 / (beta + f) - m / (beta + t)``, 0 in the first and in the last usable row.
    """
    at, known = values.evaluations, values.known
    phi = at[lookup.phi]
    yield known["l_0"] * phi % MODULUS
    yield known["l_last"] * phi % MODULUS
    f = _compress(evaluate(lookup.inputs, values), known["theta"]) + known["beta"]
    t = _compress(evaluate(lookup.table, values), known["theta"]) + known["beta"]
    step = f * t * (at[lookup.phi_next] - phi) - (t - at[lookup.multiplicity] * f)
    yield (1 - known["l_last"] - known["l_blind"]) * step % MODULUS


def _compress(values: Sequence[int], theta: int) -> int:
    result = 0
    for value in values:
        result = (result * theta + value) % MODULUS
    return result
