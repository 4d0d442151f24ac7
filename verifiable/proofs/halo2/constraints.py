"""A halo2 constraint system as data: what a proof opens, and which polynomials must vanish.

Nothing here computes. `emitted` reads these values from the text of an emitted verifier, `argument`
writes the permutation and lookup arguments out of them, `verifier` evaluates.

References
----------
The halo2 Book, "Proving system". Haböck, "Multivariate lookups based on logarithmic
derivatives", https://eprint.iacr.org/2022/1530.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from verifiable.crypto.bn254 import G1, G2
from verifiable.types import Felt

Group = Literal["proof", "fixed", "permutation", "quotient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """A polynomial, named by where its commitment is found."""

    group: Group
    """``proof``: a point at the head of the proof. ``fixed``, ``permutation``: of the verifying
    key. ``quotient``: the pieces of h, folded at ``x**n``."""
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A polynomial opened at ``x * omega**rotation``."""

    commitment: Commitment
    rotation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Points that the proof shows before the next challenges are drawn."""

    points: int
    challenges: int


Variable = Literal["theta", "beta", "gamma", "y", "x", "l_0", "l_last", "l_blind", "instance"]
"""A value that the verifier computes: a challenge, a Lagrange polynomial at x (of row 0, of the
last usable row, of the blinded rows together), the instance column at x."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A felt written in the circuit."""

    value: Felt


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value that the proof states for `System.queries` ``[index]``."""

    index: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge of the circuit's own, drawn between two of its phases."""

    index: int


@dataclass(frozen=True, slots=True)
class Known:
    """A value that the verifier computes."""

    name: Variable


@dataclass(frozen=True, slots=True)
class Sum:
    """Sum of two earlier nodes."""

    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Product:
    """Product of two earlier nodes."""

    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Negation:
    """Negation of an earlier node."""

    of: int


Node: TypeAlias = Constant | Evaluation | Challenge | Known | Sum | Product | Negation


@dataclass(frozen=True, slots=True, kw_only=True)
class Expressions:
    """Expressions over shared parts: each node names only nodes before it."""

    nodes: tuple[Node, ...]
    roots: tuple[int, ...]
    """The nodes whose values are meant, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationSet:
    """Columns whose copies one grand product z checks.

    All indices are of `System.queries`.
    """

    columns: tuple[int | Literal["instance"], ...]
    """The columns at x."""
    sigmas: tuple[int, ...]
    """The permutation polynomials at x, one a column."""
    z: int
    z_next: int
    """z at ``omega * x``."""
    z_last: int | None
    """z at the last usable row from x; None in the last set, whose product must end at 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One tuple of expressions looked up in a table, by logarithmic derivatives."""

    inputs: Expressions
    table: Expressions
    """As many roots as `inputs`; both are compressed with powers of theta."""
    phi: int
    """The running sum at x; an index of `System.queries`, as are the next two."""
    phi_next: int
    multiplicity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """All that a verifier must know of a circuit, but for its commitments."""

    k: int
    """There are ``n = 2**k`` rows."""
    digest: Felt
    """What the transcript absorbs for the verifying key."""
    instances: int
    blinded: int
    """Rows at the end that are random; the row before them is the last usable one."""
    phases: tuple[Phase, ...]
    """First those of the advice columns; then lookup multiplicities (beta, gamma are drawn);
    running products, running sums and a random polynomial (y); the pieces of h (x)."""
    challenges: int
    """Challenges of the circuit's own, before theta."""
    queries: tuple[Query, ...]
    """``queries[i]`` is what evaluation i of the proof is of."""
    gates: tuple[Expressions, ...]
    """One root each; every one must vanish on all rows."""
    permutation: tuple[PermutationSet, ...]
    lookups: tuple[Lookup, ...]

    @property
    def advice(self) -> int:
        """Number of advice commitments: the points of all phases but the last three."""
        return sum(phase.points for phase in self.phases[:-3])

    @property
    def committed(self) -> int:
        """Number of points before the pieces of h."""
        return sum(phase.points for phase in self.phases[:-1])

    @property
    def pieces(self) -> int:
        """Number of pieces of h."""
        return self.phases[-1].points

    @property
    def proof_bytes(self) -> int:
        """Exact length of a proof: points, evaluations, and the two points of the opening."""
        return 64 * (self.committed + self.pieces + 2) + 32 * len(self.queries)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyingKey:
    """A constraint system with the commitments of its fixed columns, for one SRS."""

    system: System
    fixed: tuple[G1, ...]
    permutation: tuple[G1, ...]
    g2: G2
    """Of the SRS that the emitted verifier was built on."""
    tau_g2: G2
