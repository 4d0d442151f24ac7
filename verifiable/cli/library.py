"""Bundles, inputs and own runs, found by the roots that a job names."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from verifiable.errors import (
    EncodingError,
    HostError,
    InputError,
    LockError,
    StorageError,
    TensorError,
    VerifiableError,
)

if TYPE_CHECKING:
    from verifiable.canon import Canon
    from verifiable.claim import CanonClaim
    from verifiable.crypto.tree import Tree
    from verifiable.dispute.terms import Job
    from verifiable.engines.protocol import Engine, Progress, Runner
    from verifiable.graph.ir import Array, Graph, Index, Weights
    from verifiable.trace.commit import Trace
    from verifiable.trace.opening import TraceOpening
    from verifiable.trace.store import StoredTrace
    from verifiable.types import Sha256

_SUFFIXES = (".npz", ".npy", ".json")


class NotHereError(HostError):
    """A bundle or an input that is needed is in none of the folders given."""


def add_library_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where bundles and inputs are, and where own traces go."""
    parser.add_argument(
        "--bundles", type=Path, required=True, metavar="DIR",
        help="a bundle, or a folder of bundles; the job's is taken",
    )  # fmt: skip
    parser.add_argument(
        "--inputs", type=Path, required=True, metavar="DIR",
        help="an input, or a folder of inputs; quickest if named by their roots",
    )  # fmt: skip
    parser.add_argument(
        "--traces", type=Path, metavar="DIR",
        help="folder of own traces, which can be made again at any time (the cache)",
    )  # fmt: skip


def library_of(args: argparse.Namespace, engine: "Engine", progress: "Progress") -> "Library":
    """The library that `add_library_arguments` describe."""
    from verifiable.storage import cache_folder

    for path in (args.bundles, args.inputs):
        if not path.exists():
            raise InputError(f"there is no `{path}`")
    traces = args.traces or cache_folder() / "traces"
    return Library(
        bundles=args.bundles, inputs=args.inputs, traces=traces, engine=engine, progress=progress
    )


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle's canonical part, ready to run."""

    canon: "Canon"
    runner: "Runner"


class OwnRun:
    """One's own run of a job; a `dispute.answers.Run`.

    It is run when its roots are first asked for, and run again and stored when its bytes are.

    Parameters
    ----------
    model : Model
    inputs : mapping of str to array
    folder : Path
        Of stored runs, by their trace roots.
    progress : Progress
    """

    def __init__(
        self, model: Model, inputs: Mapping[str, "Array"], folder: Path, progress: "Progress"
    ) -> None:
        self._model, self._inputs = model, inputs
        self._folder, self._progress = folder, progress

    def keep(self, path: Path) -> None:
        """Store the run at `path` too, where nothing is yet; raises as `trace.store.store_run`."""
        self.__dict__["stored"] = self._store(path)
        self.__dict__["trace"] = self.stored.trace

    @property
    def graph(self) -> "Graph":
        """The graph that is run."""
        return self._model.canon.graph

    @property
    def weights(self) -> "Weights":
        """Elements of the graph's Consts."""
        return self._model.canon.weights

    @cached_property
    def trace(self) -> "Trace":
        """Roots of the run."""
        from verifiable.trace.commit import commit

        model = self._model
        return commit(self.graph, model.runner, self._inputs, progress=self._progress)[0]

    @cached_property
    def stored(self) -> "StoredTrace":
        """The run on disk."""
        from verifiable.trace.store import open_trace

        path = self._folder / self.trace.root.hex()
        if not path.exists():
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as e:
                raise StorageError(f"cannot write `{self._folder}`: {e.strerror or e}") from e
            try:
                return self._store(path)
            except InputError:
                # Another program may have stored the same run in the meantime.
                if not path.exists():
                    raise
        return open_trace(path, self.graph)

    def _store(self, path: Path) -> "StoredTrace":
        from verifiable.trace.store import store_run

        runner = self._model.runner
        return store_run(path, self.graph, runner, self._inputs, progress=self._progress)[0]

    def tree(self, index: "Index", /) -> "Tree":
        """See `dispute.answers.Run`."""
        return self.stored.tree(index)

    def mapped(self, index: "Index", /) -> "Array":
        """See `dispute.answers.Run`."""
        return self.stored.mapped(index)

    def open_leaf(self, index: "Index", leaf: int, /) -> "TraceOpening":
        """See `dispute.answers.Run`."""
        return self.stored.open_leaf(index, leaf)

    def open_row(self, index: "Index", row: int, /) -> "TraceOpening":
        """See `dispute.answers.Run`."""
        return self.stored.open_row(index, row)


