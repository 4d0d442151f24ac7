"""The polynomials that must vanish, read from the emitted verifier as expressions.

The emitted text computes, one brace-enclosed block after the other, the value of every constraint
at x, and folds them with powers of y. This module follows the names in those blocks and writes
down which expression each block ends in: sums, products, negations of what the proof opens, of
challenges and of Lagrange values. What the constraints mean is not decided here.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from verifiable.crypto.felt import MODULUS
from verifiable.proofs.halo2.argument import DELTA
from verifiable.proofs.halo2.constraints import (
    Challenge,
    Constant,
    Evaluation,
    Expressions,
    Known,
    Negation,
    Node,
    Product,
    Sum,
    Variable,
)
from verifiable.proofs.halo2.text import Line, Text
from verifiable.types import Felt

_TOKEN: Final = re.compile(r"\s*([A-Za-z_]\w*|0x[0-9a-f]+|[0-9]{1,78}|[(),])")
_LET: Final = re.compile(r"let ([a-z]\w*)(?: := (.+))?")
_ASSIGN: Final = re.compile(r"([a-z]\w*) := (.+)")
_STORE: Final = re.compile(r"mstore\(0x00, (.+)\)")
_COLUMN: Final = re.compile(r"(a|f)_([0-9]+)(?:_(next|prev)_([0-9]+))?")
_KNOWN: Final[dict[str, Variable]] = {
    "THETA_MPTR": "theta",
    "BETA_MPTR": "beta",
    "GAMMA_MPTR": "gamma",
    "Y_MPTR": "y",
    "X_MPTR": "x",
    "L_0_MPTR": "l_0",
    "L_LAST_MPTR": "l_last",
    "L_BLIND_MPTR": "l_blind",
    "INSTANCE_EVAL_MPTR": "instance",
}
_FOLD: Final = "quotient_eval_numer"
_EPILOGUE: Final = ("mulmod(quotient_eval_numer, mload(X_N_MINUS_1_INV_MPTR), r)", "quotient_eval")
# Emitted expressions nest three or four deep.
_MAX_DEPTH: Final = 16


@dataclass(frozen=True, slots=True)
class Label:
    """A column as the emitted names call it, such as ``a_6_prev_1``."""

    kind: Literal["advice", "fixed"]
    column: int
    rotation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One constraint, still in terms of `Quotient.nodes`."""

    line: Line
    """Where the block begins."""
    root: int
    names: dict[str, int]
    """Nodes that the names declared in the block stand for at its end."""
    opened: tuple[int | Literal["instance"], ...]
    """Evaluations and instance values, in the order in which the text mentions them."""


