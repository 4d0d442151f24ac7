"""ezkl's settings in one form, levers, layouts and predictions, held against real circuits."""

import json
from contextlib import suppress
from math import prod
from pathlib import Path

import pytest
from documents import json_values
from hypothesis import given
from hypothesis import strategies as st
from zk_material import (
    KINDS,
    LEVERS,
    bundle,
    calibration,
    case,
    circuits,
    model,
    policy,
    proven,
)

from verifiable.errors import EncodingError
from verifiable.proofs.compile import compile_model
from verifiable.proofs.ezkl.cost import estimate, shape
from verifiable.proofs.ezkl.settings import (
    Candidate,
    candidate_of,
    canonical_bytes,
    parse_settings,
)

settings_like = st.dictionaries(
    st.sampled_from(
        ["required_range_checks", "required_lookups", "timestamp", "run_args", "z", "a"]
    ),
    st.lists(st.lists(st.integers(-99, 99), max_size=2), max_size=4),
)


def settings_of(kind: str, part: int = 0) -> bytes:
    return (bundle(kind).folder / "zk" / f"part-{part}" / "settings.json").read_bytes()


@given(settings_like)
def test_the_canonical_form_is_its_own_canonical_form(value: dict[str, object]) -> None:
    raw = canonical_bytes(value)
    assert canonical_bytes(json.loads(raw)) == raw


@given(settings_like, st.randoms(use_true_random=False), st.integers(0, 2**40))
def test_the_canonical_form_depends_on_no_order_and_no_time(
    value: dict[str, list[object]], shuffle: object, timestamp: int
) -> None:
    names = list(value)
    shuffle.shuffle(names)  # type: ignore[attr-defined]
    other: dict[str, object] = {name: list(value[name]) for name in names}
    for name in ("required_range_checks", "required_lookups"):
        if name in other:
            shuffle.shuffle(other[name])  # type: ignore[attr-defined]
    stamped: dict[str, object] = dict(value)
    stamped["timestamp"], other["timestamp"] = 1, timestamp
    assert canonical_bytes(stamped) == canonical_bytes(other)


def test_settings_in_another_form_are_refused() -> None:
    raw = settings_of("public")
    value = json.loads(raw)
    parse_settings(raw)
    spaced = json.dumps(value).encode()
    stamped = json.dumps(value | {"timestamp": 5}, sort_keys=True, separators=(",", ":")).encode()
    turned = dict(value, required_range_checks=value["required_range_checks"][::-1])
    backwards = json.dumps(turned, sort_keys=True, separators=(",", ":")).encode()
    for other in (spaced, stamped, backwards, raw + b"\n", raw[:-1], b"", b"[]", b"[" * 100_000):
        with pytest.raises(EncodingError):
            parse_settings(other)


@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_settings_never_give_a_traceback(raw: bytes) -> None:
    with suppress(EncodingError):
        parse_settings(raw)


@given(st.sampled_from(["required_range_checks", "run_args", "model_output_scales"]), json_values)
def test_settings_with_a_wrong_field_never_give_a_traceback(name: str, value: object) -> None:
    changed = json.loads(settings_of("public")) | {name: value}
    with suppress(EncodingError):
        parse_settings(json.dumps(changed, sort_keys=True, separators=(",", ":")).encode())


@given(
    st.builds(
        Candidate,
        scale=st.integers(0, 20),
        rebase=st.integers(1, 4),
        base=st.integers(2, 1 << 15),
        legs=st.integers(1, 9),
        columns=st.integers(1, 6),
    )
)
def test_a_candidate_and_its_levers_say_the_same(candidate: Candidate) -> None:
    assert Candidate.of_levers(candidate.levers) == candidate
    assert len(candidate.levers) == 5


@pytest.mark.parametrize("change", [{"more": 1}, {"scale": None}])
def test_levers_are_exactly_those_that_are_known(change: dict[str, int | None]) -> None:
    levers = {k: v for k, v in (LEVERS | change).items() if v is not None}
    with pytest.raises(EncodingError):
        Candidate.of_levers(levers)


def test_the_levers_given_are_those_in_the_settings() -> None:
    assert candidate_of(parse_settings(settings_of("public"))).levers == LEVERS


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_count_the_instances_that_real_proofs_have(kind: str) -> None:
    visibility, _ = KINDS[kind]
    parts = circuits(kind).parts
    claimed = case(kind).claim.subject.parts
    for part, stated in zip(parts, claimed, strict=True):
        assert part.layout.count == len(stated.instances)
    elements = {"public": 4, "hashed": 1, "private": 0, "committed": 0}[visibility.input]
    weights = {"fixed": 0, "hashed": 1, "committed": 0}[visibility.weights]
    outputs = {"public": 2, "hashed": 1}[visibility.output]
    crossing = 2 * (len(parts) - 1)
    counted = sum(part.layout.count for part in parts)
    assert counted == elements + weights * len(parts) + outputs + crossing
    for part in parts:
        for slot in part.layout.slots:
            if slot.form == "felts":
                assert slot.count == prod(slot.shape)


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_hold_for_real_keys_and_proofs(kind: str) -> None:
    found = bundle(kind)
    for i, part in enumerate(circuits(kind).parts):
        settings = parse_settings(settings_of(kind, i))
        size = shape(settings)
        real = (found.folder / "zk" / f"part-{i}" / "pk").stat().st_size
        # The k that the verifying key itself states, after its version byte.
        vk = (found.folder / "zk" / f"part-{i}" / "vk").read_bytes()
        assert size.k == part.k == vk[1]
        assert 0.75 <= size.key_bytes / real <= 1.25
        proof = proven(kind).receipt.proofs[i]
        assert 0.75 <= size.proof_bytes / len(proof) <= 1.25
        predicted = estimate(settings, error=0.0)
        assert predicted.k == size.k
        assert predicted.rows <= size.rows


@pytest.mark.parametrize("kind", ["public", "hashed-weights"])
def test_compiling_again_gives_the_same_settings_and_key(kind: str, tmp_path: Path) -> None:
    # ezkl's calibration shuffles two lists, and stamps the time.
    visibility, _ = KINDS[kind]
    for i in range(2):
        made = compile_model(
            model(), calibration(), policy(visibility), tmp_path / str(i), allow_insecure_srs=True
        )
        ours = made.bundle.folder / "zk" / "part-0"
        before = bundle(kind).folder / "zk" / "part-0"
        assert (ours / "settings.json").read_bytes() == (before / "settings.json").read_bytes()
        # Another SRS would make another key; the store gives the same one.
        assert made.bundle.lock["zk"]["srs"] == bundle(kind).lock["zk"]["srs"]
        assert (ours / "vk").read_bytes() == (before / "vk").read_bytes()
        assert made.bundle.lock["zk"] == bundle(kind).lock["zk"]


def test_proofs_of_one_run_differ_while_their_statement_does_not() -> None:
    from documents import KEY
    from zk_material import JOB, tensors

    from verifiable.proofs.prove import prove

    again = prove(bundle("public"), tensors(), JOB, KEY).receipt
    first = proven("public").receipt
    assert again.claim == first.claim
    assert again.proofs != first.proofs
