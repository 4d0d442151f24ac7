"""Run a kernel's PTX on NumPy: all threads of some blocks at once, one instruction at a time.

Threads that stand at the lowest instruction go first, which brings parted threads together again.
A barrier holds a block's threads until all that still run have come; a shuffle wants its whole
warp at one instruction. Only what our kernels' PTX holds is interpreted: anything else, an
approximate instruction above all, is an error.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ptx_arithmetic import (
    BINARY,
    NUMPY,
    SHIFTS,
    UNARY,
    Lanes,
    compare,
    convert,
    dp4a,
    extract,
    fma32,
    funnel,
    insert,
    lookup3,
    permute,
)
from ptx_memory import Memory
from ptx_text import Instruction, Module
from ptx_threads import Threads

LANES_AT_ONCE = 1 << 18
LOCAL_WINDOW = 1 << 44


@dataclass
class Budget:
    """Instructions left before a run counts as endless."""

    left: int = 3_000_000


def launch(
    module: Module, name: str, memory: Memory, grid: int, block: tuple[int, int], args: list[Any],
    *, only: Iterable[int] | None = None,
) -> None:  # fmt: skip
    """Run kernel `name` of `module` on `grid` blocks of ``block[0] x block[1]`` threads.

    `args` are NumPy scalars of the widths that the kernel declares; addresses are uint64. Of a
    large grid some blocks may be run alone.
    """
    kernel = module.kernels[name]
    assert len(args) == len(kernel.params), f"{name}: {len(args)} of {len(kernel.params)} arguments"
    params: dict[str, np.unsignedinteger[Any]] = {}
    for value, (param, size) in zip(args, kernel.params, strict=True):
        assert value.dtype.itemsize == size, f"{name}: {param} has {size} bytes, got {value.dtype}"
        params[param] = value.view(f"u{size}")
    constants = {
        key: memory.upload(np.frombuffer(v, np.uint8)) for key, v in module.constants.items()
    }
    threads = block[0] * block[1]
    assert kernel.bound is None or threads <= kernel.bound, f"{name}: {threads} threads"
    step = max(1, LANES_AT_ONCE // threads)
    with np.errstate(all="ignore"):
        every = ((first, min(step, grid - first)) for first in range(0, grid, step))
        for first, count in every if only is None else ((one, 1) for one in only):
            _Run(kernel, memory, params, constants, first, count, grid, block).run()


class _Run(Threads):
    """Some blocks of one launch."""

    def run(self) -> None:
        """Run until every thread has returned."""
        starts = set(self.kernel.labels.values())
        budget = Budget()
        code = self.kernel.instructions
        while self.alive.any():
            ready = self.alive & ~self.waits
            if not ready.any():
                self.shared.block_epoch[np.unique(self.lane[self.waits] // self.threads)] += 1
                self.waits[:] = False
                continue
            place = int(self.at[ready].min())
            front = ready & (self.at == place)
            self.here = None if front.all() else np.flatnonzero(front)
            while True:
                budget.left -= 1
                assert budget.left, "an endless kernel"
                moved = self._step(code[place], place)
                place += 1
                if moved or place in starts:
                    break
            if not moved:
                self.at[self._lanes()] = place

    def _step(self, instruction: Instruction, place: int) -> bool:
        """Carry out one instruction; whether it set where its lanes go on."""
        base, *modifiers = instruction.op.split(".")
        everyone = self.here
        if instruction.guard is not None:
            register, negated = instruction.guard
            holds = self.registers[register][self._lanes()] ^ negated
            chosen = self._mine()[holds]
        else:
            chosen = self._mine()
        if base in {"bra", "ret", "exit"}:
            self.at[self._lanes()] = place + 1
            if base == "bra":
                self.at[chosen] = self.kernel.labels[instruction.args[0]]
            else:
                self.alive[chosen] = False
            return True
        if base in {"bar", "barrier"}:
            self._barrier(instruction, modifiers, chosen)
            self.at[chosen] = place + 1
            return True
        if instruction.guard is not None:
            if not chosen.size:
                return False
            self.here = chosen
        self._compute(base, modifiers, instruction.args)
        self.here = everyone
        return False

    def _barrier(self, instruction: Instruction, modifiers: list[str], chosen: Lanes) -> None:
        assert instruction.guard is None
        if modifiers[0] == "warp":
            warps, members = np.unique(self.shared.warp(chosen), return_counts=True)
            assert (members == 32).all(), "a warp's barrier without its whole warp"
            self.shared.warp_epoch[warps] += 1
            return
        assert instruction.args == ("0",), instruction
        self.waits[chosen] = True

    # Instructions

    def _compute(self, base: str, modifiers: list[str], args: tuple[str, ...]) -> None:
        handler = getattr(self, f"_do_{base}", None)
        if handler is not None:
            handler(modifiers, args)
            return
        kind = modifiers[-1]
        flags = [m for m in modifiers[:-1] if m in {"lo", "hi", "NaN"}]
        known = {"rn", "lo", "hi", "NaN", "wide", "uni"}
        assert known.issuperset(modifiers[:-1]), f"{base}.{'.'.join(modifiers)}"
        if kind == "f32" and base in {"add", "sub", "mul", "div", "sqrt", "rcp"}:
            assert modifiers == ["rn", "f32"], f"{base}.{'.'.join(modifiers)}"
        name = ".".join([base, *flags])
        if base in SHIFTS:
            by = self.read(args[2], "u32")
            self.result(args[0], SHIFTS[base](self.read(args[1], kind), by))
        elif name in UNARY:
            self.result(args[0], UNARY[name](self.read(args[1], kind)))
        else:
            if base == "mul" and "wide" in modifiers:
                wide = f"{kind[0]}{2 * int(kind[1:])}"
                values = [self.read(a, kind).astype(NUMPY[wide]) for a in args[1:]]
            else:
                values = [self.read(a, kind) for a in args[1:]]
            self.result(args[0], BINARY[name](*values))

    def _do_fma(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        assert modifiers == ["rn", "f32"], modifiers
        self.result(args[0], fma32(*(self.read(a, "f32") for a in args[1:])))

    def _do_mad(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        how, kind = modifiers
        a, b = (self.read(arg, kind) for arg in args[1:3])
        if how == "wide":
            kind = f"{kind[0]}{2 * int(kind[1:])}"
            a, b = a.astype(NUMPY[kind]), b.astype(NUMPY[kind])
        else:
            assert how == "lo", modifiers
        self.result(args[0], np.asarray(a * b + self.read(args[3], kind)))

    def _do_mov(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        # A copy, since registers are changed in place of no other; and bits, since no arithmetic.
        kind = modifiers[-1] if modifiers[-1] == "pred" else f"u{modifiers[-1][1:]}"
        self.write(args[0], self.read(args[1], kind))

    def _do_cvta(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        value = self.read(args[1], "u64")
        local = np.uint64(LOCAL_WINDOW if "local" in modifiers else 0)
        assert not {"shared", "const", "param"} & set(modifiers), modifiers
        self.write(args[0], value - local if "to" in modifiers else value + local)

    def _do_cvt(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        *how, to, source = modifiers
        assert "ftz" not in how
        self.result(args[0], convert(how, to, source, self.read(args[1], source)))

    def _do_selp(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        kind = f"u{modifiers[-1][1:]}"
        a, b = self.read(args[1], kind), self.read(args[2], kind)
        self.write(args[0], np.where(self.read(args[3], "pred"), a, b))

    def _do_setp(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        how, *joined, kind = modifiers
        assert "ftz" not in joined
        found = compare(how, self.read(args[1], kind), self.read(args[2], kind))
        if joined:
            other = self.read(args[3].lstrip("!"), "pred") ^ args[3].startswith("!")
            found = np.asarray(getattr(np, f"logical_{joined[0]}")(found, other))
        registers = args[0].split("|")
        self.write(registers[0], np.broadcast_to(found, self._mine().shape))
        assert len(registers) == 1

    def _do_dp4a(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        a, b, c = (self.read(arg, "u32") for arg in args[1:])
        self.write(args[0], dp4a(modifiers[0], modifiers[1], a, b, c))

    def _do_prmt(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        assert modifiers == ["b32"], modifiers
        self.write(args[0], permute(*(self.read(arg, "u32") for arg in args[1:])))

    def _do_bfi(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        kind = modifiers[-1]
        a, b = self.read(args[1], kind), self.read(args[2], kind)
        self.write(args[0], insert(a, b, self.read(args[3], "u32"), self.read(args[4], "u32")))

    def _do_bfe(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        a = self.read(args[1], modifiers[-1])
        self.result(args[0], extract(a, self.read(args[2], "u32"), self.read(args[3], "u32")))

    def _do_shf(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        values = [self.read(arg, "u32") for arg in args[1:]]
        self.write(args[0], funnel(modifiers[0] == "l", modifiers[1] == "wrap", *values))

    def _do_lop3(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        assert modifiers == ["b32"], modifiers
        values = [self.read(arg, "u32") for arg in args[1:4]]
        self.write(args[0], lookup3(int(args[4], 0), *np.broadcast_arrays(*values)))

    def _do_shfl(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        assert (modifiers[0], modifiers[-1]) == ("sync", "b32"), modifiers
        assert np.all(self.read(args[4], "u32") == 0xFFFFFFFF), "a shuffle of part of a warp"
        lanes = self._mine()
        _, members = np.unique(self.shared.warp(lanes), return_counts=True)
        assert (members == 32).all(), "a shuffle without its whole warp"
        whole = np.zeros(self.count, np.uint32)
        whole[lanes] = self.read(args[1], "u32")
        by = self.read(args[2], "s32").astype(np.int64)
        clamp = self.read(args[3], "u32")
        assert np.all(clamp == 31), clamp
        own = lanes % self.threads % 32
        wanted = {"down": own + by, "bfly": own ^ by, "idx": by & 31}[modifiers[1]]
        inside = wanted < 32
        source = lanes - own + np.where(inside, wanted, own)
        registers = args[0].split("|")
        self.write(registers[0], whole[source])
        if len(registers) > 1:
            self.write(registers[1], np.broadcast_to(inside, lanes.shape))

    # Memory

    def _address(self, arg: str) -> tuple[str, Lanes]:
        name, _, offset = arg.strip("[]").partition("+")
        shift = np.int64(int(offset, 0) if offset else 0)
        if name.startswith("%"):
            width = f"u{self._width(name)}"
            value = self.read(name, width).astype(np.uint64).view(np.int64) + shift
        else:
            value = self.read(name, "u64").view(np.int64) + shift
        full = np.broadcast_to(value, self._mine().shape)
        return name, full.view(np.uint64) if full.flags.c_contiguous else full.astype(np.uint64)

    def _do_ld(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        kind = modifiers[-1]
        targets = [part.strip() for part in args[0].strip("{}").split(",")]
        if modifiers[0] == "param":
            name, _, offset = args[1].strip("[]").partition("+")
            assert not offset
            value = np.asarray(self.params[name])
            self.write(
                targets[0],
                value.view(f"{kind[0].replace('s', 'i').replace('b', 'u')}{value.dtype.itemsize}")
                if kind[0] in "sub"
                else value,
            )
            return
        width = NUMPY[kind].itemsize
        _, address = self._address(args[1])
        if len(targets) > 1 and modifiers[0] == "global":
            self.memory.legal(address, width * len(targets))
        for number, target in enumerate(targets):
            here = address + np.uint64(number * width)
            value = self._load(modifiers[0], here, width)
            self.write(target, value.view(f"i{width}") if kind[0] == "s" else value)

    def _load(self, space: str, address: Lanes, width: int) -> Lanes:
        if space == "shared":
            return self.shared.load(self._mine(), address, width)
        if space == "local":
            return self.local.view(f"u{width}")[self._local(address, width)]
        assert space in {"global", "const"}, space
        return self.memory.load(address, width)

    def _local(self, address: Lanes, width: int) -> Lanes:
        offset = address.astype(np.int64)
        assert ((offset >= 0) & (offset + width <= self.kernel.local_size)).all(), "leaves local"
        return (self._mine() * self.kernel.local_size + offset) // width

    def _do_st(self, modifiers: list[str], args: tuple[str, ...]) -> None:
        kind = f"u{modifiers[-1][1:]}"
        sources = [part.strip() for part in args[1].strip("{}").split(",")]
        _, address = self._address(args[0])
        width = NUMPY[kind].itemsize
        if len(sources) > 1 and modifiers[0] == "global":
            self.memory.legal(address, width * len(sources))
        for number, source in enumerate(sources):
            value = np.broadcast_to(self.read(source, kind), address.shape)
            here = address + np.uint64(number * width)
            match modifiers[0]:
                case "shared":
                    self.shared.store(self._mine(), here, value)
                case "local":
                    self.local.view(f"u{width}")[self._local(here, width)] = value
                case space:
                    assert space == "global", space
                    self.memory.store(here, value)
