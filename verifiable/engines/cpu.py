"""The cpu engine: native code, with the bits of ``verifiable.ops``.

A graph becomes a list of operations over one arena (``cpu_groups``, ``cpu_schedule``), written as
words (``cpu_words``) that native code reads once; a run is then one call. Threads split rows and
columns of results, never a sum: no bit depends on how many there are, on the build or on tiles.
"""

import os
import threading
import weakref
from collections.abc import Mapping
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from verifiable.engines.cpu_library import Library, Slots, address, load
from verifiable.engines.cpu_memory import Results
from verifiable.engines.cpu_schedule import Schedule, schedule
from verifiable.engines.cpu_words import Writer
from verifiable.engines.inputs import check_inputs, check_weights
from verifiable.engines.protocol import Progress, RegionDone, Watcher
from verifiable.errors import InputError, MissingDependencyError, OutOfMemoryError
from verifiable.graph.check import input_types
from verifiable.graph.ir import Array, Const, Graph, Index, Input, Weights, places
from verifiable.ops import check_values

MOST_THREADS = 256


class Cpu:
    """The processor of this machine.

    Parameters
    ----------
    threads : int, optional
        As many as there are cores for this process if None.
    build : str, optional
        ``base``, ``v3`` or ``v4``; the best that the processor runs if None.
    fuse : bool
        Run instructions together where that is faster.
    tile : tuple of two ints
        Rows and columns that are computed at a time; 0 leaves the choice.
    products : str, optional
        How products of integers are added up: ``wide``, ``narrow``, ``quads`` or ``tiles``; the
        fastest way of the build on this processor if None.

    Raises
    ------
    MissingDependencyError
        If the native code was not built, or this processor cannot run `build` or `products`.
    InputError
        If there cannot be so many threads.
    """

    name = "cpu"

    def __init__(
        self,
        *,
        threads: int | None = None,
        build: str | None = None,
        fuse: bool = True,
        tile: tuple[int, int] = (0, 0),
        products: str | None = None,
    ) -> None:
        self.library = load(build)
        self.products = products or self.library.fastest_products
        ways = self.library.products
        if self.products not in ways:
            raise MissingDependencyError(
                f"this processor does not add up products as `{products}`",
                hint=f"ways of this build here: {', '.join(ways)}",
            )
        self.threads = len(os.sched_getaffinity(0)) if threads is None else threads
        if not 1 <= self.threads <= MOST_THREADS:
            raise InputError(f"{threads} threads are not in 1..{MOST_THREADS}")
        self.fuse = fuse
        self.tile = tile
        self._handle = 0
        self._process = 0
        self._lock = threading.Lock()

    @property
    def handle(self) -> int:
        """Native threads of this process; a child of a fork has to start its own."""
        with self._lock:
            if self._process != os.getpid():
                self._handle = self.library.engine(self.threads)
                self._process = os.getpid()
                weakref.finalize(self, _free, self.library, self._handle, self._process)
            return self._handle

    def prepare(self, graph: Graph, weights: Weights) -> "CpuRunner":
        """Make a checked graph ready to run; weights of Dots are packed.

        Raises
        ------
        TensorError
            If the weights are not what the graph's Consts ask for; their roots are not computed.
        OutOfMemoryError
            If there is no memory for the packed weights.
        """
        return CpuRunner(self, graph, check_weights(graph, weights))


def _free(library: Library, handle: int, process: int) -> None:
    if process == os.getpid():
        library.free_engine(handle)


