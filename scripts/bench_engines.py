"""Rows of ``bench.py engines``: the canonical machine against onnxruntime, and against itself.

Ours and the peer run in turns on the same inputs and threads; a figure is the median of at least
five. The peer has its own defaults and full optimisation.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import onnx
from architectures import Arrays, architecture
from benchmark import Row, median
from numpy.typing import NDArray
from onnx import TensorProto, helper

from verifiable.engines.cpu import Cpu
from verifiable.engines.ort import Session
from verifiable.errors import HostError
from verifiable.frontend.lower import lower
from verifiable.trace.commit import commit, input_root, output_root

LEAST_RUNS: Final = 5
PAUSE: Final = 0.1
"""Seconds between two measurements."""
WARM: Final = 0.02
"""Seconds of work that is not measured before each."""
MODELS: Final = {
    "gpt2-prefill-128": "gpt2",
    "gpt2-prefill-512": "gpt2_512",
    "gpt2-decode": "gpt2_decode",
    "resnet50-1": "resnet50",
    "bert-base-128": "bert_base",
}
OPERATORS: Final = ("softmax", "layernorm", "gelu")


def interleaved(
    first: Callable[[], object], second: Callable[[], object], runs: int
) -> tuple[float, float]:
    """Median wall seconds of two things, run in turns so that both see the same machine.

    A pause goes before each: the threads of onnxruntime look for more work for some 20 ms after a
    run, and would take a core from whatever came next. Then runs that are not measured, for what a
    pause does to the clock and the caches of a processor: an operator of a millisecond took up to
    1.7 times as long in the second run after a pause as in the fourth.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(max(runs, LEAST_RUNS)):
        for work, taken in zip((first, second), times, strict=True):
            time.sleep(PAUSE)
            warm = time.perf_counter() + WARM
            work()
            while time.perf_counter() < warm:
                work()
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
    return median(times[0]), median(times[1])


def against_onnxruntime(
    name: str, model: onnx.ModelProto, inputs: Arrays, *, threads: int, runs: int
) -> Row:
    """One model on our cpu engine and on onnxruntime."""
    graph, weights = lower(model)
    ours = Cpu(threads=threads).prepare(graph, weights)
    peer = Session(model.SerializeToString(), threads=threads, optimise=True)
    got, wanted = ours.run(inputs), peer.run(inputs)
    worst = max(float(np.max(np.abs(got[k] - wanted[k]))) for k in wanted)
    seconds = interleaved(lambda: ours.run(inputs), lambda: peer.run(inputs), runs)
    print(f"{name}: {seconds[0] / seconds[1]:.2f}, max difference {worst:.2g}", file=sys.stderr)
    return Row(id=name, ours=seconds[0], peer=seconds[1], unit="s")


