"""The committed models are what their folders say they are."""

import hashlib
import io
import json
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "scripts"))

import build_circuits  # noqa: E402

from circuits import recipe as recipes  # noqa: E402
from verifiable.engines import ort  # noqa: E402
from verifiable.frontend.export import load_model, signature_of  # noqa: E402
from verifiable.frontend.inputs import bind_samples, check_covers  # noqa: E402

NAMES = recipes.names()


def test_the_promised_recipes_exist() -> None:
    assert set(NAMES) == {
        "digits_cnn",
        "digits_mlp",
        "forest",
        "lenet",
        "lstm",
        "mlp_tiny",
        "transformer_block",
    }


@pytest.mark.parametrize("name", NAMES)
def test_files_and_data_are_as_locked(name: str) -> None:
    assert build_circuits.differences(name) == []
    lock = json.loads((recipes.FOLDER / name / "LOCK.json").read_text())
    assert lock["model"]["sha256"] == hashlib.sha256(recipes.model(name)).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_states_the_accuracy_that_is_measured(name: str) -> None:
    readme = (recipes.FOLDER / name / "README.md").read_text()
    stated = re.search(r"test accuracy \| \*\*([\d.]+)\*\* on (\d+) held-out", readme)
    assert stated is not None
    recipe = recipes.load(name)
    samples = recipe.samples()
    outputs = ort.run_samples(recipes.model(name), samples.test)
    assert float(stated[1]) == round(recipe.accuracy(outputs, samples.labels), 4)
    assert int(stated[2]) == len(samples.labels)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_model_is_admitted_and_in_normal_form(name: str) -> None:
    assert load_model(recipes.model(name)) == recipes.model(name)


@pytest.mark.parametrize("name", NAMES)
def test_samples_fit_the_model_and_calibration_covers_the_test_set(name: str) -> None:
    signature = signature_of(recipes.model(name))
    samples = recipes.load(name).samples()
    for part in (samples.calibration, samples.test):
        assert {k: v.shape for k, v in bind_samples(part, signature).items()} == {
            k: v.shape for k, v in part.items()
        }
    assert all(len(v) == recipes.CALIBRATION for v in samples.calibration.values())
    # Standardised features have no hard bounds, pixels do.
    check_covers(samples.calibration, samples.test, margin=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_test_samples_are_not_calibrated_on(name: str) -> None:
    samples = recipes.load(name).samples()
    for tensor, calibration in samples.calibration.items():
        seen = {row.tobytes() for row in calibration}
        assert not any(row.tobytes() in seen for row in samples.test[tensor])


@pytest.mark.parametrize("name", NAMES)
def test_terms_are_possible_ones(name: str) -> None:
    terms = recipes.terms(name)
    assert 0 < terms.error < 1
    assert terms.input in {"public", "private", "hashed", "committed"}
    assert terms.weights in {"fixed", "hashed", "committed"}
    assert terms.output in {"public", "hashed"}


def test_dashes_and_underscores_name_the_same_recipe() -> None:
    assert recipes.model("digits-cnn") == recipes.model("digits_cnn")
    with pytest.raises(LookupError, match="no recipe `digits`; there are digits_cnn"):
        recipes.load("digits")


def test_a_changed_model_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mlp_tiny"
    folder.mkdir()
    for name in ("LOCK.json", "model.onnx"):
        (folder / name).write_bytes((recipes.FOLDER / "mlp_tiny" / name).read_bytes())
    model = onnx.load(folder / "model.onnx")
    weights = model.graph.initializer[0]
    weights.raw_data = bytes([weights.raw_data[0] ^ 1]) + weights.raw_data[1:]
    onnx.save(model, folder / "model.onnx")
    monkeypatch.setattr(build_circuits, "FOLDER", tmp_path)
    with redirect_stdout(io.StringIO()) as said:
        assert build_circuits.main(["--check", "mlp_tiny"]) == 1
    assert "differs in model, weights" in said.getvalue()


def test_the_forest_scores_as_scikit_learn_does() -> None:
    forest = recipes.load("forest")
    trees = forest.boosted()  # type: ignore[attr-defined]
    features, _, _ = forest.patients()  # type: ignore[attr-defined]
    model = forest.lowered(trees)  # type: ignore[attr-defined]
    scores = ort.run_samples(model, {"features": features[:, np.newaxis]})["score"].ravel()
    np.testing.assert_allclose(scores, trees.decision_function(features), atol=1e-5)
    np.testing.assert_array_equal(scores > 0, trees.predict(features) == 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_training_again_gives_the_same_bytes_or_at_least_the_accuracy(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    recipe = recipes.load(name)
    samples = recipe.samples()
    model = recipe.train()
    # Bytes depend on how the processor orders sums, so they are told and not demanded.
    record_property("same_bytes", model == recipes.model(name))
    lock = json.loads((recipes.FOLDER / name / "LOCK.json").read_text())
    found = recipe.accuracy(ort.run_samples(model, samples.test), samples.labels)
    assert abs(found - lock["test_accuracy"]) <= 0.03
