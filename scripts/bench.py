"""Benchmarks: ``bench.py zk|engines [NAME ...] [--json FILE] [--runs N] [--threads N ...]``.

Peers run with their own defaults on the same machine in the same run; figures are medians. NAMEs
choose models (zk) or rows (engines). Threads are those of ours and of the peer, of engines alone;
rows of more than one say how many, as ``softmax@2``.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmark import Row, report


def measured(args: argparse.Namespace) -> Iterator[Row]:
    """Rows as they are measured."""
    if args.what == "zk":
        from bench_zk import rows as of_proofs

        yield from of_proofs(args.names, runs=args.runs)
    else:
        from bench_engines import rows as of_engines

        for threads in args.threads:
            for row in of_engines(args.names, threads=threads, runs=args.runs):
                yield row if threads == 1 else replace(row, id=f"{row.id}@{threads}")


def main() -> int:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("zk", "engines"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    rows = []
    for row in measured(args):
        ratio = "" if row.ratio is None else f", ratio {row.ratio:.3f}"
        print(f"{row.id}: {row.ours:.4g} {row.unit}{ratio}", file=sys.stderr, flush=True)
        rows.append(row)
    report(rows, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
