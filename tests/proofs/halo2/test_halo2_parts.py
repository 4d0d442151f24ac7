"""The parts of the verifier, each against arithmetic on whole polynomials or whole columns."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.felt import MODULUS
from verifiable.proofs.halo2.argument import (
    DELTA,
    Values,
    evaluate,
    lookup_constraints,
    permutation_constraints,
)
from verifiable.proofs.halo2.constraints import (
    Challenge,
    Commitment,
    Constant,
    Evaluation,
    Expressions,
    Known,
    Lookup,
    Negation,
    PermutationSet,
    Product,
    Query,
    Sum,
    Variable,
)
from verifiable.proofs.halo2.shplonk import combine, rotation_sets
from verifiable.proofs.halo2.transcript import Transcript
from verifiable.types import Felt

felts = st.integers(0, MODULUS - 1)
Polynomial = list[int]


def draw(rng: random.Random, count: int) -> list[int]:
    """Challenges: what holds for all but negligibly few must not be asked of chosen ones."""
    return [rng.randrange(1, MODULUS) for _ in range(count)]


def value(p: Polynomial, x: int) -> int:
    return sum(c * pow(x, i, MODULUS) for i, c in enumerate(p)) % MODULUS


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    result = [0] * (len(a) + len(b) - 1)
    for (i, x), (j, y) in itertools.product(enumerate(a), enumerate(b)):
        result[i + j] = (result[i + j] + x * y) % MODULUS
    return result


def plus(a: Polynomial, b: Polynomial, factor: int = 1) -> Polynomial:
    pairs = itertools.zip_longest(a, b, fillvalue=0)
    return [(x + factor * y) % MODULUS for x, y in pairs]


def divide(p: Polynomial, root: int) -> Polynomial:
    """Exact division by ``X - root``."""
    quotient: Polynomial = []
    carry = 0
    for c in reversed(p):
        carry = (carry * root + c) % MODULUS
        quotient.append(carry)
    assert quotient.pop() == 0
    return quotient[::-1] or [0]


def interpolate(points: list[tuple[int, int]]) -> Polynomial:
    result: Polynomial = [0]
    for x, y in points:
        term = [y]
        for other, _ in points:
            if other != x:
                inverse = pow(x - other, -1, MODULUS)
                term = times(term, [-other * inverse % MODULUS, inverse])
        result = plus(result, term)
    return result


@given(
    turns=st.lists(st.sets(st.sampled_from([-6, -1, 0, 1]), min_size=1), min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
    lie=st.booleans(),
)
def test_combination_is_that_of_the_paper(turns: list[set[int]], seed: int, lie: bool) -> None:
    # The prover of BDFG20 section 4, with tau in the open, so that commitments are plain felts.
    rng = random.Random(seed)
    tau, x, zeta, nu, mu, omega = draw(rng, 6)
    polynomials = [draw(rng, 8) for _ in turns]
    names = [Commitment(group="proof", index=i) for i in range(len(turns))]
    points = {r: x * pow(omega, r, MODULUS) % MODULUS for r in (-6, -1, 0, 1)}
    queries: list[tuple[Query, int]] = []
    values: list[int] = []
    for name, polynomial, rotations in zip(names, polynomials, turns, strict=True):
        for rotation in rotations:
            queries.append((Query(commitment=name, rotation=rotation), len(values)))
            values.append(value(polynomial, points[rotation]))
    sets = rotation_sets(queries)
    used = {r for group in sets for r in group.rotations}

    combined: Polynomial = [0]
    at_mu: Polynomial = [0]
    first = 1
    for r in sets[0].rotations:
        first = first * (mu - points[r]) % MODULUS
    for i, group in enumerate(sets):
        outside = [pow(nu, i, MODULUS)]
        for r in sorted(used - set(group.rotations)):
            outside = times(outside, [-points[r], 1])
        for j, member in enumerate(group.members):
            p = polynomials[names.index(member.commitment)]
            r_poly = interpolate([(points[r], value(p, points[r])) for r in group.rotations])
            weight = pow(zeta, j, MODULUS)
            combined = plus(combined, times(outside, plus(p, r_poly, -1)), weight)
            shifted = plus(p, [value(r_poly, mu)], -1)
            at_mu = plus(at_mu, shifted, weight * value(outside, mu))
    w = combined
    vanishing = 1
    for r in used:
        w = divide(w, points[r])
        vanishing = vanishing * (mu - points[r]) % MODULUS
    opened = plus(at_mu, w, -vanishing)
    scale = first * pow(vanishing, -1, MODULUS)
    second = [c * scale % MODULUS for c in divide(opened, mu)]

    if lie:
        values[rng.randrange(len(values))] += 1
    got = combine(sets, points, values, zeta=zeta, nu=nu, mu=mu)
    left = got.generator + got.quotient * value(w, tau) + mu * value(second, tau)
    for commitment, scalar in got.commitments.items():
        left += scalar * value(polynomials[names.index(commitment)], tau)
    assert ((left - tau * value(second, tau)) % MODULUS != 0) == lie


ROWS, BLINDED = 16, 5
LAST = ROWS - BLINDED - 1


def known_at(row: int, beta: int, gamma: int, theta: int, omega: int) -> dict[Variable, int]:
    return {
        "l_0": int(row == 0),
        "l_last": int(row == LAST),
        "l_blind": int(row > LAST),
        "x": pow(omega, row, MODULUS),
        "beta": beta,
        "gamma": gamma,
        "theta": theta,
        "instance": 0,
    }


@given(data=st.data(), seed=st.integers(), table=st.lists(felts, min_size=LAST, max_size=LAST))
def test_lookups_hold_on_every_row_just_if_inputs_are_in_the_table(
    data: st.DataObject, seed: int, table: list[int]
) -> None:
    beta, theta = draw(random.Random(seed), 2)
    inputs = [data.draw(st.sampled_from(table)) for _ in range(LAST)]
    outside = data.draw(st.none() | st.integers(0, LAST - 1))
    if outside is not None:
        inputs[outside] = next(x for x in itertools.count() if x not in table)

    def compress(v: int) -> int:
        # Pairs (v, v + 1), so that theta matters.
        return (v * theta + v + 1 + beta) % MODULUS

    count = [0] * ROWS
    for v in inputs:
        if v in table:
            count[table.index(v)] += 1
    phi = [0]
    for i in range(LAST):
        step = pow(compress(inputs[i]), -1, MODULUS)
        step -= count[i] * pow(compress(table[i]), -1, MODULUS)
        phi.append((phi[-1] + step) % MODULUS)
    padded = [[*column, *([7] * ROWS)][:ROWS] for column in (inputs, table, phi)]

    def pair(i: int) -> Expressions:
        return Expressions(nodes=(Evaluation(i), Constant(Felt(1)), Sum(0, 1)), roots=(0, 2))

    lookup = Lookup(inputs=pair(0), table=pair(1), phi=2, phi_next=3, multiplicity=4)
    failed = set()
    for row in range(ROWS):
        after = padded[2][(row + 1) % ROWS]
        evaluations = [*(column[row] for column in padded), after, count[row]]
        known = known_at(row, beta, 0, theta, 1)
        values = Values(evaluations=evaluations, challenges=[], known=known)
        failed |= {i for i, v in enumerate(lookup_constraints(lookup, values)) if v}
    assert failed == (set() if outside is None else {1})


@given(
    data=st.data(),
    seed=st.integers(),
    column=st.lists(felts, min_size=2 * LAST, max_size=2 * LAST),
)
def test_copies_hold_on_every_row_just_if_they_are_equal(
    data: st.DataObject, seed: int, column: list[int]
) -> None:
    beta, gamma = draw(random.Random(seed), 2)
    omega = pow(7, (MODULUS - 1) // ROWS, MODULUS)
    cells = [(c, r) for c in range(2) for r in range(LAST)]
    cell_value = dict(zip(cells, column, strict=True))
    turn = data.draw(st.permutations(cells))[:3]
    for cell in turn[1:]:
        cell_value[cell] = cell_value[turn[0]]
    broken = data.draw(st.booleans())
    if broken:
        cell_value[turn[1]] = (cell_value[turn[0]] + 1) % MODULUS
    image = {cell: cell for cell in itertools.product(range(2), range(ROWS))}
    image |= dict(zip(turn, [*turn[1:], turn[0]], strict=True))

    def name(cell: tuple[int, int]) -> int:
        return pow(DELTA, cell[0], MODULUS) * pow(omega, cell[1], MODULUS) % MODULUS

    # Two sets of one column each.
    z: list[list[int]] = []
    product = 1
    for c in range(2):
        z.append([product])
        for r in range(LAST):
            v = cell_value[c, r]
            product = product * (v + beta * name((c, r)) + gamma)
            product = product * pow(v + beta * name(image[c, r]) + gamma, -1, MODULUS) % MODULUS
            z[c].append(product)
        z[c] += [7] * (ROWS - LAST - 1)
    sets = [
        PermutationSet(columns=(0,), sigmas=(2,), z=4, z_next=5, z_last=8),
        PermutationSet(columns=(1,), sigmas=(3,), z=6, z_next=7, z_last=None),
    ]
    failed = set()
    for row in range(ROWS):
        evaluations = [cell_value.get((c, row), 3) for c in range(2)]
        evaluations += [name(image[c, row]) for c in range(2)]
        for c in range(2):
            evaluations += [z[c][row], z[c][(row + 1) % ROWS]]
        evaluations.append(z[0][(row + LAST) % ROWS])
        known = known_at(row, beta, gamma, 0, omega)
        values = Values(evaluations=evaluations, challenges=[], known=known)
        failed |= {i for i, v in enumerate(permutation_constraints(sets, values)) if v}
    assert failed == ({1} if broken else set())


@given(a=felts, b=felts, c=felts)
def test_expressions_mean_what_they_say(a: int, b: int, c: int) -> None:
    nodes = (Evaluation(0), Challenge(0), Known("beta"), Product(0, 1), Negation(2), Sum(3, 4))
    values = Values(evaluations=[a], challenges=[b], known={"beta": c})
    found = evaluate(Expressions(nodes=nodes, roots=(5, 0)), values)
    assert found == [(a * b - c) % MODULUS, a]


def test_delta_generates_the_subgroup_of_odd_order() -> None:
    odd = (MODULUS - 1) >> 28
    assert pow(DELTA, odd, MODULUS) == 1
    # The prime factors of the odd part.
    primes = (3, 13, 29, 983, 11003, 237073, 405928799, 1670836401704629)
    assert all(odd % p == 0 and pow(DELTA, odd // p, MODULUS) != 1 for p in primes)


@given(st.lists(felts, max_size=4))
def test_challenges_depend_on_all_that_was_said(words: list[int]) -> None:
    def drawn(values: list[int], count: int) -> list[int]:
        transcript = Transcript(Felt(1))
        for v in values:
            transcript.absorb_felt(v)
        return [transcript.draw() for _ in range(count)]

    challenges = drawn(words, 3)
    assert challenges == drawn(words, 3)
    assert len(set(challenges)) == 3
    for i in range(len(words)):
        assert drawn([*words[:i], words[i] ^ 1, *words[i + 1 :]], 1)[0] != challenges[0]


def test_absorbs_32_byte_words_and_a_one_when_there_is_nothing() -> None:
    from Crypto.Hash import keccak

    first = keccak.new(digest_bits=256, data=(5).to_bytes(32, "big") + b"\1").digest()
    second = keccak.new(digest_bits=256, data=first + (9).to_bytes(32, "big")).digest()
    transcript = Transcript(Felt(5))
    assert transcript.draw() == int.from_bytes(first, "big") % MODULUS
    transcript.absorb_felt(9)
    assert transcript.draw() == int.from_bytes(second, "big") % MODULUS


def test_a_challenge_that_is_an_opened_point_has_no_answer() -> None:
    a = Commitment(group="proof", index=0)
    sets = rotation_sets([(Query(commitment=a, rotation=0), 0)])
    with pytest.raises(ZeroDivisionError):
        combine(sets, {0: 5}, [1], zeta=2, nu=3, mu=5)
