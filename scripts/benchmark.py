"""The form every benchmark of the project writes: rows of ratios, with machine and versions."""

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VECTORS = ("sse4_2", "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "sha_ni")
"""Flags of a processor that decide which code runs, ours and the peer's."""
PACKAGES = ("verifiable", "ezkl", "onnx", "onnxruntime", "torch", "py-ecc", "pyrevm", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure: ours, the peer's (None where there is none) and their ratio."""

    id: str
    ours: float
    peer: float | None
    unit: str

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's."""
        return None if not self.peer else self.ours / self.peer


def machine() -> dict[str, str | int]:
    """What the figures were measured on; no name of the host."""
    facts: dict[str, str | int] = {"system": platform.system(), "python": platform.python_version()}
    for path, key, name in (
        ("/proc/cpuinfo", "model name", "cpu"),
        ("/proc/meminfo", "MemTotal", "memory"),
    ):
        for line in Path(path).read_text().splitlines():
            if line.startswith(key):
                facts[name] = line.partition(":")[2].strip()
                break
    flags = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "flags" in line]
    if flags:
        facts["vectors"] = " ".join(v for v in VECTORS if v in flags[0].split())
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "processor" in line]
    return facts | {"cores": len(cpus)}


def versions() -> dict[str, str]:
    """Versions of everything that matters for the figures."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def median(values: Sequence[float]) -> float:
    """Median of several runs."""
    return statistics.median(values)


def report(rows: Sequence[Row], path: Path | None) -> None:
    """Print the table with machine and versions, and write the JSON form."""
    value = {
        "machine": machine(),
        "versions": versions(),
        "rows": [asdict(row) | {"ratio": row.ratio} for row in rows],
    }
    print(", ".join(f"{k} {v}" for k, v in value["machine"].items()))  # type: ignore[attr-defined]
    print(", ".join(f"{k} {v}" for k, v in value["versions"].items()))  # type: ignore[attr-defined]
    print(f"{'id':<28}{'ours':>16}{'peer':>16}{'ratio':>9}  unit")
    for row in rows:
        peer = "" if row.peer is None else f"{row.peer:,.4g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        print(f"{row.id:<28}{row.ours:>16,.4g}{peer:>16}{ratio:>9}  {row.unit}")
    if path is not None:
        path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
