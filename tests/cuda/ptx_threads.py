"""Threads of some blocks of one launch: their registers, and who of them is at work."""

from typing import Any

import numpy as np
from ptx_arithmetic import NUMPY, Lanes, bits_of, seen_as
from ptx_memory import Memory, Shared
from ptx_text import Kernel


class Threads:
    """State of all threads of some blocks; registers are arrays over them."""

    def __init__(
        self, kernel: Kernel, memory: Memory, params: dict[str, Any], constants: dict[str, int],
        first: int, blocks: int, grid: int, block: tuple[int, int],
    ) -> None:  # fmt: skip
        self.kernel, self.memory, self.params, self.constants = kernel, memory, params, constants
        self.threads = block[0] * block[1]
        self.count = blocks * self.threads
        self.lane = np.arange(self.count)
        thread = self.lane % self.threads
        self.special = {
            "%tid.x": thread % block[0], "%tid.y": thread // block[0], "%tid.z": thread * 0,
            "%ctaid.x": first + self.lane // self.threads, "%ctaid.y": thread * 0,
            "%ctaid.z": thread * 0, "%laneid": thread % 32,
            "%ntid.x": np.int64(block[0]), "%ntid.y": np.int64(block[1]), "%ntid.z": np.int64(1),
            "%nctaid.x": np.int64(grid), "%nctaid.y": np.int64(1), "%nctaid.z": np.int64(1),
        }  # fmt: skip
        self.shared = Shared(blocks, kernel.shared_size, self.threads)
        self.local = np.zeros(self.count * kernel.local_size, np.uint8)
        self.registers: dict[str, Lanes] = {}
        self.at = np.zeros(self.count, np.int64)
        self.alive = np.ones(self.count, np.bool_)
        self.waits = np.zeros(self.count, np.bool_)
        self.here: Lanes | None = None
        """Lanes that the current instruction is for; None is all."""

    def _lanes(self) -> Any:
        return slice(None) if self.here is None else self.here

    def _mine(self) -> Lanes:
        return self.lane if self.here is None else self.here

    def _width(self, register: str) -> int:
        return self.kernel.widths[register.rstrip("0123456789")]

    def read(self, arg: str, kind: str) -> Lanes:
        """Value of an operand, as elements of a PTX type."""
        if arg in self.registers:
            return seen_as(self.registers[arg][self._lanes()], kind)
        if arg in self.special:
            value = np.asarray(self.special[arg])
            return seen_as((value[self._lanes()] if value.ndim else value).astype(np.uint64), kind)
        if arg.startswith("{"):
            return self._packed(arg, kind)
        if arg.startswith(("0f", "0F")):
            return seen_as(np.asarray(int(f"0x{arg[2:]}", 0), np.uint32), kind)
        if arg in self.kernel.shared:
            return seen_as(np.asarray(self.kernel.shared[arg], np.uint64), kind)
        if arg in self.constants:
            return seen_as(np.asarray(self.constants[arg], np.uint64), kind)
        if arg.startswith("__local_depot"):
            return np.zeros((), NUMPY[kind])
        assert not arg.startswith("%"), f"{arg} is read before it is written"
        number = int(arg.rstrip("U"), 0) if "." not in arg else None
        assert number is not None, arg
        if kind == "pred":
            return np.asarray(bool(number))
        return seen_as(np.asarray(number % 2**64, np.uint64), kind)

    def _packed(self, arg: str, kind: str) -> Lanes:
        parts = [part.strip() for part in arg[1:-1].split(",")]
        bits = 8 * NUMPY[kind].itemsize // len(parts)
        value = np.zeros((), np.uint64)
        for number, part in enumerate(parts):
            piece = self.read(part, f"u{bits}").astype(np.uint64)
            value = value | (piece << np.uint64(bits * number))
        return seen_as(value, kind)

    def write(self, register: str, value: Lanes) -> None:
        """Set a register of the current lanes; wider registers take zeros or signs in front."""
        if register == "_":
            return
        if register.startswith("{"):
            parts = [part.strip() for part in register[1:-1].split(",")]
            bits = 8 * value.dtype.itemsize // len(parts)
            for number, part in enumerate(parts):
                piece = (value >> value.dtype.type(bits * number)).astype(f"u{bits // 8}")
                self.write(part, piece)
            return
        width = self._width(register)
        if width:
            if value.dtype.itemsize * 8 != width:
                # ld and cvt of narrower types extend by the type's own sign.
                value = value.astype(f"{'i' if value.dtype.kind == 'i' else 'u'}{width // 8}")
            value = bits_of(value) if value.dtype.kind != "f" else value.view(f"u{width // 8}")
        if self.here is None:
            self.registers[register] = (
                value if value.shape == self.lane.shape else np.full(self.count, value)
            )
            return
        held = self.registers.get(register)
        dtype = np.dtype(f"u{width // 8}" if width else np.bool_)
        fresh = np.zeros(self.count, dtype) if held is None else held.copy()
        fresh[self.here] = value
        self.registers[register] = fresh

    def result(self, register: str, value: Lanes) -> None:
        """Set a register to the result of arithmetic."""
        self.write(register, bits_of(value) if value.dtype.kind == "f" else value)
