"""The gpu engine's loop: what it frees, shows and refuses, on a device that computes nothing."""

import weakref
from dataclasses import dataclass

import numpy as np
import pytest

from verifiable.engines.gpu_run import Kernel, prepare
from verifiable.engines.protocol import RegionDone
from verifiable.errors import TensorError
from verifiable.graph.ir import (
    Array,
    Const,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Map,
    Program,
    Region,
    Step,
    TensorType,
    View,
)
from verifiable.graph.vocabulary import DType, Scalar
from verifiable.types import Sha256

KIND = TensorType(DType.F32, (4, 8))
NEGATE = Program(steps=(Step(Scalar.NEG, (0,)),))


@dataclass(eq=False)
class Block:
    address: int
    size: int


class IdleDevice:
    """Counts memory, compilations and launches."""

    def __init__(self) -> None:
        self.live: weakref.WeakSet[Block] = weakref.WeakSet()
        self.most = 0
        self.uploads = 0
        self.compiled: list[str] = []
        self.launched: list[tuple[np.generic, ...]] = []
        self.waits = 0

    def _take(self, size: int) -> Block:
        block = Block(4096 * (1 + len(self.launched) + self.uploads), size)
        self.live.add(block)
        self.most = max(self.most, sum(b.size for b in self.live))
        return block

    def upload(self, array: Array) -> Block:
        self.uploads += 1
        return self._take(array.nbytes)

    def empty(self, size: int) -> Block:
        return self._take(size)

    def download(self, memory: object, kind: TensorType) -> Array:  # noqa: ARG002
        return np.zeros(kind.shape, kind.dtype.numpy)

    def kernel(self, source: str, name: str) -> Kernel:  # noqa: ARG002
        self.compiled.append(name)
        return lambda _grid, _block, arguments: self.launched.append(arguments)

    def wait(self) -> None:
        self.waits += 1


def chain(length: int, *, constant: bool = False) -> Graph:
    """Negations one after the other, each a region."""
    first: Instruction = Const(type=KIND, root=Sha256(bytes(32))) if constant else Input(type=KIND)
    maps = [Map(type=KIND, operands=(Index(i),), program=NEGATE) for i in range(length)]
    return Graph(
        instructions=(first, *maps),
        inputs=() if constant else ("x",),
        outputs=(("y", Index(length)),),
        regions=tuple(Region(label=f"Neg `{i}`", start=i + 1, stop=i + 2) for i in range(length)),
    )


def test_memory_is_given_back_after_the_last_use() -> None:
    device = IdleDevice()
    runner = prepare(chain(20), {}, device)
    runner.run({"x": np.zeros(KIND.shape, np.float32)})
    assert device.most == 2 * KIND.nbytes
    assert not device.live


def test_weights_are_uploaded_once_and_kernels_compiled_before_the_first_run() -> None:
    device = IdleDevice()
    weights = {Index(0): np.ones(KIND.shape, np.float32)}
    runner = prepare(chain(3, constant=True), weights, device)
    assert device.uploads == 1
    assert device.waits == 1, "another thread's stream would not wait for the copy"
    assert device.compiled == ["map_elements"] * 3
    for _ in range(2):
        runner.run({})
    assert device.uploads == 1
    assert len(device.launched) == 6
    assert len(device.live) == 1


def test_a_reshape_launches_nothing_and_takes_no_memory() -> None:
    shape = (8, 4)
    view = View(type=TensorType(DType.F32, shape), x=Index(0), offset=0, strides=(4, 1),
                low=(0, 0), high=shape, fill=Literal(DType.F32, 0))  # fmt: skip
    graph = Graph(instructions=(Input(type=KIND), view), inputs=("x",), outputs=(("y", Index(1)),))
    device = IdleDevice()
    found = prepare(graph, {}, device).run({"x": np.zeros(KIND.shape, np.float32)})
    assert found["y"].shape == shape
    assert not device.launched
    assert device.most == KIND.nbytes


def test_a_watcher_sees_every_tensor_in_order_and_progress_every_region() -> None:
    device = IdleDevice()
    seen: list[int] = []
    told: list[RegionDone] = []

    def look(index: Index, tensor: Array) -> None:
        assert tensor.shape == KIND.shape
        seen.append(index)

    runner = prepare(chain(3), {}, device)
    before = device.waits
    runner.run({"x": np.zeros(KIND.shape, np.float32)}, watch=look, progress=told.append)
    assert seen == [0, 1, 2, 3]
    assert [event.number for event in told] == [0, 1, 2]
    assert device.waits == before + 3


def test_inputs_are_held_against_the_graph() -> None:
    runner = prepare(chain(1), {}, IdleDevice())
    with pytest.raises(TensorError, match="`x`"):
        runner.run({"x": np.zeros((3, 3), np.float32)})
    with pytest.raises(TensorError, match="Const 0"):
        prepare(chain(1, constant=True), {}, IdleDevice())
