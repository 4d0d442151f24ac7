"""Files of the golden corpus ``tests/vectors``: a graph, its weights and inputs, what it gives.

One JSON file to a case. Graphs are their canonical bytes, tensors their big-endian elements, both
in hexadecimal; of outputs there are SHA-256 digests of the same bytes. An implementation in any
language can read them with what ``verifiable/graph/encoding.py`` says.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from verifiable.engines.protocol import Runner  # noqa: E402
from verifiable.graph.check import input_types  # noqa: E402
from verifiable.graph.commitment import model_root  # noqa: E402
from verifiable.graph.encoding import encode, parse  # noqa: E402
from verifiable.graph.ir import Array, Const, Graph, Index, TensorType, places  # noqa: E402
from verifiable.graph.layout import big_endian, from_big_endian, type_of  # noqa: E402
from verifiable.graph.vocabulary import SEMANTICS  # noqa: E402
from verifiable.trace.commit import commit, input_root, output_root  # noqa: E402

SCHEMA: Final = "verifiable/vector/1"
FOLDER: Final = ROOT / "tests" / "vectors" / SEMANTICS.replace("/", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A graph and all it takes to run it."""

    name: str
    what: str
    """One line on what it is there to show."""
    graph: Graph
    weights: Mapping[Index, Array]
    inputs: Mapping[str, Array]


def _digest(array: Array) -> str:
    return "0x" + hashlib.sha256(big_endian(array)).hexdigest()


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def results(vector: Vector, runner: Runner) -> dict[str, Any]:
    """What a run of a case gives: digests of its outputs, and all roots.

    Parameters
    ----------
    vector : Vector
    runner : Runner
        Its graph and weights, on any engine.
    """
    plain = runner.run(vector.inputs)
    trace, outputs = commit(vector.graph, runner, vector.inputs)
    assert {n: _digest(x) for n, x in plain.items()} == {n: _digest(x) for n, x in outputs.items()}
    return {
        "model_root": _hex(model_root(vector.graph)),
        "input_root": _hex(input_root(vector.graph, vector.inputs)),
        "output_root": _hex(output_root(vector.graph, outputs)),
        "trace_root": _hex(trace.root),
        "outputs": {
            name: {"type": str(type_of(value)), "sha256": _digest(value)}
            for name, value in outputs.items()
        },
    }


def text(vector: Vector, runner: Runner) -> str:
    """The file of a case."""
    given = places(vector.graph, Const)
    value = {
        "schema": SCHEMA,
        "semantics": SEMANTICS,
        "what": vector.what,
        "graph": _hex(encode(vector.graph)),
        "weights": {str(i): _hex(bytes(big_endian(vector.weights[i]))) for i in given},
        "inputs": {n: _hex(bytes(big_endian(a))) for n, a in vector.inputs.items()},
        **results(vector, runner),
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def read(path: Path) -> tuple[Vector, dict[str, Any]]:
    """A case from its file, and what `results` must give for it."""
    value = json.loads(path.read_text(encoding="utf-8"))
    graph = parse(bytes.fromhex(value["graph"][2:]))

    def tensor(kind: TensorType, data: str) -> Array:
        return from_big_endian(bytes.fromhex(data[2:]), kind.dtype).reshape(kind.shape)

    weights = {Index(int(i)): data for i, data in value["weights"].items()}
    vector = Vector(
        name=path.stem,
        what=value["what"],
        graph=graph,
        weights={i: tensor(graph.instructions[i].type, data) for i, data in weights.items()},
        inputs={n: tensor(t, value["inputs"][n]) for n, t in input_types(graph).items()},
    )
    roots = ("model_root", "input_root", "output_root", "trace_root", "outputs")
    return vector, {name: value[name] for name in roots}


def corpus_digest(folder: Path) -> str:
    """SHA-256 over the names and digests of all files, in the form that ``sha256sum`` prints."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
