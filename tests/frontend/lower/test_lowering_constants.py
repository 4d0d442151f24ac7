"""Constants of a graph that is being written."""

import numpy as np
import pytest

from verifiable.engines.reference import Reference
from verifiable.frontend.lower.builder import Builder
from verifiable.graph.commitment import Section, trace_slots
from verifiable.graph.ir import Const, TensorType, places
from verifiable.graph.vocabulary import DType


def test_a_weight_that_is_read_in_two_layouts_is_kept_once() -> None:
    table = np.arange(6000, dtype=np.float32).reshape(20, 300)
    builder = Builder()
    rows = builder.constant(table)
    turned = builder.transpose(builder.constant(np.ascontiguousarray(table.T)), (1, 0))
    x = builder.input("x", TensorType(DType.F32, (2, 3)))
    graph, weights = builder.finish(
        [
            ("rows", rows), ("wide", builder.reshape(turned, (1, 20, 300))), ("turned", turned),
            ("x", builder.transpose(x, (1, 0))),
        ]
    )  # fmt: skip
    assert [weights[i].shape for i in places(graph, Const)] == [(20, 300), (1, 20, 300)]
    assert dict(graph.outputs)["rows"] == dict(graph.outputs)["turned"]


@pytest.mark.parametrize("shape", [(2, 3), (), (0, 3)])
def test_outputs_that_are_all_given_are_copied(shape: tuple[int, ...]) -> None:
    """Else the output root would be one over no tensor, and any number would do."""
    builder = Builder()
    x = builder.input("x", TensorType(DType.F32, shape))
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    graph, weights = builder.finish([("x", x), ("table", builder.constant(table))])
    slots = trace_slots(graph)
    assert {slots[i].section for _, i in graph.outputs} == {Section.OUTPUT}
    given = np.full(shape, 7, np.float32)
    found = Reference().prepare(graph, weights).run({"x": given})
    assert found["x"].tobytes() == given.tobytes()
    assert found["table"].tobytes() == table.tobytes()
