"""The child process that runs ezkl: ``python -m verifiable.proofs.ezkl.worker``.

One request comes in on stdin as JSON, events and one result go out on the descriptor named by
the request as JSON lines. ezkl holds the GIL, ignores Ctrl-C, panics as ``BaseException``, keeps
an unauthenticated cache and can be killed by the kernel without a word; here that harms nobody.
``verifiable.proofs.ezkl.process`` is the parent and gives each of these endings a name.
"""

import ctypes
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TextIO

PR_SET_PDEATHSIG = 1


class _EventHandler(logging.Handler):
    """Forwards ezkl's log (loggers ``ezkl.*``, ``halo2_proofs.*``) as progress events."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(logging.INFO)
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line of the log as one event."""
        if record.name.startswith(("ezkl", "halo2_proofs")):
            json.dump({"event": record.getMessage()}, self._out)
            self._out.write("\n")
            self._out.flush()


def _peak_memory() -> int:
    """Most bytes this program had resident; ``ru_maxrss`` would count the parent before exec."""
    with open("/proc/self/status", encoding="utf-8") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _await(call: Callable[[], object]) -> None:
    """Run `call`, which some ezkl releases make a coroutine and some do not."""
    import asyncio

    async def run() -> None:
        value = call()
        if isinstance(value, Awaitable):
            await value

    asyncio.run(run())


def _run_args(ezkl: Any, candidate: Mapping[str, Any]) -> Any:
    args = ezkl.PyRunArgs()
    for name, value in candidate.items():
        setattr(args, name, value)
    return args


