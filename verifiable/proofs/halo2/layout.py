"""Which polynomial each evaluation is of, read from the opening part of the emitted verifier.

The names in the constraints do not say it for columns that only the permutation argument uses. The
opening part does: for every set of points it lists evaluations and commitments in the same order.
Only this layout is read. The arithmetic of the opening in the text is not looked at, since
`shplonk` does its own; lines of it that carry no layout are passed over.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from verifiable.errors import EncodingError
from verifiable.proofs.halo2.constraints import Commitment
from verifiable.proofs.halo2.text import Line, Text

Opened: TypeAlias = tuple[Commitment, dict[int, int | Literal["quotient"]]]
"""A polynomial, and the index of its evaluation at each rotation."""

_X: Final = "0x[0-9a-f]+"
_POWER: Final = re.compile(
    r"(?:let )?x_pow_of_omega := mulmod\((x|x_pow_of_omega), (omega|omega_inv), R\)"
)
_POINT: Final = re.compile(rf"mstore\(({_X}), (x|x_pow_of_omega)\)")
_LET_POINT: Final = re.compile(rf"let point_[0-9]+ := mload\(({_X})\)")
_LET_COEFF: Final = re.compile(rf"let coeff := mload\(({_X})\)")
_STORE: Final = re.compile(rf"mstore\(({_X}), (coeff|r_eval)\)")
_ONE: Final = re.compile(
    r"r_eval := addmod\(r_eval, mulmod\((?:coeff|mload\((?P<at>0x[0-9a-f]+)\)), "
    r"(?P<load>mload|calldataload)\((?P<what>0x[0-9a-f]+|[A-Z_]+)\), R\), R\)"
)
_MANY: Final = re.compile(
    r"r_eval := addmod\(mulmod\(r_eval, zeta, R\), mulmod\(coeff, calldataload\(mptr\), R\), R\)"
)
_RANGE: Final = re.compile(rf"let (mptr|mptr_end) := ({_X})")
_EITHER: Final = r"(mload|calldataload)"
_PLACE: Final = "(0x[0-9a-f]+|[A-Z_]+|mptr)"
_FIRST: Final = re.compile(rf"mstore\((0x00|0x80), {_EITHER}\({_PLACE}\)\)")
_SECOND: Final = re.compile(rf"mstore\((0x20|0xa0), {_EITHER}\(\w+\)\)")
_NEXT: Final = re.compile(
    rf"success := ec_add_(acc|tmp)\(success, {_EITHER}\({_PLACE}\), {_EITHER}\(.+\)\)"
)
_LOOP: Final = {"for", "{", "}", "lt(mptr_end, mptr)", "{ mptr := sub(mptr, 0x20) }"}
_LOOP_POINTS: Final = {"for", "{", "}", "lt(mptr_end, mptr)", "{ mptr := sub(mptr, 0x40) }"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the emitted verifier finds evaluations and commitments."""

    evaluation: Callable[[int], int | None]
    """Index of the evaluation at a calldata address."""
    in_proof: Callable[[int], Commitment | None]
    """Commitment at a calldata address."""
    in_key: Callable[[int], Commitment | None]
    """Commitment at a memory address."""


