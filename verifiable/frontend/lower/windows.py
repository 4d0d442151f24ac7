"""Windows that slide over spatial axes: where they stand, and the views that read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.node import Node
from verifiable.frontend.lower.views import row_major


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Where windows stand, an entry for each spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    """Padding in front."""
    after: tuple[int, ...]
    """Padding behind, as the operator says."""
    counts: tuple[int, ...]
    """How many windows there are."""

    @property
    def reach(self) -> tuple[int, ...]:
        """Elements from the first to the last of one window."""
        pairs = zip(self.kernel, self.dilations, strict=True)
        return tuple((k - 1) * d + 1 for k, d in pairs)

    def needed(self, extents: Sequence[int]) -> tuple[int, ...]:
        """Padding behind, such that the last window is full; less than 0 where some is unread."""
        return tuple(
            (c - 1) * s + r - e - p
            for c, s, r, e, p in zip(
                self.counts, self.strides, self.reach, extents, self.before, strict=True
            )
        )


def windows_of(node: Node, extents: Sequence[int], kernel: Sequence[int]) -> Windows:
    """Windows that an operator's attributes describe.

    Raises
    ------
    UnsupportedError
        If attributes have another rank, or a window has nowhere to stand.
    """
    rank = len(extents)
    strides = spatial(node, "strides", rank)
    dilations = spatial(node, "dilations", rank)
    pads = [int(p) for p in node.attribute("pads", [0] * (2 * rank))]
    auto = node.attribute("auto_pad", "NOTSET")
    if len(pads) != 2 * rank or len(kernel) != rank or min(pads, default=0) < 0:
        raise node.refuse(f"pads {pads} and kernel {list(kernel)} do not fit {rank} axes")
    if min((*kernel, *strides, *dilations), default=1) < 1:
        raise node.refuse("a kernel, stride or dilation is below 1")
    before, after, counts = [], [], []
    for axis, extent in enumerate(extents):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        stride = strides[axis]
        first, last = pads[axis], pads[axis + rank]
        if auto in {"SAME_UPPER", "SAME_LOWER"}:
            count = -(-extent // stride)
            missing = max((count - 1) * stride + reach - extent, 0)
            first = missing // 2 if auto == "SAME_UPPER" else (missing + 1) // 2
            last = missing - first
        elif auto in {"NOTSET", "VALID"}:
            if auto == "VALID":
                first = last = 0
            room = extent + first + last - reach
            ceil = auto == "NOTSET" and node.attribute("ceil_mode", 0)
            count = (-(-room // stride) if ceil else room // stride) + 1
            if ceil and (count - 1) * stride >= extent + first:
                count -= 1  # the last window would start in the padding behind
        else:
            raise node.refuse(f"auto_pad is {auto}")
        if count < 1:
            raise node.refuse(f"a window of {reach} does not fit axis {axis} of {extent}")
        before.append(first)
        after.append(last)
        counts.append(count)
    return Windows(
        kernel=tuple(kernel),
        strides=tuple(strides),
        dilations=tuple(dilations),
        before=tuple(before),
        after=tuple(after),
        counts=tuple(counts),
    )


def spatial(node: Node, name: str, rank: int) -> list[int]:
    """An attribute with one entry for each spatial axis, 1 where it is left out.

    Raises
    ------
    UnsupportedError
        If it has another length.
    """
    values = [int(v) for v in node.attribute(name, [1] * rank)]
    if len(values) != rank:
        raise node.refuse(f"{name} {values} do not fit {rank} spatial axes")
    return values


def fitted(
    b: Builder, x: Value, before: Sequence[int], after: Sequence[int], fill: float = 0
) -> Value:
    """Pad the last axes; a negative count crops."""
    lead = len(x.shape) - len(before)
    shape = list(x.shape)
    low, high = [0] * len(shape), list(shape)
    strides = row_major(x.shape)
    offset = 0
    for axis, (p, q) in enumerate(zip(before, after, strict=True), start=lead):
        shape[axis] = p + x.shape[axis] + q
        low[axis] = min(max(p, 0), shape[axis])
        high[axis] = max(min(p + x.shape[axis], shape[axis]), low[axis])
        offset -= p * strides[axis]
    if not any(before) and not any(after):
        return x
    return b.view(x, shape, strides, offset=offset, low=low, high=high, fill=fill)


def padded(b: Builder, x: Value, windows: Windows, fill: float = 0) -> Value:
    """Pad the last axes so that every window is full."""
    rank = len(windows.kernel)
    extents = x.shape[len(x.shape) - rank :]
    behind = [max(n, 0) for n in windows.needed(extents)]
    return fitted(b, x, windows.before, behind, fill)


def grouped_view(
    b: Builder, x: Value, groups: Sequence[Sequence[tuple[int, int]]], offset: int = 0
) -> Value:
    """A view with one axis for each group of ``(extent, stride)`` pairs.

    Groups that are no single axis take one view of all pairs, and a reshape.
    """
    merged = [_merged(group) for group in groups]
    flat = [pair for group in merged for pair in group]
    made = b.view(x, [e for e, _ in flat], [s for _, s in flat], offset=offset)
    return b.reshape(made, [prod(e for e, _ in group) for group in groups])


def _merged(group: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    several = [pair for pair in group if pair[0] != 1] or [(1, 0)]
    if all(outer[1] == inner[0] * inner[1] for outer, inner in pairwise(several)):
        return [(prod(e for e, _ in several), several[-1][1])]
    return list(group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """Shapes of a convolution."""

    images: int
    groups: int
    inner: int
    """Channels of one group that go in."""
    outer: int
    """Channels of one group that come out."""
    windows: Windows


def convolution_of(node: Node, x: Value, weight: Value) -> Convolution:
    """Shapes of Conv and its kin, held against one another.

    Raises
    ------
    UnsupportedError
        If they do not match.
    """
    rank = len(x.shape) - 2
    if rank < 1 or len(weight.shape) != rank + 2:
        raise node.refuse(f"of {x.type} and weights {weight.type}")
    if rank > 3:
        raise node.refuse(f"over {rank} spatial axes, the most is 3")
    groups = int(node.attribute("group", 1))
    outer, inner = weight.shape[:2]
    if groups < 1 or outer % groups or inner * groups != x.shape[1]:
        raise node.refuse(f"weights {weight.type} do not fit {x.type} in {groups} groups")
    kernel = tuple(int(k) for k in node.attribute("kernel_shape", weight.shape[2:]))
    if kernel != weight.shape[2:]:
        raise node.refuse(f"kernel_shape {list(kernel)} is not that of weights {weight.type}")
    return Convolution(
        images=x.shape[0],
        groups=groups,
        inner=inner,
        outer=outer // groups,
        windows=windows_of(node, x.shape[2:], kernel),
    )


def patches(b: Builder, x: Value, shape: Convolution, fill: float = 0) -> Value:
    """Rows ``[N * G, P, C / G * k]``: for each window its elements, in the order of (c, k)."""
    windows = shape.windows
    wide = padded(b, x, windows, fill)
    strides = row_major(wide.shape)[1:]
    rank = len(windows.kernel)
    steps = [s * t for s, t in zip(windows.strides, strides[1:], strict=True)]
    taps = [d * t for d, t in zip(windows.dilations, strides[1:], strict=True)]
    assert rank == len(strides) - 1
    return grouped_view(
        b,
        wide,
        [
            [(shape.images * shape.groups, shape.inner * strides[0])],
            list(zip(windows.counts, steps, strict=True)),
            [(shape.inner, strides[0]), *zip(windows.kernel, taps, strict=True)],
        ],
    )
