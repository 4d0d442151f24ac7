"""The emitted verifier contract, read as a constraint system and a key.

The text is data here: nothing of it is run. From its head come constants and the key's words; from
the transcript part the phases; from the quotient part the gates, the columns of the permutation
and the lookups (`quotient`); from the opening part what each evaluation is of (`layout`). Wherever
something can be derived instead, it is, and the text must agree:

* every memory and calldata address is the one that the number of points and words implies;
* the domain's constants are those of k, the constant that separates columns is halo2's;
* the emitted permutation and lookup constraints equal those of `argument`, as polynomials;
* the emitted sets of points, and the order within them, are those of `shplonk`;
* columns are called by the names of the commitments they are opened against.

References
----------
The halo2 Book, "Proving system", for the order of columns, products and evaluations.
"""

import re
from dataclasses import dataclass
from typing import Final

from verifiable.crypto.bn254 import BASE, G1, G2, GENERATOR, IDENTITY, in_g2, on_curve
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.srs import root_of_unity
from verifiable.errors import EncodingError
from verifiable.proofs.halo2.argument import DELTA
from verifiable.proofs.halo2.assemble import assemble
from verifiable.proofs.halo2.constraints import Commitment, Phase, System
from verifiable.proofs.halo2.layout import Addresses, read_layout
from verifiable.proofs.halo2.quotient import Quotient
from verifiable.proofs.halo2.text import Line, Text, read_text
from verifiable.types import Felt

# Selector, two offsets, and the length of the proof stand before the proof.
_PROOF_AT: Final = 4 + 3 * 32
_SECTIONS: Final = {
    "transcript": ("let challenge_mptr := CHALLENGE_MPTR", "// Read evaluations"),
    "evaluations": ("// Read evaluations", "// Read batch opening proof"),
    "key": ("// Load full vk into memory", "// Read accumulator from instances"),
    "quotient": ("// Compute quotient evavluation", "// Compute quotient commitment"),
    "opening": ("// Compute pairing lhs and rhs", "// Random linear combine"),
}
_CONSTANT: Final = re.compile(
    r"uint256 internal constant +(\w+) = (?:0x([0-9a-f]+)|([0-9]{1,78}));.*"
)
_UNTIL: Final = re.compile(r"\{ let proof_cptr_end := add\(proof_cptr, (0x[0-9a-f]+)\) \}")
_WORD: Final = re.compile(r"mstore\((0x[0-9a-f]+), 0x([0-9a-f]{64})\) // (\S+)")
_LENGTH: Final = re.compile(r"success := and\(success, eq\((0x[0-9a-f]+), proof\.length\)\)")
_READING: Final = re.compile(
    r"for|[{}]|\{\}|lt\(proof_cptr, proof_cptr_end\)|// Phase [0-9]+|"
    r"success, proof_cptr, hash_mptr := read_ec_point\(success, proof_cptr, hash_mptr, q\)"
)
_DRAW: Final = re.compile(r"challenge_mptr, hash_mptr := squeeze_challenge\(.+\)")
_DRAW_AGAIN: Final = re.compile(r"challenge_mptr := squeeze_challenge_cont\(.+\)")
_CHALLENGES: Final = ("THETA", "BETA", "GAMMA", "Y", "X", "ZETA", "NU", "MU")
_WORDS: Final = [
    *("vk_digest", "num_instances", "k", "n_inv", "omega", "omega_inv", "omega_inv_to_l"),
    *("has_accumulator", "acc_offset", "num_acc_limbs", "num_acc_limb_bits", "g1_x", "g1_y"),
    *(f"{point}_{part}" for point in ("g2", "neg_s_g2") for part in ("x_1", "x_2", "y_1", "y_2")),
]
# ezkl's circuits have a few dozen columns, and 2**16 instances would cost 60 million gas.
_MAX_WORDS: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """What the text says."""

    system: System
    fixed: tuple[G1, ...]
    permutation: tuple[G1, ...]
    g2: G2
    tau_g2: G2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The key's words in the text."""

    values: dict[str, int]
    lines: dict[str, Line]
    fixed: tuple[G1, ...]
    permutation: tuple[G1, ...]

    def demand(self, name: str, wanted: int) -> None:
        if self.values[name] != wanted:
            self.lines[name].refuse(f"{name} {wanted:#x}")


