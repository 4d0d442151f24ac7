"""Models that onnxruntime's tools quantised are imported as they are: bytes, and integer Dots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cli_calls import called
from onnx import numpy_helper

from circuits import recipe
from verifiable.engines.cpu import Cpu
from verifiable.engines.ort import Session
from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower
from verifiable.frontend.quantize.quantise import samples_of
from verifiable.graph.ir import Array, Dot, places
from verifiable.graph.vocabulary import DType

FORMS = ["QDQ", "QDQ, bytes without sign", "QOperator", "dynamic"]
MODELS = ["digits_mlp", "digits_cnn", "lenet", "transformer_block"]


class _Reader:
    """Calibration samples, as onnxruntime's tools ask for them."""

    def __init__(self, samples: list[dict[str, Array]]) -> None:
        self._rest = iter(samples)

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._rest, None)


def quantised(name: str, form: str, file: Path) -> onnx.ModelProto:
    """A recipe's model, quantised by onnxruntime's own tools.

    Weights have 7 bits: onnxruntime saturates sums of two products on some processors.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    model = onnx.load_model_from_string(recipe.model(name))
    if form == "dynamic":
        quantize_dynamic(model, file, weight_type=QuantType.QUInt8, reduce_range=True)
    else:
        kind = QuantType.QUInt8 if "without sign" in form else QuantType.QInt8
        quantize_static(
            model,
            file,
            _Reader(samples_of(recipe.load(name).samples().calibration)[:32]),
            quant_format=QuantFormat.QOperator if form == "QOperator" else QuantFormat.QDQ,
            activation_type=kind,
            weight_type=kind,
            per_channel=kind is QuantType.QInt8,
            reduce_range=True,
        )
    return onnx.load(file)


def run_all(runner: Any, samples: list[dict[str, Array]], output: str) -> Array:
    """One output of each sample."""
    return np.concatenate([runner.run(sample)[output] for sample in samples])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_a_quantised_model_runs_in_integers_and_as_onnxruntime_runs_it(
    name: str, form: str, tmp_path: Path
) -> None:
    model = quantised(name, form, tmp_path / "model.onnx")
    graph, weights = lower(parse_model(model.SerializeToString()))
    # Attention between activations is quantised where they are calibrated.
    kinds = [graph.instructions[i].type.dtype for i in places(graph, Dot)]
    between = 2 if (name, form) == ("transformer_block", "dynamic") else 0
    assert kinds.count(DType.F32) == between
    assert kinds.count(DType.I32) >= 2

    given = sum(numpy_helper.to_array(t).nbytes for t in model.graph.initializer)
    assert sum(a.nbytes for a in weights.values()) < 1.25 * given

    test = samples_of(recipe.load(name).samples().test)[:100]
    output = model.graph.output[0].name
    got = run_all(Cpu(threads=1).prepare(graph, weights), test, output)
    theirs = run_all(Session(model.SerializeToString()), test, output)
    real = run_all(Session(recipe.model(name)), test, output)
    assert (got.argmax(axis=1) == real.argmax(axis=1)).mean() >= 0.97
    last = model.graph.node[-1]
    if last.op_type == "DequantizeLinear":
        constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        step = float(constants[last.input[1]])
    else:
        step = 0.01 * float(np.abs(real).max())
    # Exponentials of attention, which libraries round differently, come before some steps.
    steps = 2 if name == "transformer_block" else 1
    assert np.abs(got - theirs).max() <= 1.001 * steps * step


def test_the_command_line_compiles_a_quantised_model(tmp_path: Path) -> None:
    quantised("digits_cnn", "QDQ", tmp_path / "model.onnx")
    made = called("compile", tmp_path / "model.onnx", "-o", tmp_path / "bundle", "--json")
    assert made.status == 0, made.err
