"""A float Graph becomes an int8 Graph: calibrate on data, rewrite, report how faithful it is.

Values are symmetric: real = integer * 2**-exponent, one exponent for a tensor of activations, one
for each output channel of a weight. All are powers of two, so requantisation is a shift.

References
----------
Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018; Jain et al., "Trained Quantization Thresholds", MLSys 2020 (powers of two).
"""

from verifiable.frontend.quantize.fidelity import (
    Answers,
    Fidelity,
    OutputFidelity,
    TensorFidelity,
)
from verifiable.frontend.quantize.quantise import Quantised, quantise

__all__ = ["Answers", "Fidelity", "OutputFidelity", "Quantised", "TensorFidelity", "quantise"]