class Plan:
    """A schedule in native code, with its memory.

    Parameters
    ----------
    engine : Cpu
    graph : Graph
    weights : mapping of Index to array
    fuse : bool
    """

    def __init__(self, engine: Cpu, graph: Graph, weights: Weights, *, fuse: bool) -> None:
        self.engine = engine
        self.schedule: Schedule = schedule(graph, fuse=fuse)
        given = [*places(graph, Const), *places(graph, Input)]
        slots = {index: 1 + number for number, index in enumerate(given)}
        base = 1 + len(given)
        slots |= {index: base + number for index, number in self.schedule.direct.items()}
        self.inputs = [(index, slots[index]) for index in places(graph, Input)]
        self.made = [
            (index, slots[index], graph.instructions[index].type) for index in self.schedule.direct
        ]
        """Tensors that lie in results: their slots and types."""
        self.addresses: Slots = np.zeros(base + len(graph.outputs), np.uint64)
        for index in places(graph, Const):
            self.addresses[slots[index]] = address(weights[index])
        writer = Writer(self.schedule, slots)
        words: list[int] = []
        self.stops: list[int] = []
        """After each work, how many operations there are."""
        for work in self.schedule.works:
            words += writer.words(work)
            self.stops.append((self.stops[-1] if self.stops else 0) + writer.count(work))
        self.looked_at = frozenset(
            name
            for name, (index, _) in zip(graph.inputs, self.inputs, strict=True)
            if index in writer.looked_at
        )
        """Inputs whose NaNs a run finds by itself."""
        self._handle = engine.library.plan(words, self.addresses, engine.products)
        weakref.finalize(self, engine.library.free_plan, self._handle)
        self._arenas: list[NDArray[np.uint8]] = []
        self.results = Results()

    @property
    def joined(self) -> int:
        """Chains of instructions, as of a softmax, that native code runs as one."""
        return self.engine.library.joined(self._handle)

    def arena(self) -> NDArray[np.uint8]:
        """Memory for one run; give it back with `release`."""
        try:
            return self._arenas.pop()
        except IndexError:
            pass
        try:
            return np.empty(self.schedule.arena + 64, np.uint8)
        except MemoryError as error:
            raise OutOfMemoryError(
                f"a run needs {self.schedule.arena} bytes between its inputs and outputs"
            ) from error

    def release(self, arena: NDArray[np.uint8]) -> None:
        """Keep the memory of one run for the next."""
        if not self._arenas:
            self._arenas.append(arena)

    def run(self, addresses: Slots, works: range) -> bool:
        """Do some of the work; False if an input of `looked_at` is not what it should be."""
        start = self.stops[works.start - 1] if works.start else 0
        stop = self.stops[works.stop - 1] if works.stop else 0
        engine = self.engine
        if start == stop:
            return True
        return engine.library.run(
            self._handle, engine.handle, addresses, range(start, stop), engine.tile
        )


class CpuRunner:
    """One graph with its weights, ready to run.

    Parameters
    ----------
    engine : Cpu
    graph : Graph
    weights : mapping of Index to array
        Checked.
    """

    def __init__(self, engine: Cpu, graph: Graph, weights: dict[Index, Array]) -> None:
        self.graph = graph
        self.weights = weights
        self.engine = engine
        self.wanted = input_types(graph)
        self.plan = Plan(engine, graph, weights, fuse=engine.fuse)

    @cached_property
    def watched(self) -> Plan:
        """Plan in which every tensor can be seen."""
        return Plan(self.engine, self.graph, self.weights, fuse=False)

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        watch: Watcher | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Array]:
        """Compute the outputs, by name; see ``engines.protocol.Runner``.

        Raises
        ------
        TensorError
            If the inputs are not what the graph asks for.
        OutOfMemoryError
            If there is no memory for the tensors of the run.
        """
        plan = self.plan if watch is None else self.watched
        # Nothing may be seen of a run on an input that is refused.
        later = plan.looked_at if watch is None and progress is None else frozenset()
        given = check_inputs(self.wanted, inputs, check=partial(self._check, later))
        state = _State(self, plan, list(given.values()))
        try:
            if watch is not None:
                self._watched_run(state, watch, progress)
            elif not self._run(state, progress):
                for name in later:
                    check_values(name, given[name])  # says where
                raise AssertionError("native code found a NaN that is not there")
            return state.results()
        finally:
            plan.release(state.arena)

    def _check(self, later: frozenset[str], name: str, array: Array) -> None:
        if name in later:
            return
        if array.dtype != np.float32 or not array.flags.c_contiguous:
            check_values(name, array)
        elif self.engine.library.finds_nan(self.engine.handle, array):
            check_values(name, array)  # says where

    def _run(self, state: "_State", progress: Progress | None) -> bool:
        plan = state.plan
        start = 0
        if progress is not None:
            for stop, event in _events(self.graph, plan.schedule):
                if stop > start:
                    plan.run(state.addresses, range(start, stop))
                    start = stop
                progress(event)
        return plan.run(state.addresses, range(start, len(plan.stops)))

    def _watched_run(self, state: "_State", watch: Watcher, progress: Progress | None) -> None:
        plan = state.plan
        events = _events(self.graph, plan.schedule) if progress is not None else []
        work, told = 0, 0
        works = plan.schedule.works
        for place in range(len(self.graph.instructions)):
            if work < len(works) and works[work].members[0] == place:
                plan.run(state.addresses, range(work, work + 1))
                work += 1
            watch(Index(place), state.tensor(Index(place)))
            while (
                progress
                and told < len(events)
                and events[told][0] <= work
                and (self.graph.regions[events[told][1].number].stop <= place + 1)
            ):
                progress(events[told][1])
                told += 1
        for _, event in events[told:]:
            assert progress is not None
            progress(event)


