"""Write the golden corpus of this semantics id, tests/vectors/<id>, with the reference engine.

``make_vectors.py`` writes the cases that are not there yet, and refuses if one that is there would
become another: then a bit of some result changed, and that takes a new semantics id
(``verifiable/graph/vocabulary.py``), which has a folder of its own.
``make_vectors.py --check`` writes nothing.
"""

import argparse
import sys

from vector_cases import cases, frozen
from vector_files import FOLDER, Vector, corpus_digest, read, text

from verifiable.engines.reference import Reference
from verifiable.graph.vocabulary import SEMANTICS

MOST_BYTES = 1 << 20


def wanted() -> dict[str, Vector]:
    """All cases by name.

    A case lowered from a model or drawn at random keeps the graph of its file: lowering may get
    better within one semantics id, and the corpus is about what a graph gives.
    """
    found = {vector.name: vector for vector in cases()}
    for name, make in frozen().items():
        path = FOLDER / f"{name}.json"
        found[name] = read(path)[0] if path.exists() else make()
    return found


def main() -> int:
    """Write or check; 0 if the folder holds what it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check: bool = parser.parse_args().check
    files = {
        f"{name}.json": text(vector, Reference().prepare(vector.graph, vector.weights)).encode()
        for name, vector in wanted().items()
    }
    total = sum(map(len, files.values()))
    assert total < MOST_BYTES, f"{total} bytes are too many to commit"
    there = {path.name: path.read_bytes() for path in FOLDER.glob("*")}
    changed = sorted(name for name in there if files.get(name) != there[name])
    missing = sorted(files.keys() - there.keys())
    if changed or (check and missing):
        print(
            f"{FOLDER}: {', '.join(changed + missing)} would be another file under {SEMANTICS}; "
            "a change of any result takes a new semantics id",
            file=sys.stderr,
        )
        return 1
    if not check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in missing:
            (FOLDER / name).write_bytes(files[name])
    print(f"{len(files)} cases, {total:,} bytes, digest {corpus_digest(FOLDER)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
