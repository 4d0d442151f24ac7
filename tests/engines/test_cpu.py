"""The cpu engine: builds, threads, memory, and what it says when it cannot run."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import blocks
import numpy as np
import pytest
from checkout import ROOT, tracked
from graph_zoo import Case, case, cases
from hypothesis import given

from verifiable.engines.cpu import Cpu
from verifiable.engines.cpu_library import Library, load, supported
from verifiable.engines.protocol import RegionDone
from verifiable.engines.reference import Reference
from verifiable.errors import InputError, MissingDependencyError, TensorError

WITHOUT = """
from verifiable.engines.cpu import Cpu
from verifiable.errors import MissingDependencyError
try:
    Cpu()
except MissingDependencyError as error:
    print(error, "|", error.hint)
"""

FORKED = """
import os, sys
import numpy as np
import blocks
from verifiable.engines.cpu import Cpu
one = blocks.case_of(blocks.transformer, seed=1)
runner = Cpu(threads=3).prepare(one.graph, one.weights)
wanted = runner.run(one.inputs)["y"]
child = os.fork()
same = np.array_equal(runner.run(one.inputs)["y"], wanted)
if not child:
    os._exit(0 if same else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not same)
"""


def sources(folder: Path) -> None:
    """What git knows of the package, without what was built."""
    for name in tracked():
        if name.startswith(("verifiable/", "cuda/")) or "/" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def run(*words: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, words)), cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_without_native_code_it_says_what_to_do(tmp_path: Path) -> None:
    sources(tmp_path)
    done = run(sys.executable, "-c", WITHOUT, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "was not built" in done.stdout
    assert "compiler" in done.stdout


def test_without_a_compiler_the_package_builds_all_the_same(tmp_path: Path) -> None:
    sources(tmp_path)
    done = run(
        sys.executable, "setup.py", "build", "--build-base", "made", cwd=tmp_path,
        CC="false", CXX="false",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "`verifiable.native._base` was not built" in done.stderr
    assert not list(tmp_path.rglob("*.so"))
    assert list(tmp_path.glob("made/lib*/verifiable/engines/cpu.py"))


def test_a_file_that_is_no_library_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "_base.abi3.so"
    wrong.write_bytes(b"nothing")
    with pytest.raises(MissingDependencyError, match="cannot be loaded"):
        Library(wrong)


def test_a_build_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(MissingDependencyError, match="no build `v9`") as caught:
        Cpu(build="v9")
    assert caught.value.hint == f"builds here: {', '.join(supported())}"


def test_the_best_build_is_taken_unless_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VERIFIABLE_CPU_BUILD", raising=False)
    load.cache_clear()
    assert Cpu().library.path.name.startswith(f"_{supported()[0]}.")
    monkeypatch.setenv("VERIFIABLE_CPU_BUILD", "base")
    load.cache_clear()
    assert Cpu().library.path.name.startswith("_base.")
    load.cache_clear()


def test_products_that_this_processor_does_not_add_up_are_refused_with_those_that_it_does() -> None:
    with pytest.raises(MissingDependencyError, match="`thrice`") as caught:
        Cpu(products="thrice")
    assert caught.value.hint == f"ways of this build here: {', '.join(load().products)}"


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_a_number_of_threads_out_of_range_is_refused(threads: int) -> None:
    with pytest.raises(InputError, match=f"{threads} threads"):
        Cpu(threads=threads)


@given(cases())
def test_progress_tells_each_region_once_and_in_order(one: Case) -> None:
    for watch in (None, lambda *_: None):
        events: list[RegionDone] = []
        runner = Cpu(threads=1).prepare(one.graph, one.weights)
        outputs = runner.run(one.inputs, watch=watch, progress=events.append)
        assert [event.label for event in events] == [r.label for r in one.graph.regions]
        assert [event.number for event in events] == list(range(len(one.graph.regions)))
        wanted = runner.run(one.inputs)
        assert all(outputs[name].tobytes() == wanted[name].tobytes() for name in wanted)


def test_an_output_is_the_callers_own() -> None:
    one = blocks.case_of(blocks.softmax, seed=2)
    runner = Cpu(threads=1).prepare(one.graph, one.weights)
    first = runner.run(one.inputs)["y"]
    kept = first.copy()
    first[:] = 7
    assert np.array_equal(runner.run(one.inputs)["y"], kept)
    assert (first == 7).all()


def test_memory_of_a_result_is_used_again_only_when_no_view_of_it_is_left() -> None:
    one = blocks.case_of(blocks.scaled, seed=2)
    runner = Cpu(threads=1).prepare(one.graph, one.weights)
    first = runner.run(one.inputs)["y"]
    part, kept = first[3:5].T, first[3:5].T.copy()
    place = first.ctypes.data
    del first
    assert runner.run({"x0": one.inputs["x0"] * 2})["y"].ctypes.data != place
    assert np.array_equal(part, kept)
    del part
    assert runner.run(one.inputs)["y"].flags.writeable
    assert place in {runner.run(one.inputs)["y"].ctypes.data for _ in range(3)}


def test_runs_at_the_same_time_do_not_meet() -> None:
    one = blocks.case_of(blocks.transformer, seed=3)
    runner = Cpu(threads=2).prepare(one.graph, one.weights)
    several = [{n: x * np.float32(i) for n, x in one.inputs.items()} for i in range(8)]
    wanted = [runner.run(inputs)["y"].tobytes() for inputs in several]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda inputs: runner.run(inputs)["y"].tobytes(), several * 4))
    assert got == wanted * 4


def test_a_child_of_a_fork_has_threads_of_its_own() -> None:
    # Python warns of forking beside threads; that is what is tried.
    here = Path(__file__).parent
    path = os.pathsep.join(map(str, (here, here.parent, ROOT)))
    done = run(sys.executable, "-W", "ignore", "-c", FORKED, cwd=here, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("bits", [0xFFC00000, 0x7F800001, 0xFFFFFFFF])
@pytest.mark.parametrize("place", [0, 4095, 4096, 9999])
def test_a_nan_that_is_not_canonical_is_found_anywhere(bits: int, place: int) -> None:
    one = blocks.case_of(blocks.scaled, seed=1)
    runner = Cpu(threads=1).prepare(one.graph, one.weights)
    x = one.inputs["x0"].copy()
    x.view(np.uint32).reshape(-1)[[place, 20_000]] = bits
    where = f"[{place // 1000}, {place % 1000}]"
    with pytest.raises(TensorError) as caught:
        runner.run({"x0": x})
    assert f"element {where} is the NaN {bits:#x}" in str(caught.value)


@pytest.mark.slow
def test_the_code_for_wide_vectors_gives_the_same_bits(tmp_path: Path) -> None:
    """As it is compiled for AVX-512, but with instructions that more processors have."""
    native = ROOT / "verifiable" / "native"
    library = tmp_path / "wide.so"
    command = [
        "g++", "-std=c++17", "-O2", "-shared", "-fPIC", "-ffp-contract=off", "-fno-trapping-math",
        "-fno-math-errno", "-DLANES=16", "-march=native", f"-I{ROOT / 'cuda'}", "-pthread",
        "-Wno-psabi",
        *sorted(map(str, native.glob("*.cpp"))), "-o", str(library),
    ]  # fmt: skip
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    engine = Cpu(threads=1)
    engine.library = Library(library)
    assert engine.library.lanes == 16
    several = [case(seed, steps=8) for seed in range(200)]
    several += [blocks.case_of(build, seed=5) for build in blocks.ALL]
    for one in several:
        wanted = Reference().prepare(one.graph, one.weights).run(one.inputs)
        got = engine.prepare(one.graph, one.weights).run(one.inputs)
        assert {n: x.tobytes() for n, x in got.items()} == {
            n: x.tobytes() for n, x in wanted.items()
        }, one
