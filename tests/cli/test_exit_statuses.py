"""Every verb with wrong inputs: the status, the message, the hint, and never a traceback."""

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from cli_runs import (
    called,
    data_file,
    expectation_file,
    model_file,
    receipt_file,
    signing_key,  # noqa: F401 (a fixture: pytest finds it by its name here)
    spawned,
)
from zk_material import (
    LEVERS,
    bundle,
    case,
    environment,
    input_file,
    model,
    resigned,
    with_instances,
)

from verifiable.receipt import encode_receipt

BAD_INPUT, REFUTED, CANNOT_CHECK, CHAIN_FAILED = 2, 3, 4, 5
ZEROS = "0x" + "00" * 32


def expect_failure(words: list[object], status: int, *said: str) -> None:
    """The command fails so, says so, and its stdout is empty; with --json it says the same."""
    plain = called(*words)
    assert plain.status == status, plain
    assert plain.out == ""
    assert "Traceback" not in plain.err
    for text in said:
        assert text in plain.err, plain.err
    tagged = called(*words, "--json")
    assert tagged.status == status
    assert tagged.out == ""
    assert tagged.error["status"] == status
    assert set(tagged.error) == {"error", "status", "message", "hint"}
    for line in tagged.err.splitlines():
        json.loads(line)


def compile_words(tmp_path: Path, *more: object, model_path: object = None) -> list[object]:
    found = model_path or model_file()
    return ["compile", found, data_file(), "-o", tmp_path / "bundle", "--insecure-srs", *more]


def prove_words(tmp_path: Path, *more: object) -> list[object]:
    found = bundle("public").folder
    return ["prove", found, input_file(), "-o", tmp_path / "receipt.json", *more]


