"""Options and steps that several verbs share."""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifiable.cli.output import Console
from verifiable.errors import EncodingError, InputError
from verifiable.storage import check_new, write_file

if TYPE_CHECKING:
    from verifiable.crypto.signatures import SigningKey
    from verifiable.engines.protocol import Engine, Progress, RegionDone
    from verifiable.frontend.lower import Lowered
    from verifiable.graph.ir import Graph
    from verifiable.proofs.divide import Cuts
    from verifiable.proofs.protocol import Limits, Observer, Policy, Tensors

_MOST_GIB = 1 << 20
_MOST_SECONDS = 30 * 86_400
_MOST_DIGITS = 18

DEFAULT_ERROR_SHARE = 0.01
"""Share of the largest float output on the calibration data that the error may reach."""


def add_output_arguments(parser: argparse.ArgumentParser, default: object) -> None:
    """Declare how results and progress are shown."""
    for names, text in (
        (("--json",), "print the result as one JSON object"),
        (("-q", "--quiet"), "print nothing but the result"),
        (("-v", "--verbose"), "print every progress event"),
        (("--no-progress",), "draw no progress line"),
    ):
        parser.add_argument(*names, action="store_true", default=default, help=text)


def add_model_arguments(parser: argparse.ArgumentParser, *, data_optional: bool = False) -> None:
    """Declare what `plan` and `compile` read and obey."""
    parser.add_argument("model", type=Path, help="ONNX file")
    parser.add_argument(
        "data",
        type=Path,
        nargs="?" if data_optional else None,
        help="calibration data: .npz, .npy or JSON",
    )
    parser.add_argument(
        "--dim", action="append", default=[], metavar="NAME=SIZE", help="size of a dynamic axis"
    )
    parser.add_argument(
        "--error",
        type=float,
        help="largest error of an output (1%% of the largest output)",
    )
    parser.add_argument(
        "--input",
        choices=("public", "private", "hashed", "committed"),
        help="who sees the input (default: public up to 32 elements, hashed above)",
    )
    parser.add_argument("--weights", choices=("fixed", "hashed", "committed"), default="fixed")
    parser.add_argument("--output", choices=("public", "hashed"), default="public")
    parser.add_argument("--gas", type=int, help="most gas a verification may cost")
    parser.add_argument("--deadline", type=float, default=3600, help="seconds a proof may take")
    parser.add_argument(
        "--parts",
        type=_parts,
        default=1,
        metavar="N",
        help="prove the model in this many parts; `auto`: as --memory demands",
    )
    parser.add_argument(
        "--cut", action="append", default=[], metavar="TENSOR", help="cut the model at this tensor"
    )
    parser.add_argument(
        "--settings", type=Path, help="settings printed by `plan --json`; nothing is swept then"
    )
    add_limit_arguments(parser)


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where arithmetic happens; the bits are the same everywhere."""
    parser.add_argument("--device", help="cpu, cuda:0, ort or reference (cpu)")
    parser.add_argument("--threads", type=int, help="threads of the cpu engine (all cores)")


def add_limit_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a child process may use."""
    parser.add_argument(
        "--memory", type=float, default=16, metavar="GIB", help="memory a stage may use (16)"
    )
    parser.add_argument(
        "--timeout", type=float, default=3600, metavar="SECONDS", help="time a stage may take"
    )


def limits_of(args: argparse.Namespace) -> "Limits":
    """Limits from `add_limit_arguments`."""
    from verifiable.proofs.protocol import Limits

    if not 0 < args.memory <= _MOST_GIB:
        raise InputError(f"--memory must be positive and at most {_MOST_GIB}, got {args.memory:g}")
    if not 0 < args.timeout <= _MOST_SECONDS:
        raise InputError(
            f"--timeout must be positive and at most {_MOST_SECONDS}, got {args.timeout:g}"
        )
    return Limits(memory=int(args.memory * 2**30), seconds=args.timeout)


def observer_of(console: Console) -> "Observer":
    """An observer that shows progress on `console`."""
    return lambda event: console.event(event.stage, event.message, event.seconds)


def read_model(args: argparse.Namespace) -> tuple[bytes, "Tensors"]:
    """The model in normal form, and calibration data bound to its inputs."""
    from verifiable.frontend.export import load_model, signature_of
    from verifiable.frontend.inputs import bind_samples, read_arrays

    model = load_model(args.model, dims=dims_of(args.dim))
    return model, bind_samples(read_arrays(args.data), signature_of(model))


def lowered(path: Path, sizes: Mapping[str, int]) -> "Lowered":
    """The model as a canonical graph, or what was refused of it."""
    from verifiable.frontend.files import parse_model
    from verifiable.frontend.lower import lower_model

    return lower_model(parse_model(read_bytes(path), folder=path.parent), sizes=sizes)


def graph_facts(graph: "Graph") -> dict[str, Any]:
    """What a person is told of a canonical graph, with the bytes that `run --trace` would keep."""
    from verifiable.graph.json_form import describe
    from verifiable.trace.store import estimate

    return describe(graph) | {"trace_bytes": estimate(graph)}


def expiry_of(args: argparse.Namespace) -> int:
    """When a claim made now ends to hold, by ``--valid``."""
    if args.valid < 1:
        raise InputError(
            f"--valid must be 1 or more, got {args.valid}",
            hint="a claim that has expired already convinces nobody",
        )
    return int(time.time()) + int(args.valid)


