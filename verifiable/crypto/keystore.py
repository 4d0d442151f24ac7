"""Where a signing key comes from: an encrypted keystore file, or the environment.

Never from the command line, which other users of the machine can read.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from verifiable.crypto.address import address_bytes
from verifiable.crypto.hashing import parse_json
from verifiable.crypto.signatures import SigningKey
from verifiable.errors import EncodingError, InputError, StorageError

KEY_VARIABLE: Final = "VERIFIABLE_PRIVATE_KEY"
PASSWORD_VARIABLE: Final = "VERIFIABLE_KEYSTORE_PASSWORD"  # noqa: S105 (a name, no password)

# Eight kilobytes hold any V3 file; more is something else.
_MOST_BYTES: Final = 65_536


def load_key(
    keystore: Path | None,
    environ: Mapping[str, str],
    *,
    prompt: Callable[[], str] | None = None,
) -> SigningKey:
    """Find the signing key.

    Parameters
    ----------
    keystore : Path or None
        A V3 keystore file. Its password is ``environ["VERIFIABLE_KEYSTORE_PASSWORD"]`` or else
        what `prompt` returns.
    environ : Mapping
        ``os.environ``; without a keystore, ``VERIFIABLE_PRIVATE_KEY`` holds 32 bytes as hex.
    prompt : callable, optional
        Asks a person for the password; None where nobody can be asked.

    Raises
    ------
    InputError
        If there is no key, no password, or the password is wrong.
    EncodingError
        If the file is no keystore, or the variable holds no key.
    StorageError
        If the file cannot be read.
    """
    if keystore is None:
        text = environ.get(KEY_VARIABLE)
        if not text:
            raise InputError(
                "there is no signing key",
                hint=f"name a keystore file, or set {KEY_VARIABLE} in the environment",
            )
        return _key_from_hex(text)
    password = environ.get(PASSWORD_VARIABLE)
    if password is None:
        if prompt is None:
            raise InputError(
                f"keystore `{keystore}` needs a password",
                hint=f"set {PASSWORD_VARIABLE} in the environment",
            )
        password = prompt()
    return read_keystore(keystore, password)


def read_keystore(path: Path, password: str) -> SigningKey:
    """Decrypt a V3 keystore file.

    Raises
    ------
    InputError
        If the password is wrong.
    EncodingError
        If the file is no keystore.
    StorageError
        If the file cannot be read.
    """
    from eth_keyfile.keyfile import decode_keyfile_json

    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as e:
        raise StorageError(f"cannot read keystore `{path}`: {e.strerror or e}") from e
    if len(data) > _MOST_BYTES:
        raise EncodingError(f"`{path}` is no keystore: it is larger than {_MOST_BYTES} bytes")
    value = parse_json(data, what=f"keystore `{path}`")
    if not isinstance(value, dict):
        raise EncodingError(f"`{path}` is no keystore: not a JSON object")
    try:
        secret = decode_keyfile_json(value, password.encode())
    except ValueError as e:
        # The library has no class of its own for this; the text is all there is.
        if "MAC mismatch" in str(e):
            raise InputError(f"the password does not open keystore `{path}`") from e
        raise EncodingError(f"`{path}` is no V3 keystore: {e}") from e
    except (KeyError, TypeError, AttributeError, NotImplementedError, OverflowError) as e:
        raise EncodingError(f"`{path}` is no V3 keystore: {type(e).__name__} {e}") from e
    return SigningKey(bytes(secret))


def write_keystore(
    path: Path,
    key: SigningKey,
    password: str,
    *,
    kdf: Literal["scrypt", "pbkdf2"] = "scrypt",
    iterations: int | None = None,
) -> None:
    """Encrypt a key into a new V3 file that only its owner can read.

    Parameters
    ----------
    path : Path
        Must not exist.
    key : SigningKey
    password : str
    kdf, iterations : optional
        As in `eth_keyfile.create_keyfile_json`; the default costs about a second and 256 MiB.

    Raises
    ------
    InputError
        If the password is empty.
    StorageError
        If the file exists or cannot be written.
    """
    from eth_keyfile.keyfile import create_keyfile_json

    if not password:
        raise InputError("an empty password protects nothing")
    value = create_keyfile_json(key.secret, password.encode(), kdf=kdf, iterations=iterations) | {
        "address": address_bytes(key.address).hex()
    }
    try:
        # Mode and exclusiveness are set at creation: no moment at which others may read or swap.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(value, file)
    except OSError as e:
        raise StorageError(f"cannot write keystore `{path}`: {e.strerror or e}") from e


def _key_from_hex(text: str) -> SigningKey:
    digits = text.removeprefix("0x")
    try:
        return SigningKey(bytes.fromhex(digits))
    except ValueError as e:
        # The text is a secret: the message must not repeat it.
        raise EncodingError(f"{KEY_VARIABLE} does not hold hex digits") from e
