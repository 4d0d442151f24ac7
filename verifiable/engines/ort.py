"""onnxruntime behind our errors: the float model's own answer, against which circuits are measured.

The engine that computes canonical Dots through it is in ``ort_engine``.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from verifiable.errors import MissingDependencyError, ModelError, TensorError

FATAL: Final = 4
"""Log level of onnxruntime that leaves stderr alone; errors are raised anyhow."""


class Session:
    """One model, loaded once, run on many inputs.

    Parameters
    ----------
    model : bytes
        ONNX file.
    threads : int
        Threads within and between operators. One keeps sums in one order and leaves the other
        cores to provers.
    optimise : bool
        Let onnxruntime fuse operators. Off, a model gives the same bits whole and in parts.

    Raises
    ------
    ModelError
        If onnxruntime cannot load the model.
    MissingDependencyError
        If onnxruntime is not installed.
    """

    def __init__(self, model: bytes, *, threads: int = 1, optimise: bool = False) -> None:
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError as error:
            raise MissingDependencyError(
                "float outputs need onnxruntime", hint="pip install onnxruntime"
            ) from error
        # One class for each status of onnxruntime, all derived from Exception alone.
        self._errors: tuple[type[Exception], ...] = (
            state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf,
            state.NotImplemented, state.RuntimeException, state.NoSuchFile, state.NoModel,
            state.EPFail, ValueError, RuntimeError,
        )  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = threads
        options.log_severity_level = FATAL
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
        )
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except self._errors as error:
            raise ModelError(f"onnxruntime cannot load the model: {_line(error)}") from error
        self.inputs: tuple[str, ...] = tuple(i.name for i in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(o.name for o in self._session.get_outputs())

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Compute every output for one input.

        Raises
        ------
        TensorError
            If the inputs do not fit the model.
        """
        try:
            values = self._session.run(list(self.outputs), dict(inputs))
        except self._errors as error:
            raise TensorError(f"onnxruntime cannot run the model: {_line(error)}") from error
        return {name: np.asarray(v) for name, v in zip(self.outputs, values, strict=True)}


def run(
    model: bytes, inputs: Mapping[str, NDArray[np.float32]], *, threads: int = 1
) -> dict[str, NDArray[Any]]:
    """Compute every output of `model` for one input; see `Session`."""
    return Session(model, threads=threads).run(inputs)


def run_samples(
    model: bytes, samples: Mapping[str, NDArray[np.float32]], *, threads: int = 1
) -> dict[str, NDArray[Any]]:
    """Compute every output for each sample of a set.

    Parameters
    ----------
    model : bytes
    samples : mapping of str to float32 array ``[samples, *shape]``
    threads : int

    Returns
    -------
    dict of str to array ``[samples, *shape]``

    Raises
    ------
    ModelError, TensorError
        As `Session`; TensorError also for an empty set.
    """
    session = Session(model, threads=threads)
    count = min((len(value) for value in samples.values()), default=0)
    if not count:
        raise TensorError("a set of samples is empty")
    rows = [session.run({n: v[i] for n, v in samples.items()}) for i in range(count)]
    return {name: np.stack([row[name] for row in rows]) for name in session.outputs}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
