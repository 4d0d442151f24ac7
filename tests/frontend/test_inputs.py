"""Tensors of others: the numbers they hold, or a typed error."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from verifiable.errors import TensorError
from verifiable.frontend.arrays import parse_npy
from verifiable.frontend.inputs import (
    bind_input,
    bind_samples,
    check_covers,
    parse_arrays,
    read_arrays,
    sample,
)
from verifiable.frontend.signature import Signature, TensorSpec

finite = st.floats(-1e6, 1e6, width=32)
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)
arrays = hnp.arrays(np.float32, shapes, elements=finite)


def takes(**inputs: tuple[int, ...]) -> Signature:
    specs = [TensorSpec(name=n, shape=s, dtype="float32") for n, s in inputs.items()]
    return Signature(inputs=tuple(specs), outputs=(), parameters=0, operators=())


def npy(value: NDArray[Any], *, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=pickled)
    return stream.getvalue()


def npz(**values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **values)
    return stream.getvalue()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, body in members.items():
            archive.writestr(f"{name}.npy", body)
    return stream.getvalue()


@given(arrays)
def test_all_three_formats_hold_the_same_numbers(value: NDArray[np.float32]) -> None:
    signature = takes(x=value.shape)
    forms = [
        npz(x=value),
        npy(value),
        json.dumps({"x": value.tolist()}).encode(),
        json.dumps({"input_data": [value.ravel().tolist()]}).encode(),
    ]
    for data in forms:
        bound = bind_input(parse_arrays(data), signature)["x"]
        assert bound.dtype == np.float32
        np.testing.assert_array_equal(bound, value)


@given(hnp.arrays(st.sampled_from(["<f4", ">f4", "<f8", "<i2", "u1"]), shapes, elements={}))
def test_npy_is_read_as_numpy_reads_it(value: NDArray[Any]) -> None:
    for layout in (value, np.asfortranarray(value)):
        expected = np.load(io.BytesIO(npy(layout)))
        np.testing.assert_array_equal(parse_npy(npy(layout)), expected)


def test_files_are_read_by_content_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes(npz(x=np.ones((1, 2), np.float32)))
    assert bind_input(read_arrays(path), takes(x=(1, 2)))["x"].shape == (1, 2)


ONE = np.ones((1, 2), np.float32)


@pytest.mark.parametrize(
    ("given_arrays", "message"),
    [
        ({"y": ONE}, "there is no input `y`, wanted `x`"),
        ({"x": ONE, "z": ONE}, "there is no input `z`, wanted `x`"),
        ({}, "is missing; got nothing"),
        ([ONE, ONE], "2 arrays without names, wanted 1"),
        ({"x": np.ones((2, 1), np.float32)}, r"input `x` has shape \[2, 1\], wanted \[1, 2\]"),
        ({"x": np.ones(2, np.float32)}, r"shape \[2\], wanted \[1, 2\]"),
        ({"x": np.array([[0, np.nan]], np.float32)}, r"input `x`\[0, 1\] is nan"),
        ({"x": np.array([[-np.inf, 0]], np.float32)}, r"input `x`\[0, 0\] is -inf"),
        ({"x": np.array([[1e300, 0]])}, r"input `x` is float64\[1, 2\], wanted float32"),
        ({"x": np.array([["a", "b"]])}, "wanted float32"),
        ({"x": np.array([[1j, 0]])}, r"is complex128\[1, 2\], wanted float32"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(given_arrays: Any, message: str) -> None:
    with pytest.raises(TensorError, match=message) as refused:
        bind_input(given_arrays, takes(x=(1, 2)))
    assert refused.value.hint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither"),
        (b"hello", "neither"),
        (b"{", "not JSON"),
        (b"[1, 2]", "must be"),
        (b"{}", "must be"),
        (b'{"x": [1, 2], "x": [1, 2]}', "occurs twice"),
        (b'{"x": [NaN]}', "NaN is no number"),
        (b'{"x": [[1, 2], [3]]}', "not all of the same length"),
        (b'{"x": [1, [2]]}', "is not a number"),
        (b'{"x": [1, "2"]}', "'2' is not a number"),
        (b'{"x": [null]}', "'None' is not a number"),
        (b'{"x": []}', r"shape \[0\]"),
        (b'{"x": ' + b"[" * 100_000, "not JSON"),
        (b'{"x": ' + b"[" * 40 + b"1" + b"]" * 40 + b"}", "is not one of a tensor"),
        (b"\x93NUMPY\x01\x00", "header"),
        (npy(np.ones(4))[:-1], "has 31 bytes"),
        (npy(np.ones(4)) + b"\0", "has 33 bytes"),
        (npy(np.array([{}]), pickled=True), "holds no plain numbers"),
        (npy(np.ones(4)).replace(b"(4,)", b"(9" + b"9" * 14 + b",)"), "header|has"),
        (npz(x=ONE)[:-10], "damaged"),
        (zipped(x=b"\x93NUMPX"), "tensor `x`: not a .npy file"),
    ],
)
def test_a_file_that_is_no_tensor_says_why(data: bytes, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        parse_arrays(data)


def test_an_integer_that_no_dtype_holds_is_refused_unread() -> None:
    with pytest.raises(TensorError, match="an integer of 5001 digits"):
        parse_arrays(b'{"x": [1' + b"0" * 5000 + b"]}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TensorError, match=r"cannot read `.*/x.npz`: No such file") as refused:
        read_arrays(tmp_path / "x.npz")
    assert refused.value.hint == "tensors are read from a file: .npz, .npy or JSON"


def test_an_archive_that_unpacks_to_gigabytes_is_refused_unread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("verifiable.frontend.arrays.MAX_BYTES", 1000)
    with pytest.raises(TensorError, match="unpacks to more than 1000 bytes"):
        parse_arrays(npz(x=np.zeros(10_000, np.float32)))


def test_a_name_that_occurs_twice_in_an_archive_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.npy", npy(ONE))
        archive.writestr("x", npy(ONE))
    with pytest.raises(TensorError, match="`x` occurs twice"):
        parse_arrays(stream.getvalue())


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x93NUMPY", b"PK\x03\x04", b"{"]))
def test_noise_never_causes_a_traceback(noise: bytes, start: bytes) -> None:
    with pytest.raises(TensorError):
        bind_input(parse_arrays(start + noise), takes(x=(1, 2)))


@given(st.data())
def test_damage_never_causes_a_traceback(data: st.DataObject) -> None:
    intact = [npz(x=ONE, y=ONE), npy(ONE), json.dumps({"x": ONE.tolist()}).encode()]
    damaged = bytearray(data.draw(st.sampled_from(intact)))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        bind_input(parse_arrays(bytes(damaged)), takes(x=(1, 2), y=(1, 2)))
    except TensorError:
        return


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (5, 1, 1, 8, 8)])
def test_samples_may_leave_out_a_batch_axis_of_one(shape: tuple[int, ...]) -> None:
    value = np.arange(320, dtype=np.float32).reshape(shape)
    bound = bind_samples({"x": value}, takes(x=(1, 1, 8, 8)))
    assert bound["x"].shape == (5, 1, 1, 8, 8)
    np.testing.assert_array_equal(sample(bound, 3)["x"].ravel(), value[3].ravel())


def test_one_sample_is_a_set_of_one() -> None:
    assert bind_samples({"x": ONE}, takes(x=(1, 2)))["x"].shape == (1, 1, 2)


def test_calibration_files_of_ezkl_are_flat() -> None:
    data = json.dumps({"input_data": [list(range(12))]}).encode()
    assert bind_samples(parse_arrays(data), takes(x=(1, 4)))["x"].shape == (3, 1, 4)


@pytest.mark.parametrize("shape", [(0, 1, 2), (3, 2, 2), (3, 3), (2,)])
def test_samples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        TensorError, match=r"samples of `x` have shape .*, wanted \[samples, 1, 2\]"
    ):
        bind_samples({"x": np.zeros(shape, np.float32)}, takes(x=(1, 2)))


def test_inputs_must_agree_on_the_number_of_samples() -> None:
    given_arrays = {"x": np.zeros((3, 1, 2), np.float32), "y": np.zeros((4, 1, 2), np.float32)}
    with pytest.raises(TensorError, match="differ in their number of samples"):
        bind_samples(given_arrays, takes(x=(1, 2), y=(1, 2)))
    with pytest.raises(TensorError, match="sample 3 of 3"):
        sample(bind_samples({"x": np.zeros((3, 1, 2), np.float32)}, takes(x=(1, 2))), 3)


@given(hnp.arrays(np.float32, (5, 1, 3), elements=finite), finite)
def test_an_input_is_covered_just_when_it_lies_within_what_was_seen(
    seen: NDArray[np.float32], value: float
) -> None:
    probe = {"x": np.full((1, 3), value, np.float32)}
    if seen.min() <= value <= seen.max():
        check_covers({"x": seen}, probe)
    else:
        with pytest.raises(TensorError, match=r"input `x`\[0, 0\] is .* outside the calibrated"):
            check_covers({"x": seen}, probe)


def test_every_sample_covers_itself() -> None:
    seen = {"x": np.random.default_rng(0).normal(size=(9, 1, 3)).astype(np.float32)}
    for i in range(9):
        check_covers(seen, sample(seen, i))


def test_a_tensor_without_calibration_is_named() -> None:
    with pytest.raises(TensorError, match="input `y` has no calibration data"):
        check_covers({"x": ONE}, {"y": ONE})
