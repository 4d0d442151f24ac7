"""A run on disk: whole or absent, of the size it said, and read back at random."""

import json
from pathlib import Path

import numpy as np
import pytest
from graph_zoo import LONG, Case, case, cases, passed_on
from hypothesis import given
from trace_runs import committed, flipped, stored, tensors_of

from verifiable.crypto.hashing import canonical_json
from verifiable.engines.reference import Reference
from verifiable.errors import (
    EncodingError,
    InputError,
    StorageError,
    TensorError,
)
from verifiable.graph.commitment import model_header, trace_slots
from verifiable.graph.ir import Const, Index, TensorType
from verifiable.graph.layout import layout
from verifiable.graph.vocabulary import DType
from verifiable.trace.commit import Trace, sections
from verifiable.trace.index import encode_index
from verifiable.trace.opening import check_trace_leaf, check_trace_row
from verifiable.trace.store import INDEX, NODES, TENSORS, estimate, open_trace, store_run
from verifiable.types import Sha256

SEEDS = [*range(12)]


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_tensor_is_read_back(seed: int, tmp_path: Path) -> None:
    one = case(seed, extents=LONG if seed % 2 else (0, 1, 2, 3, 5), most=1500)
    path = tmp_path / "trace"
    made = stored(one, path)
    found = open_trace(path, one.graph)
    assert found.trace == made.trace == committed(one)
    found.check()
    for i, tensor in enumerate(tensors_of(one)):
        if not isinstance(one.graph.instructions[i], Const):
            again = found.tensor(Index(i))
            assert (again.dtype, again.shape) == (tensor.dtype, tensor.shape)
            assert again.tobytes() == tensor.tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_estimate_is_exact_and_comes_first(seed: int, tmp_path: Path) -> None:
    one = case(seed)
    wanted = estimate(one.graph)
    stored(one, tmp_path / "trace")
    assert size_of(tmp_path / "trace") == wanted


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_leaves_and_rows_open_from_disk(seed: int, tmp_path: Path) -> None:
    one = case(seed, steps=4, extents=LONG, most=1500)
    found = stored(one, tmp_path / "trace")
    header, slots = model_header(one.graph), trace_slots(one.graph)
    for i, instruction in enumerate(one.graph.instructions):
        plan = layout(instruction.type)
        if not isinstance(instruction, Const) and plan.leaves:
            leaf, row = plan.leaves - 1, plan.rows - 1
            check_trace_leaf(
                found.trace.root, header, slots[i], instruction.type, leaf,
                found.open_leaf(Index(i), leaf),
            )  # fmt: skip
            check_trace_row(
                found.trace.root, header, slots[i], instruction.type, row,
                found.open_row(Index(i), row),
            )  # fmt: skip


def test_opening_a_trace_reads_no_tensor(tmp_path: Path) -> None:
    kind = TensorType(DType.F32, (1 << 20,))
    graph = passed_on(kind)
    runner = Reference().prepare(graph, {})
    path = tmp_path / "trace"
    store_run(path, graph, runner, {"x": np.zeros(kind.shape, np.float32)})
    found = open_trace(path, graph)
    assert isinstance(found.data, np.memmap)
    assert isinstance(found.mapped(Index(0)), np.memmap)


def test_a_failed_run_leaves_nothing(tmp_path: Path) -> None:
    one = next(one for one in map(case, range(99)) if one.inputs)
    runner = Reference().prepare(one.graph, one.weights)
    with pytest.raises(TensorError):
        store_run(tmp_path / "trace", one.graph, runner, {})
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "trace").mkdir()
    with pytest.raises(InputError, match="exists already"):
        stored(case(0), tmp_path / "trace")
    with pytest.raises(StorageError, match="cannot write"):
        stored(case(0), tmp_path / "absent" / "trace")