@dataclass(slots=True)
class _Reader:
    addresses: Addresses
    points: dict[int, int] = field(default_factory=dict)
    """Rotation of the point at a memory address."""
    coefficients: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Set and rotation of the interpolation coefficient at a memory address."""

    def read_points(self, lines: list[Line]) -> None:
        turn = 0
        for line in lines:
            if found := _POWER.fullmatch(line.text):
                start = 0 if found[1] == "x" else turn
                turn = start + (1 if found[2] == "omega" else -1)
            elif found := _POINT.fullmatch(line.text):
                self.points[int(found[1], 16)] = 0 if found[2] == "x" else turn
            elif not line.text.startswith(("{", "}", "let x :=", "let omega")):
                line.refuse("powers of omega")

    def read_sets(self, lines: list[Line]) -> list[tuple[int, ...]]:
        """Rotations of each set, in the text's order of sets."""
        sets: list[tuple[int, ...]] = []
        turns: list[int] = []
        stored = 0
        for line in lines:
            if line.text == "{":
                turns, stored = [], 0
            elif line.text == "}":
                if not turns or stored != len(turns):
                    line.refuse("one coefficient a point before the end of the block")
                sets.append(tuple(turns))
            elif found := _LET_POINT.fullmatch(line.text):
                turn = self.points.get(int(found[1], 16))
                if turn is None or turn in turns:
                    line.refuse("the address of another point")
                turns.append(turn)
            elif found := _STORE.fullmatch(line.text):
                if stored >= len(turns):
                    line.refuse("one coefficient a point")
                self.coefficients[int(found[1], 16)] = (len(sets), turns[stored])
                stored += 1
            elif not line.text.startswith(("let coeff", "coeff := ")):
                line.refuse("interpolation coefficients")
        return sets

    def read_evaluations(
        self, lines: list[Line], at_set: int
    ) -> list[dict[int, int | Literal["quotient"]]]:
        """Evaluations of each polynomial of one set; the text starts with the last polynomial."""
        groups: list[dict[int, int | Literal["quotient"]]] = [{}]
        coefficient: int | None = None
        bounds: dict[str, int] = {}

        def add(line: Line, address: int | None, index: int | Literal["quotient"] | None) -> None:
            place = None if address is None else self.coefficients.get(address)
            if index is None or place is None or place[0] != at_set or place[1] in groups[-1]:
                line.refuse(f"an evaluation with a coefficient of set {at_set}")
            groups[-1][place[1]] = index

        for line in lines:
            if found := _LET_COEFF.fullmatch(line.text):
                coefficient = int(found[1], 16)
            elif line.text == "r_eval := mulmod(r_eval, zeta, R)":
                groups.append({})
            elif found := _ONE.fullmatch(line.text):
                at = coefficient if found["at"] is None else int(found["at"], 16)
                add(line, at, self._value(line, found["load"], found["what"]))
            elif _MANY.fullmatch(line.text):
                for address in _downwards(line, bounds, 32):
                    if groups[-1]:
                        groups.append({})
                    add(line, coefficient, self.addresses.evaluation(address))
            elif found := _RANGE.fullmatch(line.text):
                bounds[found[1]] = int(found[2], 16)
            elif line.text not in _LOOP and not line.text.startswith(
                ("let zeta :=", "let r_eval := 0", "r_eval := mulmod(r_eval, mload(")
            ):
                line.refuse("a sum of evaluations")
        return groups[::-1]

    def _value(self, line: Line, load: str, what: str) -> int | Literal["quotient"] | None:
        if (load, what) == ("mload", "QUOTIENT_EVAL_MPTR"):
            return "quotient"
        if load != "calldataload" or not what.startswith("0x"):
            line.refuse("an evaluation of the proof")
        return self.addresses.evaluation(int(what, 16))

    def read_commitments(self, lines: list[Line]) -> list[list[Commitment]]:
        """Commitments of each set, in the order of `read_evaluations`."""
        sets: list[list[Commitment]] = []
        bounds: dict[str, int] = {}
        for line in lines:
            if found := _FIRST.fullmatch(line.text):
                # The running point of the first set lies at 0x00, that of the others at 0x80.
                if (found[1] == "0x00") != (not sets):
                    line.refuse("the first set at 0x00, the others at 0x80")
                sets.append([self._commitment(line, found[2], found[3])])
            elif found := _NEXT.fullmatch(line.text):
                if found.group(2, 3) == ("mload", "0x80"):
                    continue
                if not sets or (found[1] == "acc") != (len(sets) == 1):
                    line.refuse("a commitment of the set that is being read")
                if found[3] == "mptr":
                    for address in _downwards(line, bounds, 64):
                        sets[-1].append(self._commitment(line, found[2], hex(address)))
                else:
                    sets[-1].append(self._commitment(line, found[2], found[3]))
            elif found := _RANGE.fullmatch(line.text):
                bounds[found[1]] = int(found[2], 16)
            elif (
                line.text not in _LOOP_POINTS
                and not _SECOND.fullmatch(line.text)
                and not line.text.startswith(("success := ec_mul_", "nu := ", "let nu := "))
            ):
                line.refuse("a sum of commitments")
        return [members[::-1] for members in sets]

    def _commitment(self, line: Line, load: str, what: str) -> Commitment:
        found = None
        if (load, what) == ("mload", "QUOTIENT_X_MPTR"):
            found = Commitment(group="quotient", index=0)
        elif what.startswith("0x"):
            look = self.addresses.in_key if load == "mload" else self.addresses.in_proof
            found = look(int(what, 16))
        if found is None:
            line.refuse("the address of a commitment")
        return found


