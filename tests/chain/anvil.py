"""A development node on 127.0.0.1; only the process started here is ended."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from verifiable.crypto.signatures import SigningKey

# First account of anvil's public development mnemonic.
KEY = SigningKey(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))


@dataclass(frozen=True, slots=True)
class Anvil:
    url: str

    def ask(self, method: str, *parameters: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        request = urllib.request.Request(
            self.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            document = json.load(answer)
        assert "error" not in document, document
        return document["result"]


@contextmanager
def start(*options: str) -> Iterator[Anvil]:
    program = Path(str(files("verifiable"))) / "contracts/node_modules/.bin/anvil"
    if not program.exists():
        found = shutil.which("anvil")
        if found is None:
            pytest.skip("no anvil: run `npm ci --prefix verifiable/contracts`")
        program = Path(found)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "--host", "127.0.0.1", "--port", str(port), "--silent", *options]
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(command, env={"HOME": home}, stdout=subprocess.DEVNULL)
        try:
            yield _ready(Anvil(f"http://127.0.0.1:{port}"), process)
        finally:
            process.terminate()
            process.wait(timeout=10)


def _ready(node: Anvil, process: subprocess.Popen[bytes]) -> Anvil:
    for _ in range(100):
        assert process.poll() is None, "anvil ended"
        try:
            node.ask("eth_chainId")
        except OSError:
            time.sleep(0.1)
        else:
            return node
    raise AssertionError("anvil did not answer in 10 s")
