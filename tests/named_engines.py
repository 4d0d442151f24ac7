"""Engines by name, for tests whose one body runs on several of them.

Parametrise with ``indirect=True``: the fixture ``engine`` makes what a name stands for. A GPU is
asked for by a mark, so that the body runs on the others where there is none.
"""

import sys
from typing import Any, Final

import pytest
from checkout import ROOT

from verifiable.engines.cpu import Cpu
from verifiable.engines.ort_engine import Ort
from verifiable.engines.protocol import Engine
from verifiable.engines.reference import Reference

GPU: Final[Any] = pytest.param("gpu", marks=pytest.mark.gpu)

NAMES: Final = ("reference", "cpu", "ort", "interpreted")
"""``cpu-BUILD`` too; ``interpreted`` is the gpu engine on an interpreter of PTX."""


def named(name: str) -> Engine:
    """An engine that needs no device."""
    kind, _, build = name.partition("-")
    match kind:
        case "reference":
            return Reference()
        case "cpu":
            return Cpu(threads=2, build=build or None)
        case "ort":
            return Ort(Cpu(threads=1))
        case "interpreted":
            sys.path.insert(0, str(ROOT / "tests" / "cuda"))
            from interpreted import InterpretedGpu

            return InterpretedGpu()
        case _:
            raise ValueError(f"no engine is called `{name}`, wanted one of {NAMES}")