def engine_of(args: argparse.Namespace, console: Console) -> "Engine":
    """The engine that `add_engine_arguments` describe."""
    from verifiable.engines.choice import choose

    if args.threads is not None and args.threads < 1:
        raise InputError(f"--threads must be 1 or more, got {args.threads}")
    return choose(args.device, console.tell, threads=args.threads)


def regions_of(console: Console) -> "Progress":
    """Progress of a run that shows on `console`."""
    started = time.monotonic()

    def show(event: "RegionDone", /) -> None:
        done = f"{event.label} ({event.number + 1} of {event.of})"
        console.event("run", done, time.monotonic() - started)

    return show


def policy_of(args: argparse.Namespace, model: bytes, data: "Tensors") -> "Policy":
    """The policy that the options describe."""
    import numpy as np

    from verifiable.engines.ort import run_samples
    from verifiable.proofs.compile import default_visibility
    from verifiable.proofs.protocol import Policy, Visibility

    error = args.error
    if error is None:
        outputs = run_samples(model, data)
        error = DEFAULT_ERROR_SHARE * max(float(np.max(np.abs(out))) for out in outputs.values())
    if not error > 0:
        raise InputError(f"--error must be positive, got {error:g}")
    if not args.deadline > 0:
        raise InputError(f"--deadline must be positive, got {args.deadline:g}")
    return Policy(
        error=error,
        visibility=Visibility(
            input=args.input or default_visibility(model).input,
            weights=args.weights,
            output=args.output,
        ),
        limits=limits_of(args),
        deadline=args.deadline,
        gas=args.gas,
        levers=None if args.settings is None else _levers(args.settings),
    )


def cuts_of(
    args: argparse.Namespace, model: bytes, data: "Tensors", policy: "Policy", console: Console
) -> "Cuts":
    """Where to cut the model."""
    from verifiable.proofs.divide import Cuts, find_cuts

    if args.cut and args.parts != 1:
        raise InputError("--cut and --parts exclude each other")
    if args.parts is not None and args.parts < 1:
        raise InputError(f"--parts must be 1 or more, got {args.parts}")
    if args.cut:
        return Cuts(at=tuple(args.cut))
    return find_cuts(model, data, policy, args.parts, observer_of(console))


def _parts(text: str) -> int | None:
    """Number of parts; None for ``auto``."""
    return None if text == "auto" else int(text)


def read_bytes(path: Path) -> bytes:
    """Content of a file named on the command line."""
    try:
        return path.read_bytes()
    except OSError as e:
        raise InputError(f"cannot read `{path}`: {e.strerror}", hint=_instead_of(path)) from e


def _instead_of(path: Path) -> str:
    """What to name in place of a file that cannot be read."""
    folder = path if path.is_dir() else path.parent
    try:
        names = sorted(os.listdir(folder))
    except OSError as e:
        return f"cannot list `{folder}` either: {e.strerror}"
    if path.is_dir():
        inside = f", such as {names[0]}" if names else ""
        return f"that is a folder: name a file in it{inside}"
    near = get_close_matches(path.name, names)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {len(names)} other files"


def bytes32(text: str, what: str) -> bytes:
    """Read 32 bytes from 0x-hex.

    >>> bytes32("0x" + "00" * 32, "nonce") == bytes(32)
    True
    """
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError as e:
        raise InputError(f"{what} `{text}` is not hexadecimal") from e
    if len(raw) != 32 or len(digits) != 64:
        raise InputError(f"{what} `{text}` has {len(raw)} bytes, wanted 32")
    return raw


def write_result_file(path: Path, data: bytes) -> None:
    """Write a file the user asked for, without overwriting one."""
    check_new(path)
    write_file(path, data)


def signing_key(keystore: Path | None) -> "SigningKey":
    """The key of an encrypted keystore, or of the environment; never of the command line."""
    import getpass

    from verifiable.crypto.keystore import load_key

    def ask() -> str:
        return getpass.getpass("keystore password: ", stream=sys.stderr)

    return load_key(keystore, os.environ, prompt=ask if sys.stdin.isatty() else None)


def dims_of(words: list[str]) -> dict[str, int]:
    """Sizes of dynamic axes from ``NAME=SIZE`` words."""
    dims: dict[str, int] = {}
    for word in words:
        name, _, size = word.rpartition("=")
        if not name or not size.isdecimal() or len(size) > _MOST_DIGITS or int(size) == 0:
            raise InputError(
                f"--dim `{word}` is not of the form NAME=SIZE",
                hint="such as --dim batch=1, or --dim image:0=1 for axis 0 of input `image`",
            )
        if name in dims:
            raise InputError(
                f"--dim gives `{name}` twice: {dims[name]} and {size}", hint="give it once"
            )
        dims[name] = int(size)
    return dims


def _levers(path: Path) -> dict[str, int]:
    from verifiable.crypto.hashing import parse_json

    try:
        value: Any = parse_json(read_bytes(path), what=str(path))
        settings = value["parts"][0]["settings"] if "parts" in value else value
        return {str(name): int(number) for name, number in settings.items()}
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError) as e:
        raise EncodingError(f"`{path}` holds no settings: {e!r}") from e
