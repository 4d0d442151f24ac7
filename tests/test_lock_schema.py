"""The published schema of LOCK.json accepts every lock we write and says what a lock is."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from costly import costly
from documents import json_values
from hypothesis import strategies as st
from jsonschema import ValidationError
from test_claim import paths, replaced
from test_schemas import validator

from verifiable.bundle import LOCK_NAME, open_bundle, write_bundle
from verifiable.crypto.hashing import sha256
from verifiable.errors import LockError
from verifiable.proofs.ezkl.files import (
    COMPILED,
    MODEL,
    PLAIN,
    PROVERS_ONLY,
    PROVING_KEY,
    SETTINGS,
    VERIFYING_KEY,
)
from verifiable.proofs.locked import (
    FOLDER,
    SRS_VERIFIER,
    LockedCircuits,
    LockedPart,
    from_lock,
    to_lock,
)
from verifiable.proofs.protocol import (
    InputVisibility,
    OutputVisibility,
    Visibility,
    WeightVisibility,
)
from verifiable.proofs.statement import Form, Joint, Layout, Role, Slot
from verifiable.types import Sha256

SCHEMA: Final = validator("lock-1")


def layout_of(slots: list[Slot]) -> Layout:
    """The slots one after the other, each taking what its form takes."""
    placed: list[Slot] = []
    for slot in slots:
        count = {"felts": prod(slot.shape), "hash": 1, "commitment": 0}[slot.form]
        start = placed[-1].start + placed[-1].count if placed else 0
        placed.append(replace(slot, start=start, count=count))
    return Layout(slots=tuple(placed))


_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
layouts = st.lists(
    st.builds(
        Slot,
        role=st.sampled_from(get_args(Role)),
        name=_names,
        form=st.sampled_from(get_args(Form)),
        start=st.just(0),
        count=st.just(0),
        shape=st.lists(st.integers(0, 5), max_size=3).map(tuple),
        scale=st.integers(0, 127),
    ),
    min_size=1,
    max_size=2,
).map(layout_of)
locked_parts = st.builds(
    LockedPart,
    folder=st.just(Path()),
    onnx=st.just(Sha256(bytes(32))),
    settings=st.just(Sha256(bytes(32))),
    vk=st.just(Sha256(bytes(32))),
    k=st.integers(1, 28),
    layout=layouts,
    weights=st.sampled_from([(), ("0a" * 32,), ("0a" * 32, "b1" * 32)]),
    error=_finite.map(abs),
)
visibilities = st.builds(
    Visibility,
    input=st.sampled_from(get_args(InputVisibility)),
    weights=st.sampled_from(get_args(WeightVisibility)),
    output=st.sampled_from(get_args(OutputVisibility)),
)
circuits = st.builds(
    LockedCircuits,
    system=st.just("ezkl"),
    semantics=st.just("ezkl/23.0.5"),
    model=st.just(Sha256(bytes(32))),
    visibility=visibilities,
    srs=st.just(Sha256(b"s" * 32)),
    srs_k=st.integers(1, 28),
    insecure_srs=st.booleans(),
    srs_verifier=st.just(Path()),
    parts=st.lists(locked_parts, min_size=1, max_size=2).map(tuple),
    joints=st.lists(
        st.builds(
            Joint,
            from_part=st.just(0),
            from_slot=st.just(0),
            to_part=st.just(0),
            to_slot=st.just(0),
        ),
        max_size=2,
    ).map(tuple),
    ranges=st.dictionaries(_names, st.tuples(_finite, _finite), max_size=2),
)


slot = partial(Slot, start=0, count=0)

TWO_PARTS: Final = LockedCircuits(
    system="ezkl",
    semantics="ezkl/23.0.5",
    model=Sha256(bytes(32)),
    visibility=Visibility(input="hashed"),
    srs=Sha256(b"s" * 32),
    srs_k=10,
    insecure_srs=True,
    srs_verifier=Path(),
    parts=tuple(
        LockedPart(
            folder=Path(),
            onnx=Sha256(bytes(32)),
            settings=Sha256(bytes(32)),
            vk=Sha256(bytes(32)),
            k=9,
            layout=layout_of(
                [
                    slot(role="input", name="x", form="hash", shape=(4,), scale=7),
                    slot(role="output", name="y", form="felts", shape=(2,), scale=9),
                ]
            ),
            weights=("ab" * 32,),
            error=0.125,
        )
        for _ in range(2)
    ),
    joints=(Joint(from_part=0, from_slot=1, to_part=1, to_slot=0),),
    ranges={"x": (-1.0, 1.0)},
)


def in_place(made: LockedCircuits, out: Path) -> LockedCircuits:
    """The circuits with the folders and digests of the files that `folder` writes."""
    return replace(
        made,
        model=sha256(b"model.onnx"),
        srs_verifier=out / FOLDER / SRS_VERIFIER,
        parts=tuple(
            replace(
                part,
                folder=out / FOLDER / f"part-{i}",
                onnx=sha256(f"{FOLDER}/part-{i}/{MODEL}".encode()),
                settings=sha256(f"{FOLDER}/part-{i}/{SETTINGS}".encode()),
                vk=sha256(f"{FOLDER}/part-{i}/{VERIFYING_KEY}".encode()),
            )
            for i, part in enumerate(made.parts)
        ),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two parts; each file holds its own name."""
    out = tmp_path_factory.mktemp("lock") / "bundle"
    files = (MODEL, SETTINGS, VERIFYING_KEY, PLAIN, COMPILED, PROVING_KEY)
    names = [f"{FOLDER}/part-{i}/{name}" for i in range(2) for name in files]
    parts: dict[str, Any] = {}
    with write_bundle(out, parts, set(PROVERS_ONLY)) as partial_folder:
        for name in ("model.onnx", f"{FOLDER}/{SRS_VERIFIER}", *names):
            (partial_folder / name).parent.mkdir(parents=True, exist_ok=True)
            (partial_folder / name).write_text(name)
        parts["zk"] = to_lock(in_place(TWO_PARTS, out))
        parts["versions"] = {"ezkl": version("ezkl")}
    return out


