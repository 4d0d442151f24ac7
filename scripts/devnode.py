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

from verifiable.errors import ChainError, MissingDependencyError


@dataclass(frozen=True, slots=True)
class Anvil:
    """A running node."""

    url: str

    def ask(self, method: str, *parameters: object) -> Any:
        """Result of a JSON-RPC call.

        Raises
        ------
        ChainError
            If the node refuses it.
        """
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        request = urllib.request.Request(
            self.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            document = json.load(answer)
        if "error" in document:
            raise ChainError(f"anvil refused {method}: {document['error']}")
        return document["result"]


@contextmanager
def start(*options: str) -> Iterator[Anvil]:
    """Run a node until the block ends.

    Raises
    ------
    MissingDependencyError
        If there is no anvil.
    ChainError
        If it ends, or does not answer in 10 s.
    """
    program = find()
    if program is None:
        raise MissingDependencyError(
            "there is no anvil", hint="npm ci --prefix verifiable/contracts"
        )
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


def find() -> Path | None:
    """The program, of the npm package or on PATH."""
    packaged = Path(str(files("verifiable"))) / "contracts/node_modules/.bin/anvil"
    if packaged.exists():
        return packaged
    found = shutil.which("anvil")
    return None if found is None else Path(found)


def _ready(node: Anvil, process: subprocess.Popen[bytes]) -> Anvil:
    for _ in range(100):
        if process.poll() is not None:
            raise ChainError(f"anvil ended with status {process.returncode}")
        try:
            node.ask("eth_chainId")
        except OSError:
            time.sleep(0.1)
        else:
            return node
    raise ChainError("anvil did not answer in 10 s")
