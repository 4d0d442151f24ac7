"""``verifiable plan``: what a venue would cost for a model, before anything is built."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console, table
from verifiable.errors import InputError, PolicyError

if TYPE_CHECKING:
    from verifiable.dispute.economics import Stakes, Terms
    from verifiable.proofs.protocol import Estimate

_SEE: Final = "see `verifiable plan --help`"
_MOST_DIGITS: Final = 78


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    common.add_model_arguments(parser, data_optional=True)
    parser.add_argument(
        "--venue",
        choices=("zk", "optimistic"),
        default="zk",
        help="where trust comes from (zk); zk needs DATA, optimistic the first three below",
    )
    group = parser.add_argument_group("the optimistic venue")
    for name, metavar, text in _OPTIMISTIC:
        group.add_argument(f"--{name}", metavar=metavar, help=text)


_OPTIMISTIC: Final = (
    ("gas-price", "WEI", "price per gas at which moves must still pay"),
    ("audit", "P", "chance that somebody runs a claim again in time: 0.05 or 1/20"),
    ("gain", "WEI", "what a false answer brings while nobody looks"),
    ("reward", "WEI", "pay of an honest answer (0)"),
    ("collusion", "P", "share of those who look that keep silent (0)"),
    ("burnt", "P", "share of a forfeit bond that is burnt (0.3)"),
    ("requester", "P", "share of a forfeit bond that the requester gets (0.2)"),
    ("margin", "X", "on what honest parties spend (1.5)"),
    ("claims", "N", "claims of a provider that are open at once (1)"),
)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Predict, print."""
    if args.venue == "optimistic":
        _refuse(args, _changed(args), "zk")
        return _optimistic(args, console)
    _refuse(
        args, [name for name, *_ in _OPTIMISTIC if _given(args, name) is not None], "optimistic"
    )
    if args.data is None:
        raise InputError("the zk venue needs calibration data", hint=_SEE)
    return _zk(args, console)


def _refuse(args: argparse.Namespace, names: list[str], venue: str) -> None:
    for name in names:
        raise InputError(f"--{name} is for the {venue} venue, not {args.venue}", hint=_SEE)


def _given(args: argparse.Namespace, name: str) -> str | None:
    given: str | None = getattr(args, name.replace("-", "_"))
    return given


def _changed(args: argparse.Namespace) -> list[str]:
    """Options of the zk venue that were given."""
    plain = argparse.ArgumentParser()
    common.add_model_arguments(plain, data_optional=True)
    defaults = vars(plain.parse_args(["model"]))
    shared = {"model", "data", "dim"}
    return [name for name in defaults if name not in shared and vars(args)[name] != defaults[name]]


def _zk(args: argparse.Namespace, console: Console) -> Exit:
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


def _optimistic(args: argparse.Namespace, console: Console) -> Exit:
    from verifiable.dispute.economics import stakes
    from verifiable.dispute.outlook import rounds_of

    lowered = common.lowered(args.model, common.dims_of(args.dim))
    if lowered.graph is None:
        raise lowered.error()
    terms = _terms(args, rounds_of(lowered.graph))
    found = stakes(terms)
    console.result(
        "plan",
        {
            "venue": "optimistic",
            "instructions": len(lowered.graph.instructions),
            "rounds": terms.rounds,
            "gas": {move: int(gas) for move, gas in terms.gas.items()},
            "gas_price": str(terms.gas_price_cap),
            "shares": {"burnt": terms.burnt_share, "requester": terms.requester_share},
            "amounts": {
                line.name.replace(" ", "_"): {"wei": str(line.wei), "reason": line.reason}
                for line in found.lines
            },
        },
        bond_lines(terms, found),
    )
    return Exit.DONE


def _terms(args: argparse.Namespace, rounds: int) -> "Terms":
    from verifiable.dispute.economics import WHOLE, Terms

    for name in ("gas-price", "audit", "gain"):
        if _given(args, name) is None:
            raise InputError(f"the optimistic venue needs --{name}", hint=_SEE)
    more: dict[str, Any] = {}
    for name, field in (("burnt", "burnt_share"), ("requester", "requester_share")):
        if (text := _given(args, name)) is not None:
            share = _fraction(name, text) * WHOLE
            if share.denominator != 1:
                raise PolicyError(f"--{name} `{text}` is no multiple of 1/{WHOLE}")
            more[field] = int(share)
    for name in ("collusion", "margin"):
        if (text := _given(args, name)) is not None:
            more[name] = _fraction(name, text)
    for name in ("reward", "claims"):
        if (text := _given(args, name)) is not None:
            more[name] = _whole(name, text)
    return Terms(
        gas_price_cap=_whole("gas-price", args.gas_price),
        audit=_fraction("audit", args.audit),
        gain=_whole("gain", args.gain),
        rounds=rounds,
        **more,
    )


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS:
        raise InputError(f"--{name} `{text}` is not a whole number, wei without a point", hint=_SEE)
    return int(text)


def _fraction(name: str, text: str) -> Fraction:
    wanted = f"--{name} `{text}` is not a number such as 0.05 or 1/20"
    # An exponent could ask for more digits than there is memory.
    if len(text) > _MOST_DIGITS or "e" in text.lower():
        raise InputError(wanted, hint=_SEE)
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as e:
        raise InputError(wanted, hint=_SEE) from e


def bond_lines(terms: "Terms", found: "Stakes") -> list[str]:
    """What must be at stake and why, then what each move costs its player."""
    amounts = [(line.name, line.wei, line.reason) for line in found.lines]
    moves = [
        (move, f"{gas:,}", gas * terms.gas_price_cap, _PAYERS[move])
        for move, gas in terms.gas.items()
    ]
    return [
        *table(("amount", "wei", "why"), amounts),
        "",
        *table(("move", "gas", "wei at most", "paid by"), moves),
        "",
        f"a withheld trace takes {terms.rounds} rounds of demand and reveal",
    ]


_PAYERS: Final[Mapping[str, str]] = {
    "post": "provider",
    "challenge": "challenger, out of the reward if the claim is false",
    "commit-trace": "provider, out of the challenge bond if the claim is true",
    "demand": "challenger, out of the reward if the claim is false",
    "reveal": "provider, out of the fees if the claim is true",
    "refute": "whoever refutes, out of the reward, or up to the refuter gas",
    "finalize": "whoever wants it",
}


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
