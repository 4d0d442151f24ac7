"""What a recipe offers, and how to get at one by name.

A recipe is a folder: ``model.py`` trains, ``model.onnx`` is what came out and is proven,
``LOCK.json`` pins it, ``circuit.toml`` says what a circuit of it must satisfy.
"""

import hashlib
import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

FOLDER: Final = Path(__file__).parent
CALIBRATION: Final = 64
"""Samples in a calibration set."""

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Data of a recipe, as its model takes it; each tensor is ``[samples, *input shape]``."""

    calibration: Tensors
    """From the training set: circuits are tuned on it."""
    test: Tensors
    """Held out: neither trained nor calibrated on."""
    labels: NDArray[np.int64]
    """Class of each test sample, ``[samples]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a circuit of a recipe must satisfy, from ``circuit.toml``."""

    error: float
    """Largest absolute error of an output against the float model."""
    input: str
    """Visibility of the input: public, private, hashed or committed."""
    weights: str
    output: str


class Recipe(Protocol):
    """What each ``model.py`` defines."""

    def train(self) -> bytes:
        """Train and export: ONNX in normal form. Seeded, one thread, under a minute."""

    def samples(self) -> Samples:
        """Calibration and test data; the same on every machine."""

    def accuracy(
        self, outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]
    ) -> float:
        """Share of right answers, 0 to 1, from the outputs of all test samples."""


def names() -> tuple[str, ...]:
    """Names of all recipes.

    >>> "digits_cnn" in names()
    True
    """
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/model.py")))


def load(name: str) -> Recipe:
    """Load ``circuits/NAME/model.py``; dashes in `name` count as underscores.

    Raises
    ------
    LookupError
        If there is no such recipe.
    """
    plain = name.replace("-", "_")
    if plain not in names():
        raise LookupError(f"no recipe `{name}`; there are {', '.join(names())}")
    spec = importlib.util.spec_from_file_location(
        f"circuits.{plain}.model", FOLDER / plain / "model.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    assert isinstance(module, ModuleType)
    spec.loader.exec_module(module)
    recipe: Recipe = module
    return recipe


def model(name: str) -> bytes:
    """Read the committed ``circuits/NAME/model.onnx``."""
    return (FOLDER / name.replace("-", "_") / "model.onnx").read_bytes()


def terms(name: str) -> Terms:
    """Read ``circuits/NAME/circuit.toml``.

    >>> terms("digits-cnn").input
    'hashed'
    """
    text = (FOLDER / name.replace("-", "_") / "circuit.toml").read_text()
    document = tomllib.loads(text)
    return Terms(error=document["policy"]["error"], **document["visibility"])


def right_share(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Share of samples whose largest score is that of their class.

    >>> right_share(np.array([[[0.1, 0.9]], [[0.8, 0.2]]], np.float32), np.array([1, 1]))
    0.5
    """
    return float(np.mean(scores.reshape(len(labels), -1).argmax(axis=1) == labels))


def digest(values: NDArray[Any]) -> str:
    """SHA-256 of an array's dtype, shape and little-endian bytes, as hex."""
    plain = np.ascontiguousarray(values)
    little = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
    head = f"{little.dtype.str}{list(little.shape)}".encode()
    return hashlib.sha256(head + little.tobytes()).hexdigest()
