"""A constraint system, put together from the parts of an emitted verifier that agree.

The numbers of columns, products and lookups fix the order of all commitments of a proof and, after
the columns' own, of all evaluations. So this module derives both, and takes from the text only
which columns are opened where, the gates, the columns of the permutation and the lookups.
Permutation and lookup constraints of the text are then compared with those of `argument`: at
values drawn from a hash of the text, which polynomials that differ survive with a probability
below 2**-200.

References
----------
The halo2 Book, "Proving system".
"""

import hashlib
from itertools import islice
from typing import Final, Literal, get_args

from verifiable.crypto.felt import MODULUS
from verifiable.errors import EncodingError
from verifiable.proofs.halo2.argument import (
    Values,
    evaluate,
    lookup_constraints,
    permutation_constraints,
)
from verifiable.proofs.halo2.constraints import (
    Commitment,
    Group,
    Known,
    Lookup,
    PermutationSet,
    Phase,
    Product,
    Query,
    Sum,
    System,
    Variable,
)
from verifiable.proofs.halo2.layout import Opened
from verifiable.proofs.halo2.quotient import Block, Quotient
from verifiable.proofs.halo2.shplonk import opening_order, rotation_sets
from verifiable.types import Felt

_VARIABLES: Final[tuple[Variable, ...]] = get_args(Variable)


def assemble(
    *,
    k: int,
    digest: Felt,
    instances: int,
    blinded: int,
    columns: int,
    phases: tuple[Phase, ...],
    quotient: Quotient,
    opened: tuple[tuple[Opened, ...], ...],
) -> System:
    """Put a constraint system together.

    Parameters
    ----------
    k, digest, instances, blinded, phases
        See `System`.
    columns : int
        Number of columns in the permutation.
    quotient : Quotient
        The constraints of the text.
    opened : tuple of sets of points
        The opening of the text.

    Raises
    ------
    EncodingError
        If the parts do not fit together.
    """
    blocks = quotient.blocks
    lookups = sum("table" in block.names for block in blocks)
    sets = phases[-2].points - lookups - 1
    gates = len(blocks) - (2 * sets + 1) - 3 * lookups
    # random polynomial, permutation polynomials, products, sums and multiplicities
    own = quotient.evaluations - 1 - columns - (3 * sets - 1) - 3 * lookups
    if phases[-3].points != lookups or sets < 1 or gates < 0 or own < 0:
        raise EncodingError(
            f"emitted verifier: {len(blocks)} constraints with {lookups} lookups and "
            f"{quotient.evaluations} evaluations do not fit phases of "
            f"{[phase.points for phase in phases]} points"
        )
    advice = sum(phase.points for phase in phases[:-3])
    shape = _Shape(advice, lookups, sets, columns, own, -blinded - 1)
    argument = iter(blocks[gates:])
    boundaries = list(islice(argument, sets + 1))
    products = list(islice(argument, sets))
    sums = list(argument)
    system = System(
        k=k,
        digest=digest,
        instances=instances,
        blinded=blinded,
        phases=phases,
        challenges=quotient.challenges,
        queries=_queries(opened, quotient.evaluations, shape),
        gates=tuple(quotient.slice(block.root) for block in blocks[:gates]),
        permutation=_permutation(products, shape),
        lookups=tuple(_lookup(quotient, sums[3 * i + 2], i, shape) for i in range(lookups)),
    )
    _check_names(quotient, system)
    _check_arguments(quotient, system, [*boundaries, *products, *sums])
    _check_openings(system, opened)
    return system


class _Shape:
    """Where in a proof the arguments' commitments and evaluations stand."""

    def __init__(
        self, advice: int, lookups: int, sets: int, columns: int, own: int, last: int
    ) -> None:
        self.advice, self.lookups, self.sets, self.columns = advice, lookups, sets, columns
        self.own, self.last = own, last
        self.sigma = own + 1
        self.z = self.sigma + columns
        self.phi = self.z + 3 * sets - 1

    def derived(self) -> list[Query]:
        """Queries after those of the columns."""

        def query(group: Group, index: int, rotation: int = 0) -> Query:
            return Query(commitment=Commitment(group=group, index=index), rotation=rotation)

        z = self.advice + self.lookups
        phi = z + self.sets
        result = [query("proof", phi + self.lookups)]
        result += [query("permutation", i) for i in range(self.columns)]
        for i in range(z, phi):
            result += [query("proof", i), query("proof", i, 1)]
            if i < phi - 1:
                result.append(query("proof", i, self.last))
        for i in range(self.lookups):
            result += [query("proof", phi + i), query("proof", phi + i, 1)]
            result.append(query("proof", self.advice + i))
        return result


def _queries(
    opened: tuple[tuple[Opened, ...], ...], count: int, shape: _Shape
) -> tuple[Query, ...]:
    found: dict[int, Query] = {}
    for members in opened:
        for commitment, values in members:
            for rotation, index in values.items():
                if (index == "quotient") != (commitment.group == "quotient") or index in found:
                    raise EncodingError(
                        f"emitted verifier: {commitment.group} commitment {commitment.index} is "
                        f"opened against evaluation {index}"
                    )
                if index != "quotient":
                    found[index] = Query(commitment=commitment, rotation=rotation)
    if len(found) != count:
        raise EncodingError(f"emitted verifier opens {len(found)} of {count} evaluations")
    queries = [found[i] for i in range(count)]
    if len(set(queries)) != count:
        raise EncodingError("emitted verifier has two evaluations of one polynomial at one point")
    own = [
        "advice"
        if q.commitment.group == "proof" and q.commitment.index < shape.advice
        else q.commitment.group
        for q in queries[: shape.own]
    ]
    if own != ["advice"] * own.count("advice") + ["fixed"] * own.count("fixed"):
        raise EncodingError(
            "emitted verifier: the evaluations do not begin with advice, then fixed columns"
        )
    for i, (got, wanted) in enumerate(
        zip(queries[shape.own :], shape.derived(), strict=True), shape.own
    ):
        if got != wanted:
            raise EncodingError(f"emitted verifier: evaluation {i} is of {got}, wanted {wanted}")
    return tuple(queries)


