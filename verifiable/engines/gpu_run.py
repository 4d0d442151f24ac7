"""A graph's way over a device: uploads, launches in order, memory given back after its last use.

The device is a protocol of five verbs, so that tests run this very loop on an interpreter of PTX.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verifiable.engines.gpu_launch import Launch, Operand, Plan, Result
from verifiable.engines.gpu_plan import plan_instruction
from verifiable.engines.inputs import check_inputs, check_weights
from verifiable.engines.protocol import Progress, Watcher
from verifiable.engines.reference import regions_done
from verifiable.graph.check import input_types
from verifiable.graph.ir import (
    Array,
    Const,
    Graph,
    Index,
    Input,
    TensorType,
    Weights,
    last_uses,
    operands,
    places,
)

Kernel = Callable[[int, tuple[int, int], tuple[np.generic, ...]], None]
"""Launches a kernel: blocks, threads of a block, arguments."""


class Memory(Protocol):
    """Memory on a device, which is free again once nothing holds it."""

    @property
    def address(self) -> int:
        """Where it starts."""


class Device(Protocol):
    """Where kernels run. Launches are carried out in order."""

    def upload(self, array: Array) -> Memory:
        """Copy the elements of a contiguous array to the device."""

    def empty(self, size: int) -> Memory:
        """Take `size` bytes, aligned for any vector; their content is arbitrary."""

    def download(self, memory: Memory, kind: TensorType) -> Array:
        """Copy a tensor from the device, once all launches before are done."""

    def kernel(self, source: str, name: str) -> Kernel:
        """Compile `source`, once, and give one of its kernels."""

    def wait(self) -> None:
        """Return once all launches are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRunner:
    """One graph with its weights on a device."""

    graph: Graph
    device: Device
    weights: Mapping[Index, Memory]
    plans: tuple[Plan | None, ...]
    """Of each instruction; None where the tensor is given."""

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
            If the device has too little memory.
        StageFailedError
            If the device gave up.
        """
        graph, device = self.graph, self.device
        given = check_inputs(input_types(graph), inputs)
        sources = dict(zip(places(graph, Input), given.values(), strict=True))
        tensors: dict[Index, Memory] = {}
        steps = zip(
            graph.instructions, self.plans, last_uses(graph), regions_done(graph), strict=True
        )
        for place, (instruction, plan, dead, events) in enumerate(steps):
            index = Index(place)
            match instruction:
                case Input():
                    tensors[index] = device.upload(sources[index])
                case Const():
                    tensors[index] = self.weights[index]
                case _:
                    assert plan is not None
                    read = [tensors[i] for i in operands(instruction)]
                    tensors[index] = carry_out(device, plan, read, instruction.type)
            if watch is not None:
                watch(index, device.download(tensors[index], instruction.type))
            if progress is not None and events:
                device.wait()
                for event in events:
                    progress(event)
            for i in dead:
                del tensors[i]
        return {
            name: device.download(tensors[index], graph.instructions[index].type)
            for name, index in graph.outputs
        }


def carry_out(device: Device, plan: Plan, read: list[Memory], kind: TensorType) -> Memory:
    """Launch what computes one instruction; gives the memory of its result."""
    if plan.alias:
        return read[0]
    result = device.empty(kind.nbytes)
    workspace = device.empty(plan.workspace) if plan.workspace else None
    for launch in plan.launches:
        arguments: list[np.generic] = []
        for argument in launch.arguments:
            match argument:
                case Operand(number=number):
                    arguments.append(np.uint64(read[number].address))
                case Result():
                    arguments.append(np.uint64(result.address))
                case np.generic():
                    arguments.append(argument)
                case _:
                    assert workspace is not None
                    arguments.append(np.uint64(workspace.address))
        _kernel(device, launch)(launch.grid, launch.block, tuple(arguments))
    return result


def _kernel(device: Device, launch: Launch) -> Kernel:
    return device.kernel(launch.source, launch.kernel)


def prepare(graph: Graph, weights: Weights, device: Device) -> GpuRunner:
    """Plan every instruction, compile what it needs and upload the weights.

    Raises
    ------
    TensorError
        If the weights are not what the graph's Consts ask for; their roots are not computed.
    HostError
        If a tensor is larger than a grid, or the device cannot hold or compile something.
    """
    checked = check_weights(graph, weights)
    plans: list[Plan | None] = []
    for instruction in graph.instructions:
        if isinstance(instruction, Input | Const):
            plans.append(None)
            continue
        types = [graph.instructions[i].type for i in operands(instruction)]
        plan = plan_instruction(instruction, types)
        for launch in plan.launches:
            _kernel(device, launch)
        plans.append(plan)
    uploaded = {index: device.upload(array) for index, array in checked.items()}
    # A run may come from another thread, whose stream does not wait for this one's copies.
    device.wait()
    return GpuRunner(graph=graph, device=device, weights=uploaded, plans=tuple(plans))
