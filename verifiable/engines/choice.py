"""Which engine a user gets: the one asked for, or the fastest that this machine has."""

from collections.abc import Callable

from verifiable.engines.protocol import Engine
from verifiable.errors import InputError, MissingDependencyError


def choose(
    device: str | None, tell: Callable[[str], None], *, threads: int | None = None
) -> Engine:
    """Make an engine.

    Parameters
    ----------
    device : str, optional
        ``cpu``, ``cuda:N``, ``reference``, or ``ort``: onnxruntime where it equals the definition,
        the cpu engine elsewhere. None: the cpu engine, or where it was not built the reference,
        which gives the same bits, slowly, and says so.
    tell : callable
        Is told what the user should know.
    threads : int, optional
        Of the cpu engine; as many as there are cores if None.

    Raises
    ------
    InputError
        If there is no such device.
    MissingDependencyError
        If the engine asked for is not to be had here.
    """
    from verifiable.engines.reference import Reference

    if device == "reference":
        return Reference()
    if device is None or device == "cpu":
        from verifiable.engines.cpu import Cpu

        try:
            return Cpu(threads=threads)
        except MissingDependencyError as e:
            if device is not None:
                raise
            tell(f"warning: {e}; the reference engine runs instead, slowly")
            return Reference()
    if device == "ort":
        from verifiable.engines.ort_engine import Ort

        return Ort(choose(None, tell, threads=threads))
    kind, _, number = device.partition(":")
    if kind == "cuda" and number.isdecimal():
        from verifiable.engines.gpu import Gpu

        return Gpu(device=int(number))
    raise InputError(f"there is no device `{device}`", hint="cpu, cuda:0, ort or reference")
