"""RNN, GRU and LSTM, unrolled over a sequence whose length is fixed.

Gates lie on the first axis, ``[gates, N, H]``: products with the input are one Dot for the whole
sequence, those with the state one Dot for each step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.rows import cut
from verifiable.graph.vocabulary import DType

MAX_UNROLLED: Final = 2048
"""Steps of a sequence; each becomes about ten instructions."""

Activation = Callable[[Expression], Expression]

_GATES: Final = {"RNN": 1, "GRU": 3, "LSTM": 4}
_DEFAULTS: Final = {
    "RNN": ["Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
}
_PLAIN: Final[dict[str, Activation]] = {
    "relu": lambda x: x.maximum(0.0),
    "tanh": Expression.tanh,
    "sigmoid": Expression.sigmoid,
    "softsign": lambda x: x / (abs(x) + 1.0),
    "softplus": lambda x: x.maximum(0.0) + (1.0 + (-abs(x)).exp()).log(),
}
_SHAPED: Final[dict[str, tuple[tuple[float | None, ...], Callable[..., Expression]]]] = {
    "affine": ((None, None), lambda x, a, c: x * a + c),
    "leakyrelu": ((0.01,), lambda x, a: (x < 0.0).where(x * a, x)),
    "thresholdedrelu": ((1.0,), lambda x, a: (x < a).where(0.0, x)),
    "scaledtanh": ((None, None), lambda x, a, c: (x * c).tanh() * a),
    "hardsigmoid": ((0.2, 0.5), lambda x, a, c: (x * a + c).maximum(0.0).minimum(1.0)),
    "elu": ((1.0,), lambda x, a: (x < 0.0).where((x.exp() - 1.0) * a, x)),
}
"""Default alpha and beta, None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """One direction: weights, and the functions of its gates."""

    weights: Value
    """``[gates, H, I]``."""
    recurrence: Value
    """``[gates, H, H]``."""
    bias: Value | None
    """Of the input, ``[gates, 1, H]``."""
    state_bias: Value | None
    """Of the state, ``[gates, 1, H]``."""
    peepholes: tuple[Value, ...]
    """Of input, output and forget gate, ``[1, 1, H]``; empty without."""
    functions: tuple[Activation, ...]
    clip: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What a direction gives: each step's output in the order of the sequence, and the states."""

    outputs: list[Value]
    hidden: Value
    cell: Value | None


@lowers("RNN", "GRU", "LSTM")
def recurrent(b: Builder, node: Node) -> Sequence[Value | None]:
    """One layer, in one or both directions."""
    x = node.float_input(0)
    swapped = bool(node.attribute("layout", 0))
    if len(x.shape) != 3:
        raise node.refuse(f"of {x.type}, wanted three axes")
    x = b.transpose(x, [1, 0, 2]) if swapped else x
    length, batch, _ = x.shape
    if not 1 <= length <= MAX_UNROLLED:
        raise node.refuse(
            f"over {length} steps, wanted 1 to {MAX_UNROLLED}", hint="compile a shorter sequence"
        )
    direction = node.attribute("direction", "forward")
    wanted = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    if direction not in wanted:
        raise node.refuse(f"direction is {direction}", hint=f"use one of {', '.join(wanted)}")
    backwards = wanted[direction]
    functions = _functions(node, len(backwards))
    runs = []
    for number, backward in enumerate(backwards):
        cell = _cell(b, node, number, len(backwards), functions[number])
        size = cell.recurrence.shape[2]
        states = [_state(b, node, i, number, (batch, size), swapped) for i in (5, 6)]
        runs.append(_run(b, node, cell, x, states, backward))
    steps = [
        b.concat([b.reshape(run.outputs[t], [1, 1, batch, size]) for run in runs], 1)
        for t in range(length)
    ]
    made = b.concat(steps, 0) if node.wants(0) else None
    hidden = b.concat([run.hidden for run in runs], 0)
    cells = [run.cell for run in runs if run.cell is not None]
    last = b.concat(cells, 0) if cells else None
    if not swapped:
        return [made, hidden, last]
    return [
        b.transpose(made, [2, 0, 1, 3]) if made is not None else None,
        b.transpose(hidden, [1, 0, 2]),
        b.transpose(last, [1, 0, 2]) if last is not None else None,
    ]


