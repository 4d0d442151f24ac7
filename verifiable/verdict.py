"""What re-execution says of a canonical claim: it stands, or the first thing that is false."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from verifiable.canon import Canon
from verifiable.claim import CanonClaim
from verifiable.crypto.strict import to_hex
from verifiable.engines.protocol import Progress, Runner
from verifiable.errors import InputError, StatementRejectedError
from verifiable.expectation import ExpectedBond
from verifiable.frontend.binding import bind
from verifiable.graph.check import output_types
from verifiable.graph.ir import Array
from verifiable.graph.json_form import literal_text
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.trace.commit import input_root, output_root
from verifiable.trace.compare import Difference, replay
from verifiable.trace.store import StoredTrace
from verifiable.types import Sha256


@dataclass(frozen=True, slots=True)
class Upheld:
    """Everything that was claimed was computed again, bit for bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuted:
    """The claim is false."""

    reason: str
    difference: Difference | None = None
    """The first tensor of the provider's trace that is wrong, if there is one."""

    def to_json(self) -> dict[str, Any]:
        """Fields for a program: the instruction, the element, and both values by their bits."""
        found: dict[str, Any] = {"reason": self.reason}
        d = self.difference
        if d is not None:
            found |= {"instruction": int(d.instruction), "element": d.element}
            found |= {"position": list(d.position)}
            if d.claimed is not None and d.computed is not None:
                found |= {"claimed": literal_text(d.claimed), "computed": literal_text(d.computed)}
        return found


Verdict = Upheld | Refuted


def adjudicate(
    claim: CanonClaim,
    canon: Canon,
    runner: Runner,
    inputs: Mapping[str, Array],
    *,
    trace: StoredTrace | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Run a claim again.

    0. The claim is of the machine's semantics and of this model.
    1. It is about these inputs.
    2. The outputs have the root that it names.
    3. With a trace: its outputs are the claim's, and every tensor has the root that it says.

    Parameters
    ----------
    claim : CanonClaim
    canon : Canon
        The model, from a source that the caller trusts.
    runner : Runner
        That model on any engine.
    inputs : mapping of str to array
        The job's, from a source that the caller trusts.
    trace : StoredTrace, optional
        What the provider served; tells where it is wrong.
    progress : Progress, optional

    Raises
    ------
    StatementRejectedError
        If step 0 or 1 fails: the claim is about something else, and says nothing of this job.
    TensorError
        If the inputs do not fit the model.
    """
    graph = canon.graph
    _same("semantics", claim.header.semantics, SEMANTICS)
    _same("model root", to_hex(claim.subject.model), to_hex(canon.model))
    _same("input root", to_hex(claim.subject.input), to_hex(input_root(graph, inputs)))
    if trace is not None:
        difference = replay(graph, trace, runner, inputs, progress=progress)
        if difference is not None:
            return Refuted(reason=difference.text(graph), difference=difference)
        # The trace is what the model gives, so its outputs are the true ones.
        return _outputs(claim, trace.trace.sections.output)
    outputs = runner.run(inputs, progress=progress)
    return _outputs(claim, output_root(graph, outputs))


def with_tensors(
    expected: ExpectedBond,
    canon: Canon,
    *,
    inputs: Mapping[str, Array] | None = None,
    outputs: Mapping[str, Array] | None = None,
) -> ExpectedBond:
    """What a caller expects who has the model, and perhaps the tensors themselves.

    Parameters
    ----------
    expected : ExpectedBond
    canon : Canon
        The caller's own.
    inputs : mapping of str to array, optional
        As `verifiable.canon.bind_inputs` gives them.
    outputs : mapping of str to array, optional
        By name; ``frontend.binding.bind`` says which it takes.

    Returns
    -------
    ExpectedBond
        `expected` with the roots of these tensors.

    Raises
    ------
    InputError
        If the caller contradicts himself: a root in `expected` is another. No receipt is to blame.
    TensorError
        If the outputs are not of the model's names and types.
    """
    if expected.semantics != SEMANTICS:
        raise InputError(f"you expect semantics {expected.semantics}, the model is of {SEMANTICS}")
    source, output = expected.input, expected.output
    if inputs is not None:
        source = _agreed("input", source, input_root(canon.graph, inputs))
    if outputs is not None:
        given = bind(outputs, output_types(canon.graph), what="output")
        output = _agreed("output", output, output_root(canon.graph, given))
    model = _agreed("model", expected.model, canon.model)
    return replace(expected, model=model, input=source, output=output)


def _agreed(name: str, stated: Sha256 | None, root: Sha256) -> Sha256:
    if stated is not None and stated != root:
        raise InputError(
            f"the {name} you gave has root {to_hex(root)}, you expect {to_hex(stated)}"
        )
    return root


def _outputs(claim: CanonClaim, computed: bytes) -> Verdict:
    if claim.subject.output == computed:
        return Upheld()
    return Refuted(
        reason=f"the outputs have root {to_hex(computed)}, claimed is "
        f"{to_hex(claim.subject.output)}"
    )


def _same(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise StatementRejectedError(f"{what} is {got}, wanted {wanted}")
