"""The index of a run on disk: its model, its trace root, and the root of each tensor."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from verifiable.crypto.hashing import canonical_json, parse_canonical_json
from verifiable.crypto.strict import (
    read_constant,
    read_list,
    read_object,
    read_sha256,
    to_hex,
)
from verifiable.errors import EncodingError, InputError, StorageError
from verifiable.graph.commitment import model_root
from verifiable.graph.ir import Const, Graph
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.trace.commit import Trace, sections
from verifiable.types import Sha256

SCHEMA: Final = "verifiable/trace/2"
INDEX: Final = "index.json"


def encode_index(graph: Graph, trace: Trace) -> bytes:
    """Write the index of a run, in canonical JSON; `read_index` reads it."""
    pairs = zip(graph.instructions, trace.roots, strict=True)
    stored = [None if isinstance(ins, Const) else to_hex(root) for ins, root in pairs]
    value = {
        "schema": SCHEMA,
        "semantics": SEMANTICS,
        "model": to_hex(trace.model),
        "trace": to_hex(trace.root),
        "roots": stored,
    }
    return canonical_json(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceIndex:
    """What ``index.json`` says, before it is held against a graph; made by `read_index`."""

    semantics: str
    model: Sha256
    trace: Sha256
    roots: tuple[Sha256 | None, ...]
    """Of each instruction's tensor, None for a Const."""


def read_index(path: Path) -> TraceIndex:
    """Read the index of a stored run.

    Raises
    ------
    EncodingError
        If it is not one that `store_run` writes.
    StorageError
        If it cannot be read.
    """
    try:
        return _parse((path / INDEX).read_bytes())
    except OSError as e:
        raise unreadable(path, e) from e
    except EncodingError as e:
        raise damaged(path, str(e)) from e


def _parse(data: bytes) -> TraceIndex:
    fields = read_object(
        parse_canonical_json(data, what=INDEX), INDEX,
        ("schema", "semantics", "model", "trace", "roots"),
    )  # fmt: skip
    read_constant(fields["schema"], "schema", SCHEMA)
    read_constant(fields["semantics"], "semantics", SEMANTICS)
    roots = read_list(fields["roots"], "roots")
    return TraceIndex(
        semantics=SEMANTICS,
        model=read_sha256(fields["model"], "model"),
        trace=read_sha256(fields["trace"], "trace"),
        roots=tuple(
            None if root is None else read_sha256(root, f"roots[{i}]")
            for i, root in enumerate(roots)
        ),
    )


def read_trace(path: Path, graph: Graph) -> Trace:
    """Read the index of a stored run, and hold it against the graph that was run.

    Raises
    ------
    InputError
        If it is of another graph.
    EncodingError
        If it is no index, or its roots are not those of one trace of this graph.
    StorageError
        If it cannot be read.
    """
    index, wanted = read_index(path), model_root(graph)
    if index.model != wanted:
        raise InputError(
            f"the trace is of the model {index.model.hex()}, not of {wanted.hex()}",
            hint="name the bundle that was run",
        )
    try:
        return _trace(index, graph)
    except EncodingError as e:
        raise damaged(path, str(e)) from e


def _trace(index: TraceIndex, graph: Graph) -> Trace:
    if len(index.roots) != len(graph.instructions):
        raise EncodingError(f"{len(index.roots)} roots, wanted {len(graph.instructions)}")
    roots = []
    for i, (root, instruction) in enumerate(zip(index.roots, graph.instructions, strict=True)):
        if isinstance(instruction, Const):
            if root is not None:
                raise EncodingError(f"roots[{i}] is given, but the tensor is a Const")
            roots.append(instruction.root)
        elif root is None:
            raise EncodingError(f"roots[{i}] is absent, and the tensor is no Const")
        else:
            roots.append(root)
    trace = Trace(model=index.model, roots=tuple(roots), sections=sections(graph, roots))
    if trace.root != index.trace:
        raise EncodingError(f"the roots make the trace {trace.root.hex()}, not {index.trace.hex()}")
    return trace


def unreadable(path: Path, error: OSError) -> StorageError:
    """What to raise where a file of a stored run cannot be read."""
    name = Path(str(error.filename or path)).name
    return StorageError(
        f"cannot read the trace `{path}`: `{name}`: {error.strerror or error}",
        hint=f"a trace is a folder made by `run --trace`: tensors.bin, nodes.bin and {INDEX}",
    )


def damaged(path: Path, what: str) -> EncodingError:
    """What to raise where a stored run contradicts itself: no claim is refuted by that."""
    return EncodingError(
        f"the trace `{path}` is damaged: {what}",
        hint="have it copied or made again; a claim can be replayed without it",
    )
