"""Images read at computed points give what onnxruntime gives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import agree, floats, graph_of, model, near, ours

from verifiable.errors import UnsupportedError

SEEDS = st.integers(0, 2**16)


@given(
    seed=SEEDS,
    area=st.lists(st.integers(2, 5), min_size=2, max_size=2),
    mode=st.sampled_from(["linear", "nearest", "cubic"]),
    padding=st.sampled_from(["zeros", "border", "reflection"]),
    corners=st.integers(0, 1),
)
def test_grid_sample_is_onnxruntimes(
    seed: int, area: list[int], mode: str, padding: str, corners: int
) -> None:
    inputs = [floats(seed, 2, 3, *area), floats(seed + 1, 2, 3, 4, 2) * np.float32(1.2)]
    attributes: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    agree("GridSample", inputs, opset=20, atol=1e-4, **attributes)


@given(seed=SEEDS, area=st.lists(st.integers(1, 4), min_size=3, max_size=3))
def test_volumes_are_sampled_alike(seed: int, area: list[int]) -> None:
    inputs = [floats(seed, 1, 2, *area), floats(seed + 1, 1, 2, 2, 3, 3)]
    agree("GridSample", inputs, opset=20, padding_mode="border")


@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("area", [(3, 4), (2, 3, 4)])
def test_points_of_an_affine_grid_are_the_matrix_times_evenly_spaced_ones(
    corners: int, area: tuple[int, ...]
) -> None:
    rank = len(area)
    theta = floats(3, 2, rank, rank + 1)
    size = np.array([2, 5, *area])
    made = model("AffineGrid", [theta, size], constants={1}, align_corners=corners)
    (got,) = ours(made, [theta, size])
    assert got.shape == (2, *area, rank)
    for place in np.ndindex(area):
        # The grid's last number is along the first axis.
        point = [
            2 * p / (e - 1) - 1 if corners else (2 * p + 1) / e - 1
            for p, e in zip(place[::-1], area[::-1], strict=True)
        ]
        wanted = theta.astype(np.float64) @ [*point, 1.0]
        near(got[:, *place], wanted.astype(np.float32))


@given(
    seed=SEEDS,
    ratio=st.integers(1, 3),
    bins=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    shift=st.sampled_from(["half_pixel", "output_half_pixel"]),
)
def test_regions_are_averaged_as_onnxruntime_does(
    seed: int, ratio: int, bins: tuple[int, int], shift: str
) -> None:
    rng = np.random.default_rng(seed)
    x = floats(seed, 2, 3, 6, 7)
    corner = rng.random((4, 2)) * 12 - 2
    rois = np.concatenate([corner, corner + rng.random((4, 2)) * 10], axis=1).astype(np.float32)
    index = rng.integers(0, 2, 4)
    agree(
        "RoiAlign", [x, rois, index], sampling_ratio=ratio, output_height=bins[0],
        output_width=bins[1], spatial_scale=0.5, coordinate_transformation_mode=shift, opset=16,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "match"),
    [
        ("GridSample", [floats(1, 1, 1, 3, 3), floats(2, 1, 2, 2, 2)], {"mode": "odd"}, "mode"),
        ("GridSample", [floats(1, 1, 1, 3, 3), floats(2, 1, 2, 2, 3)], {}, "and grid"),
        (
            "RoiAlign",
            [floats(1, 1, 1, 3, 3), floats(2, 2, 4), np.zeros(2, np.int64)],
            {},
            "sampling_ratio is 0",
        ),
    ],
)
def test_points_that_cannot_be_read_are_refused_by_name(
    op: str, inputs: list[Any], attributes: dict[str, Any], match: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"^{op} `it` .*{match}"):
        graph_of(model(op, inputs, **attributes))