def _functions(node: Node, directions: int) -> list[tuple[Activation, ...]]:
    """Functions of each direction; alphas and betas go to those that take them, in order."""
    each = len(_DEFAULTS[node.op])
    given = [n.decode() if isinstance(n, bytes) else n for n in node.attribute("activations", [])]
    names = list(given) or _DEFAULTS[node.op] * directions
    if node.op == "RNN" and len(names) == 2 and directions == 1:
        names = names[:1]  # the schema's default names one for each of two directions
    if len(names) != each * directions:
        raise node.refuse(f"activations {names}, wanted {each * directions}")
    numbers = {w: list(node.attribute(f"activation_{w}", [])) for w in ("alpha", "beta")}
    made = []
    for name in names:
        low = str(name).lower()
        if low in _PLAIN:
            made.append(_PLAIN[low])
            continue
        if low not in _SHAPED:
            raise node.refuse(f"activation {name}", hint="use Tanh, Sigmoid or Relu")
        defaults, function = _SHAPED[low]
        values = []
        for which, default in zip(("alpha", "beta"), defaults, strict=False):
            value = float(numbers[which].pop(0)) if numbers[which] else default
            if value is None:
                raise node.refuse(f"activation {name} has no {which}")
            values.append(value)
        made.append(_bound(function, values))
    return [tuple(made[i : i + each]) for i in range(0, len(made), each)]


def _bound(function: Callable[..., Expression], values: Sequence[float]) -> Activation:
    return lambda x: function(x, *values)


def _cell(
    b: Builder, node: Node, number: int, directions: int, functions: tuple[Activation, ...]
) -> _Cell:
    gates = _GATES[node.op]
    weights, recurrence = node.float_input(1), node.float_input(2)
    size = recurrence.shape[-1]
    if weights.shape != (directions, gates * size, node.input(0).shape[2]) or recurrence.shape != (
        directions,
        gates * size,
        size,
    ):
        raise node.refuse(f"weights {weights.type} and {recurrence.type} do not fit")
    if node.attribute("hidden_size", size) != size:
        raise node.refuse(f"hidden_size is {node.attribute('hidden_size')}, weights are for {size}")

    def own(value: Value, shape: Sequence[int]) -> Value:
        return b.reshape(cut(b, value, 0, number, 1), shape)

    bias = state_bias = None
    if node.has(3):
        both = own(node.float_input(3), [2, gates, 1, size])
        bias, state_bias = (b.reshape(cut(b, both, 0, i, 1), [gates, 1, size]) for i in (0, 1))
    peepholes: tuple[Value, ...] = ()
    if node.op == "LSTM" and node.has(7):
        three = own(node.float_input(7), [3, 1, size])
        peepholes = tuple(cut(b, three, 0, i, 1) for i in range(3))
    clip = node.attribute("clip")
    return _Cell(
        weights=own(weights, [gates, size, weights.shape[2]]),
        recurrence=own(recurrence, [gates, size, size]),
        bias=bias,
        state_bias=state_bias,
        peepholes=peepholes,
        functions=functions,
        clip=None if clip is None else float(clip),
    )


def _state(
    b: Builder, node: Node, i: int, number: int, shape: tuple[int, int], swapped: bool
) -> Value:
    """Initial state ``[1, N, H]`` of a direction."""
    if not node.has(i):
        return b.expand(b.scalar(0.0), [1, *shape])
    given = node.float_input(i)
    given = b.transpose(given, [1, 0, 2]) if swapped else given
    if given.shape[1:] != shape:
        raise node.refuse(f"input {i} is {given.type}, wanted states of {shape}")
    return cut(b, given, 0, number, 1)


def _run(
    b: Builder, node: Node, cell: _Cell, x: Value, states: Sequence[Value], backward: bool
) -> _Run:
    length, batch, width = x.shape
    gates, size = cell.weights.shape[:2]
    inputs = b.dot(b.reshape(x, [1, length * batch, width]), cell.weights)
    inputs = b.reshape(inputs, [gates, length, batch, size])
    bias = _total_bias(b, node, cell)
    if bias is not None:
        inputs = b.map(lambda v, c: v + c, inputs, b.reshape(bias, [gates, 1, 1, size]))
    step = _STEPS[node.op]
    lengths = _lengths(b, node, length, batch)
    hidden, memory = states
    outputs: dict[int, Value] = {}
    for t in range(length)[:: -1 if backward else 1]:
        now = b.reshape(cut(b, inputs, 1, t, 1), [gates, batch, size])
        new, kept = step(b, node, cell, now, hidden, memory)
        outputs[t] = new
        if lengths is not None:
            # A state stands still where its sequence has ended, and in reverse has not begun.
            alive = _alive(t)
            outputs[t] = b.map(lambda v, n, f=alive: f(n).where(v, 0.0), new, lengths)
            new = b.map(lambda v, w, n, f=alive: f(n).where(v, w), new, hidden, lengths)
            if node.op == "LSTM":
                kept = b.map(lambda v, w, n, f=alive: f(n).where(v, w), kept, memory, lengths)
        hidden, memory = new, kept
    return _Run(
        outputs=[outputs[t] for t in range(length)],
        hidden=hidden,
        cell=memory if node.op == "LSTM" else None,
    )