def read_emitted(solidity: str) -> Emitted:
    """Read the plain form of an emitted verifier.

    Parameters
    ----------
    solidity : str
        The whole text. Patches to its head, such as a check of the proof's offset, do no harm.

    Raises
    ------
    EncodingError
        If anything in the parts that are read is not as expected; the message names the line.
    """
    text = read_text(solidity)
    constants = _read_constants(text)
    words = _read_words(text, constants)
    phases = _read_phases(text.between(*_SECTIONS["transcript"]))
    committed = sum(phase.points for phase in phases[:-1])
    evaluations_at = _PROOF_AT + 64 * (committed + phases[-1].points)
    evaluations = _read_count(text.between(*_SECTIONS["evaluations"]), 32)
    challenges = sum(phase.challenges for phase in phases[:-3]) - 1
    _check_addresses(constants, committed, phases[-1].points, challenges)

    quotient = Quotient(
        evaluations_at=evaluations_at,
        evaluations=evaluations,
        challenges_at=constants["CHALLENGE_MPTR"][1],
        challenges=challenges,
    )
    quotient.read(text.between(*_SECTIONS["quotient"]))
    opened = read_layout(
        text.between(*_SECTIONS["opening"]),
        _addresses(words, constants["VK_MPTR"][1], committed, evaluations_at, evaluations),
    )
    system = assemble(
        k=words.values["k"],
        digest=Felt(words.values["vk_digest"]),
        instances=words.values["num_instances"],
        blinded=_read_blinded(words),
        columns=len(words.permutation),
        phases=phases,
        quotient=quotient,
        opened=opened,
    )
    line = text.lines[text.find("success := and(success, eq(0x")]
    if int(line.match(_LENGTH, "the length of a proof")[1], 16) != system.proof_bytes:
        line.refuse(f"a proof of {system.proof_bytes:#x} bytes")
    g2, minus_tau = (_read_g2(words, name) for name in ("g2", "neg_s_g2"))
    (tau_x, (c0, c1)) = minus_tau
    return Emitted(
        system=system,
        fixed=words.fixed,
        permutation=words.permutation,
        g2=g2,
        tau_g2=(tau_x, (-c0 % BASE, -c1 % BASE)),
    )


def _read_constants(text: Text) -> dict[str, tuple[Line, int]]:
    constants: dict[str, tuple[Line, int]] = {}
    for line in text:
        if line.text.startswith("uint256 internal constant"):
            found = line.match(_CONSTANT, "a constant")
            if found[1] in constants:
                line.refuse(f"`{found[1]}` defined once")
            constants[found[1]] = (line, int(found[2], 16) if found[2] else int(found[3]))
    for name in ("R", "DELTA", "VK_MPTR", "CHALLENGE_MPTR", "FIRST_QUOTIENT_X_CPTR"):
        if name not in constants:
            raise EncodingError(f"emitted verifier defines no constant `{name}`")
    for name, wanted in (("R", MODULUS), ("DELTA", DELTA)):
        if constants[name][1] != wanted:
            constants[name][0].refuse(f"{name} = {wanted}")
    return constants


def _check_addresses(
    constants: dict[str, tuple[Line, int]], committed: int, pieces: int, challenges: int
) -> None:
    first = constants["CHALLENGE_MPTR"][1] + 32 * challenges
    wanted = {f"{name}_MPTR": first + 32 * i for i, name in enumerate(_CHALLENGES)}
    wanted["FIRST_QUOTIENT_X_CPTR"] = _PROOF_AT + 64 * committed
    wanted["LAST_QUOTIENT_X_CPTR"] = _PROOF_AT + 64 * (committed + pieces - 1)
    for name, address in wanted.items():
        if name not in constants:
            raise EncodingError(f"emitted verifier defines no constant `{name}`")
        line, got = constants[name]
        if got != address:
            line.refuse(f"{name} = {address:#x}")


def _read_words(text: Text, constants: dict[str, tuple[Line, int]]) -> _Words:
    """Read the key's words, which stand one after the other from VK_MPTR."""
    values: dict[str, int] = {}
    lines: dict[str, Line] = {}
    coordinates: dict[str, list[int]] = {"fixed_comms": [], "permutation_comms": []}
    at = constants["VK_MPTR"][1]
    for i, line in enumerate(text.between(*_SECTIONS["key"])):
        found = line.match(_WORD, "a word of the key")
        if int(found[1], 16) != at + 32 * i:
            line.refuse(f"a word at {at + 32 * i:#x}")
        name, value = found[3], int(found[2], 16)
        if i < len(_WORDS):
            if name != _WORDS[i]:
                line.refuse(f"`{_WORDS[i]}`")
            values[name], lines[name] = value, line
            continue
        # Once permutation commitments have begun, no fixed one may follow.
        group = "permutation_comms" if coordinates["permutation_comms"] else "fixed_comms"
        if group == "fixed_comms" and name == "permutation_comms[0].x":
            group = "permutation_comms"
        done = coordinates[group]
        wanted = f"{group}[{len(done) // 2}].{'xy'[len(done) % 2]}"
        if name != wanted:
            line.refuse(f"`{wanted}`")
        done.append(value)
    if len(values) != len(_WORDS):
        raise EncodingError(f"emitted verifier: its key has {len(values)} of {len(_WORDS)} words")
    words = _Words(
        values=values,
        lines=lines,
        fixed=_points(coordinates["fixed_comms"], "fixed"),
        permutation=_points(coordinates["permutation_comms"], "permutation"),
    )
    _check_words(text, words)
    return words


def _points(coordinates: list[int], group: str) -> tuple[G1, ...]:
    if len(coordinates) % 2:
        raise EncodingError(f"emitted verifier: the last {group} commitment has no y")
    points = tuple(zip(coordinates[::2], coordinates[1::2], strict=True))
    for i, point in enumerate(points):
        if max(point) >= BASE or (point != IDENTITY and not on_curve(point)):
            raise EncodingError(f"emitted verifier: {group} commitment {i} is not on the curve")
    return points


