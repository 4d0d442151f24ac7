"""Constants of a graph that is being written."""

import numpy as np

from verifiable.frontend.lower.builder import Builder
from verifiable.graph.ir import Const, places


def test_a_weight_that_is_read_in_two_layouts_is_kept_once() -> None:
    table = np.arange(6000, dtype=np.float32).reshape(20, 300)
    builder = Builder()
    rows = builder.constant(table)
    turned = builder.transpose(builder.constant(np.ascontiguousarray(table.T)), (1, 0))
    graph, weights = builder.finish(
        [("rows", rows), ("wide", builder.reshape(turned, (1, 20, 300))), ("turned", turned)]
    )
    assert [weights[i].shape for i in places(graph, Const)] == [(20, 300), (1, 20, 300)]
    assert dict(graph.outputs)["rows"] == dict(graph.outputs)["turned"]
