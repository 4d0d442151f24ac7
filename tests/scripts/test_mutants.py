"""The planted bugs still apply, and a sample of them is killed."""

import argparse
import random
from collections import Counter
from pathlib import Path

import mutants
import pytest
from checkout import ROOT

FOUND = mutants.mutants()
LEAST = 30
SAMPLE = 10


def test_there_are_enough_in_rules_and_contracts() -> None:
    count = Counter(Path(one.file).suffix for one in FOUND)
    assert set(count) == {".py", ".sol"}
    assert min(count.values()) >= LEAST


@pytest.mark.parametrize("mutant", FOUND, ids=lambda one: one.name)
def test_each_applies_to_the_tree_and_has_tests(mutant: mutants.Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert mutant.apply(text) != text
    assert mutant.says.endswith(".")
    assert all((ROOT / test).is_file() for test in mutant.tests)


def test_one_that_does_not_apply_is_an_error() -> None:
    one = mutants.Mutant(name="m", says="", file="a.py", find="x", put="y")
    for text in ("", "x x"):
        with pytest.raises(mutants.MutantError, match=r"m: its text stands \d times in a\.py"):
            one.apply(text)


def test_a_name_that_no_mutant_has_is_refused() -> None:
    args = argparse.Namespace(only=["nothing"], sample=None, seed=0)
    with pytest.raises(mutants.MutantError, match="no such mutant: nothing"):
        mutants.chosen_of(FOUND, args)


@pytest.mark.slow
@pytest.mark.evm
def test_a_sample_is_killed() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    args = argparse.Namespace(only=[], sample=SAMPLE, seed=seed)
    outcomes = list(mutants.judged(mutants.chosen_of(FOUND, args)))
    survivors = [one.mutant.name for one in outcomes if one.killer is None]
    assert len(survivors) <= (1 - mutants.WANTED) * SAMPLE, (seed, survivors)