def _alive(t: int) -> Callable[[Expression], Expression]:
    return lambda n: n > t


def _lengths(b: Builder, node: Node, length: int, batch: int) -> Value | None:
    """Length of each sequence, ``[N, 1]``; None if none ends early."""
    if not node.has(4):
        return None
    given = node.input(4)
    if given.shape != (batch,) or given.dtype is not DType.I32:
        raise node.refuse(f"sequence_lens is {given.type}, wanted {batch} of int32")
    known = b.known(given)
    if known is not None and (known >= length).all():
        return None
    return b.reshape(given, [batch, 1])


def _total_bias(b: Builder, node: Node, cell: _Cell) -> Value | None:
    """Both biases, but for that of the hidden gate of a GRU that resets it."""
    if cell.bias is None or cell.state_bias is None:
        return None
    if _resets_late(node):
        first = b.map(
            lambda p, q: p + q, cut(b, cell.bias, 0, 0, 2), cut(b, cell.state_bias, 0, 0, 2)
        )
        return b.concat([first, cut(b, cell.bias, 0, 2, 1)], 0)
    return b.map(lambda p, q: p + q, cell.bias, cell.state_bias)


def _resets_late(node: Node) -> bool:
    return node.op == "GRU" and bool(node.attribute("linear_before_reset", 0))


def _clipped(cell: _Cell, x: Expression) -> Expression:
    return x if cell.clip is None else x.maximum(-cell.clip).minimum(cell.clip)


def _rnn(
    b: Builder, _node: Node, cell: _Cell, now: Value, hidden: Value, memory: Value
) -> tuple[Value, Value]:
    (f,) = cell.functions
    product = b.dot(hidden, cell.recurrence)
    return b.map(lambda v, w: f(_clipped(cell, v + w)), now, product), memory


def _gru(
    b: Builder, node: Node, cell: _Cell, now: Value, hidden: Value, memory: Value
) -> tuple[Value, Value]:
    f, g = cell.functions
    late = _resets_late(node)
    last = cut(b, cell.recurrence, 0, 2, 1)
    recurrence = cell.recurrence if late else cut(b, cell.recurrence, 0, 0, 2)
    product = b.dot(hidden, recurrence)
    both = b.map(
        lambda v, w: f(_clipped(cell, v + w)), cut(b, now, 0, 0, 2), cut(b, product, 0, 0, 2)
    )
    update, reset = cut(b, both, 0, 0, 1), cut(b, both, 0, 1, 1)
    if late:
        inner = cut(b, product, 0, 2, 1)
        if cell.state_bias is not None:
            inner = b.map(lambda v, c: v + c, inner, cut(b, cell.state_bias, 0, 2, 1))
        candidate = b.map(
            lambda v, r, w: g(_clipped(cell, v + r * w)), cut(b, now, 0, 2, 1), reset, inner
        )
    else:
        inner = b.dot(b.map(lambda r, h: r * h, reset, hidden), last)
        candidate = b.map(lambda v, w: g(_clipped(cell, v + w)), cut(b, now, 0, 2, 1), inner)
    return b.map(lambda z, n, h: (1.0 - z) * n + z * h, update, candidate, hidden), memory


def _lstm(
    b: Builder, node: Node, cell: _Cell, now: Value, hidden: Value, memory: Value
) -> tuple[Value, Value]:
    f, g, h = cell.functions
    total = b.map(lambda v, w: v + w, now, b.dot(hidden, cell.recurrence))
    enter, leave, forget, new = (cut(b, total, 0, i, 1) for i in range(4))
    if cell.peepholes:
        enter = b.map(lambda v, p, c: v + p * c, enter, cell.peepholes[0], memory)
        forget = b.map(lambda v, p, c: v + p * c, forget, cell.peepholes[2], memory)
    taken = b.map(lambda i, c: f(_clipped(cell, i)) * g(_clipped(cell, c)), enter, new)
    if node.attribute("input_forget", 0):
        made = b.map(lambda i, c, t: (1.0 - f(_clipped(cell, i))) * c + t, enter, memory, taken)
    else:
        made = b.map(lambda k, c, t: f(_clipped(cell, k)) * c + t, forget, memory, taken)
    if cell.peepholes:
        leave = b.map(lambda v, p, c: v + p * c, leave, cell.peepholes[1], made)
    return b.map(lambda o, c: f(_clipped(cell, o)) * h(c), leave, made), made


_STEPS: Final = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}