def _fix_settings(
    ezkl: Any,
    model: str,
    calibration: str,
    path: str,
    candidate: Mapping[str, Any],
) -> dict[str, Any]:
    """Settings of `candidate`, calibrated and made canonical, written to `path`."""
    from verifiable.proofs.ezkl.settings import canonical_bytes

    ezkl.gen_settings(model=model, output=path, py_run_args=_run_args(ezkl, candidate))
    _await(
        lambda: ezkl.calibrate_settings(
            data=calibration,
            model=model,
            settings=path,
            target="resources",
            lookup_safety_margin=2,
            scales=[candidate["input_scale"]],
            scale_rebase_multiplier=[candidate["scale_rebase_multiplier"]],
            max_logrows=None,
        )
    )
    with open(path, encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
    raw = canonical_bytes(settings)
    with open(path, "wb") as out:
        out.write(raw)
    fixed: dict[str, Any] = json.loads(raw)
    return fixed


def _probe(ezkl: Any, args: Mapping[str, Any], say: Callable[[object], None]) -> object:
    """Settings, and outputs where samples are given, of each candidate; a failure is a finding."""
    work = args["work"]
    path, compiled, witness = f"{work}/settings.json", f"{work}/circuit", f"{work}/witness.json"
    for index, candidate in enumerate(args["candidates"]):
        found: dict[str, Any] = {"probe": index}
        try:
            found["settings"] = _fix_settings(
                ezkl, args["model"], args["calibration"], path, candidate
            )
            if args["samples"]:
                ezkl.compile_circuit(
                    model=args["model"], compiled_circuit=compiled, settings_path=path
                )
            outputs = []
            for sample in args["samples"]:
                ezkl.gen_witness(data=sample, model=compiled, output=witness)
                with open(witness, encoding="utf-8") as file:
                    outputs.append(json.load(file)["outputs"])
            found["outputs"] = outputs
        except RuntimeError as e:
            found = {"probe": index, "failed": str(e)}
        say(found)
    return len(args["candidates"])


def _settings(ezkl: Any, args: Mapping[str, Any]) -> object:
    return _fix_settings(
        ezkl, args["model"], args["calibration"], args["settings"], args["candidate"]
    )


def _default_settings(ezkl: Any, args: Mapping[str, Any]) -> object:
    """What ezkl chooses by itself: the peer that ``scripts/bench.py`` measures against."""
    from verifiable.proofs.ezkl.settings import canonical_bytes

    path = args["settings"]
    run_args = _run_args(ezkl, args["visibility"])
    ezkl.gen_settings(model=args["model"], output=path, py_run_args=run_args)
    _await(
        lambda: ezkl.calibrate_settings(
            data=args["calibration"], model=args["model"], settings=path, target="resources"
        )
    )
    with open(path, encoding="utf-8") as file:
        raw = canonical_bytes(json.load(file))
    with open(path, "wb") as out:
        out.write(raw)
    return json.loads(raw)


def _emit(ezkl: Any, args: Mapping[str, Any]) -> object:
    """Write the verifier's source, and for the reusable form its key material.

    ezkl writes the source and then looks for a compiler of its own, which we neither have nor
    want; so its failure at that point is none of ours, while a missing file is.
    """
    for reusable, name in ((False, "plain"), (True, "reusable")):
        source = args[name]
        try:
            _await(
                lambda reusable=reusable, source=source: ezkl.create_evm_verifier(  # type: ignore[misc]
                    vk_path=args["vk"],
                    settings_path=args["settings"],
                    sol_code_path=source,
                    abi_path=args["scratch"],
                    srs_path=args["srs"],
                    reusable=reusable,
                )
            )
        except RuntimeError:
            if not os.path.exists(source):
                raise
    _await(
        lambda: ezkl.create_evm_vka(
            vk_path=args["vk"],
            settings_path=args["settings"],
            vka_path=args["vka"],
            srs_path=args["srs"],
        )
    )
    return True


def _call(ezkl: Any, stage: str, args: Mapping[str, Any], say: Callable[[object], None]) -> object:
    match stage:
        case "probe":
            return _probe(ezkl, args, say)
        case "settings":
            return _settings(ezkl, args)
        case "default-settings":
            return _default_settings(ezkl, args)
        case "emit":
            return _emit(ezkl, args)
        case "srs":
            return ezkl.gen_srs(args["srs_path"], args["logrows"])
        case "compile":
            return ezkl.compile_circuit(**args)
        case "setup":
            return ezkl.setup(**args)
        case "witness":
            ezkl.gen_witness(**args)
            return True
        case "mock":
            return ezkl.mock(**args)
        case "prove":
            ezkl.prove(**args)
            return True
        case "verify":
            return ezkl.verify(**args)
        case _:
            raise ValueError(f"no stage {stage!r}")


def main() -> None:
    """Serve one request."""
    request = json.load(sys.stdin)
    with os.fdopen(request["reply"], "w", encoding="utf-8") as out:

        def say(message: object) -> None:
            out.write(json.dumps(message) + "\n")
            out.flush()

        # A killed parent must not leave a prover behind that eats the machine.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != request["parent"]:
            return  # it died before that was in force
        logging.basicConfig(level=logging.INFO, handlers=[_EventHandler(out)])
        try:
            import ezkl
        except ImportError:
            say({"missing": "ezkl"})
            return
        if request["memory"]:
            # RLIMIT_DATA counts what is really private memory; address space would count maps.
            # It comes after the import, which for want of memory would look like a missing ezkl.
            resource.setrlimit(resource.RLIMIT_DATA, (request["memory"], request["memory"]))
        before = resource.getrusage(resource.RUSAGE_SELF)
        try:
            result = _call(ezkl, request["stage"], request["args"], say)
        except RuntimeError as e:
            say({"failed": str(e)})
            return
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        usage = {"peak_memory": _peak_memory(), "cpu_seconds": cpu}
        say({"result": result, "usage": usage})


if __name__ == "__main__":
    main()
    # ezkl's runtime now and then crashes while Python tears it down, long after its work is done.
    sys.stderr.flush()
    os._exit(0)
    # One exit in fifteen, ezkl's threads crash an interpreter that shuts down in order; everything
    # has been said and flushed by now.
    os._exit(0)
