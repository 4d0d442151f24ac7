"""Verifying a halo2 proof as ezkl makes it: PLONK with logarithmic-derivative lookups, SHPLONK.

This is a second implementation. It shares no code with ezkl, halo2 or the emitted contract, and
runs none of them, nor a compiler, nor an EVM: `verify` is written from the literature.

What stays trusted
------------------
* The **gates**, the columns of the permutation, the lookups and the digest of the key come from
  the text of the emitted verifier, since the key's file has none of them. Whoever can change that
  text can make the circuit another one; a bundle's LOCK pins it by SHA-256. The commitments
  in the text are compared with the key's file by `read_key`.
* That the fixed columns behind those commitments are the model's: only setting up again shows it.
* The SRS: whoever knows its tau can prove anything. `verify` takes the points to trust.
* The arithmetic of this package. The text's permutation and lookup constraints
  and the order of its openings are not trusted: they must equal what is derived here.

References
----------
The halo2 Book, "Proving system". Haböck, https://eprint.iacr.org/2022/1530. Boneh, Drake, Fisch,
Gabizon, https://eprint.iacr.org/2020/081.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from verifiable.crypto.bn254 import (
    G1,
    G2,
    GENERATOR,
    invert_all,
    msm,
    negate,
    pairing_product_is_one,
    parse_g1,
)
from verifiable.crypto.felt import MODULUS, felt_from_bytes
from verifiable.crypto.srs import root_of_unity
from verifiable.errors import EncodingError, ProofRejectedError
from verifiable.proofs.halo2.argument import Values, constraints
from verifiable.proofs.halo2.constraints import System, Variable, VerifyingKey
from verifiable.proofs.halo2.emitted import read_emitted
from verifiable.proofs.halo2.shplonk import Combination, combine, opening_order, rotation_sets
from verifiable.proofs.halo2.transcript import Transcript
from verifiable.proofs.halo2.vk import read_file


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    points: tuple[G1, ...]
    """Advice, multiplicities, products, sums, random polynomial."""
    pieces: tuple[G1, ...]
    """Of h, lowest powers first."""
    evaluations: tuple[int, ...]
    opening: tuple[G1, G1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Challenges:
    own: tuple[int, ...]
    theta: int
    beta: int
    gamma: int
    y: int
    x: int
    zeta: int
    nu: int
    mu: int


def read_key(vk: bytes, solidity: str) -> VerifyingKey:
    """Read a verifying key from its file and the emitted verifier, which must agree.

    Parameters
    ----------
    vk : bytes
        The file that ezkl's setup wrote.
    solidity : str
        The emitted verifier, in its plain form.

    Raises
    ------
    EncodingError
        If either cannot be read, or k or a commitment of the text is not the file's; the message
        names it, with what the text and the file have.
    """
    emitted = read_emitted(solidity)
    file = read_file(vk, columns=len(emitted.permutation))
    if emitted.system.k != file.k:
        raise EncodingError(
            f"emitted verifier has k = {emitted.system.k}, the verifying key {file.k}"
        )
    if len(emitted.fixed) != len(file.fixed):
        raise EncodingError(
            f"emitted verifier has {len(emitted.fixed)} fixed commitments, "
            f"the verifying key {len(file.fixed)}"
        )
    for group, ours, theirs in (
        ("fixed", emitted.fixed, file.fixed),
        ("permutation", emitted.permutation, file.permutation),
    ):
        for i, (got, wanted) in enumerate(zip(ours, theirs, strict=True)):
            if got != wanted:
                raise EncodingError(
                    f"emitted verifier: {group} commitment {i} is ({got[0]:#x}, {got[1]:#x}), "
                    f"the verifying key has ({wanted[0]:#x}, {wanted[1]:#x})"
                )
    return VerifyingKey(
        system=emitted.system,
        fixed=emitted.fixed,
        permutation=emitted.permutation,
        g2=emitted.g2,
        tau_g2=emitted.tau_g2,
    )


def commitments(key: VerifyingKey, proof: bytes) -> tuple[G1, ...]:
    """Commitments to the advice columns, with which a proof begins.

    Committed tensors (ezkl's polycommit) are the first of them. The proof is not verified.

    Raises
    ------
    ProofRejectedError
        If the proof has another length, or one of these points is malformed.
    """
    _demand_length(key.system, proof)
    return tuple(_point(proof, i) for i in range(key.system.advice))


def verify(
    key: VerifyingKey, instances: Sequence[int], proof: bytes, *, g2: G2, tau_g2: G2
) -> None:
    """Check that `proof` shows `instances` under `key`.

    0. The key was made for the SRS of `g2` and `tau_g2`.
    1. There are as many instances as the circuit has, each a canonical felt.
    2. The proof has the exact length; every point is on the curve and every number canonical.
    3. The challenges are drawn from a transcript of the key, the instances and the proof.
    4. The constraints at x, folded with y, give what h must be at x.
    5. The opening at mu combines all polynomials, at all their points, into one.
    6. One pairing shows that the proof's second opening point is the quotient by ``X - mu``.

    The caller must still know that the key is the model's, that the SRS is one to trust, and what
    the instances mean.

    Parameters
    ----------
    key : VerifyingKey
    instances : sequence of int
        Felts, in the order of the instance column.
    proof : bytes
    g2, tau_g2 : G2
        Of the trusted SRS.

    Raises
    ------
    ProofRejectedError
        If any step fails. Nothing is returned, so that nothing can be ignored.
    """
    system = key.system

    # Step 0. Comparing also shows that both are in the subgroup: `read_key` checked the key's.
    if (g2, tau_g2) != (key.g2, key.tau_g2):
        raise ProofRejectedError(
            f"the key was made for another SRS: its tau * G2 is {key.tau_g2[0][0]:#x}.., "
            f"wanted {tau_g2[0][0]:#x}.."
        )

    # Step 1.
    if len(instances) != system.instances:
        raise ProofRejectedError(
            f"the circuit has {system.instances} instances, got {len(instances)}"
        )
    for i, value in enumerate(instances):
        if not 0 <= value < MODULUS:
            raise ProofRejectedError(f"instance {i} is {value:#x}, which is not a field element")

    # Step 2.
    parsed = _parse(system, proof)

    # Step 3.
    drawn = _draw(system, instances, parsed)

    # Step 4. A zero denominator means that a challenge hit one of a few million points.
    try:
        x_n = pow(drawn.x, 1 << system.k, MODULUS)
        h = _expected_quotient(system, instances, parsed, drawn, x_n)

        # Step 5.
        omega = root_of_unity(system.k)
        sets = rotation_sets(opening_order(system))
        turns = {r for group in sets for r in group.rotations}
        combination = combine(
            sets,
            {r: drawn.x * pow(omega, r, MODULUS) % MODULUS for r in turns},
            [*parsed.evaluations, h],
            zeta=drawn.zeta,
            nu=drawn.nu,
            mu=drawn.mu,
        )
    except ZeroDivisionError as e:
        raise ProofRejectedError("a challenge is a point of the domain") from e

    # Step 6.
    left = msm(*_unzip(_terms(key, parsed, combination, drawn.mu, x_n)))
    if not pairing_product_is_one([(left, g2), (negate(parsed.opening[1]), tau_g2)]):
        raise ProofRejectedError("the proof does not satisfy the verifying key")


def _demand_length(system: System, proof: bytes) -> None:
    if len(proof) != system.proof_bytes:
        raise ProofRejectedError(
            f"the proof is {len(proof)} bytes long, wanted {system.proof_bytes}"
        )


def _point(proof: bytes, i: int) -> G1:
    try:
        return parse_g1(proof[64 * i : 64 * i + 64], f"proof: point {i}")
    except EncodingError as e:
        raise ProofRejectedError(str(e)) from e


def _parse(system: System, proof: bytes) -> _Proof:
    """Split a proof: points, pieces of h, evaluations, two points of the opening."""
    _demand_length(system, proof)
    count = system.committed + system.pieces
    points = tuple(_point(proof, i) for i in range(count))
    evaluations = []
    for i in range(len(system.queries)):
        at = 64 * count + 32 * i
        try:
            evaluations.append(felt_from_bytes(proof[at : at + 32]))
        except EncodingError as e:
            raise ProofRejectedError(f"proof: evaluation {i}: {e}") from e
    rest = proof[-128:]
    return _Proof(
        points=points[: system.committed],
        pieces=points[system.committed :],
        evaluations=tuple(evaluations),
        opening=(_point(rest, 0), _point(rest, 1)),
    )


def _draw(system: System, instances: Sequence[int], proof: _Proof) -> _Challenges:
    transcript = Transcript(system.digest)
    for value in instances:
        transcript.absorb_felt(value)
    drawn: list[int] = []
    points = iter([*proof.points, *proof.pieces])
    for phase in system.phases:
        for _ in range(phase.points):
            transcript.absorb_point(next(points))
        drawn += [transcript.draw() for _ in range(phase.challenges)]
    for evaluation in proof.evaluations:
        transcript.absorb_felt(evaluation)
    zeta, nu = transcript.draw(), transcript.draw()
    transcript.absorb_point(proof.opening[0])
    mu = transcript.draw()
    *own, theta, beta, gamma, y, x = drawn
    return _Challenges(
        own=tuple(own), theta=theta, beta=beta, gamma=gamma, y=y, x=x, zeta=zeta, nu=nu, mu=mu
    )


def _lagrange(system: System, x: int, x_n: int, count: int) -> tuple[int, int, list[int]]:
    """Lagrange polynomials at x: last usable row, sum of blinded rows, rows 0 to count - 1.

    ``l_i(x) = omega**i * (x**n - 1) / (n * (x - omega**i))``.
    """
    omega = root_of_unity(system.k)
    rows = [pow(omega, i, MODULUS) for i in range(-system.blinded - 1, count)]
    inverses = invert_all([*((x - row) % MODULUS for row in rows), 1 << system.k])
    common = (x_n - 1) * inverses[-1] % MODULUS
    values = [common * row * i % MODULUS for row, i in zip(rows, inverses, strict=False)]
    start = system.blinded + 1
    return values[0], sum(values[1:start]) % MODULUS, values[start:]


def _expected_quotient(
    system: System, instances: Sequence[int], proof: _Proof, drawn: _Challenges, x_n: int
) -> int:
    """Value that h has at x if every constraint vanishes on every row."""
    l_last, l_blind, rows = _lagrange(system, drawn.x, x_n, max(1, len(instances)))
    known: dict[Variable, int] = {
        "theta": drawn.theta,
        "beta": drawn.beta,
        "gamma": drawn.gamma,
        "y": drawn.y,
        "x": drawn.x,
        "l_0": rows[0],
        "l_last": l_last,
        "l_blind": l_blind,
        # The instance column is zero below the instances.
        "instance": sum(r * v for r, v in zip(rows, instances, strict=False)) % MODULUS,
    }
    values = Values(evaluations=proof.evaluations, challenges=drawn.own, known=known)
    folded = 0
    for value in constraints(system, values):
        folded = (folded * drawn.y + value) % MODULUS
    return folded * invert_all([x_n - 1])[0] % MODULUS


def _terms(
    key: VerifyingKey, proof: _Proof, combination: Combination, mu: int, x_n: int
) -> Iterator[tuple[G1, int]]:
    """All points of the left side of the pairing with their scalars."""
    for commitment, scalar in combination.commitments.items():
        match commitment.group:
            case "proof":
                yield proof.points[commitment.index], scalar
            case "fixed":
                yield key.fixed[commitment.index], scalar
            case "permutation":
                yield key.permutation[commitment.index], scalar
            case "quotient":
                for i, piece in enumerate(proof.pieces):
                    yield piece, scalar * pow(x_n, i, MODULUS) % MODULUS
    yield GENERATOR, combination.generator
    yield proof.opening[0], combination.quotient
    yield proof.opening[1], mu


def _unzip(terms: Iterator[tuple[G1, int]]) -> tuple[list[G1], list[int]]:
    pairs = list(terms)
    return [point for point, _ in pairs], [scalar for _, scalar in pairs]