def damaged(path: Path, change: object) -> None:
    """Write another value into the index."""
    value = json.loads((path / INDEX).read_bytes())
    assert isinstance(change, dict)
    (path / INDEX).write_bytes(canonical_json({**value, **change}))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "verifiable/trace/1"}, "schema is"),
        ({"semantics": "canon/2"}, "semantics is"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"roots": []}, "0 roots, wanted"),
        ({"roots": 1}, "roots is not a list"),
        ({"trace": "0x" + "00" * 32}, "the roots make the trace"),
        ({"model": "0x00"}, "model has 1 bytes"),
    ],
)
def test_a_damaged_index_is_refused(
    change: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    one = case(3)
    stored(one, tmp_path / "trace")
    damaged(tmp_path / "trace", change)
    with pytest.raises(EncodingError, match=complaint):
        open_trace(tmp_path / "trace", one.graph)


def test_roots_stand_at_every_tensor_but_the_consts(tmp_path: Path) -> None:
    one = next(one for one in map(case, range(99)) if one.weights and one.inputs)
    path = tmp_path / "trace"
    stored(one, path)
    roots = json.loads((path / INDEX).read_bytes())["roots"]
    const, other = next(iter(one.weights)), next(i for i, r in enumerate(roots) if r)
    for place, value in ((const, roots[other]), (other, None)):
        changed = [*roots]
        changed[place] = value
        damaged(path, {"roots": changed})
        with pytest.raises(EncodingError, match=rf"roots\[{place}\]"):
            open_trace(path, one.graph)


def test_a_trace_of_another_graph_is_refused(tmp_path: Path) -> None:
    stored(case(3), tmp_path / "trace")
    with pytest.raises(InputError, match="the trace is of the model"):
        open_trace(tmp_path / "trace", case(4).graph)


@pytest.mark.parametrize("file", [INDEX, NODES, TENSORS])
def test_an_absent_file_is_named(file: str, tmp_path: Path) -> None:
    stored(case(3), tmp_path / "trace")
    (tmp_path / "trace" / file).unlink()
    with pytest.raises(StorageError, match="cannot read the trace"):
        open_trace(tmp_path / "trace", case(3).graph)


@pytest.mark.parametrize("name", [NODES, TENSORS])
def test_a_file_of_another_length_is_refused(name: str, tmp_path: Path) -> None:
    stored(case(3), tmp_path / "trace")
    with (tmp_path / "trace" / name).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(EncodingError, match="bytes, wanted"):
        open_trace(tmp_path / "trace", case(3).graph)


@pytest.mark.parametrize("name", [INDEX, NODES, TENSORS])
def test_a_file_cut_short_is_refused(name: str, tmp_path: Path) -> None:
    stored(case(3), tmp_path / "trace")
    path = tmp_path / "trace" / name
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(EncodingError, match=r"trace` is damaged: ") as refused:
            open_trace(tmp_path / "trace", case(3).graph)
        assert refused.value.hint


def test_what_is_no_folder_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(b"{}")
    for path in (tmp_path / "trace", tmp_path / "absent"):
        with pytest.raises(StorageError, match=r"cannot read the trace `.*`index.json`") as refused:
            open_trace(path, case(3).graph)
        assert "a folder made by `run --trace`" in str(refused.value.hint)


def long_case() -> Case:
    """A run with a tensor of several leaves."""
    return next(
        one
        for one in (case(seed, steps=4, extents=LONG, most=1500) for seed in range(99))
        if any(layout(i.type).height > 1 for i in one.graph.instructions)
    )


@pytest.mark.parametrize("one", [case(3), long_case()], ids=["short", "long"])
def test_a_changed_byte_is_found_by_its_tensor_and_leaf(one: Case, tmp_path: Path) -> None:
    found = stored(one, tmp_path / "trace")
    path = tmp_path / "trace" / TENSORS
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for index, instruction in enumerate(one.graph.instructions):
        start, stop = found.offsets[index : index + 2]
        for place in {start, stop - 1, (start + stop) // 2} if start < stop else set():
            path.write_bytes(flipped(data, place).tobytes())
            element = (place - start) // instruction.type.dtype.itemsize
            leaf = layout(instruction.type).leaf_of(element)
            held = layout(instruction.type).elements(leaf)
            told = (
                rf"damaged: instruction {index}, .*: tensors.bin has other bytes in leaf {leaf}, "
                rf"elements {held.start} to {held.stop - 1},"
            )
            with pytest.raises(EncodingError, match=told):
                open_trace(tmp_path / "trace", one.graph).check()
    path.write_bytes(data.tobytes())
    open_trace(tmp_path / "trace", one.graph).check()


@pytest.mark.parametrize("one", [case(3), long_case()], ids=["short", "long"])
def test_a_changed_node_is_found_by_its_tensor_and_place(one: Case, tmp_path: Path) -> None:
    found = stored(one, tmp_path / "trace")
    path = tmp_path / "trace" / NODES
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for index, instruction in enumerate(one.graph.instructions):
        start, stop = found.node_offsets[index : index + 2]
        for row in {start, stop - 1} if start < stop else set():
            path.write_bytes(flipped(data, 32 * row + 7).tobytes())
            leaves = layout(instruction.type).leaves
            first, top = row == start, layout(instruction.type).height
            where = "leaf 0" if first or leaves == 1 else f"node 0 of level {top}"
            told = rf"instruction {index}, .*: nodes.bin has another digest of {where} than"
            with pytest.raises(EncodingError, match=told):
                open_trace(tmp_path / "trace", one.graph).check()


def test_an_index_that_lies_is_found_by_its_tensor(tmp_path: Path) -> None:
    # Roots that fit together, and the trace root over them; but no bytes are of that root.
    one = case(3)
    made = stored(one, tmp_path / "trace")
    kept = (tmp_path / "trace" / INDEX).read_bytes()
    stored_ones = [i for i, ins in enumerate(one.graph.instructions) if not isinstance(ins, Const)]
    for index in stored_ones:
        roots = [*made.trace.roots]
        roots[index] = Sha256(bytes(32))
        lying = Trace(
            model=made.trace.model, roots=tuple(roots), sections=sections(one.graph, roots)
        )
        (tmp_path / "trace" / INDEX).write_bytes(encode_index(one.graph, lying))
        told = rf"instruction {index}, .*: neither bytes nor nodes have the root (00){{32}} that"
        with pytest.raises(EncodingError, match=told):
            open_trace(tmp_path / "trace", one.graph).check()
    (tmp_path / "trace" / INDEX).write_bytes(kept)
    open_trace(tmp_path / "trace", one.graph).check()


def test_an_opening_reads_kept_nodes_and_hashes_nothing(tmp_path: Path) -> None:
    one = long_case()
    found = stored(one, tmp_path / "trace")
    index = next(
        Index(i)
        for i, ins in enumerate(one.graph.instructions)
        if not isinstance(ins, Const) and layout(ins.type).height > 1
    )
    wanted = found.open_leaf(index, 0)
    # Other bytes than those that were hashed: the siblings stay, for they were kept.
    path = tmp_path / "trace" / TENSORS
    path.write_bytes(bytes(path.stat().st_size))
    again = open_trace(tmp_path / "trace", one.graph).open_leaf(index, 0)
    assert again.part.siblings == wanted.part.siblings
    assert not any(again.part.data)


@given(one=cases(steps=2))
def test_the_estimate_holds_data_nodes_and_roots(one: Case) -> None:
    stored_ones = [i for i in one.graph.instructions if not isinstance(i, Const)]
    data = sum(i.type.nbytes for i in stored_ones)
    # A tree of n leaves has at least 2 n - 1 nodes, and few more where padding is left out.
    plans = [layout(i.type) for i in stored_ones]
    leaves = [plan.leaves for plan in plans]
    least = data + 32 * sum(max(2 * count - 1, 0) for count in leaves)
    most = data + 32 * sum(
        2 * n + p.height * (p.trees + 1) for n, p in zip(leaves, plans, strict=True)
    )
    count = len(stored_ones)
    assert least + 66 * count < estimate(one.graph)
    assert estimate(one.graph) < most + 80 * len(one.graph.instructions) + 400
