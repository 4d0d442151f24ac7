"""Contracts compiled once per run, each root by itself: what two labs share is compiled once, and a
change of one contract compiles no other."""

import hashlib
from collections.abc import Iterable, Mapping

from run_folder import value_once

from verifiable.solidity.compiler import compile_sources
from verifiable.solidity.standard import Artifact, Settings, reachable


def compiled(
    text: Mapping[str, str], roots: Iterable[str], settings: Settings
) -> dict[str, Artifact]:
    """What these files and their imports define, by contract name."""
    found: dict[str, Artifact] = {}
    for root in roots:
        found |= _of_root(reachable(text, [root]), root, settings)
    return found


def _of_root(part: dict[str, str], root: str, settings: Settings) -> dict[str, Artifact]:
    digest = hashlib.sha256(repr((sorted(part.items()), settings)).encode()).hexdigest()
    name = root.replace("/", "-").removesuffix(".sol")
    return value_once(f"{name}-{digest[:16]}", lambda: dict(compile_sources(part, settings)))
