"""``verifiable serve``: give out stored traces by digest, so that who disputes needs one move."""

import argparse
from pathlib import Path

from verifiable.cli.exits import Exit
from verifiable.cli.output import Console
from verifiable.errors import InputError

_MOST_PORTS = 65_535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument(
        "trace", type=Path, nargs="+", help="folder made by `run --trace`; several of one bundle"
    )
    parser.add_argument("--bundle", type=Path, required=True, help="bundle that was run")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (any that is free)")
    parser.add_argument(
        "--export", type=Path, metavar="DIR",
        help="write the objects there instead, for any web server or object store",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Serve until interrupted, or export."""
    from verifiable.bundle import open_bundle
    from verifiable.canon import open_canon
    from verifiable.serving.server import serve
    from verifiable.serving.source import Mirrors, export
    from verifiable.serving.stored import StoredSource
    from verifiable.trace.store import open_trace

    if not 0 <= args.port <= _MOST_PORTS:
        raise InputError(f"--port must be 0 to {_MOST_PORTS}, got {args.port}")
    canon = open_canon(open_bundle(args.bundle, "verify"))
    stored = [open_trace(path, canon.graph) for path in args.trace]
    sources = [StoredSource(one) for one in stored]
    roots = ["0x" + one.trace.root.hex() for one in stored]
    if args.export is not None:
        written = sum(export(source.objects(), args.export) for source in sources)
        console.result(
            "exported", {"folder": str(args.export), "traces": roots, "objects": written}
        )
        return Exit.DONE

    def ready(url: str) -> None:
        console.result("serving", {"url": url, "traces": roots})

    serve(Mirrors(sources), args.host, args.port, ready=ready)
    console.tell("stopped by Ctrl-C")
    return Exit.INTERRUPTED
