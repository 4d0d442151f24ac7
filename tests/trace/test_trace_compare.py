"""Two runs part at the first tensor that one of them got wrong, and at its first element."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from graph_zoo import Case, case, cases
from hypothesis import assume, given
from hypothesis import strategies as st
from trace_runs import Liar, committed, flipped, stored, tensors_of

from verifiable.engines.cpu import Cpu
from verifiable.engines.protocol import Engine, Progress, Runner, Watcher
from verifiable.engines.reference import Reference
from verifiable.graph.ir import Array, Const, Index, Literal
from verifiable.graph.vocabulary import DType
from verifiable.trace.commit import commit
from verifiable.trace.compare import Difference, compare, first_element, first_root, replay
from verifiable.trace.store import store_run


def bits(array: Array, element: int) -> Literal:
    kinds = {np.dtype(dtype.numpy): dtype for dtype in DType}
    raw = array.reshape(-1)[element : element + 1].tobytes()
    return Literal(kinds[array.dtype], int.from_bytes(raw, "little"))


def lies(one: Case) -> list[tuple[Index, int]]:
    """An element of each computed tensor that has one."""
    return [
        (Index(i), tensor.size // 2)
        for i, tensor in enumerate(tensors_of(one))
        if tensor.size and not isinstance(one.graph.instructions[i], Const)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_lie_is_found_where_it_was_told(seed: int, tmp_path: Path) -> None:
    one = case(seed)
    good = stored(one, tmp_path / "good")
    honest = Reference().prepare(one.graph, one.weights)
    truth = tensors_of(one)
    for number, (index, element) in enumerate(lies(one)):
        liar = Liar(one, index, element)
        bad = store_run(tmp_path / f"bad{number}", one.graph, liar, one.inputs)[0]
        wanted = Difference(
            instruction=index,
            element=element,
            position=tuple(map(int, np.unravel_index(element, truth[index].shape))),
            claimed=bits(flipped(truth[index], element), element),
            computed=bits(truth[index], element),
        )
        assert compare(bad, good) == wanted
        assert replay(one.graph, bad, honest, one.inputs) == wanted
        # The other way round, the values change places.
        turned = replace(wanted, claimed=wanted.computed, computed=wanted.claimed)
        assert compare(good, bad) == turned
        # Where one side is no more than roots, the instruction is known all the same.
        bare = Difference(instruction=index, element=None)
        assert compare(bad.trace, good) == compare(bad, good.trace) == bare
        assert replay(one.graph, bad.trace, honest, one.inputs) == bare
        assert f"instruction {index}, " in wanted.text(one.graph)
        assert f"element {list(wanted.position)} is claimed to be" in wanted.text(one.graph)
        assert "another root" in bare.text(one.graph)


@given(cases(steps=5), st.data())
def test_roots_alone_name_the_instruction(one: Case, data: st.DataObject) -> None:
    told = lies(one)
    assume(told)
    index, element = data.draw(st.sampled_from(told))
    bad, _ = commit(one.graph, Liar(one, index, element), one.inputs)
    assert first_root(bad.roots, committed(one).roots) == index
    honest = Reference().prepare(one.graph, one.weights)
    found = replay(one.graph, bad, honest, one.inputs)
    assert found is not None
    assert found.instruction == index


@dataclass(frozen=True)
class Counted:
    """A runner that counts the tensors that are seen."""

    runner: Runner
    seen: list[Index] = field(default_factory=list)

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        watch: Watcher | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Array]:
        assert watch is not None

        def look(index: Index, tensor: Array, /) -> None:
            self.seen.append(index)
            watch(index, tensor)

        return self.runner.run(inputs, watch=look, progress=progress)


@pytest.mark.parametrize("engine", [Reference(), Cpu()], ids=lambda engine: engine.name)
def test_a_run_ends_where_the_first_difference_is(engine: Engine) -> None:
    one = case(3)
    honest = engine.prepare(one.graph, one.weights)
    for index, element in lies(one):
        bad, _ = commit(one.graph, Liar(one, index, element), one.inputs)
        counted = Counted(honest)
        found = replay(one.graph, bad, counted, one.inputs)
        assert found is not None
        assert found.instruction == index
        assert counted.seen == list(range(index + 1))
        # The engine runs on as before.
        assert replay(one.graph, committed(one), honest, one.inputs) is None


@given(cases(steps=5))
def test_a_true_run_is_upheld(one: Case) -> None:
    trace = committed(one)
    honest = Reference().prepare(one.graph, one.weights)
    assert replay(one.graph, trace, honest, one.inputs) is None
    assert compare(trace, committed(one)) is None


def test_bytes_that_are_not_those_of_their_root_show_nothing(tmp_path: Path) -> None:
    # A provider who serves true bytes under a false root is caught by the root.
    one = case(3)
    good = stored(one, tmp_path / "good")
    index, element = lies(one)[-1]
    bad = commit(one.graph, Liar(one, index, element), one.inputs)[0]
    posing = replace(good, trace=bad)
    honest = Reference().prepare(one.graph, one.weights)
    assert replay(one.graph, posing, honest, one.inputs) == Difference(
        instruction=index, element=None
    )


@pytest.mark.parametrize("dtype", list(DType), ids=str)
def test_the_first_of_several_elements_is_found(dtype: DType) -> None:
    one = np.zeros((3, 400_000), dtype.numpy)
    for element in (0, 1, 262_143, 262_144, 262_145, 1_199_999):
        other = flipped(one, element)
        if element < 1_199_999:
            other = flipped(other, 1_199_999)
        assert first_element(one, other) == element
        assert first_element(one.astype(one.dtype.newbyteorder(">")), other) == element
    assert first_element(one, one.copy()) is None


def test_zeros_of_two_signs_differ_and_a_nan_is_itself() -> None:
    zero = np.zeros(3, np.float32)
    assert first_element(zero, -zero) == 0
    nan = np.full(3, np.nan, np.float32)
    assert first_element(nan, nan.copy()) is None


def test_other_inputs_differ_at_the_input(tmp_path: Path) -> None:
    one = next(one for one in map(case, range(99)) if any(x.size for x in one.inputs.values()))
    found = stored(one, tmp_path / "trace")
    name = next(name for name, x in one.inputs.items() if x.size)
    inputs = {**one.inputs, name: flipped(one.inputs[name], 0)}
    honest = Reference().prepare(one.graph, one.weights)
    difference = replay(one.graph, found, honest, inputs)
    assert difference is not None
    assert type(one.graph.instructions[difference.instruction]).__name__ == "Input"
    assert difference.element == 0
