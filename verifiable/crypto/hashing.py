"""SHA-256 of files, Keccak-256 of messages, and the canonical JSON both are taken of.

Digests of files are SHA-256, since that is what in-toto, LOCK files and ``sha256sum`` speak;
ids that a contract recomputes are Keccak-256, since that is what the EVM has.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final, NoReturn

from verifiable.errors import EncodingError, StorageError
from verifiable.types import Sha256

MOST_NESTING: Final = 64
"""Deepest JSON that is read; no document of ours has more than ten levels."""

_CHUNK: Final = 1 << 20
# A string, even one that never ends, or a bracket outside of strings.
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)

Json = Any
"""What ``json`` reads: nested dicts with str keys, lists, str, int, float, bool, None."""


def sha256(data: bytes) -> Sha256:
    """SHA-256 of bytes.

    >>> sha256(b"abc").hex()[:8]
    'ba7816bf'
    """
    return Sha256(hashlib.sha256(data).digest())


def sha256_file(path: Path) -> Sha256:
    """SHA-256 of a file, read one mebibyte at a time.

    Raises
    ------
    StorageError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as e:
        raise StorageError(f"cannot read `{path}`: {e.strerror or e}") from e
    return Sha256(digest.digest())


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as in Ethereum: the padding of the submission, not of FIPS 202.

    >>> keccak256(b"").hex()[:8]
    'c5d24601'
    """
    from Crypto.Hash import keccak

    digest: bytes = keccak.new(digest_bits=256, data=data).digest()
    return digest


def canonical_json(value: Json) -> bytes:
    """Write the one encoding of a JSON value.

    Raises
    ------
    EncodingError
        If the value holds an integer beyond 2**53 - 1 (write it as a string), NaN, an infinity,
        a string that is not Unicode, or something that JSON has no word for.

    References
    ----------
    RFC 8785, JSON Canonicalization Scheme.

    Examples
    --------
    >>> canonical_json({"b": [1.0, True], "a": "é"}).decode()
    '{"a":"é","b":[1,true]}'
    """
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as e:
        raise EncodingError(f"not canonical JSON: {e}") from e


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field `{twice}` stands twice")
    return result


def check_nesting(text: str) -> None:
    """Refuse JSON so deep that a parser would overrun the C stack.

    py_ecc raises Python's recursion limit, after which ``json`` no longer guards itself.

    Raises
    ------
    ValueError
        If `text` is nested more than `MOST_NESTING` levels deep.
    """
    depth = 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case _:
                continue
        if depth > MOST_NESTING:
            raise ValueError(f"nested more than {MOST_NESTING} levels deep")


def parse_json(data: bytes, *, what: str) -> Json:
    """Read JSON in UTF-8, refusing what parsers disagree about.

    Parameters
    ----------
    data : bytes
    what : str
        Name of the document, for the message.

    Raises
    ------
    EncodingError
        If `data` is not UTF-8, not JSON, nested too deeply, names a field of one object twice,
        or holds ``NaN`` or ``Infinity``.

    Examples
    --------
    >>> parse_json(b'{"a": 1}', what="example")
    {'a': 1}
    """
    try:
        text = data.decode()
        check_nesting(text)
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except ValueError as e:
        raise EncodingError(f"{what} is not JSON: {e}") from e


def parse_canonical_json(data: bytes, *, what: str) -> Json:
    """Read JSON that must be its own canonical encoding, byte for byte.

    Raises
    ------
    EncodingError
        If `data` is not JSON or is not what `canonical_json` writes for the same value.
    """
    value = parse_json(data, what=what)
    if canonical_json(value) != data:
        raise EncodingError(f"{what} is JSON but not in canonical form (RFC 8785)")
    return value
