"""The golden corpus: it is the one that was committed, and every engine gives its digests."""

import shutil
import sys
from pathlib import Path
from typing import Final

import pytest
from checkout import ROOT
from named_engines import GPU

from verifiable.engines.cpu_library import supported
from verifiable.engines.protocol import Engine
from verifiable.graph.encoding import encode
from verifiable.graph.ir import Map, Reduce
from verifiable.graph.vocabulary import SEMANTICS, DType, Fold, Scalar

sys.path.insert(0, str(ROOT / "scripts"))
from make_vectors import MOST_BYTES
from vector_cases import cases, frozen
from vector_files import FOLDER, corpus_digest, read, results

PINNED: Final = {"canon/1": "cefb9116d8107784b429eb7b74f1cc2789c05c180440a914a572411275ad492f"}
"""Digest of the corpus of each semantics id. Entries are added, never changed."""

PATHS: Final = sorted(FOLDER.glob("*.json"))
ENGINES: Final = ("reference", *(f"cpu-{build}" for build in supported()), "ort", GPU)


def problem(folder: Path, semantics: str) -> str | None:
    """What is wrong with the corpus of a semantics id, None if nothing is."""
    if semantics not in PINNED:
        return f"semantics {semantics} has no corpus: run scripts/make_vectors.py, pin its digest"
    got = corpus_digest(folder)
    if got == PINNED[semantics]:
        return None
    return (
        f"a file of {folder} was changed, added or removed: its digest is {got}, {semantics} is "
        f"pinned to {PINNED[semantics]}. A change of any result takes a new semantics id "
        "(verifiable/graph/vocabulary.py); then run scripts/make_vectors.py and pin its digest."
    )


def test_the_corpus_is_the_one_of_this_semantics_id() -> None:
    assert problem(FOLDER, SEMANTICS) is None
    assert sum(path.stat().st_size for path in PATHS) < MOST_BYTES


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename"])
def test_any_change_of_a_file_asks_for_a_new_semantics_id(tmp_path: Path, change: str) -> None:
    copied = shutil.copytree(FOLDER, tmp_path / "copy")
    one = copied / "dot-f32.json"
    match change:
        case "edit":
            one.write_text(one.read_text() + " ")
        case "add":
            (copied / "more.json").write_text("{}")
        case "remove":
            one.unlink()
        case "rename":
            one.rename(copied / "dot.json")
    said = problem(copied, SEMANTICS)
    assert said is not None
    assert "new semantics id" in said
    assert "has no corpus" in str(problem(FOLDER, "canon/0"))


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_an_engine_gives_every_digest(engine: Engine) -> None:
    wrong = []
    for path in PATHS:
        vector, wanted = read(path)
        got = results(vector, engine.prepare(vector.graph, vector.weights))
        if got != wanted:
            outputs = [k for k, v in wanted["outputs"].items() if got["outputs"][k] != v]
            wrong.append(f"{vector.name}: outputs {outputs or 'none, but a root'}")
    assert not wrong


def test_the_script_still_writes_these_cases() -> None:
    written = {vector.name: vector for vector in cases()}
    assert written.keys() | frozen().keys() == {path.stem for path in PATHS}
    for name, vector in written.items():
        committed = read(FOLDER / f"{name}.json")[0]
        assert encode(vector.graph) == encode(committed.graph), name
        for key, array in vector.inputs.items():
            assert array.tobytes() == committed.inputs[key].tobytes(), name


def test_the_corpus_shows_the_whole_vocabulary() -> None:
    functions, folds, kinds, dtypes = set(), set(), set(), set()
    for path in PATHS:
        for instruction in read(path)[0].graph.instructions:
            kinds.add(type(instruction))
            dtypes.add(instruction.type.dtype)
            match instruction:
                case Map(program=program):
                    functions |= {step.function for step in program.steps}
                case Reduce(fold=fold):
                    folds.add(fold)
    assert functions == set(Scalar)
    assert folds == set(Fold)
    assert dtypes == set(DType)
    assert len(kinds) == 8
