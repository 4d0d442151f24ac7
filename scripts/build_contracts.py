"""Compile the contracts of ``verifiable/contracts/src`` into the artifacts that ship.

``python scripts/build_contracts.py`` writes them; ``--check`` only says which would change.
"""

import json
import sys
from pathlib import Path

from verifiable.solidity.artifacts import TARGETS, build
from verifiable.solidity.compiler import find_solc

FOLDER = Path(__file__).parents[1] / "verifiable" / "contracts" / "artifacts"


def main(arguments: list[str]) -> int:
    """Write the artifacts, or with ``--check`` compare; 1 if they differ."""
    solc = find_solc()
    print(f"compiling with {solc.label}", file=sys.stderr)
    changed = 0
    for evm in TARGETS:
        for name, document in build(evm, solc).items():
            path = FOLDER / evm / f"{name}.json"
            text = json.dumps(document, indent=1, sort_keys=True) + "\n"
            if path.is_file() and path.read_text() == text:
                continue
            changed += 1
            print(path.relative_to(FOLDER))
            if "--check" not in arguments:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    return 1 if changed and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
