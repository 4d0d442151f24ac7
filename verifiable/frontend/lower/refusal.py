"""What could not be lowered, why, and what to do about it."""

from dataclasses import dataclass

from verifiable.graph.budget import BUDGET, too_dear
from verifiable.graph.ir import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One operator that could not be lowered."""

    op: str
    label: str
    what: str
    hint: str


def too_dear_operators(graph: Graph) -> tuple[Refusal, ...]:
    """Refusals of what nobody could dispute in one transaction."""
    found = {}
    for index, gas in too_dear(graph):
        regions = (r for r in graph.regions if r.start <= index < r.stop)
        label = next((r.label for r in regions), f"instruction {index}")
        found[label] = Refusal(
            op=label.split()[0],
            label=label,
            what=f"{label}: one element of {graph.instructions[index].type} takes {gas:,} gas to"
            f" dispute, and a transaction may take {BUDGET:,}",
            hint="fold a long axis in several steps",
        )
    return tuple(found.values())
