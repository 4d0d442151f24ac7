"""A trace that another engine committed and stored: the cpu engine's root, and it opens."""

from pathlib import Path

import pytest
from graph_zoo import SMALL, case
from named_engines import GPU
from trace_runs import committed, tensors_of

from verifiable.engines.cpu import Cpu
from verifiable.engines.protocol import Engine
from verifiable.graph.commitment import model_header, trace_slots
from verifiable.graph.ir import Const, Index
from verifiable.graph.layout import layout
from verifiable.trace.commit import commit
from verifiable.trace.opening import check_trace_leaf, check_trace_row
from verifiable.trace.store import open_trace, store_run

SEEDS = [*range(6)]


@pytest.mark.parametrize("engine", ["cpu", "ort", "interpreted", GPU], indirect=True)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_trace_of_any_engine_is_the_trace_of_the_cpu(
    engine: Engine, seed: int, tmp_path: Path
) -> None:
    one = case(seed, steps=5, extents=(*SMALL, 33), most=600)
    wanted, _ = commit(one.graph, Cpu(threads=1).prepare(one.graph, one.weights), one.inputs)
    assert wanted == committed(one)
    runner = engine.prepare(one.graph, one.weights)
    assert commit(one.graph, runner, one.inputs)[0] == wanted
    made, _ = store_run(tmp_path / "trace", one.graph, runner, one.inputs)
    assert made.trace.root == wanted.root
    found = open_trace(tmp_path / "trace", one.graph)
    found.check()
    header, slots = model_header(one.graph), trace_slots(one.graph)
    for i, (instruction, tensor) in enumerate(
        zip(one.graph.instructions, tensors_of(one), strict=True)
    ):
        if isinstance(instruction, Const):
            continue
        index, plan = Index(i), layout(instruction.type)
        assert found.tensor(index).tobytes() == tensor.tobytes()
        if not plan.leaves:
            continue
        leaf, row = plan.leaves - 1, plan.rows - 1
        root, kind = wanted.root, instruction.type
        check_trace_leaf(root, header, slots[i], kind, leaf, found.open_leaf(index, leaf))
        check_trace_row(root, header, slots[i], kind, row, found.open_row(index, row))
