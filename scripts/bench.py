"""Benchmarks: ``bench.py zk|engines [NAME ...] [--json FILE] [--runs N] [--threads N]``.

Peers run with their own defaults on the same machine in the same run; figures are medians. NAMEs
choose models (zk) or rows (engines).
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmark import Row, report


def measured(args: argparse.Namespace) -> Iterator[Row]:
    """Rows as they are measured."""
    if args.what == "zk":
        from bench_zk import rows as of_proofs

        yield from of_proofs(args.names, runs=args.runs)
    else:
        from bench_engines import rows as of_engines

        yield from of_engines(args.names, threads=args.threads, runs=args.runs)


def main() -> int:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("zk", "engines"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
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