def test_an_unknown_verb_or_option_or_a_missing_argument_is_bad_input() -> None:
    for words in ([], ["nonsense"], ["prove"], ["doctor", "--no-such-option"], ["plan", "a"]):
        expect_failure([*words], BAD_INPUT, "error: ", "hint: see `verifiable")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read"),
        (b"", "ONNX"),
        (b"not an ONNX file", "ONNX"),
        (b"\x08\x07", "ONNX"),
    ],
)
def test_a_model_that_is_none_is_bad_input(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    expect_failure(["plan", path, data_file()], BAD_INPUT, said)
    expect_failure(compile_words(tmp_path, model_path=path), BAD_INPUT, said)
    assert not (tmp_path / "bundle").exists()


def test_a_weight_that_is_no_number_is_refused_by_name(tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    broken = onnx.load_from_string(model())
    weights = numpy_helper.to_array(broken.graph.initializer[0]).copy()
    weights.flat[0] = np.nan
    name = broken.graph.initializer[0].name
    broken.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, name))
    path = tmp_path / "nan.onnx"
    path.write_bytes(broken.SerializeToString())
    expect_failure(compile_words(tmp_path, model_path=path), BAD_INPUT, name)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((8, 1, 5), np.float32)}, "shape"),
        ({"x": np.zeros((8, 1, 4))}, "input `x` is float64[8, 1, 4], wanted float32"),
        ({"z": np.zeros((8, 1, 4), np.float32)}, "there is no input `z`, wanted `x`"),
        ({"x": np.full((8, 1, 4), np.inf, np.float32)}, "finite"),
        ({"x": np.zeros((0, 1, 4), np.float32)}, "shape"),
        ({}, "`x`"),
    ],
)
def test_calibration_data_that_does_not_fit_is_named(
    arrays: dict[str, object], said: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    for verb in ("plan", "compile"):
        more = ["-o", tmp_path / "bundle", "--insecure-srs"] if verb == "compile" else []
        expect_failure([verb, model_file(), tmp_path / "data.npz", *more], BAD_INPUT, said)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    "more",
    [
        ["--error", "0"],
        ["--error", "nan"],
        ["--error", "x"],
        ["--memory", "0"],
        ["--memory", "inf"],
        ["--memory", "1e300"],
        ["--memory", "nan"],
        ["--timeout", "inf"],
        ["--timeout", "-1"],
        ["--deadline", "nan"],
        ["--parts", "0"],
        ["--parts", "1000000"],
        ["--parts", "2", "--cut", "hidden"],
        ["--cut", "nowhere"],
        ["--dim", "x"],
        ["--dim", "x=0"],
        ["--dim", "x=²"],
        ["--dim", "=3"],
        ["--weights", "private"],
        ["--input", "secret"],
        ["--gas", "x"],
        ["--settings", "/no/such/file"],
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_bad_input(more: list[str]) -> None:
    expect_failure(["plan", model_file(), data_file(), *more], BAD_INPUT, "error: ")


@pytest.mark.parametrize(
    "settings",
    ["", "[]", "5", "{}", '{"parts": []}', '{"scale": 1e999}', '{"scale": "x"}', "[" * 100_000,
     json.dumps(LEVERS | {"more": 1}), json.dumps(LEVERS | {"decomp_base": -1}),
     json.dumps(LEVERS | {"scale": 10**30})],
    ids=range(11),
)  # fmt: skip
def test_settings_that_are_none_are_bad_input(settings: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(settings)
    words = ["plan", model_file(), data_file(), "--settings", tmp_path / "settings.json"]
    expect_failure([*words], BAD_INPUT, "error: ")


def test_without_a_ceremony_srs_the_hint_names_both_ways_out(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(LEVERS))
    words = compile_words(tmp_path, "--settings", tmp_path / "settings.json", "--error", "0.5")
    words.remove("--insecure-srs")
    expect_failure(words, BAD_INPUT, "no ceremony SRS", "hint: import one", "--insecure-srs")
    assert not (tmp_path / "bundle").exists()


def test_output_that_exists_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "receipt.json").write_text("mine")
    expect_failure(compile_words(tmp_path, model_path="/none"), BAD_INPUT, "exists already")
    expect_failure(prove_words(tmp_path, "--nonce", "x"), BAD_INPUT, "exists already")
    assert (tmp_path / "receipt.json").read_text() == "mine"


@pytest.mark.parametrize("folder", ["/proc/none", "/dev/null/x", "/no/such/folder"])
def test_a_folder_that_cannot_be_written_is_found_before_any_work(folder: str) -> None:
    for words in (
        ["compile", "/none", "/none", "-o", f"{folder}/bundle"],
        ["prove", "/none", "/none", "-o", f"{folder}/receipt.json"],
    ):
        expect_failure([*words], CANNOT_CHECK, f"cannot write `{folder}", "hint: ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--nonce", "xyz"], "not hexadecimal"),
        (["--nonce", "0x00"], "1 bytes, wanted 32"),
        (["--nonce", "0x" + "00" * 31 + " 00"], "wanted 32"),
        (["--job", "0x" + "00" * 33], "33 bytes"),
        (["--verifier", "0x1234"], "0x1234"),
        (["--chain-id", "x"], "chain-id"),
        (["--chain-id", "-1"], ""),
        (["--chain-id", str(2**70)], ""),
        (["--valid", str(2**70)], ""),
        (["--valid", "-9999999999999"], ""),
        (["--memory", "-1"], "--memory"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
def test_a_wrong_job_is_bad_input(more: list[str], said: str, tmp_path: Path) -> None:
    expect_failure(prove_words(tmp_path, *more), BAD_INPUT, said)
    assert not (tmp_path / "receipt.json").exists()


def test_an_input_that_the_calibration_does_not_cover_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", x=np.full((1, 4), 3, np.float32))
    words = ["prove", bundle("public").folder, tmp_path / "wide.npz", "-o", tmp_path / "r.json"]
    expect_failure([*words], BAD_INPUT, "input `x`[0, 0] is 3, outside the calibrated -1..1")
    for name, arrays in (
        ("shape", {"x": np.zeros(5, np.float32)}),
        ("name", {"y": np.zeros((1, 4), np.float32)}),
        ("dtype", {"x": np.zeros((1, 4))}),
    ):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        expect_failure([*words[:2], tmp_path / f"{name}.npz", *words[3:]], BAD_INPUT, "`x`")
    expect_failure([*words[:2], tmp_path / "none.npz", *words[3:]], BAD_INPUT, "cannot read")


def test_signing_keys_come_from_no_option(tmp_path: Path) -> None:
    secret = "0x" + "11" * 32
    for option in ("--key", "--private-key", "--secret", "--password"):
        expect_failure(prove_words(tmp_path, option, secret), BAD_INPUT, option)
    for verb in ("prove", "contract deploy", "demo", "verify"):
        text = called(*verb.split(), "--help").out
        assert "private-key" not in text
        assert "password" not in text.replace("keystore password", "")


def test_a_missing_or_wrong_key_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verifiable.crypto.keystore import write_keystore
    from verifiable.crypto.signatures import SigningKey

    for value in ("", "xyz", "0x00", "0x" + "00" * 32, "0x" + "ff" * 32):
        monkeypatch.setenv("VERIFIABLE_PRIVATE_KEY", value)
        expect_failure(prove_words(tmp_path), BAD_INPUT, "error: ")
        if value:
            assert value not in called(*prove_words(tmp_path)).err
    keystore = tmp_path / "key.json"
    write_keystore(keystore, SigningKey(bytes(31) + b"\x05"), "right", kdf="pbkdf2", iterations=10)
    expect_failure(prove_words(tmp_path, "--keystore", keystore), BAD_INPUT, "needs a password")
    monkeypatch.setenv("VERIFIABLE_KEYSTORE_PASSWORD", "wrong")
    expect_failure(prove_words(tmp_path, "--keystore", keystore), BAD_INPUT, "does not open")
    keystore.write_text("[]")
    expect_failure(prove_words(tmp_path, "--keystore", keystore), BAD_INPUT, "no keystore")
    expect_failure(prove_words(tmp_path, "--keystore", tmp_path / "x"), CANNOT_CHECK, "keystore")


def test_a_folder_that_is_no_bundle_cannot_be_used(tmp_path: Path) -> None:
    words = ["prove", tmp_path, input_file(), "-o", tmp_path / "r.json"]
    expect_failure([*words], CANNOT_CHECK, "is not a bundle", "hint: make one")
    expect_failure(["inspect", tmp_path], CANNOT_CHECK, "is not a bundle")


def verify_words(tmp_path: Path, *more: object, **changes: object) -> list[object]:
    expected = expectation_file(tmp_path, "public", **changes)
    return ["verify", receipt_file(), "--expect", expected, *more]


def test_a_development_srs_cannot_be_relied_on(tmp_path: Path) -> None:
    words = verify_words(tmp_path)
    expect_failure(words, CANNOT_CHECK, "development SRS", "hint: --allow-insecure-srs")
    expect_failure([*words, "--independent"], CANNOT_CHECK, "development SRS")


@pytest.mark.parametrize("independent", [[], ["--independent"]])
def test_a_false_receipt_is_refuted(independent: list[str], tmp_path: Path) -> None:
    allow = ["--allow-insecure-srs", *independent]
    for changes in ({"nonce": ZEROS}, {"chain_id": 1}, {"job_id": ZEROS}):
        words = verify_words(tmp_path, *allow, **changes)
        expect_failure(words, REFUTED, "refuted: ")
    expect_failure(verify_words(tmp_path, *allow, output=[[0.0, 0.0]]), REFUTED, "refuted: ")
    honest = case("public")
    last = len(honest.claim.subject.parts[0].instances) - 1
    forged = resigned(honest.receipt, with_instances(honest.claim, 0, {last: 1}))
    (tmp_path / "forged.json").write_bytes(encode_receipt(forged))
    words = verify_words(tmp_path, *allow)
    words[1] = tmp_path / "forged.json"
    expect_failure(words, REFUTED, "refuted: ")


def test_what_is_no_receipt_or_expectation_is_bad_input(tmp_path: Path) -> None:
    allow = ["--allow-insecure-srs", "--independent"]
    for content in (b"", b"{}", b"[" * 100_000, b"\xff", receipt_file().read_bytes() + b"\n"):
        (tmp_path / "receipt.json").write_bytes(content)
        words = verify_words(tmp_path, *allow)
        words[1] = tmp_path / "receipt.json"
        expect_failure(words, BAD_INPUT, "error: ")
    words = verify_words(tmp_path, *allow)
    for path in (tmp_path / "none", tmp_path, receipt_file()):
        expect_failure([*words[:3], path, *words[4:]], BAD_INPUT, "error: ")
    expect_failure(verify_words(tmp_path, *allow, output=[[0.0]]), BAD_INPUT, "elements")
    expect_failure(verify_words(tmp_path, *allow, input="none.npz"), BAD_INPUT, "cannot read")


def test_a_damaged_bundle_cannot_check_anything(tmp_path: Path) -> None:
    words = verify_words(tmp_path, "--allow-insecure-srs", lock=ZEROS)
    expect_failure(words, CANNOT_CHECK, "LOCK.json")
    words = verify_words(tmp_path, "--allow-insecure-srs", bundle=str(tmp_path / "none"))
    expect_failure(words, CANNOT_CHECK, "is not a bundle")


def test_a_file_of_no_known_kind_is_bad_input(tmp_path: Path) -> None:
    for name in ("x.json", "x.srs", "x.onnx", "x"):
        (tmp_path / name).write_bytes(b"nothing")
        expect_failure(["inspect", tmp_path / name], BAD_INPUT, "error: ")
    expect_failure(["inspect", tmp_path / "none"], BAD_INPUT, "cannot read")


def test_a_damaged_srs_is_not_imported(tmp_path: Path) -> None:
    from verifiable.crypto.srs import rebuild_k1

    data = bytearray(rebuild_k1())
    data[-1] ^= 1
    (tmp_path / "bad.srs").write_bytes(data)
    plain = called("doctor", "--import-srs", tmp_path / "bad.srs")
    assert plain.status in {BAD_INPUT, REFUTED}
    assert plain.out == ""
    expect_failure(["doctor", "--import-srs", tmp_path / "none"], CANNOT_CHECK, "cannot read")


@pytest.fixture(scope="module")
def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_node_that_is_not_there_is_a_failure_of_the_chain(closed_port: str) -> None:
    zero = "0x" + "00" * 20
    expect_failure(["contract", "info", zero, "--rpc", closed_port], CHAIN_FAILED, "chain failed: ")
    expect_failure(["doctor", "--rpc", closed_port], CHAIN_FAILED, "chain failed: ")
    expect_failure(["contract", "info", zero, "--rpc", "ftp://x"], BAD_INPUT, "ftp://x")


def test_spending_gas_needs_a_yes_and_an_emitted_folder(tmp_path: Path, closed_port: str) -> None:
    words = ["contract", "deploy", tmp_path, "--rpc", closed_port]
    expect_failure([*words], BAD_INPUT, "spends gas", "hint: repeat with --yes")
    expect_failure([*words, "--yes"], CHAIN_FAILED, "chain failed: ")


def test_emitting_without_a_compiler_says_what_to_install(tmp_path: Path) -> None:
    out = tmp_path / "contracts"
    words = ["contract", "emit", bundle("public").folder, "--receipt", receipt_file(), "-o", out]
    env = environment(VERIFIABLE_SOLC="/no/such/solc", PATH="/no/such/folder")
    ended = spawned(words, env=env)
    assert ended.status == CANNOT_CHECK, ended
    assert ended.out == ""
    assert "cannot check here: " in ended.err
    assert "hint: " in ended.err
    assert not out.exists()
    expect_failure([*words[:4], tmp_path / "none", *words[5:]], BAD_INPUT, "cannot read")
    other = [*words[:4], receipt_file("hashed"), *words[5:]]
    expect_failure(other, REFUTED, "other circuits")


def test_the_demo_without_its_recipes_says_where_to_run_it(tmp_path: Path) -> None:
    expect_failure(["demo", "--circuits", tmp_path], BAD_INPUT, "holds no recipe", "hint: run")
    assert os.listdir(tmp_path) == []


def test_standard_output_on_a_full_disk_is_an_error_of_storage() -> None:
    import subprocess

    from zk_material import PYTHON

    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [PYTHON, "-m", "verifiable.cli", "doctor"], stdout=full, stderr=subprocess.PIPE,
            env=environment(), check=False, text=True, timeout=60,
        )  # fmt: skip
    assert ended.returncode == CANNOT_CHECK
    assert ended.stderr == "cannot check here: `standard output`: no space is left on the device\n"
