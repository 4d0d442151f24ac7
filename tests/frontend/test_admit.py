"""What ezkl would get wrong is refused, tensor and operator named."""

import numpy as np
import pytest
from onnx_traps import REFUSED
from onnx_zoo import ADMITTED, model, node, number, one

from verifiable.errors import ModelError
from verifiable.frontend.export import load_model, signature_of
from verifiable.frontend.operators import CONDITIONAL, PLAIN


@pytest.mark.parametrize("trap", sorted(REFUSED))
def test_a_trap_is_refused_by_name(trap: str) -> None:
    data, message = REFUSED[trap]
    with pytest.raises(ModelError, match=message) as caught:
        load_model(data)
    assert caught.value.hint


@pytest.mark.parametrize("name", sorted(ADMITTED))
def test_what_ezkl_proves_rightly_is_admitted(name: str) -> None:
    assert signature_of(load_model(ADMITTED[name])).inputs[0].name == "x"


def test_every_admitted_operator_is_in_the_zoo() -> None:
    seen = {op for data in ADMITTED.values() for op, _ in signature_of(load_model(data)).operators}
    assert seen >= PLAIN | CONDITIONAL.keys()


def test_the_first_of_several_problems_is_told_and_the_others_are_counted() -> None:
    nodes = [
        node("LRN", ["x"], ["a"], size=3),
        node("Mul", ["a", "gain"], ["b"]),
        node("Add", ["b", "bias"], ["y"]),
    ]
    constants = {"gain": number(np.nan), "bias": number(np.inf)}
    with pytest.raises(ModelError, match=r"LRN `a` \(node 1 of 3\).*\(and 2 more problems\)"):
        load_model(model(nodes, (1, 4, 2, 2), constants))


def test_the_largest_exact_integer_and_float_are_admitted() -> None:
    load_model(one("Mul", more={"c": number(2.0**24)}))
    nodes = [
        node("ArgMax", ["x"], ["i"], axis=1),
        node("Add", ["i", "offset"], ["j"]),
        node("Cast", ["j"], ["y"], to=1),
    ]
    load_model(model(nodes, (1, 8), {"offset": np.array(2**24)}))
    with pytest.raises(ModelError, match="16777218"):
        load_model(model(nodes, (1, 8), {"offset": np.array(2**24 + 2)}))


def test_a_constant_that_decides_nothing_does_not_count() -> None:
    nodes = [node("Add", ["x", "c"], ["y"]), node("Mul", ["x", "nan"], ["unused"])]
    load_model(model(nodes, (1, 8), {"c": number(1), "nan": number(np.nan)}))
