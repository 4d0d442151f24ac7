"""SHPLONK: many polynomials, each opened at several points, by one pairing check.

Polynomials opened at the same rotations form a set. Powers of zeta combine those of a set, powers
of nu combine the sets, and everything is checked at the random point mu.

References
----------
Boneh, Drake, Fisch, Gabizon, "Efficient polynomial commitment schemes for multiple points and
polynomials", https://eprint.iacr.org/2020/081, section 4, in which gamma is our zeta and nu, z
is our mu. The equation is divided by the vanishing polynomial of the points outside of the first
set, at mu, as halo2's prover does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from verifiable.crypto.bn254 import invert_all
from verifiable.crypto.felt import MODULUS
from verifiable.proofs.halo2.constraints import Commitment, Query, System


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One polynomial of a set."""

    commitment: Commitment
    evaluations: tuple[int, ...]
    """Indices into the values, one a rotation of the set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationSet:
    """Polynomials that are opened at the same rotations."""

    rotations: tuple[int, ...]
    """Ascending."""
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """The opening as one linear combination of points, but for the two points of the proof."""

    commitments: Mapping[Commitment, int]
    """Scalar of each commitment."""
    generator: int
    """Scalar of the generator of G1: minus the combined values of the interpolants."""
    quotient: int
    """Scalar of the first point of the opening proof."""


def opening_order(system: System) -> list[tuple[Query, int]]:
    """Every query with the index of its value, in the order in which halo2 combines them.

    Advice columns; running products; running sums and multiplicities; fixed columns; permutation
    polynomials; h; the random polynomial. The value of h(x) follows those of the proof.
    """
    groups = [query.commitment.group for query in system.queries]
    advice = next(i for i, q in enumerate(system.queries) if not _is_advice(system, q))
    random = groups.index("proof", advice)
    sigmas = random + 1 + len([g for g in groups if g == "permutation"])
    order = [*range(advice)]
    for chunk in system.permutation:
        order += [chunk.z, chunk.z_next]
    order += [chunk.z_last for chunk in system.permutation if chunk.z_last is not None]
    for lookup in system.lookups:
        order += [lookup.phi, lookup.phi_next, lookup.multiplicity]
    order += [*range(advice, random), *range(random + 1, sigmas)]
    queries = [(system.queries[i], i) for i in order]
    h = Query(commitment=Commitment(group="quotient", index=0), rotation=0)
    return [*queries, (h, len(system.queries)), (system.queries[random], random)]


def _is_advice(system: System, query: Query) -> bool:
    return query.commitment.group == "proof" and query.commitment.index < system.advice


def rotation_sets(queries: Sequence[tuple[Query, int]]) -> tuple[RotationSet, ...]:
    """Group polynomials by the rotations at which they are opened.

    Sets, and polynomials within a set, stand in the order in which they first occur.

    Parameters
    ----------
    queries : sequence of (Query, int)
        No query twice; the number is the index of the value.

    Examples
    --------
    >>> a, b = (Commitment(group="proof", index=i) for i in (0, 1))
    >>> order = [Query(commitment=c, rotation=r) for c, r in ((a, 0), (b, 0), (a, -1))]
    >>> sets = rotation_sets([(query, i) for i, query in enumerate(order)])
    >>> [(s.rotations, [m.evaluations for m in s.members]) for s in sets]
    [((-1, 0), [(2, 0)]), ((0,), [(1,)])]
    """
    values: dict[Commitment, dict[int, int]] = {}
    for query, index in queries:
        turns = values.setdefault(query.commitment, {})
        assert query.rotation not in turns, query
        turns[query.rotation] = index
    sets: dict[tuple[int, ...], list[Member]] = {}
    for commitment, turns in values.items():
        rotations = tuple(sorted(turns))
        member = Member(commitment=commitment, evaluations=tuple(turns[r] for r in rotations))
        sets.setdefault(rotations, []).append(member)
    return tuple(RotationSet(rotations=r, members=tuple(m)) for r, m in sets.items())


def combine(
    sets: Sequence[RotationSet],
    points: Mapping[int, int],
    values: Sequence[int],
    *,
    zeta: int,
    nu: int,
    mu: int,
) -> Combination:
    """Write the opening as one linear combination.

    Parameters
    ----------
    sets : sequence of RotationSet
    points : mapping of int to int
        ``x * omega**rotation`` for every rotation.
    values : sequence of int
        What the polynomials are claimed to be, by `Member.evaluations`.
    zeta, nu, mu : int
        Challenges, as felts.

    Raises
    ------
    ZeroDivisionError
        If mu is one of the points, or two points are the same: a challenge of negligible
        probability, for which there is no answer.
    """
    # One batch of inversions for the Lagrange bases of all sets and for the vanishing polynomials.
    denominators = []
    for group in sets:
        for r in group.rotations:
            denominator = (mu - points[r]) % MODULUS
            for other in group.rotations:
                if other != r:
                    denominator = denominator * (points[r] - points[other]) % MODULUS
            denominators.append(denominator)
    vanishing = []
    for group in sets:
        z = 1
        for r in group.rotations:
            z = z * (mu - points[r]) % MODULUS
        vanishing.append(z)
    inverses = iter(invert_all([*denominators, *vanishing]))

    bases = [
        [z * next(inverses) % MODULUS for _ in group.rotations]
        for group, z in zip(sets, vanishing, strict=True)
    ]
    commitments: dict[Commitment, int] = {}
    claimed = 0
    power = 1
    for group, basis in zip(sets, bases, strict=True):
        # The points outside of this set vanish over those outside of the first set, at mu.
        weight = power * vanishing[0] % MODULUS * next(inverses) % MODULUS
        for member in group.members:
            commitments[member.commitment] = weight
            interpolant = sum(values[i] * b for i, b in zip(member.evaluations, basis, strict=True))
            claimed = (claimed + weight * interpolant) % MODULUS
            weight = weight * zeta % MODULUS
        power = power * nu % MODULUS
    return Combination(commitments=commitments, generator=-claimed, quotient=-vanishing[0])
