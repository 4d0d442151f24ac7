"""Where two runs of one graph part: the first instruction, and its first element, that differ.

Roots are compared first; bytes are read for the one tensor whose roots differ. Instructions are
in an order in which operands stand before their readers, so all operands of the first one that
differs are alike, and it alone can be at fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from verifiable.crypto.merkle import Buffer, Hasher
from verifiable.engines.native_hash import hasher_for
from verifiable.engines.protocol import Progress, Runner
from verifiable.errors import RejectedError
from verifiable.graph.ir import Array, Const, Graph, Index, Literal, TensorType
from verifiable.graph.json_form import instruction_text, literal_text
from verifiable.graph.layout import big_endian, type_of
from verifiable.graph.tensors import tensor_root
from verifiable.trace.commit import Trace
from verifiable.trace.store import StoredTrace
from verifiable.types import Sha256

_BLOCK: Final = 1 << 18
"""Elements compared at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first tensor that differs."""

    instruction: Index
    element: int | None
    """First element that differs, row-major; None if one side has no bytes, or if its bytes are
    not those of its root."""
    position: tuple[int, ...] = ()
    """The same by axes."""
    claimed: Literal | None = None
    computed: Literal | None = None

    def text(self, graph: Graph) -> str:
        """One line for people, where one side is a claim and the other a run."""
        what = instruction_text(graph, self.instruction)
        if self.claimed is None or self.computed is None:
            return f"{what}: another root, but no bytes of that root to show an element of"
        return (
            f"{what}: element {list(self.position)} is claimed to be "
            f"{literal_text(self.claimed)} ({self.claimed.bits:#x}), "
            f"computed {literal_text(self.computed)} ({self.computed.bits:#x})"
        )

    def to_json(self, sides: tuple[str, str] = ("claimed", "computed")) -> dict[str, Any]:
        """Fields for a program: the instruction, the element, and both values.

        Parameters
        ----------
        sides : pair of str
            What the fields of the two values are called.
        """
        found: dict[str, Any] = {"instruction": int(self.instruction), "element": self.element}
        found |= {"position": list(self.position)}
        if self.claimed is not None and self.computed is not None:
            values = (literal_text(self.claimed), literal_text(self.computed))
            found |= dict(zip(sides, values, strict=True))
        return found


def first_element(claimed: Array, computed: Array) -> int | None:
    """First element whose bits differ, row-major; None if all are alike.

    Parameters
    ----------
    claimed, computed : one dtype in any byte order, one shape

    Examples
    --------
    >>> first_element(np.array([0.0, 0.0]), np.array([0.0, -0.0]))
    1
    """
    one, other = claimed.reshape(-1), computed.reshape(-1)
    for start in range(0, one.size, _BLOCK):
        differs = _bits(one[start : start + _BLOCK]) != _bits(other[start : start + _BLOCK])
        if differs.any():
            return start + int(np.argmax(differs))
    return None


def _bits(array: Array) -> Array:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.view(f"u{array.dtype.itemsize}")


def first_root(claimed: Sequence[Sha256], computed: Sequence[Sha256]) -> Index | None:
    """First instruction whose tensors have two roots."""
    pairs = zip(claimed, computed, strict=True)
    return next((Index(i) for i, (one, other) in enumerate(pairs) if one != other), None)


def _difference(index: Index, claimed: Array | None, computed: Array | None) -> Difference:
    nothing = Difference(instruction=index, element=None)
    if claimed is None or computed is None:
        return nothing
    element = first_element(claimed, computed)
    if element is None:
        return nothing
    sides = (big_endian(side.reshape(-1)[element : element + 1]) for side in (claimed, computed))
    return difference_of(index, type_of(claimed), element, *sides)


def difference_of(
    index: Index, kind: TensorType, start: int, claimed: Buffer, computed: Buffer
) -> Difference:
    """The first element that differs in two parts of a tensor, of which one does.

    Parameters
    ----------
    index : Index
    kind : TensorType
    start : int
        The element they begin with.
    claimed, computed : bytes
        Big-endian elements, as many on both sides; they may be such as no run has.
    """
    width = f">u{kind.dtype.itemsize}"
    one, other = (np.frombuffer(side, width) for side in (claimed, computed))
    place = int(np.argmax(one != other))
    assert one[place] != other[place], "the two are alike"
    position = np.unravel_index(start + place, kind.shape)
    return Difference(
        instruction=index,
        element=start + place,
        position=tuple(map(int, position)),
        claimed=Literal(kind.dtype, int(one[place])),
        computed=Literal(kind.dtype, int(other[place])),
    )


def compare(claimed: StoredTrace | Trace, computed: StoredTrace | Trace) -> Difference | None:
    """Find where two runs of one graph part; None if they are the same.

    Parameters
    ----------
    claimed, computed : StoredTrace or Trace
        Where one is no more than roots, the element is not known.
    """
    index = first_root(_trace(claimed).roots, _trace(computed).roots)
    if index is None:
        return None
    return _difference(index, _tensor(claimed, index), _tensor(computed, index))


def _trace(run: StoredTrace | Trace) -> Trace:
    return run.trace if isinstance(run, StoredTrace) else run


def _tensor(run: StoredTrace | Trace, index: Index) -> Array | None:
    return run.mapped(index) if isinstance(run, StoredTrace) else None


class _DifferenceError(RejectedError):
    """Ends a run in `replay`: what comes after the first difference may follow from it."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(f"tensor {difference.instruction} is another one than is claimed")
        self.difference = difference


class _Replay:
    """A `Watcher` that holds each tensor against a claimed run, and ends it where one differs."""

    def __init__(self, graph: Graph, claimed: StoredTrace | Trace, hasher: Hasher) -> None:
        self._graph = graph
        self._claimed = claimed
        self._hasher = hasher

    def __call__(self, index: Index, tensor: Array, /) -> None:
        if isinstance(self._graph.instructions[index], Const):
            return
        if tensor_root(tensor, hasher=self._hasher) != _trace(self._claimed).roots[index]:
            raise _DifferenceError(_difference(index, _tensor(self._claimed, index), tensor))


def replay(
    graph: Graph,
    claimed: StoredTrace | Trace,
    runner: Runner,
    inputs: Mapping[str, Array],
    *,
    hasher: Hasher | None = None,
    progress: Progress | None = None,
) -> Difference | None:
    """Run a graph again and find where a claimed run parts from it; None if it does not.

    Needs no more memory than the run: each tensor is compared as it is computed. The run ends with
    the first one that differs.

    Parameters
    ----------
    graph : Graph
        The one that `claimed` is a run of.
    claimed : StoredTrace or Trace
    runner : Runner
        The graph with its weights, on any engine.
    inputs : mapping of str to array
        The job's inputs; a claimed run on others differs at an Input.
    hasher : Hasher, optional
        The fastest of this machine, if None.
    progress : Progress, optional

    Raises
    ------
    TensorError
        If the inputs are not what the graph asks for.
    """
    watcher = _Replay(graph, claimed, hasher or hasher_for(runner))
    try:
        runner.run(inputs, watch=watcher, progress=progress)
    except _DifferenceError as found:
        return found.difference
    return None
