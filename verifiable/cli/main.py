"""Entry point: parse, call one verb, turn errors into an exit status."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from verifiable.cli import common
from verifiable.cli.exits import Exit, status_of
from verifiable.cli.output import Console
from verifiable.errors import InputError, OutOfMemoryError, StorageError, VerifiableError
from verifiable.storage import reason_of

VERBS = {
    "plan": "say what a venue would cost for a model, before anything is built",
    "compile": "make a bundle: canonical graph, circuits, keys and a LOCK",
    "run": "run a bundle's model, bit for bit, and write the claim that it makes",
    "prove": "prove one run of a bundle's model and sign a receipt",
    "verify": "check a receipt against what you expect, offline or with the chain",
    "replay": "run a claim, or play a dispute, again: it stands, or what is wrong",
    "serve": "give out stored traces by digest, for whoever disputes",
    "post": "run a job's model and bond the claim that it gave this output",
    "watch": "run the claims at a referee again, and challenge what is false",
    "challenge": "dispute one claim to its end, if it is false",
    "defend": "follow your own claims until they are paid",
    "inspect": "say what a file is and what it claims; nothing is verified",
    "contract": "emit, deploy or query contracts; open jobs",
    "demo": "prove a real image, verify it three ways, and see forgeries refused",
    "doctor": "say what this machine can make and check",
}

_EPILOGUE = """exit status:
  0 done, or upheld      1 crash, never on purpose   2 bad input
  3 refuted              4 cannot check here         5 chain or network failed"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Make a wrong command line an error like every other."""
        raise InputError(message, hint=f"see `{self.prog} --help`")


def parser(verb: str | None) -> argparse.ArgumentParser:
    """Build the parser; only the chosen verb's module is loaded, which keeps the start fast."""
    root = _Parser(
        prog="verifiable",
        description="Check what somebody else's machine says a model answered.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action=_Version, nargs=0, help="print the version")
    common.add_output_arguments(root, default=False)
    # Accepted on either side of the verb; a second default would undo the first.
    shared = _Parser(add_help=False, allow_abbrev=False)
    common.add_output_arguments(shared, default=argparse.SUPPRESS)
    verbs = root.add_subparsers(required=True, metavar="verb", dest="verb")
    for name, summary in VERBS.items():
        sub = verbs.add_parser(
            name, help=summary, description=summary, parents=[shared], allow_abbrev=False
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` and return the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    verb = next((word for word in words if word in VERBS), None)
    console = Console(as_json="--json" in words)
    try:
        args = parser(verb).parse_args(words)
        console = Console(
            as_json=args.json,
            quiet=args.quiet,
            verbose=args.verbose,
            progress=not args.no_progress,
        )
        status = int(args.run(args, console))
        sys.stdout.flush()
    except VerifiableError as e:
        return _failed(console, e)
    except MemoryError as e:
        # The one place: lowering, engines and provers all run below here.
        said = f" ({e})" if str(e) else ""
        return _failed(
            console,
            OutOfMemoryError(
                f"`{verb}` needed more memory than this machine gives{said}",
                hint="use a machine with more, or a smaller model or batch",
            ),
        )
    except BrokenPipeError:
        # Whoever read us has seen enough; Python must not complain of it again at exit.
        _forget_stdout()
        return Exit.DONE
    except OSError as e:
        reason = reason_of(e)
        if reason is None:
            raise
        _forget_stdout()
        return _failed(console, StorageError(f"`{e.filename or 'standard output'}`: {reason}"))
    except KeyboardInterrupt:
        console.error("interrupted", Exit.INTERRUPTED, "stopped by Ctrl-C", None)
        return Exit.INTERRUPTED
    return status


def _failed(console: Console, error: VerifiableError) -> int:
    status, word = status_of(error)
    console.error(word, status, str(error), error.hint)
    return status


def _forget_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
