"""Keys from files and from the environment."""

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.keystore import load_key, read_keystore, write_keystore
from verifiable.crypto.signatures import SigningKey
from verifiable.errors import EncodingError, InputError, StorageError, VerifiableError

KEY = SigningKey(bytes(31) + b"\x07")

# Test vector of the Web3 Secret Storage Definition, PBKDF2.
VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
SECRET = bytes.fromhex("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d")


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "key.json"
    write_keystore(path, KEY, "open sesame", kdf="pbkdf2", iterations=2)
    return path


def test_the_published_vector_opens(tmp_path: Path) -> None:
    (tmp_path / "v").write_text(json.dumps(VECTOR))
    assert read_keystore(tmp_path / "v", "testpassword").secret == SECRET


def test_a_written_keystore_opens_here_and_in_a_wallet(keystore: Path) -> None:
    assert read_keystore(keystore, "open sesame") == KEY
    assert bytes(Account.decrypt(keystore.read_text(), "open sesame")) == KEY.secret


def test_only_the_owner_may_read_a_keystore_and_it_hides_the_key(keystore: Path) -> None:
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    assert KEY.secret.hex() not in keystore.read_text()


def test_a_keystore_is_never_overwritten(keystore: Path) -> None:
    before = keystore.read_bytes()
    with pytest.raises(StorageError, match="exists"):
        write_keystore(keystore, KEY, "x", kdf="pbkdf2", iterations=2)
    assert keystore.read_bytes() == before


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="empty password"):
        write_keystore(tmp_path / "k", KEY, "")


def test_a_wrong_password_is_said_so(keystore: Path) -> None:
    with pytest.raises(InputError, match="password does not open"):
        read_keystore(keystore, "open barley")


def test_the_password_comes_from_the_environment_or_a_person(keystore: Path) -> None:
    environ = {"VERIFIABLE_KEYSTORE_PASSWORD": "open sesame"}
    assert load_key(keystore, environ) == KEY
    assert load_key(keystore, {}, prompt=lambda: "open sesame") == KEY
    with pytest.raises(InputError, match="needs a password"):
        load_key(keystore, {})


def test_without_a_keystore_the_key_comes_from_the_environment() -> None:
    for text in (KEY.secret.hex(), "0x" + KEY.secret.hex()):
        assert load_key(None, {"VERIFIABLE_PRIVATE_KEY": text}) == KEY
    with pytest.raises(InputError, match="no signing key"):
        load_key(None, {})


def test_a_named_keystore_wins_over_the_environment(keystore: Path) -> None:
    environ = {"VERIFIABLE_PRIVATE_KEY": "11" * 32, "VERIFIABLE_KEYSTORE_PASSWORD": "open sesame"}
    assert load_key(keystore, environ) == KEY


@pytest.mark.parametrize("text", ["0x", "secret!", "11" * 31, "11" * 33, "00" * 32])
def test_a_message_about_a_bad_key_does_not_repeat_it(text: str) -> None:
    with pytest.raises(EncodingError) as e:
        load_key(None, {"VERIFIABLE_PRIVATE_KEY": text})
    assert text not in str(e.value) or text == "0x"


def test_an_absent_or_oversized_keystore_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent"):
        read_keystore(tmp_path / "absent", "x")
    (tmp_path / "big").write_bytes(b" " * 70_000)
    with pytest.raises(EncodingError, match="larger than"):
        read_keystore(tmp_path / "big", "x")


leaves = st.none() | st.booleans() | st.integers(-3, 40) | st.text(max_size=8) | st.just("00" * 32)


@given(st.sampled_from(["crypto", "version", "cipher", "kdf", "kdfparams", "mac"]), leaves)
def test_broken_keystores_never_give_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    changed = json.loads(json.dumps(VECTOR))
    changed["crypto"]["kdfparams"]["c"] = 2
    (changed if field in changed else changed["crypto"])[field] = value
    path = tmp_path_factory.mktemp("k") / "k"
    path.write_text(json.dumps(changed))
    with pytest.raises(VerifiableError):
        read_keystore(path, "testpassword")


@given(st.binary(max_size=60) | leaves.map(lambda v: json.dumps(v).encode()))
def test_arbitrary_files_never_give_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("k") / "k"
    path.write_bytes(data)
    with pytest.raises(VerifiableError):
        read_keystore(path, "x")
