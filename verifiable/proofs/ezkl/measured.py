"""A sweep over settings of one model, its errors measured against onnxruntime."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from verifiable.engines.ort import run_samples
from verifiable.frontend.export import signature_of
from verifiable.proofs.ezkl import tuner
from verifiable.proofs.ezkl.files import MODEL
from verifiable.proofs.protocol import Observer, Policy, Tensors


@contextmanager
def sweep_of(
    model: bytes, data: Tensors, policy: Policy, observer: Observer
) -> Iterator[tuner.Sweep]:
    """A sweep over `model` in a scratch folder.

    Parameters
    ----------
    model : bytes
        ONNX in normal form.
    data : mapping of str to float32 array ``[samples, *shape]``
    policy : Policy
    observer : Observer
    """
    outputs = run_samples(model, data)
    names = [output.name for output in signature_of(model).outputs]
    reference = [
        [np.asarray(outputs[name][i], np.float32) for name in names]
        for i in range(len(next(iter(outputs.values()))))
    ]
    with tempfile.TemporaryDirectory(prefix="verifiable-tune-") as folder:
        path = Path(folder) / MODEL
        path.write_bytes(model)
        yield tuner.Sweep(
            model=path,
            data=data,
            reference=reference,
            policy=policy,
            work=Path(folder),
            observer=observer,
        )
