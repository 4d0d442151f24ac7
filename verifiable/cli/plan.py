"""``verifiable plan``: what proving a model would cost, before anything is built."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console, table

if TYPE_CHECKING:
    from verifiable.proofs.protocol import Estimate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    common.add_model_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Tune, predict, print."""
    from verifiable.proofs.compile import plan_model

    model, data = common.read_model(args)
    policy = common.policy_of(args, model, data)
    cuts = common.cuts_of(args, model, data, policy, console)
    parts = plan_model(model, data, policy, cuts, common.observer_of(console))
    console.result(
        "plan",
        {
            "venue": "zk",
            "cuts": list(cuts.at),
            "slices": dict(cuts.slices),
            "parts": [asdict(part) for part in parts],
        },
        lines(parts),
    )
    return Exit.DONE


def lines(parts: "tuple[Estimate, ...]") -> list[str]:
    """Table of estimates, one line a part, and the settings behind them."""
    rows = [
        (
            i, part.rows, part.k, f"{part.key_bytes / 1e6:,.1f}", f"{part.peak_memory / 1e6:,.0f}",
            f"{part.setup_seconds:.1f}", f"{part.prove_seconds:.1f}", part.proof_bytes,
            f"{part.gas:,}", f"{part.error:.2g}",
        )
        for i, part in enumerate(parts)
    ]  # fmt: skip
    head = (
        "part", "rows", "k", "pk MB", "peak MB", "setup s", "prove s", "proof B", "gas", "error"
    )  # fmt: skip
    return [
        *table(head, rows),
        *(f"settings {i}: {_words(part)}" for i, part in enumerate(parts)),
    ]


def _words(part: "Estimate") -> str:
    return ", ".join(f"{name} {value}" for name, value in part.settings.items())