@dataclass(slots=True)
class Quotient:
    """All constraints of the text over one list of nodes."""

    evaluations_at: int
    """Calldata address of the first evaluation."""
    evaluations: int
    challenges_at: int
    """Memory address of the circuit's first own challenge."""
    challenges: int
    nodes: list[Node] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    labels: dict[int, tuple[Line, Label]] = field(default_factory=dict)
    """What the text calls an evaluation, and where it first does."""
    _ids: dict[Node, int] = field(default_factory=dict)
    _scopes: list[dict[str, int | None]] = field(default_factory=list)
    _scratch: int | None = None
    _opened: list[int | Literal["instance"]] = field(default_factory=list)

    def node(self, node: Node) -> int:
        """Index of a node, which is added if it is new."""
        if node not in self._ids:
            self._ids[node] = len(self.nodes)
            self.nodes.append(node)
        return self._ids[node]

    def slice(self, *roots: int) -> Expressions:
        """The nodes that `roots` need, renumbered."""
        needed: set[int] = set()
        # Operands stand before their node, so one pass from the back finds them all.
        wanted = set(roots)
        for i in range(max(roots), -1, -1):
            if i in wanted:
                needed.add(i)
                wanted.update(_operands(self.nodes[i]))
        place = {old: new for new, old in enumerate(sorted(needed))}
        nodes = tuple(_renumber(self.nodes[i], place) for i in sorted(needed))
        return Expressions(nodes=nodes, roots=tuple(place[root] for root in roots))

    def read(self, section: Text) -> None:
        """Read the lines of the section.

        Raises
        ------
        EncodingError
            If a line is none that the emitter is known to write; the message names it.
        """
        lines = list(section)
        for i, line in enumerate(lines):
            match line.text:
                case "{":
                    self._scopes.append({})
                    if len(self._scopes) == 2:
                        first, before = line, len(self.blocks)
                        self._opened = []
                case "}":
                    if len(self._scopes) < 2:
                        line.refuse("`pop(y)` before the end of the section")
                    if len(self._scopes) == 2:
                        self._close(first, before)
                    self._scopes.pop()
                case "pop(y)":
                    self._end(lines[i + 1 :], line)
                    return
                case _:
                    self._statement(line)
        (lines or [Line(0, "")])[-1].refuse("`pop(y)` after the constraints")

    def _close(self, first: Line, before: int) -> None:
        if len(self.blocks) != before + 1:
            first.refuse(f"a block with one constraint, not {len(self.blocks) - before}")
        names = {name: at for name, at in self._scopes[-1].items() if at is not None}
        root = self.blocks[-1].root
        self.blocks[-1] = Block(line=first, root=root, names=names, opened=tuple(self._opened))

    def _end(self, rest: list[Line], line: Line) -> None:
        value, name = _EPILOGUE
        wanted = [f"let {name} := {value}", f"mstore(QUOTIENT_EVAL_MPTR, {name})", "}"]
        if len(self._scopes) != 1:
            line.refuse("it after the last block")
        if [other.text for other in rest] != wanted:
            (rest or [line])[0].refuse("the quotient to be stored, and nothing after it")

    def _statement(self, line: Line) -> None:
        if not self._scopes:
            line.refuse("an opening brace")
        if found := _STORE.fullmatch(line.text):
            self._scratch = self._expression(line, found[1])
        elif found := _LET.fullmatch(line.text):
            name, text = found[1], found[2]
            if any(name in scope for scope in self._scopes):
                line.refuse(f"`{name}` declared once")
            at = None if text is None else self._expression(line, text)
            self._scopes[-1][name] = at
            self._name(line, name, at)
        elif found := _ASSIGN.fullmatch(line.text):
            name, at = found[1], self._expression(line, found[2])
            scope = next((s for s in reversed(self._scopes) if name in s), None)
            if scope is None:
                line.refuse(f"`{name}` declared before it is set")
            if name == _FOLD:
                self._fold(line, scope[name], at)
            scope[name] = at
        else:
            line.refuse("a declaration, an assignment or a brace")

    def _name(self, line: Line, name: str, at: int | None) -> None:
        """Note which column the text calls an evaluation."""
        found = _COLUMN.fullmatch(name)
        node = None if at is None else self.nodes[at]
        if found is None:
            # An opened value under a plain name occurs in the arguments, as `perm_z_last` does.
            return
        if not isinstance(node, Evaluation):
            line.refuse("a column's name to stand for an evaluation")
        kind: Literal["advice", "fixed"] = "advice" if found[1] == "a" else "fixed"
        turn = int(found[4] or 0) * (-1 if found[3] == "prev" else 1)
        label = Label(kind, int(found[2]), turn)
        known = self.labels.setdefault(node.index, (line, label))
        if known[1] != label:
            line.refuse(f"the name that line {known[0].number} gives to this evaluation")

    def _fold(self, line: Line, before: int | None, at: int) -> None:
        """Split off the constraint that a step ``acc * y + constraint`` adds."""
        if len(self._scopes) != 2:
            line.refuse("the fold in the block of the constraint")
        if before is None:
            root = at
        else:
            step = self.nodes[at]
            product = Product(before, self.node(Known("y")))
            if not isinstance(step, Sum) or self.nodes[step.left] != product:
                line.refuse("the fold with one power of y")
            root = step.right
        self.blocks.append(Block(line=line, root=root, names={}, opened=()))

    def _expression(self, line: Line, text: str) -> int:
        tokens: list[str] = []
        end = 0
        while end < len(text):
            found = _TOKEN.match(text, end)
            if found is None:
                line.refuse("an expression")
            tokens.append(found[1])
            end = found.end()
        at, rest = self._term(line, tokens, 0)
        if rest != len(tokens):
            line.refuse("one expression")
        return at

    def _term(self, line: Line, tokens: list[str], i: int, depth: int = 0) -> tuple[int, int]:
        """Read the expression that starts at token `i`; return its node and the next token."""
        if i >= len(tokens) or depth > _MAX_DEPTH:
            line.refuse("a complete expression")
        head = tokens[i]
        if head[0].isdigit():
            value = int(head, 16 if head.startswith("0x") else 10)
            if value >= MODULUS:
                line.refuse("constants below the field's modulus")
            return self.node(Constant(Felt(value))), i + 1
        if head == "DELTA":
            return self.node(Constant(Felt(DELTA))), i + 1
        if tokens[i + 1 : i + 2] != ["("]:
            at = next((s[head] for s in reversed(self._scopes) if head in s), None)
            if at is None:
                line.refuse(f"`{head}` to have a value")
            return at, i + 1
        match head, tokens[i + 2 : i + 4]:
            case (("mload" | "calldataload"), [operand, ")"]):
                return self._load(line, head, operand), i + 4
            case "sub", ["R", ","]:
                of, end = self._term(line, tokens, i + 4, depth + 1)
                made: Node = Negation(of)
                tail = [")"]
            case (("addmod" | "mulmod"), _):
                left, end = self._term(line, tokens, i + 2, depth + 1)
                if tokens[end : end + 1] != [","]:
                    line.refuse("a second operand")
                right, end = self._term(line, tokens, end + 1, depth + 1)
                made = Sum(left, right) if head == "addmod" else Product(left, right)
                tail = [",", "R", ")"]
            case _:
                line.refuse("addmod, mulmod, sub(R, ..), mload or calldataload")
        if [t.upper() for t in tokens[end : end + len(tail)]] != tail:
            line.refuse("arithmetic modulo R")
        return self.node(made), end + len(tail)

    def _load(self, line: Line, head: str, operand: str) -> int:
        if head == "mload" and operand in _KNOWN:
            if operand == "INSTANCE_EVAL_MPTR":
                self._opened.append("instance")
            return self.node(Known(_KNOWN[operand]))
        if not operand.startswith("0x"):
            line.refuse("a known address")
        address = int(operand, 16)
        if head == "mload" and address == 0:
            if self._scratch is None:
                line.refuse("memory at 0 to be set before it is read")
            return self._scratch
        start, count = (
            (self.challenges_at, self.challenges)
            if head == "mload"
            else (self.evaluations_at, self.evaluations)
        )
        index, odd = divmod(address - start, 32)
        if odd or not 0 <= index < count:
            line.refuse("the address of a challenge or evaluation")
        if head == "mload":
            return self.node(Challenge(index))
        self._opened.append(index)
        return self.node(Evaluation(index))


def _operands(node: Node) -> tuple[int, ...]:
    match node:
        case Sum(left, right) | Product(left, right):
            return left, right
        case Negation(of):
            return (of,)
        case _:
            return ()


def _renumber(node: Node, place: dict[int, int]) -> Node:
    match node:
        case Sum(left, right):
            return Sum(place[left], place[right])
        case Product(left, right):
            return Product(place[left], place[right])
        case Negation(of):
            return Negation(place[of])
        case _:
            return node