def _check_words(text: Text, words: _Words) -> None:
    """Check the words that follow from k, and that the head states the same digest and count."""
    values = words.values
    k = values["k"]
    if not 1 <= k <= 28:
        words.lines["k"].refuse("k in 1..28")
    omega = root_of_unity(k)
    words.demand("n_inv", pow(1 << k, -1, MODULUS))
    words.demand("omega", omega)
    words.demand("omega_inv", pow(omega, -1, MODULUS))
    words.demand("has_accumulator", 0)
    words.demand("g1_x", GENERATOR[0])
    words.demand("g1_y", GENERATOR[1])
    if values["num_instances"] >= min(1 << k, _MAX_WORDS):
        words.lines["num_instances"].refuse("fewer instances than rows")
    if values["vk_digest"] >= MODULUS:
        words.lines["vk_digest"].refuse("a felt")
    for name in ("vk_digest", "num_instances"):
        for line in text:
            if line.text.endswith(f"// {name}"):
                found = line.match(_WORD, f"the word `{name}`")
                if int(found[2], 16) != values[name]:
                    line.refuse(f"{name} {values[name]:#x} as below")


def _read_blinded(words: _Words) -> int:
    """Number of blinded rows: the text states ``omega**-l`` for the last usable row, -l."""
    inverse, wanted = words.values["omega_inv"], words.values["omega_inv_to_l"]
    rows = range(1, min(1 << words.values["k"], 1 << 10))
    last = next((row for row in rows if pow(inverse, row, MODULUS) == wanted), None)
    if last is None:
        words.lines["omega_inv_to_l"].refuse("a power of omega_inv")
    return last - 1


def _read_g2(words: _Words, name: str) -> G2:
    """Read a point of G2 from words with the imaginary part of each coordinate first."""
    x1, x0, y1, y0 = (words.values[f"{name}_{part}"] for part in ("x_1", "x_2", "y_1", "y_2"))
    point = ((x0, x1), (y0, y1))
    if not in_g2(point):
        words.lines[f"{name}_x_1"].refuse("a point of the subgroup G2")
    return point


def _read_count(section: Text, unit: int) -> int:
    """Read how many words or points of `unit` bytes the loop of the section takes."""
    lines = [line for line in section if line.text.startswith("{ let proof_cptr_end")]
    if len(lines) != 1:
        raise EncodingError(f"emitted verifier reads evaluations in {len(lines)} loops, wanted one")
    return _count(lines[0], unit)


def _count(line: Line, unit: int) -> int:
    count, odd = divmod(int(line.match(_UNTIL, "the end of a loop")[1], 16), unit)
    if odd or count > _MAX_WORDS:
        line.refuse(f"a small multiple of {unit} bytes")
    return count


def _read_phases(section: Text) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    for line in section:
        if line.text.startswith("{ let proof_cptr_end"):
            if phases and not phases[-1].challenges:
                line.refuse("challenges after the points of the last phase")
            phases.append(Phase(points=_count(line, 64), challenges=0))
        elif (first := bool(_DRAW.fullmatch(line.text))) or _DRAW_AGAIN.fullmatch(line.text):
            if not phases or first != (phases[-1].challenges == 0):
                line.refuse("one draw after the points, then draws without new points")
            phases[-1] = Phase(points=phases[-1].points, challenges=phases[-1].challenges + 1)
        elif not _READING.fullmatch(line.text):
            line.refuse("points to be read or challenges to be drawn")
    drawn = [phase.challenges for phase in phases]
    # theta after the advice columns, then beta and gamma, then y, then x
    if len(phases) < 4 or drawn[-3:] != [2, 1, 1] or not phases[-1].points:
        raise EncodingError(f"emitted verifier draws {drawn} challenges, wanted [.., 2, 1, 1]")
    return tuple(phases)


def _addresses(
    words: _Words, key_at: int, committed: int, evaluations_at: int, evaluations: int
) -> Addresses:
    fixed_at = key_at + 32 * len(_WORDS)
    in_key = [Commitment(group="fixed", index=i) for i in range(len(words.fixed))]
    in_key += [Commitment(group="permutation", index=i) for i in range(len(words.permutation))]

    def index(address: int, start: int, unit: int, count: int) -> int | None:
        i, odd = divmod(address - start, unit)
        return i if not odd and 0 <= i < count else None

    def proof_commitment(address: int) -> Commitment | None:
        i = index(address, _PROOF_AT, 64, committed)
        return None if i is None else Commitment(group="proof", index=i)

    def key_commitment(address: int) -> Commitment | None:
        i = index(address, fixed_at, 64, len(in_key))
        return None if i is None else in_key[i]

    return Addresses(
        evaluation=lambda address: index(address, evaluations_at, 32, evaluations),
        in_proof=proof_commitment,
        in_key=key_commitment,
    )