@dataclass(slots=True, kw_only=True)
class Library:
    """What a player has at hand. What was found once is kept in memory.

    Parameters
    ----------
    bundles, inputs, traces : Path
        See `add_library_arguments`.
    engine : Engine
    progress : Progress
    """

    bundles: Path
    inputs: Path
    traces: Path
    engine: "Engine"
    progress: "Progress"
    _models: dict["Sha256", Model] = field(default_factory=dict)
    _runs: dict[tuple["Sha256", "Sha256"], OwnRun] = field(default_factory=dict)
    _roots: dict[tuple[Path, int, int, "Sha256"], "Sha256 | TensorError"] = field(
        default_factory=dict
    )

    def model(self, root: "Sha256") -> Model:
        """The model of a root.

        Raises
        ------
        NotHereError
            If no bundle is of it.
        LockError
            If the bundle of it is damaged.
        """
        if root not in self._models:
            self._models[root] = self._find_model(root)
        return self._models[root]

    def run(self, job: "Job") -> OwnRun:
        """Own run of a job's model on its input.

        Raises
        ------
        NotHereError
            If the model or the input is not here.
        LockError
            If the bundle is damaged.
        """
        key = (job.model, job.input)
        if key not in self._runs:
            model = self.model(job.model)
            found = self._find_inputs(model, job.input)
            self._runs[key] = OwnRun(model, found, self.traces, self.progress)
        return self._runs[key]

    def _find_model(self, root: "Sha256") -> Model:
        from verifiable.bundle import open_bundle
        from verifiable.canon import open_canon

        damaged: LockError | None = None
        for path in _folders(self.bundles):
            if _model_of(path) != root.hex():
                continue
            try:
                canon = open_canon(open_bundle(path, "verify"))
            except LockError as e:
                damaged = e
                continue
            return Model(canon, self.engine.prepare(canon.graph, canon.weights))
        raise damaged or NotHereError(
            f"no bundle in `{self.bundles}` is of the model 0x{root.hex()}",
            hint="compile the job's model into that folder",
        )

    def _find_inputs(self, model: Model, root: "Sha256") -> "dict[str, Array]":
        for path in _files(self.inputs, root):
            found = self._root_of(path, model)
            if found == root:
                return _bound(path, model)
            # A folder holds inputs of other models too, but this one was meant for the job.
            if isinstance(found, TensorError) and (path == self.inputs or root.hex() in path.name):
                raise NotHereError(
                    f"`{path.name}` is no input of the job: {found}", hint=found.hint
                ) from found
        raise NotHereError(
            f"no file in `{self.inputs}` has the input root 0x{root.hex()}",
            hint="the requester gives the input out; put its file there",
        )

    def _root_of(self, path: Path, model: Model) -> "Sha256 | TensorError":
        from verifiable.trace.commit import input_root

        try:
            status = path.stat()
        except OSError as e:
            return TensorError(f"cannot read `{path}`: {e.strerror}")
        key = (path, status.st_mtime_ns, status.st_size, model.canon.model)
        if key not in self._roots:
            try:
                self._roots[key] = input_root(model.canon.graph, _bound(path, model))
            except TensorError as e:
                # It is an input of another model, or none.
                self._roots[key] = e
        return self._roots[key]


def stored_for(path: Path, claim: "CanonClaim", graph: "Graph") -> "StoredTrace | None":
    """The stored trace at `path` if it is what a claim is about."""
    from verifiable.trace.store import open_trace

    try:
        found = open_trace(path, graph)
    except EncodingError:
        raise
    except InputError:
        # Of another model.
        return None
    said = claim.subject
    same = found.trace.model == said.model and found.is_of(said.input, said.output)
    return found if same else None


def _bound(path: Path, model: Model) -> "dict[str, Array]":
    from verifiable.canon import bind_inputs
    from verifiable.frontend.inputs import read_arrays

    return bind_inputs(model.canon.graph, read_arrays(path))


def _folders(path: Path) -> Iterator[Path]:
    if (path / "LOCK.json").is_file():
        yield path
    elif path.is_dir():
        yield from sorted(entry.parent for entry in path.glob("*/LOCK.json"))


def _model_of(path: Path) -> str | None:
    """Model root that a LOCK says, unchecked: it spares reading all other bundles."""
    from verifiable.crypto.hashing import parse_json

    try:
        lock = parse_json((path / "LOCK.json").read_bytes(), what="LOCK.json")
        part = lock.get("canon") if isinstance(lock, dict) else None
        model = part.get("model") if isinstance(part, dict) else None
    except (OSError, VerifiableError):
        return None
    return model if isinstance(model, str) else None


def _files(path: Path, root: "Sha256") -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    named = [path / f"{prefix}{root.hex()}{end}" for prefix in ("", "0x") for end in _SUFFIXES]
    yield from (file for file in named if file.is_file())
    yield from sorted(file for file in path.glob("*") if file.suffix in _SUFFIXES)