@pytest.fixture(scope="module")
def lock(folder: Path) -> Mapping[str, Any]:
    value: dict[str, Any] = json.loads((folder / LOCK_NAME).read_text())
    return value


@contextmanager
def another_lock(folder: Path, lock: Mapping[str, Any]) -> Iterator[None]:
    path = folder / LOCK_NAME
    original = path.read_bytes()
    path.write_text(json.dumps(lock))
    try:
        yield
    finally:
        path.write_bytes(original)


def test_a_bundle_is_written_with_a_valid_lock(folder: Path, lock: Mapping[str, Any]) -> None:
    SCHEMA.validate(lock)
    assert from_lock(open_bundle(folder, "prove")) == in_place(TWO_PARTS, folder)


@costly(circuits)
def test_every_lock_is_valid_and_read_back(
    folder: Path, lock: Mapping[str, Any], made: LockedCircuits
) -> None:
    made = in_place(made, folder)
    value = {**lock, "zk": json.loads(json.dumps(to_lock(made)))}
    SCHEMA.validate(value)
    with another_lock(folder, value):
        assert from_lock(open_bundle(folder, "verify")) == made


@costly(data=st.data(), new=json_values)
def test_a_lock_that_is_read_is_valid(
    folder: Path, lock: Mapping[str, Any], data: st.DataObject, new: object
) -> None:
    # The part that a parser reads field by field; of the rest only digests are looked at.
    path = data.draw(st.sampled_from(paths(lock["zk"])))
    changed = {**lock, "zk": replaced(lock["zk"], path, new)}
    with another_lock(folder, changed), suppress(LockError):
        from_lock(open_bundle(folder, "verify"))
        SCHEMA.validate(changed)


PART: Final = ("zk", "parts", 1)


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (("schema",), "verifiable/lock/2"),
        (("files", "model.onnx", "sha256"), "AB" * 32),
        (("files", "model.onnx", "bytes"), -1),
        (("files", "model.onnx", "for"), "nothing"),
        (("files", "../outside"), {"bytes": 0, "for": "verify", "sha256": "00" * 32}),
        (("files", "/absolute"), {"bytes": 0, "for": "verify", "sha256": "00" * 32}),
        (("files", "zk/../../out"), {"bytes": 0, "for": "verify", "sha256": "00" * 32}),
        (("files", "back\\slash"), {"bytes": 0, "for": "verify", "sha256": "00" * 32}),
        (("versions",), {"ezkl": "23.0.5"}),
        (("zk", "unknown"), 1),
        (("zk", "system"), "other"),
        (("zk", "visibility", "weights"), "private"),
        (("zk", "srs", "insecure"), 0),
        (("zk", "srs", "k"), 29),
        (("zk", "parts"), []),
        (("zk", "ranges", "x"), [0.0]),
        ((*PART, "folder"), "zk/../part-1"),
        ((*PART, "vk"), "0x" + "00" * 32),
        ((*PART, "layout", 0, "form"), "plain"),
        ((*PART, "layout", 0, "scale"), 128),
        ((*PART, "layout", 0, "shape", 0), -1),
        (("zk", "joints", 0, "to_slot"), 0.5),
    ],
    ids=str,
)
def test_what_is_no_lock_is_invalid(
    lock: Mapping[str, Any], path: tuple[str | int, ...], new: object
) -> None:
    SCHEMA.validate(lock)
    with pytest.raises(ValidationError):
        SCHEMA.validate(replaced(lock, path, new))


def test_a_lock_lacks_nothing_but_its_parts(lock: Mapping[str, Any]) -> None:
    SCHEMA.validate({key: value for key, value in lock.items() if key != "zk"})
    for name in ("schema", "versions", "files"):
        with pytest.raises(ValidationError):
            SCHEMA.validate({key: value for key, value in lock.items() if key != name})


def test_the_schema_names_itself() -> None:
    assert SCHEMA.schema["$id"] == "urn:verifiable:schema:lock:1"