def _permutation(products: list[Block], shape: _Shape) -> tuple[PermutationSet, ...]:
    """Read the columns: in a product each stands right before its permutation polynomial."""
    result = []
    sigma = shape.sigma
    for i, block in enumerate(products):
        columns: list[int | Literal["instance"]] = []
        first = sigma
        for before, this in zip(block.opened, block.opened[1:], strict=False):
            if this == sigma and sigma < shape.z:
                if before != "instance" and before >= shape.own:
                    block.line.refuse("a product over columns")
                columns.append(before)
                sigma += 1
        z = shape.z + 3 * i
        result.append(
            PermutationSet(
                columns=tuple(columns),
                sigmas=tuple(range(first, sigma)),
                z=z,
                z_next=z + 1,
                z_last=z + 2 if i < shape.sets - 1 else None,
            )
        )
    if sigma != shape.z:
        raise EncodingError(
            f"emitted verifier: products are over {sigma - shape.sigma} of {shape.columns} columns"
        )
    return tuple(result)


def _lookup(quotient: Quotient, block: Block, i: int, shape: _Shape) -> Lookup:
    if "table" not in block.names or "input_0" not in block.names or "input_1" in block.names:
        block.line.refuse("a lookup with one input")
    inputs = _compressed(quotient, block, block.names["input_0"])
    table = _compressed(quotient, block, block.names["table"])
    if len(inputs) != len(table):
        block.line.refuse(f"as many inputs as table columns, not {len(inputs)} and {len(table)}")
    phi = shape.phi + 3 * i
    return Lookup(
        inputs=quotient.slice(*inputs),
        table=quotient.slice(*table),
        phi=phi,
        phi_next=phi + 1,
        multiplicity=phi + 2,
    )


def _compressed(quotient: Quotient, block: Block, at: int) -> list[int]:
    """Undo ``(e0 * theta + e1) * theta + .. + beta``."""
    nodes = quotient.nodes
    theta, beta = quotient.node(Known("theta")), quotient.node(Known("beta"))
    step = nodes[at]
    if not isinstance(step, Sum) or step.right != beta:
        block.line.refuse("expressions compressed with theta, plus beta")
    parts = []
    at = step.left
    while True:
        step = nodes[at]
        product = nodes[step.left] if isinstance(step, Sum) else None
        if not isinstance(step, Sum) or not isinstance(product, Product):
            break
        if product.right != theta:
            break
        parts.append(step.right)
        at = product.left
    return [at, *reversed(parts)]


def _check_names(quotient: Quotient, system: System) -> None:
    """Check that columns bear the names of the commitments they are opened against."""
    advice: dict[int, int] = {}
    for index, (line, label) in quotient.labels.items():
        query = system.queries[index]
        at = query.commitment.index
        if query.commitment.group == "fixed":
            fits = label.kind == "fixed" and label.column == at
        else:
            fits = label.kind == "advice" and at < system.advice
            fits &= advice.setdefault(label.column, at) == at
        if not fits or label.rotation != query.rotation:
            line.refuse(f"a name for {query.commitment.group} commitment {at}")
    if len(set(advice.values())) != len(advice):
        raise EncodingError("emitted verifier: one advice column has two names")


def _check_arguments(quotient: Quotient, system: System, blocks: list[Block]) -> None:
    """Check that the text's permutation and lookup constraints are those of `argument`."""
    expressions = quotient.slice(*(block.root for block in blocks))
    seed = hashlib.sha512(repr((system, expressions)).encode()).digest()

    def draw(name: str) -> int:
        digest = hashlib.sha512(seed + name.encode()).digest()
        return int.from_bytes(digest, "big") % MODULUS

    values = Values(
        evaluations=[draw(f"evaluation {i}") for i in range(len(system.queries))],
        challenges=[draw(f"challenge {i}") for i in range(system.challenges)],
        known={name: draw(name) for name in _VARIABLES},
    )
    wanted = list(permutation_constraints(system.permutation, values))
    for lookup in system.lookups:
        wanted += lookup_constraints(lookup, values)
    for block, got, value in zip(blocks, evaluate(expressions, values), wanted, strict=True):
        if got != value:
            block.line.refuse("the constraint of the permutation or lookup argument")


def _check_openings(system: System, opened: tuple[tuple[Opened, ...], ...]) -> None:
    """Check that the text combines polynomials in the order that `shplonk` derives."""
    total = len(system.queries)
    derived = [
        [
            (m.commitment, dict(zip(group.rotations, m.evaluations, strict=True)))
            for m in group.members
        ]
        for group in rotation_sets(opening_order(system))
    ]
    text = [
        [
            (c, {r: total if i == "quotient" else i for r, i in values.items()})
            for c, values in members
        ]
        for members in opened
    ]
    if derived != text:
        raise EncodingError("emitted verifier combines its openings in an unknown order")
