"""Torch modules in, the same checked bytes out, nothing said meanwhile."""

import hashlib
import logging
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from verifiable.engines import ort
from verifiable.errors import ModelError
from verifiable.frontend.export import export_module, load_model, signature_of

ROWS = {"rows": np.zeros((1, 4, 6), np.float32)}


class Block(nn.Module):  # type: ignore[misc]
    """What a small transformer is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.mix = nn.Linear(6, 18)
        self.dense = nn.Linear(6, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        query, key, value = self.mix(self.norm(rows)).split(6, dim=-1)
        weights = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(6), dim=-1)
        result: torch.Tensor = self.dense(self.drop(functional.gelu(weights @ value))[:, 1:])
        return result


@pytest.fixture(scope="module")
def block() -> Block:
    torch.manual_seed(0)
    return Block()  # left in training mode on purpose


@pytest.fixture(scope="module")
def exported(block: Block) -> bytes:
    return export_module(block, ROWS, outputs=["scores"])


def test_the_model_answers_as_the_module_does(block: Block, exported: bytes) -> None:
    rows = np.random.default_rng(1).normal(size=(1, 4, 6)).astype(np.float32)
    block.eval()
    with torch.no_grad():
        expected = block(torch.from_numpy(rows)).numpy()
    block.train()
    np.testing.assert_allclose(ort.run(exported, {"rows": rows})["scores"], expected, atol=1e-6)


def test_names_and_shapes_are_those_asked_for(exported: bytes) -> None:
    signature = signature_of(exported)
    assert [(s.name, s.shape) for s in signature.inputs] == [("rows", (1, 4, 6))]
    assert [(s.name, s.shape) for s in signature.outputs] == [("scores", (1, 3, 3))]


def test_bytes_are_a_normal_form(exported: bytes) -> None:
    assert load_model(exported) == exported


def test_equal_modules_give_equal_bytes(exported: bytes) -> None:
    torch.manual_seed(0)
    assert export_module(Block(), ROWS, outputs=["scores"]) == exported


@pytest.mark.slow
def test_equal_modules_give_equal_bytes_in_every_process(exported: bytes) -> None:
    script = (
        "import sys, hashlib, torch; sys.path.insert(0, sys.argv[1]);"
        "from test_export import Block, ROWS, export_module;"
        "torch.manual_seed(0);"
        "data = export_module(Block(), ROWS, outputs=['scores']);"
        "print(hashlib.sha256(data).hexdigest())"
    )
    folder = __file__.rpartition("/")[0]
    child = subprocess.run(
        [sys.executable, "-c", script, folder], capture_output=True, check=True, text=True
    )
    assert child.stdout == hashlib.sha256(exported).hexdigest() + "\n"
    assert not child.stderr


def test_the_module_is_left_as_it_was(block: Block, exported: bytes) -> None:
    assert exported
    assert block.training
    assert block.drop.training


def test_nothing_is_said_and_logging_works_afterwards(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    export_module(nn.Linear(6, 2), {"x": np.zeros((1, 6), np.float32)})
    assert capfd.readouterr() == ("", "")
    logging.getLogger("after").warning("heard")
    assert [r.message for r in caplog.records if r.name == "after"] == ["heard"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_no_number_is_refused_by_name(value: float) -> None:
    layer = nn.Linear(6, 2)
    with torch.no_grad():
        layer.weight[1, 2] = value
    with pytest.raises(ModelError, match=r"constant `weight`\[1, 2\], read by Gemm"):
        export_module(layer, {"x": np.zeros((1, 6), np.float32)})


def test_a_causal_mask_of_infinity_is_refused() -> None:
    class Masked(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.full((4, 4), -math.inf).triu(1))

        def forward(self, scores: torch.Tensor) -> torch.Tensor:
            return torch.softmax(scores + self.mask, dim=-1)

    with pytest.raises(ModelError, match=r"constant `mask`\[0, 1\], read by Add .* is -inf"):
        export_module(Masked(), {"scores": np.zeros((1, 4, 4), np.float32)})


def test_arithmetic_in_float64_is_refused() -> None:
    class Wide(nn.Module):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(x.double()).float()

    with pytest.raises(ModelError, match="in double"):
        export_module(Wide(), {"x": np.zeros((1, 6), np.float32)})


def test_a_module_that_does_not_fit_its_example_is_an_input_error() -> None:
    with pytest.raises(ModelError, match="torch cannot export Linear: ") as caught:
        export_module(nn.Linear(6, 2), {"x": np.zeros((1, 5), np.float32)})
    assert caught.value.hint
