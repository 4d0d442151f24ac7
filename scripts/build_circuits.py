"""Rebuild the recipes in circuits/, or check that they still are what LOCK.json pins.

``build_circuits.py [NAME ...]`` trains, writes model.onnx and LOCK.json.
``build_circuits.py --check [NAME ...]`` trains nothing and writes nothing.
"""

import argparse
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from circuits.recipe import FOLDER, Recipe, digest, load, names  # noqa: E402
from verifiable.engines import ort  # noqa: E402
from verifiable.frontend.export import signature_of  # noqa: E402
from verifiable.frontend.facts import facts_of  # noqa: E402
from verifiable.frontend.files import parse_model  # noqa: E402

SCHEMA = "verifiable/recipe/1"
PACKAGES = ("numpy", "onnx", "onnxscript", "scikit-learn", "torch")


def pins(recipe: Recipe, model: bytes) -> dict[str, Any]:
    """Everything about a built recipe that must not change by itself."""
    samples = recipe.samples()
    signature = signature_of(model)
    constants = facts_of(parse_model(model)).constants
    outputs = ort.run_samples(model, samples.test)
    return {
        "schema": SCHEMA,
        "model": {
            "file": "model.onnx",
            "sha256": hashlib.sha256(model).hexdigest(),
            "parameters": signature.parameters,
            "inputs": [str(spec).replace("`", "") for spec in signature.inputs],
            "outputs": [str(spec).replace("`", "") for spec in signature.outputs],
        },
        "weights": {name: digest(value) for name, value in sorted(constants.items())},
        "data": {
            "calibration": {name: digest(v) for name, v in samples.calibration.items()},
            "test": {name: digest(v) for name, v in samples.test.items()},
            "labels": digest(samples.labels),
        },
        "test_samples": len(samples.labels),
        "test_accuracy": round(recipe.accuracy(outputs, samples.labels), 4),
    }


def build(name: str) -> None:
    """Train one recipe and write what came out."""
    recipe, folder = load(name), FOLDER / name.replace("-", "_")
    model = recipe.train()
    lock = pins(recipe, model) | {"versions": {p: version(p) for p in PACKAGES}}
    (folder / "model.onnx").write_bytes(model)
    (folder / "LOCK.json").write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n")
    print(f"{name:<20} {len(model):>8} bytes  test accuracy {lock['test_accuracy']:.4f}")


def differences(name: str) -> list[str]:
    """What of a recipe is not as its lock says, by key; versions are for the record only."""
    folder = FOLDER / name.replace("-", "_")
    locked = json.loads((folder / "LOCK.json").read_text())
    found = pins(load(name), (folder / "model.onnx").read_bytes())
    return [key for key, value in found.items() if locked.get(key) != value]


def main(argv: list[str] | None = None) -> int:
    """Build or check the recipes named, or all; 1 if a check found a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(names()), metavar="NAME")
    parser.add_argument("--check", action="store_true", help="compare with LOCK.json only")
    args = parser.parse_args(argv)
    wrong = 0
    for name in args.names:
        if not args.check:
            build(name)
            continue
        changed = differences(name)
        wrong += bool(changed)
        print(f"{name:<20} {'differs in ' + ', '.join(changed) if changed else 'as locked'}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