def _events(graph: Graph, plan: Schedule) -> list[tuple[int, RegionDone]]:
    """Regions in their order, each with how many works are done when it is."""
    done_by = {index: i for i, work in enumerate(plan.works) for index in work.members}
    found: list[tuple[int, RegionDone]] = []
    stop = 0
    for number, region in enumerate(graph.regions):
        inside = (done_by.get(Index(i), -1) for i in range(region.start, region.stop))
        stop = max(stop, max(inside, default=-1) + 1)
        event = RegionDone(number=number, of=len(graph.regions), label=region.label)
        found.append((stop, event))
    return found


class _State:
    """Tensors of one run."""

    def __init__(self, runner: CpuRunner, plan: Plan, given: list[Array]) -> None:
        self.plan = plan
        self.graph = runner.graph
        self.weights = runner.weights
        self.arena = plan.arena()
        self.addresses: Slots = plan.addresses.copy()
        self.shift = -address(self.arena) % 64
        """Bytes of the arena before its first cache line."""
        self.addresses[0] = address(self.arena) + self.shift
        self.tensors: dict[Index, Array] = {}
        """Inputs and results."""
        for (index, slot), array in zip(plan.inputs, given, strict=True):
            self.addresses[slot] = address(array)
            self.tensors[index] = array
        for index, slot, kind in plan.made:
            made = plan.results.array(kind)
            self.addresses[slot] = address(made)
            self.tensors[index] = made

    def tensor(self, index: Index) -> Array:
        """A tensor that is in memory now; not a copy."""
        kind = self.graph.instructions[index].type
        if index in self.tensors and index not in self.plan.schedule.direct:
            return self.tensors[index]
        if index in self.weights:
            return self.weights[index]
        if not kind.size:
            return np.empty(kind.shape, kind.dtype.numpy)
        layout = self.plan.schedule.layouts.of[index]
        whole = self.tensors.get(layout.root, self.weights.get(layout.root))
        if whole is not None:
            flat = whole.reshape(-1)
        else:
            first = self.plan.schedule.offsets[layout.root] + self.shift
            nbytes = self.graph.instructions[layout.root].type.nbytes
            flat = self.arena[first : first + nbytes].view(kind.dtype.numpy)
        return flat[layout.offset : layout.offset + kind.size].reshape(kind.shape)

    def results(self) -> dict[str, Array]:
        """Outputs, each in memory of its own."""
        own = {number: index for index, number in self.plan.schedule.direct.items()}
        return {
            name: self.tensor(index) if number in own else self.tensor(index).copy()
            for number, (name, index) in enumerate(self.graph.outputs)
        }
