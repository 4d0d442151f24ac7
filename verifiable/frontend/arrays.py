"""Array files of others: .npy, .npz and JSON bytes become named arrays, or a typed error.

No pickles, no sizes taken on trust: what a header claims must be what the bytes hold.
"""

import io
import json
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from decimal import Decimal
from math import prod
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from verifiable.crypto.hashing import check_nesting
from verifiable.errors import TensorError

Array = NDArray[Any]
MAX_BYTES: Final = 2**31
"""Of one array, and of all arrays of an archive once unpacked."""
MAX_HEADER: Final = 4096
MAX_DIGITS: Final = 4000
"""Of an integer of JSON; Python reads no more than 4300 at once, and no dtype has 400."""
_NOTHING: Final = 2.0**-200
HEADER_ERRORS: Final = (
    ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError, EOFError,
)  # fmt: skip
"""What NumPy raises on a header that is not the literal it should be."""
NPY_MAGIC: Final = b"\x93NUMPY"


def parse_npy(data: bytes) -> Array:
    """Parse one .npy file.

    Returns
    -------
    array of any numeric dtype, read-only

    Raises
    ------
    TensorError
        If the bytes are no .npy file of numbers, or hold more or fewer of them than they claim.

    Examples
    --------
    >>> stream = io.BytesIO()
    >>> np.save(stream, np.arange(3, dtype=np.float32))
    >>> parse_npy(stream.getvalue())
    array([0., 1., 2.], dtype=float32)
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers of Python 2 are read, and not remarked on
            shape, fortran, dtype = read(stream, max_header_size=MAX_HEADER)
    except HEADER_ERRORS as error:
        raise TensorError("not a .npy file: its header cannot be read") from error
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise TensorError(
            f"array of {dtype} holds no plain numbers",
            hint="save it as float32; pickled objects are never read",
        )
    body = data[stream.tell() :]
    if any(n < 0 for n in shape) or prod(shape) * dtype.itemsize != len(body):
        raise TensorError(f"array of shape {list(shape)} and {dtype} has {len(body)} bytes")
    flat = np.frombuffer(body, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def parse_npz(data: bytes) -> dict[str, Array]:
    """Parse an .npz archive.

    Raises
    ------
    TensorError
        If it is no archive of .npy files, a name occurs twice, or it unpacks beyond `MAX_BYTES`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MAX_BYTES:
                raise TensorError(f"archive unpacks to more than {MAX_BYTES} bytes")
            contents = [(m.filename, archive.open(m).read(m.file_size + 1)) for m in members]
    except (
        zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError,
        ValueError, LookupError, OverflowError,
    ) as error:  # fmt: skip
        raise TensorError("not an .npz archive, or a damaged one") from error
    arrays: dict[str, Array] = {}
    for filename, body in contents:
        name = filename.removesuffix(".npy")
        if name in arrays:
            raise TensorError(f"tensor `{name}` occurs twice")
        try:
            arrays[name] = parse_npy(body)
        except TensorError as error:
            raise TensorError(f"tensor `{name}`: {error}", hint=error.hint) from error
    return arrays


def parse_json(data: bytes) -> dict[str, Array] | list[Array]:
    """Parse ``{"name": nested list}``, or ezkl's ``{"input_data": [flat list, ...]}``.

    Numbers of JSON have no dtype, so none is chosen here (``frontend.binding`` does): an integer
    comes as a Python int, exactly; a decimal as a Python float, by `to_odd`; true and false as
    bools.

    Returns
    -------
    dict of str to array of objects, or list of them for ezkl's form, which has no names

    Raises
    ------
    TensorError
        If it is no JSON, a name occurs twice, or a list is ragged or holds other than numbers
        and flags.

    Examples
    --------
    >>> parse_json(b'{"features": [[1, 2.5]]}')
    {'features': array([[1, 2.5]], dtype=object)}
    """
    try:
        text = data.decode()
        check_nesting(text)
        document = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant,
            parse_int=_integer, parse_float=to_odd,
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise TensorError("not JSON: " + " ".join(str(error).split())[:200]) from error
    if not isinstance(document, dict) or not document:
        raise TensorError('JSON input must be {"name": nested list}')
    if set(document) == {"input_data"} and _is_list_of_lists(document["input_data"]):
        return [_numbers("input_data", item) for item in document["input_data"]]
    return {name: _numbers(name, value) for name, value in document.items()}


def to_odd(number: str | int) -> float:
    """The exact value if a double has it, else that neighbour whose last bit is 1.

    A double has more than twice the bits of a float32, and its odd last bit says that something
    was cut off. So rounding the result to float32, to nearest, gives what rounding `number` itself
    would have given: two roundings to nearest would not.

    Parameters
    ----------
    number : str or int
        A decimal as JSON writes it, or an integer.

    Returns
    -------
    float
        Infinity if the number is beyond a double.

    References
    ----------
    S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
    rounding to odd", IEEE Transactions on Computers 57(4), 2008, theorem 3.

    Examples
    --------
    >>> halfway = "1.00000005960464477539062500000000001"  # and a little, between two float32
    >>> np.float32(float(halfway)), np.float32(to_odd(halfway))
    (np.float32(1.0), np.float32(1.0000001))
    """
    try:
        near = float(number)
    except OverflowError:  # an int; texts become infinity
        return math.inf if isinstance(number, int) and number > 0 else -math.inf
    # What is as small is 0 as a float32, and its text may have more exponent than a Decimal.
    if (
        abs(near) < _NOTHING
        or math.isinf(near)
        or struct.unpack("<Q", struct.pack("<d", near))[0] & 1
    ):
        return near
    exact = Decimal(number)
    if exact == near:
        return near
    return math.nextafter(near, math.inf if exact > near else -math.inf)


def _integer(text: str) -> int | float:
    if text == "-0":
        return -0.0
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits is no element of a tensor")
    return int(text)


def _numbers(name: str, value: object) -> Array:
    shape: list[int] = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    if len(shape) > 32 or 0 in shape:
        raise TensorError(f"tensor `{name}`: shape {shape} is not one of a tensor")
    flat = np.empty(prod(shape), object)
    _fill(name, value, shape, flat)
    return flat.reshape(shape)


def _fill(name: str, value: object, shape: list[int], out: Array) -> None:
    """Write `value` into `out`, holding each level to its length."""
    if not shape:
        if not isinstance(value, int | float):
            raise TensorError(f"tensor `{name}`: {str(value)[:40]!r} is not a number")
        out[0] = value
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        raise TensorError(f"tensor `{name}`: its lists are not all of the same length")
    step = out.size // shape[0]
    for i, item in enumerate(value):
        _fill(name, item, shape[1:], out[i * step : (i + 1) * step])


def _is_list_of_lists(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, list) for v in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name occurs twice")
    return dict(pairs)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