def _downwards(line: Line, bounds: dict[str, int], step: int) -> range:
    first, end = bounds.pop("mptr", None), bounds.pop("mptr_end", None)
    if first is None or end is None or not 0 <= end < first < 1 << 16:
        line.refuse("a loop with bounds")
    return range(first, end, -step)


def read_layout(section: Text, addresses: Addresses) -> tuple[tuple[Opened, ...], ...]:
    """Read, for each set of points in the text's order, its polynomials in the text's order.

    Parameters
    ----------
    section : Text
        The part of the emitted verifier that computes the two sides of the pairing.
    addresses : Addresses

    Raises
    ------
    EncodingError
        If a line is none that the emitter is known to write, or evaluations and commitments do
        not match.
    """
    lines = list(section)

    def upto(*mark: str) -> list[Line]:
        for i, line in enumerate(lines):
            if line.text.startswith(mark):
                taken = lines[:i]
                del lines[:i]
                return taken
        raise EncodingError(f"emitted verifier: its opening part has no line `{mark[0]}..`")

    reader = _Reader(addresses)
    reader.read_points(_closed(upto("let mu :=")))
    upto(*(f"let point_{digit}" for digit in range(10)))
    coefficients = upto("success := batch_invert(")
    sets = reader.read_sets([Line(coefficients[0].number, "{"), *_closed(coefficients)])
    upto("let coeff := mload(", "let zeta := mload(")
    evaluations = [
        reader.read_evaluations(block, i) for i, block in enumerate(_blocks(upto("let sum :=")))
    ]
    upto("let nu :=")
    commitments = reader.read_commitments(upto("mstore(0x80, mload(G1_X_MPTR))"))

    if not len(sets) == len(evaluations) == len(commitments):
        raise EncodingError(
            f"emitted verifier: its opening part has {len(sets)} sets of points, "
            f"{len(evaluations)} of evaluations, {len(commitments)} of commitments"
        )
    result = []
    for turns, values, points in zip(sets, evaluations, commitments, strict=True):
        if len(values) != len(points) or any(set(value) != set(turns) for value in values):
            raise EncodingError(
                f"emitted verifier: the opening at rotations {list(turns)} is of {len(points)} "
                f"commitments, but {len(values)} times so many evaluations are given"
            )
        result.append(tuple(zip(points, values, strict=True)))
    return tuple(result)


def _closed(lines: list[Line]) -> list[Line]:
    """Drop the opening brace of the block that follows."""
    return lines[:-1] if lines and lines[-1].text == "{" else lines


def _blocks(lines: list[Line]) -> list[list[Line]]:
    """Split at the lines that store a sum of evaluations."""
    blocks: list[list[Line]] = [[]]
    for line in lines:
        found = _STORE.fullmatch(line.text)
        if found is not None and found[2] == "r_eval":
            blocks.append([])
        else:
            blocks[-1].append(line)
    # What is left after the last one is the braces around it.
    return blocks[:-1]
