"""Entry point: parse, call one verb, turn errors into an exit status."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from verifiable.cli.exits import Exit, status_of
from verifiable.cli.output import Console
from verifiable.errors import VerifiableError

VERBS = {
    "plan": "predict what proving a model would cost, before anything is built",
    "compile": "make a bundle: circuits, keys and a LOCK",
    "prove": "prove one run of a bundle's model and sign a receipt",
    "verify": "check a receipt offline against what you expect",
    "inspect": "say what a file is and what it claims; nothing is verified",
    "contract": "emit, deploy or query verifier contracts",
    "demo": "prove a real image, verify it three ways, and see forgeries refused",
    "doctor": "say what this machine can make and check",
}

_EPILOGUE = """exit status:
  0 done, or upheld      1 crash, never on purpose   2 bad input
  3 refuted              4 cannot check here         5 chain or network failed"""


def parser(verb: str | None) -> argparse.ArgumentParser:
    """Build the parser; only the chosen verb's module is loaded, which keeps the start fast."""
    root = argparse.ArgumentParser(
        prog="verifiable",
        description="Check what somebody else's machine says a model answered.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action=_Version, nargs=0, help="print the version")
    _add_common(root, default=False)
    # Accepted on either side of the verb; a second default would undo the first.
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_common(common, default=argparse.SUPPRESS)
    verbs = root.add_subparsers(required=True, metavar="verb", dest="verb")
    for name, summary in VERBS.items():
        sub = verbs.add_parser(
            name, help=summary, description=summary, parents=[common], allow_abbrev=False
        )
        if name == verb:
            module = importlib.import_module(f"verifiable.cli.{name}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return root


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import verifiable

        print(f"verifiable {verifiable.__version__}")
        parser.exit()


def _add_common(parser: argparse.ArgumentParser, default: object) -> None:
    for names, text in (
        (("--json",), "print the result as one JSON object"),
        (("-q", "--quiet"), "print nothing but the result"),
        (("-v", "--verbose"), "print every progress event"),
        (("--no-progress",), "draw no progress line"),
    ):
        parser.add_argument(*names, action="store_true", default=default, help=text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` and return the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    verb = next((word for word in words if word in VERBS), None)
    args = parser(verb).parse_args(words)
    console = Console(
        as_json=args.json,
        quiet=args.quiet,
        verbose=args.verbose,
        progress=not args.no_progress,
    )
    try:
        return int(args.run(args, console))
    except VerifiableError as e:
        status, word = status_of(e)
        console.error(word, status, str(e), e.hint)
        return status
    except BrokenPipeError:
        # Whoever read us has seen enough; Python must not complain of it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        console.error("interrupted", Exit.INTERRUPTED, "stopped by Ctrl-C", None)
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
