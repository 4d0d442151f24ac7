"""What ``compile --int8`` says about how near the int8 graph is to the float one."""

from math import floor, isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifiable.frontend.quantize import Fidelity, OutputFidelity, Quantised


def lines(made: "Quantised") -> list[str]:
    """For a person: on what it was measured, and what came out for each output."""
    report = made.fidelity
    said = [f"{made.dots} integer Dots, measured on {report.samples} samples{_seen(report)}"]
    said += [f"output `{output.name}`: {_output(output)}" for output in report.outputs]
    if made.zero:
        said.append(
            f"warning: 0 on all the calibration data, so their scale is a guess: "
            f"{', '.join(made.zero)}"
        )
    return said


def facts(made: "Quantised") -> dict[str, Any]:
    """The same as JSON; null where there is no figure."""
    report = made.fidelity
    return {
        "samples": report.samples,
        "samples_seen_by_calibration": report.seen,
        "agreement": report.agreement,
        "largest_error": report.largest_error,
        "outputs": [
            {
                "name": output.name,
                "agreement": output.agreement,
                "agreement_of": output.answers.value,
                "same": output.same,
                "compared": output.compared,
                "largest_error": output.largest_error,
                "largest": output.largest,
                "not_finite": output.not_finite,
            }
            for output in report.outputs
        ],
        "tensors": [
            {
                "tensor": tensor.tensor,
                "operator": tensor.label,
                "exponent": tensor.exponent,
                "signal_to_noise": _finite(tensor.signal_to_noise, 1),
                "largest_error": _finite(tensor.largest_error),
            }
            for tensor in report.tensors
        ],
        "zero_on_calibration": list(made.zero),
    }


def _seen(report: "Fidelity") -> str:
    if not report.seen:
        return " that calibration did not see"
    which = "they were" if report.seen == report.samples else f"{report.seen} of them were"
    return f"; {which} calibrated on too, so fresh data may do worse"


def _output(output: "OutputFidelity") -> str:
    from verifiable.frontend.quantize import Answers

    said = []
    if output.agreement is not None:
        # Rounded down: 100% is said of what agrees throughout.
        share = floor(1000 * output.agreement) / 10
        what = "equal" if output.answers is Answers.ELEMENTS else "with the same largest element"
        said.append(
            f"{output.same} of {output.compared} {output.answers.value} {what} ({share:.1f}%)"
        )
    if output.largest_error is not None:
        said.append(f"largest error {output.largest_error:.3g} of {output.largest:.3g}")
    if output.not_finite:
        said.append(f"{output.not_finite} elements are infinite or NaN in one graph alone")
    return "; ".join(said) or "nothing to compare"


def _finite(number: float, digits: int | None = None) -> float | None:
    if not isfinite(number):
        return None
    return number if digits is None else round(number, digits)
