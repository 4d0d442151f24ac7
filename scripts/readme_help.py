"""Write each verb's ``--help`` between its markers in the README; a test compares them."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"<!-- help:(\w+) -->\n.*?<!-- /help -->", re.DOTALL)


def block(match: re.Match[str]) -> str:
    """The block of one verb, as it should be."""
    verb = match[1]
    text = subprocess.run(
        [sys.executable, "-m", "verifiable.cli", verb, "--help"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "80"},
    ).stdout
    return f"<!-- help:{verb} -->\n```text\n{text.rstrip()}\n```\n<!-- /help -->"


def main() -> int:
    """Rewrite the README in place."""
    README.write_text(BLOCK.sub(block, README.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
