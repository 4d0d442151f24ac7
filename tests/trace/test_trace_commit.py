"""A trace root binds every tensor of a run, once."""

import hashlib
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from graph_zoo import Case, cases
from hypothesis import given
from trace_runs import tensors_of

from verifiable.crypto.merkle import Digests, Hasher, Tag
from verifiable.engines.protocol import RegionDone
from verifiable.engines.reference import Reference
from verifiable.graph.commitment import model_root
from verifiable.graph.ir import Const, Graph, Index, Input, Map, Program, Step, TensorType
from verifiable.graph.layout import big_endian
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import DType, Scalar
from verifiable.trace.commit import Recorder, commit, input_root, output_root


def digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def tree(leaves: Sequence[bytes]) -> bytes:
    full = list(leaves) or [digest(b"\x08")]
    while len(full) & (len(full) - 1):
        full.append(digest(b"\x08"))
    while len(full) > 1:
        full = [digest(b"\x01", *full[i : i + 2]) for i in range(0, len(full), 2)]
    return full[0]


@given(cases())
def test_the_trace_root_is_the_defined_one(one: Case) -> None:
    trace, outputs = commit(one.graph, Reference().prepare(one.graph, one.weights), one.inputs)
    roots = [tensor_root(tensor) for tensor in tensors_of(one)]
    named = {index for _, index in one.graph.outputs}
    inputs: list[bytes] = []
    body: list[bytes] = []
    results: list[bytes] = []
    for i, (instruction, root) in enumerate(zip(one.graph.instructions, roots, strict=True)):
        if isinstance(instruction, Input):
            inputs.append(root)
        elif not isinstance(instruction, Const):
            (results if i in named else body).append(root)
    assert trace.roots == tuple(roots)
    assert trace.root == digest(b"\x04", tree(inputs), tree(body), tree(results))
    assert trace.model == model_root(one.graph)
    # The claim's roots are the trace's, from the inputs and outputs alone.
    assert trace.sections.input == input_root(one.graph, one.inputs)
    assert trace.sections.output == output_root(one.graph, outputs)


@given(cases(steps=4))
def test_bytes_are_passed_on_in_order(one: Case) -> None:
    passed: list[bytes] = []
    told: list[RegionDone] = []
    commit(
        one.graph, Reference().prepare(one.graph, one.weights), one.inputs,
        sink=lambda data: passed.append(bytes(data)), progress=told.append,
    )  # fmt: skip
    pairs = zip(one.graph.instructions, tensors_of(one), strict=True)
    wanted = [bytes(big_endian(x)) for ins, x in pairs if not isinstance(ins, Const)]
    assert b"".join(passed) == b"".join(wanted)
    assert len(told) == len(one.graph.regions)


def passing(*outputs: int) -> Graph:
    """An Input, a Const, and their sum; any of them may be an output."""
    kind = TensorType(DType.F32, (3,))
    add = Program(steps=(Step(Scalar.ADD, (0, 1)),))
    return Graph(
        instructions=(
            Input(type=kind),
            Const(type=kind, root=tensor_root(np.ones(3, np.float32))),
            Map(type=kind, operands=(Index(0), Index(1)), program=add),
        ),
        inputs=("x",),
        outputs=tuple((f"y{i}", Index(index)) for i, index in enumerate(outputs)),
    )


@pytest.mark.parametrize(
    ("outputs", "body", "results"),
    [
        ((2,), [], [2]),
        ((2, 2), [], [2]),
        ((0, 2), [], [2]),
        ((1, 2), [], [2]),
        ((0, 1, 2), [], [2]),
    ],
)
def test_an_output_that_is_given_stands_where_it_was_given(
    outputs: tuple[int, ...], body: list[int], results: list[int]
) -> None:
    graph = passing(*outputs)
    x, one = np.arange(3, dtype=np.float32), np.ones(3, np.float32)
    values = [x, one, x + one]
    trace, _ = commit(graph, Reference().prepare(graph, {Index(1): one}), {"x": x})
    assert trace.sections.input == tensor_root(x)
    assert trace.sections.body == tree([tensor_root(values[i]) for i in body])
    assert trace.sections.output == tree([tensor_root(values[i]) for i in results])


def test_another_hasher_is_used_throughout() -> None:
    graph = passing(2)
    counted = 0

    class Counting(Hasher):
        def __call__(self, tag: Tag, data: Digests, /) -> bytes:
            nonlocal counted
            counted += len(data)
            return super().__call__(tag, data)

    x = np.arange(3, dtype=np.float32)
    runner = Reference().prepare(graph, {Index(1): np.ones(3, np.float32)})
    trace = commit(graph, runner, {"x": x}, hasher=Counting())[0]
    assert trace == commit(graph, runner, {"x": x})[0]
    assert counted == 4  # the leaf and the root of both tensors


def test_recording_needs_little_memory() -> None:
    kind = TensorType(DType.F32, (1 << 24,))  # 64 MiB
    graph = Graph(instructions=(Input(type=kind),), inputs=("x",), outputs=(("y", Index(0)),))
    recorder = Recorder(graph)
    array = np.zeros(kind.shape, np.float32)
    tracemalloc.start()
    recorder(Index(0), array)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


def test_an_engine_that_skips_a_tensor_is_a_bug() -> None:
    recorder = Recorder(passing(2))
    with pytest.raises(AssertionError, match="skipped"):
        recorder(Index(1), np.ones(3, np.float32))
    with pytest.raises(AssertionError, match="another type"):
        recorder(Index(0), np.ones(3, np.int32))
    recorder(Index(0), np.ones(3, np.float32))