def operator(name: str) -> tuple[onnx.ModelProto, Arrays]:
    """One operator alone, on 1024 rows of 1024."""
    shape = (1024, 1024)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    rng = np.random.default_rng(20261122)
    weights: list[onnx.TensorProto] = []
    match name:
        case "softmax":
            node = helper.make_node("Softmax", ["x"], ["y"], axis=-1)
        case "gelu":
            node = helper.make_node("Gelu", ["x"], ["y"])
        case _:
            for part in ("scale", "bias"):
                values = rng.standard_normal(shape[1]).astype(np.float32)
                weights.append(onnx.numpy_helper.from_array(values, part))
            node = helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["y"], axis=-1)
    graph = helper.make_graph([node], name, [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model, {"x": rng.standard_normal(shape).astype(np.float32)}


def overheads(*, threads: int, runs: int) -> Iterator[Row]:
    """What a claim and a trace cost beside a run of GPT-2 on 128 tokens."""
    made = architecture("gpt2")
    graph, weights = lower(made.onnx())
    engine = Cpu(threads=threads)
    runner = engine.prepare(graph, weights)
    inputs = made.inputs

    def with_claim() -> Any:
        return input_root(graph, inputs), output_root(graph, runner.run(inputs))

    seconds = interleaved(with_claim, lambda: runner.run(inputs), runs)
    yield Row(id="claim-overhead", ours=seconds[0], peer=seconds[1], unit="s")
    seconds = interleaved(lambda: commit(graph, runner, inputs), lambda: runner.run(inputs), runs)
    yield Row(id="trace-overhead", ours=seconds[0], peer=seconds[1], unit="s")


def ways(engine: Cpu) -> list[str]:
    """How products of integers are added up here, and then by processors that have less.

    What this one has no instructions for is written out, and slow: it is not among them.
    """
    known = list(engine.library.products)
    return known[known.index(engine.products) : 0 : -1]


def quantised(*, threads: int, runs: int) -> Iterator[Row]:
    """int8 against our own f32."""
    from verifiable.frontend.quantize import quantise
    from verifiable.frontend.quantize.quantise import samples_of

    for name, model, samples in _float_models():
        graph, weights = lower(model)
        engine = Cpu(threads=threads)
        sets = samples_of(samples)
        small = quantise(graph, weights, sets, engine)
        inputs = sets[0]
        part = engine.prepare(graph, weights)
        for products in ways(engine):
            named = Cpu(threads=threads, products=products)
            whole = named.prepare(small.graph, small.weights)
            seconds = interleaved(partial(whole.run, inputs), partial(part.run, inputs), runs)
            suffix = "" if products == engine.products else f"-{products}"
            yield Row(id=f"int8-{name}{suffix}", ours=seconds[0], peer=seconds[1], unit="s")


def on_gpu(*, runs: int) -> Iterator[Row]:
    """Matrix products against cuBLAS, GPT-2 against torch; nothing where there is no device."""
    import torch

    from verifiable.engines.gpu import Gpu, gemm_seconds

    try:
        engine = Gpu(device=0)
    except HostError as error:
        print(f"gpu rows are not measured: {error}", file=sys.stderr)
        return
    times = gemm_seconds(4096, repeats=max(runs, LEAST_RUNS))
    yield Row(
        id="gpu-gemm-4096", ours=median(times["ours"]), peer=median(times["cublas"]), unit="s"
    )
    torch.backends.cuda.matmul.allow_tf32 = False
    made = architecture("gpt2_512")
    runner = engine.prepare(*lower(made.onnx()))
    module = made.module.cuda()
    tokens = torch.from_numpy(made.inputs["tokens"]).cuda()

    def eager() -> None:
        with torch.no_grad():
            module(tokens)
        torch.cuda.synchronize()

    seconds = interleaved(lambda: runner.run(made.inputs), eager, runs)
    yield Row(id="gpu-gpt2-prefill-512", ours=seconds[0], peer=seconds[1], unit="s")


def _float_models() -> Iterator[tuple[str, onnx.ModelProto, dict[str, NDArray[Any]]]]:
    import torch
    from architectures import export

    rng = np.random.default_rng(20261122)
    torch.manual_seed(20261122)
    layers: list[torch.nn.Module] = []
    for _ in range(4):
        layers += [torch.nn.Linear(2048, 2048), torch.nn.ReLU()]
    x = rng.standard_normal((4, 64, 2048)).astype(np.float32)
    yield "mlp", export(torch.nn.Sequential(*layers), {"x": x[0]}), {"x": x}
    made = architecture("resnet18")
    images = rng.standard_normal((4, 1, 3, 224, 224)).astype(np.float32)
    yield "resnet18", made.onnx(), {"image": images}


def rows(only: list[str], *, threads: int, runs: int) -> Iterator[Row]:
    """The rows of the table, or those named in `only`."""

    def wanted(name: str) -> bool:
        return not only or name in only

    for name in OPERATORS:
        if wanted(name):
            yield against_onnxruntime(name, *operator(name), threads=threads, runs=max(runs, 15))
    for name, source in MODELS.items():
        if wanted(name):
            made = architecture(source)
            yield against_onnxruntime(name, made.onnx(), made.inputs, threads=threads, runs=runs)
    if wanted("overhead"):
        yield from overheads(threads=threads, runs=runs)
    if wanted("gpu"):
        yield from on_gpu(runs=runs)
    if wanted("int8"):
        yield from quantised(threads=threads, runs=runs)
