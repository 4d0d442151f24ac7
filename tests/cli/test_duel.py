"""The disputes of the demo end as they must, for any answer of the model."""

from pathlib import Path

import numpy as np
import pytest

from circuits import recipe
from verifiable.cli.duel import ETHER, POLICY, PRICE, play, rows, swapped
from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower


@pytest.mark.parametrize("image", [0, 17])
def test_the_true_claim_is_paid_and_the_forged_one_slashed(image: int, tmp_path: Path) -> None:
    samples = recipe.load("digits_cnn").samples()
    inputs = {name: array[image] for name, array in samples.test.items()}
    graph, weights = lower(parse_model(recipe.model("digits_cnn")))
    true, served, withheld = play(graph, weights, inputs, tmp_path, print)
    assert (true.verdict, true.moves) == ("final", ("Post", "Finalize"))
    assert (true.proposer, true.challenger) == (PRICE, 0)
    assert served.verdict == withheld.verdict == "refuted"
    assert served.moves == ("Post", "OpenChallenge", "CommitTrace", "Refute")
    assert withheld.moves.count("Refute") == 1
    assert withheld.moves.count("DemandBytes") == withheld.moves.count("Reveal") > 0
    kept = POLICY.bond * (10_000 - POLICY.burnt_share - POLICY.requester_share) // 10_000
    assert (served.proposer, served.challenger) == (-POLICY.bond, kept)
    assert (withheld.proposer, withheld.challenger) == (-POLICY.bond, kept)
    assert served.challenger > 0.5 * ETHER
    assert len(rows([true, served, withheld])) == 3


def test_swapping_changes_the_answer_and_nothing_else() -> None:
    scores = np.array([[0.5, 3.0, -1.0, 2.0]], np.float32)
    found = swapped(scores)
    assert found.argmax() == 3
    assert sorted(found.ravel()) == sorted(scores.ravel())
    assert scores.argmax() == 1
