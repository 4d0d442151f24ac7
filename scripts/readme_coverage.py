"""Compare whole models with onnxruntime, and put the numbers into the README's coverage tables.

``readme_coverage.py`` measures all, ``readme_coverage.py lenet gpt2`` these alone. Other rows, and
what a person wrote between ``<!-- coverage -->`` and ``<!-- /coverage -->``, stay.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from architectures import NAMES, NORMED, architecture
from side_by_side import Pair, on_test_samples

from circuits import recipe

README: Final = Path(__file__).parents[1] / "README.md"
OPEN: Final = "<!-- coverage -->"
CLOSE: Final = "<!-- /coverage -->"
KEPT: Final = ", batch norms kept"
DRAWN: Final = ("model", "instructions", "weights, MB", "largest difference", "largest output")
TRAINED: Final = (
    "trained model", "instructions", "weights, kB", "largest difference", "largest output",
    "right, of test samples", "right by onnxruntime", "same answer",
)  # fmt: skip

Row = tuple[str, ...]


def drawn(label: str, *, threads: int) -> Row:
    """Row of an architecture with random weights."""
    name = label.removesuffix(KEPT)
    made = architecture(name)
    pair = Pair(made.onnx(fold=name == label).SerializeToString(), threads=threads)
    found = pair.run(made.inputs)
    return (
        label, str(pair.instructions), f"{pair.weight_bytes / 1e6:.0f}",
        f"{found.difference:.2g}", f"{found.largest:.3g}",
    )  # fmt: skip


def trained(name: str, *, threads: int) -> Row:
    """Row of a recipe, on all its test samples."""
    pair = Pair(recipe.model(name), threads=threads)
    found = on_test_samples(name, pair)
    return (
        name, str(pair.instructions), f"{pair.weight_bytes / 1e3:.1f}",
        f"{found.difference:.2g}", f"{found.largest:.3g}", f"{found.right:.1%}",
        f"{found.peer_right:.1%}", f"{found.same} of {found.count}",
    )  # fmt: skip


def line(cells: Row) -> str:
    """One row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def replaced(text: str, titles: Row, order: tuple[str, ...], rows: dict[str, Row]) -> str:
    """The README with these rows in the table of these titles, at the block's end if it has none.

    Raises
    ------
    ValueError
        If it has no block for it.
    """
    head, opened, rest = text.partition(OPEN)
    block, closed, tail = rest.partition(CLOSE)
    if not opened or not closed:
        raise ValueError(f"README has no {OPEN} ... {CLOSE}")
    first = line(titles)
    if first not in block:
        block = f"{block.rstrip()}\n\n{first}\n"
    before, _, after = block.partition(first + "\n")
    old, words = _table(after)
    known = old | {name: line(row) for name, row in rows.items()}
    lines = [first, line(("---",) * len(titles)).replace(" ", "")]
    lines += [known[name] for name in order if name in known]
    return f"{head}{opened}{before}" + "\n".join(lines) + f"\n{words}{closed}{tail}"


def _table(text: str) -> tuple[dict[str, str], str]:
    """Rows that a text begins with, by their first cell, and what follows."""
    lines = text.splitlines(keepends=True)
    count = next((i for i, one in enumerate(lines) if not one.startswith("|")), len(lines))
    rows = {one.split("|")[1].strip(): one.rstrip() for one in lines[:count]}
    return rows, "".join(lines[count:])


def main() -> int:
    """Measure, and rewrite the README in place."""
    labels = [each for name in NAMES for each in ([name, name + KEPT][: 1 + (name in NORMED)])]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", help="architectures and recipes (all)")
    parser.add_argument("--readme", type=Path, default=README, help="file to rewrite")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    unknown = set(args.name) - set(NAMES) - set(recipe.names())
    if unknown:
        parser.error(f"no model {', '.join(sorted(unknown))}")

    def wanted(label: str) -> bool:
        return not args.name or label.removesuffix(KEPT) in args.name

    for titles, order, measure in (
        (DRAWN, tuple(labels), drawn),
        (TRAINED, recipe.names(), trained),
    ):
        rows: dict[str, Row] = {}
        for label in filter(wanted, order):
            rows[label] = measure(label, threads=args.threads)
            print(line(rows[label]), file=sys.stderr)
        if rows:
            args.readme.write_text(replaced(args.readme.read_text(), titles, order, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
