"""Every message that is hashed for a trace, written from the definition in plain Python.

It can be told to break the rules, as someone would who commits to what is no trace.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from graph_zoo import Case

from verifiable.graph.ir import Array, Const, Index, Input
from verifiable.graph.layout import big_endian, type_of
from verifiable.trace.walk import Ask, WithheldError
from verifiable.types import Sha256


@dataclass
class Preimages:
    """Messages by their digests; answers a walk, one level at a time."""

    pad: bytes = hashlib.sha256(b"\x08").digest()
    """What trees are filled up with."""
    leaf: Callable[[bytes], bytes] = bytes
    header: Callable[[bytes], bytes] = bytes
    """What becomes of each leaf and of each tensor's header."""
    said: dict[bytes, bytes] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)

    def put(self, message: bytes) -> bytes:
        digest = hashlib.sha256(message).digest()
        self.said[digest] = message
        return digest

    def tree(self, leaves: Sequence[bytes]) -> bytes:
        full = list(leaves) or [self.pad]
        while len(full) & (len(full) - 1):
            full.append(self.pad)
        while len(full) > 1:
            pairs = range(0, len(full), 2)
            full = [self.put(b"\x01" + full[i] + full[i + 1]) for i in pairs]
        return full[0]

    def tensor(self, array: Array) -> bytes:
        kind, data = type_of(array), bytes(big_endian(array))
        width = (kind.shape[-1] if kind.shape else 1) * kind.dtype.itemsize

        def cut(part: bytes, size: int) -> list[bytes]:
            pieces = [part[i : i + size] for i in range(0, len(part), size)]
            return [self.put(b"\x00" + self.leaf(piece)) for piece in pieces]

        if not data:
            top = self.pad
        elif width >= 1024:
            rows = [data[i : i + width] for i in range(0, len(data), width)]
            size = 1024 // kind.dtype.itemsize * kind.dtype.itemsize
            top = self.tree([self.tree(cut(row, size)) for row in rows])
        else:
            top = self.tree(cut(data, 1024 // width * width))
        extents = b"".join(extent.to_bytes(4, "big") for extent in kind.shape)
        head = self.header(bytes((kind.dtype.value, len(kind.shape))) + extents)
        return self.put(b"\x02" + head + top)

    def trace(self, one: Case, tensors: Sequence[Array]) -> Sha256:
        named = {index for _, index in one.graph.outputs}
        sections: tuple[list[bytes], ...] = ([], [], [])
        for i, (instruction, tensor) in enumerate(
            zip(one.graph.instructions, tensors, strict=True)
        ):
            if not isinstance(instruction, Const):
                place = 0 if isinstance(instruction, Input) else 1 + (Index(i) in named)
                sections[place].append(self.tensor(tensor))
        return Sha256(self.put(b"\x04" + b"".join(map(self.tree, sections))))

    def answer(self, ask: Ask, /) -> bytes:
        self.asked.append(ask)
        try:
            return self.said[ask.digest]
        except KeyError:
            raise WithheldError(ask, "it is not among the preimages") from None
