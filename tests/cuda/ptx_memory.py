"""Memory of the interpreted device: global buffers with bounds, shared words with their races."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Lanes = NDArray[Any]

BASE = 0x7F00_0000_0000
"""Address of global memory: no 32-bit arithmetic reaches it by chance."""
GAP = 256
"""Alignment of buffers, and unused bytes between them."""


class Memory:
    """Global memory: what kernels read and write must lie in a buffer."""

    def __init__(self) -> None:
        self.bytes = np.zeros(GAP, np.uint8)
        self.mine = np.zeros(GAP, np.bool_)
        self._fill = 0xA5
        """Content of fresh memory, so that reading it before writing is seen in the result."""
        self.stored: list[Lanes] | None = None
        """Addresses that kernels store to, less `BASE`, once somebody asks."""

    def allocate(self, size: int) -> int:
        """Address of a fresh buffer of `size` bytes."""
        start = len(self.bytes)
        room = -(-size // GAP) * GAP + GAP
        self.bytes = np.concatenate([self.bytes, np.full(room, self._fill, np.uint8)])
        self.mine = np.concatenate([self.mine, np.arange(room) < size])
        return BASE + start

    def upload(self, array: NDArray[Any]) -> int:
        """Address of a copy of `array`."""
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        address = self.allocate(flat.size)
        start = address - BASE
        self.bytes[start : start + flat.size] = flat
        return address

    def download(self, address: int, size: int) -> NDArray[np.uint8]:
        """Copy of `size` bytes."""
        start = address - BASE
        assert self.mine[start : start + size].all()
        return self.bytes[start : start + size].copy()

    def _places(self, address: Lanes, width: int) -> Lanes:
        offset = address.astype(np.int64) - BASE
        inside = (offset >= 0) & (offset + width <= len(self.bytes))
        assert inside.all(), f"address {int(address.ravel()[np.argmin(inside)]):#x} is nowhere"
        assert not (offset % width).any(), f"an access of {width} bytes is not aligned"
        legal = self.mine[offset] & self.mine[offset + width - 1]
        assert legal.all(), f"an access of {width} bytes leaves its buffer"
        return offset // width

    def load(self, address: Lanes, width: int) -> Lanes:
        """Unsigned integers of `width` bytes."""
        return self.bytes.view(f"u{width}")[self._places(address, width)]

    def store(self, address: Lanes, value: Lanes) -> None:
        """Write elements of an unsigned dtype."""
        width = value.dtype.itemsize
        places = self._places(address, width)
        _no_clash(places, value)
        if self.stored is not None:
            self.stored.append(places * width)
        self.bytes.view(f"u{width}")[places] = value

    def legal(self, address: Lanes, width: int) -> None:
        """Hold a vector access against alignment and bounds."""
        offset = address.astype(np.int64) - BASE
        assert not (offset % width).any(), f"a vector of {width} bytes is not aligned"


def _no_clash(places: Lanes, value: Lanes) -> None:
    order = np.argsort(places, kind="stable")
    sorted_places, sorted_value = places[order], np.broadcast_to(value, places.shape)[order]
    same = sorted_places[1:] == sorted_places[:-1]
    assert not (same & (sorted_value[1:] != sorted_value[:-1])).any(), "two threads write one place"


class Shared:
    """Shared memory of several blocks, with who touched each word since when.

    Two threads that touch one word, one of them writing, must have a barrier between them: of the
    block, or of the warp if they are of one warp.
    """

    def __init__(self, blocks: int, size: int, threads: int) -> None:
        self.size = -(-size // 16) * 16
        self.bytes = np.zeros(max(blocks * self.size, 16), np.uint8)
        words = len(self.bytes) // 4
        self.threads = threads
        self.block_epoch = np.zeros(blocks, np.int64)
        self.warp_epoch = np.zeros(blocks * -(-threads // 32), np.int64)
        self._written = _Touches(words)
        self._read = _Touches(words)

    def place(self, lane: Lanes, offset: Lanes, width: int) -> Lanes:
        """Index of elements of `width` bytes."""
        offset = offset.astype(np.int64)
        assert ((offset >= 0) & (offset + width <= self.size)).all(), "leaves shared memory"
        assert not (offset % width).any(), f"a shared access of {width} bytes is not aligned"
        return ((lane // self.threads) * self.size + offset) // width

    def load(self, lane: Lanes, offset: Lanes, width: int) -> Lanes:
        """Unsigned integers of `width` bytes."""
        places = self.place(lane, offset, width)
        for word in _words(places, width):
            self._written.hold(self, lane, word)
            self._read.note(self, lane, word)
        return self.bytes.view(f"u{width}")[places]

    def store(self, lane: Lanes, offset: Lanes, value: Lanes) -> None:
        """Write elements of an unsigned dtype."""
        width = value.dtype.itemsize
        places = self.place(lane, offset, width)
        _no_clash(places, value)
        for word in _words(places, width):
            self._written.hold(self, lane, word)
            self._read.hold(self, lane, word)
            self._written.note(self, lane, word)
        self.bytes.view(f"u{width}")[places] = value

    def warp(self, lane: Lanes) -> Lanes:
        """Warp of each lane, counted over all blocks."""
        per_block = -(-self.threads // 32)
        return np.asarray((lane // self.threads) * per_block + lane % self.threads // 32)


def _words(places: Lanes, width: int) -> list[Lanes]:
    if width <= 4:
        return [places * width // 4]
    return [places * (width // 4) + i for i in range(width // 4)]


class _Touches:
    """Who touched each word last: lane, warp (-1 if several), and the epochs."""

    def __init__(self, words: int) -> None:
        self.lane = np.full(words, -1, np.int64)
        self.warp = np.full(words, -1, np.int64)
        self.block_epoch = np.full(words, -1, np.int64)
        self.warp_epoch = np.full(words, -1, np.int64)

    def hold(self, shared: Shared, lane: Lanes, word: Lanes) -> None:
        """Complain if a touch by another thread is not behind a barrier."""
        warp = shared.warp(lane)
        since = self.block_epoch[word] == shared.block_epoch[lane // shared.threads]
        other_warp = self.warp[word] != warp
        unsynced = self.warp_epoch[word] == shared.warp_epoch[warp]
        other_lane = self.lane[word] != lane
        assert not (since & (other_warp | (unsynced & other_lane))).any(), "a race in shared memory"

    def note(self, shared: Shared, lane: Lanes, word: Lanes) -> None:
        """Remember a touch."""
        warp, now = shared.warp(lane), shared.block_epoch[lane // shared.threads]
        fresh = self.block_epoch[word] != now
        stale = ~fresh & (self.warp_epoch[word] != shared.warp_epoch[warp])
        known_lane = np.where(fresh | stale, lane, self.lane[word])
        known_warp = np.where(fresh, warp, self.warp[word])
        self.lane[word] = np.where(known_lane == lane, lane, -1)
        self.warp[word] = np.where(known_warp == warp, warp, -1)
        self.block_epoch[word] = now
        self.warp_epoch[word] = shared.warp_epoch[warp]
        # Lanes of this very instruction that share a word: the last one stands there alone.
        self.lane[word] = np.where(self.lane[word] == lane, lane, -1)
        self.warp[word] = np.where(self.warp[word] == warp, warp, -1)
