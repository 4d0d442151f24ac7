"""Put the tables of benchmark files into the README: ``readme_bench.py zk=FILE engines=FILE``.

Each goes between ``<!-- bench NAME -->`` and ``<!-- /bench -->``, with the machine and versions
that the file names. What a person wrote after the table stays.
"""

import json
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"


def number(value: float | None) -> str:
    """Three digits that count, or all of a whole number."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def table(measured: dict[str, Any]) -> str:
    """Markdown of one benchmark file."""
    machine, versions = measured["machine"], measured["versions"]
    vectors = f" ({machine['vectors']})" if "vectors" in machine else ""
    head = (
        f"{machine['cpu']}{vectors}, {machine['cores']} cores, {machine['memory']} of memory, "
        f"Python {machine['python']}; "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + "."
    )
    rows = [
        f"| `{row['id']}` | {number(row['ours'])} | {number(row['peer'])} "
        f"| {number(row['ratio'])} | {row['unit']} |"
        for row in measured["rows"]
    ]
    titles = ["| id | ours | peer | ratio | unit |", "|---|---|---|---|---|"]
    return "\n".join([head, "", *titles, *rows])


def replaced(text: str, name: str, measured: dict[str, Any]) -> str:
    """The README with one table exchanged.

    Raises
    ------
    ValueError
        If it has no place for it.
    """
    start = text.find(f"<!-- bench {name} -->")
    end = text.find("<!-- /bench -->", start)
    if start < 0 or end < 0:
        raise ValueError(f"README has no block for {name}")
    old = text[start:end]
    _, _, words = old.partition("|---|---|---|---|---|")
    lines = words.split("\n")
    kept = "\n".join(line for line in lines[1:] if not line.startswith("|")).strip("\n")
    new = f"<!-- bench {name} -->\n{table(measured)}\n" + (f"\n{kept}\n" if kept else "")
    return text[:start] + new + text[end:]


def main() -> int:
    """Rewrite the README in place."""
    text = README.read_text()
    for word in sys.argv[1:]:
        name, _, path = word.partition("=")
        text = replaced(text, name, json.loads(Path(path).read_text()))
    README.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
