"""Arrays of others, held to named types: each name, shape and dtype is the wanted one.

An array of NumPy has a dtype, and it must be the wanted one, in either byte order. Nothing is
converted, for a conversion changes numbers and says nothing; the hint says which one to write.

Numbers of JSON have no dtype. `frontend.arrays.parse_json` gives them as Python's own, and here
they become elements:

* an integer dtype takes integers, exactly, and in its range; one with a point or an exponent is
  none;
* float32 takes integers and decimals, rounded once to nearest, ties to even; one that would round
  to infinity is refused;
* bool takes true and false, and nothing else does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from verifiable.errors import TensorError
from verifiable.frontend.arrays import Array, to_odd
from verifiable.graph.ir import TensorType
from verifiable.graph.vocabulary import INTEGERS, DType

Types = Mapping[str, TensorType]
"""Name to type, in the order of the model."""

_LETTERS: Final = 40
"""Of a number, at most, that a message shows."""


def bind(
    arrays: Mapping[str, Array] | Sequence[Array], wanted: Types, *, what: str = "input"
) -> dict[str, Array]:
    """Hold arrays to named types.

    Parameters
    ----------
    arrays : mapping of str to array, or sequence of array
        As ``frontend.inputs.parse_arrays`` gives them. Those without names are taken in the
        order of `wanted`, and a flat one is given its shape.
    wanted : mapping of str to TensorType
    what : str
        What a message calls them.

    Returns
    -------
    dict of str to array
        In the order of `wanted`, C-contiguous, in this machine's byte order.

    Raises
    ------
    TensorError
        If a name is absent or unknown, an array is of another shape or dtype, or a number of
        JSON is no element of the dtype.

    Examples
    --------
    >>> bind({"x": np.array([7, 8], ">i8")}, {"x": TensorType(DType.I64, (2,))})
    {'x': array([7, 8])}
    """
    bound = {}
    for name, value in by_name(arrays, wanted, what).items():
        kind, text = wanted[name], f"{what} `{name}`"
        if not isinstance(arrays, Mapping) and value.ndim == 1 and value.size == kind.size:
            value = value.reshape(kind.shape)  # noqa: PLW2901
        found = as_dtype(text, value, kind.dtype)
        if found.shape != kind.shape:
            raise TensorError(
                f"{text} has shape {list(found.shape)}, wanted {list(kind.shape)}",
                hint=f"reshape it: x.reshape({list(kind.shape)})"
                if found.size == kind.size
                else _all(wanted, what),
            )
        bound[name] = found
    return bound


def bind_sets(
    arrays: Mapping[str, Array] | Sequence[Array], wanted: Types, *, what: str = "input"
) -> dict[str, Array]:
    """Hold arrays of several samples, such as calibration data, to named types.

    Parameters
    ----------
    arrays, wanted, what
        As of `bind`.

    Returns
    -------
    dict of str to array
        Of shape ``[samples, *shape]``, the same number of samples for each input. An input of
        shape ``[1, ...]`` may come as ``[samples, ...]``; one sample alone may come without the
        axis of samples, and a flat array without a name as all samples end to end.

    Raises
    ------
    TensorError
        As `bind`; also if inputs differ in their number of samples, or have none.
    """
    bound = {}
    for name, value in by_name(arrays, wanted, what).items():
        found = as_dtype(f"{what} `{name}`", value, wanted[name].dtype)
        bound[name] = _as_sets(name, wanted[name], found, nameless=not isinstance(arrays, Mapping))
    counts = {name: len(value) for name, value in bound.items()}
    if len(set(counts.values())) > 1:
        raise TensorError(
            f"inputs differ in their number of samples: {counts}",
            hint="give as many samples of each",
        )
    return bound


def by_name(
    arrays: Mapping[str, Array] | Sequence[Array], wanted: Types, what: str
) -> dict[str, Array]:
    """Each wanted name with its array.

    Raises
    ------
    TensorError
        If a name is absent or unknown, or there are not as many arrays as names.
    """
    if not isinstance(arrays, Mapping):
        if len(arrays) != len(wanted):
            raise TensorError(
                f"{len(arrays)} arrays without names, wanted {len(wanted)}",
                hint=_all(wanted, what),
            )
        return dict(zip(wanted, map(np.asarray, arrays), strict=True))
    for name in arrays:
        if name not in wanted:
            names = ", ".join(f"`{known}`" for known in wanted) or "none"
            raise TensorError(
                f"there is no {what} `{name}`, wanted {names}", hint=_all(wanted, what)
            )
    for name, kind in wanted.items():
        if name not in arrays:
            got = ", ".join(f"`{given}`" for given in arrays) or "nothing"
            raise TensorError(
                f"{what} `{name}` {type_text(kind)} is missing; got {got}",
                hint=_all(wanted, what),
            )
    return {name: np.asarray(arrays[name]) for name in wanted}


def as_dtype(what: str, value: Array, dtype: DType) -> Array:
    """An array that is of a dtype, or numbers of JSON that are elements of it.

    Parameters
    ----------
    what : str
        What a message calls it, as in "input `x`".
    value : array
    dtype : DType

    Raises
    ------
    TensorError
        If the array is of another dtype, or a number is no element of this one.
    """
    wanted = np.dtype(dtype.numpy)
    if value.dtype == np.dtype(object):
        return _from_numbers(what, value, dtype)
    if value.dtype.newbyteorder("=") != wanted:
        raise TensorError(
            f"{what} is {value.dtype.newbyteorder('=')}{list(value.shape)}, wanted {wanted}",
            hint=f"convert it before it is saved: x.astype('{wanted}')",
        )
    if dtype is DType.BOOL and (np.ascontiguousarray(value).view(np.uint8) > 1).any():
        raise TensorError(
            f"{what} holds bytes that are neither 0 nor 1, wanted bool",
            hint="convert it before it is saved: x.view('uint8') != 0",
        )
    return np.asarray(value, wanted, order="C")


def type_text(kind: TensorType) -> str:
    """A type in the words of NumPy.

    >>> type_text(TensorType(DType.F32, (1, 3)))
    'float32[1, 3]'
    """
    return f"{kind.dtype.numpy}{list(kind.shape)}"


def place(array: Array, flat: int) -> list[int]:
    """Place of an element by axes."""
    return [int(axis) for axis in np.unravel_index(flat, array.shape)]


def _all(wanted: Types, what: str) -> str:
    names = ", ".join(f"`{name}` {type_text(kind)}" for name, kind in wanted.items())
    return f"the {what}s are {names or 'none'}"


def _as_sets(name: str, kind: TensorType, value: Array, *, nameless: bool) -> Array:
    rest = kind.shape[1:] if kind.shape[:1] == (1,) else None
    if value.shape == kind.shape:
        value = value[np.newaxis]
    elif value.ndim == len(kind.shape) and value.shape[1:] == rest:
        value = value[:, np.newaxis]
    elif nameless and value.ndim == 1 and value.size and value.size % max(kind.size, 1) == 0:
        value = value.reshape(-1, *kind.shape)
    if value.shape[1:] != kind.shape or not len(value):
        wanted = f"[{', '.join(['samples', *map(str, kind.shape)])}]"
        raise TensorError(
            f"samples of `{name}` have shape {list(value.shape)}, wanted {wanted}",
            hint="put the samples along the first axis: numpy.stack(samples)",
        )
    return value


def _from_numbers(what: str, numbers: Array, dtype: DType) -> Array:
    flat = numbers.reshape(-1).tolist()
    fits = _FITS.get(dtype, _is_integer)
    for i, number in enumerate(flat):
        if not fits(number):
            raise TensorError(
                f"{what}{place(numbers, i)} is {_shown(number)}, wanted {_NOUN[dtype]}",
                hint=_HINTS.get(dtype, "write integers without a point or an exponent"),
            )
    wanted = np.dtype(dtype.numpy)
    if dtype in INTEGERS:
        info = np.iinfo(wanted)
        for i, number in enumerate(flat):
            if not info.min <= number <= info.max:
                raise TensorError(
                    f"{what}{place(numbers, i)} is {_shown(number)}, beyond {wanted}",
                    hint=f"elements lie between {info.min} and {info.max}",
                )
        return np.array(flat, wanted).reshape(numbers.shape)
    if dtype is DType.BOOL:
        return np.array(flat, wanted).reshape(numbers.shape)
    # Decimals were rounded to odd as they were read, so this rounds to nearest for the first time.
    wide = np.array([to_odd(n) if isinstance(n, int) else n for n in flat], np.float64)
    with np.errstate(over="ignore"):
        found = wide.astype(wanted)
    if not np.isfinite(found).all():
        i = int(np.argmin(np.isfinite(found)))
        raise TensorError(
            f"{what}{place(numbers, i)} is beyond float32, whose largest element is 3.4028235e+38",
            hint="is it scaled as the model wants it?",
        )
    return found.reshape(numbers.shape)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    # bool is an int to Python; a flag among numbers is a mistake of the sender.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float)


_FITS: Final[dict[DType, Callable[[Any], bool]]] = {DType.F32: _is_number, DType.BOOL: _is_bool}
_NOUN: Final = {
    DType.F32: "a number",
    DType.BOOL: "true or false",
    **dict.fromkeys(INTEGERS, "an integer"),
}
_HINTS: Final = {
    DType.F32: "write numbers, not flags or texts",
    DType.BOOL: "write true or false",
}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."
