"""What re-execution says of a canonical claim: it stands, or the first thing that is false."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from verifiable.canon import Canon
from verifiable.claim import CanonClaim
from verifiable.crypto.strict import to_hex
from verifiable.engines.protocol import Progress, Runner
from verifiable.errors import HostError, InputError
from verifiable.expectation import ExpectedBond
from verifiable.frontend.binding import bind
from verifiable.graph.check import output_types
from verifiable.graph.ir import Array
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

    wrong: Literal["output", "trace"]
    """The output that is claimed, or a tensor of the trace that the provider serves for it."""
    reason: str
    difference: Difference | None = None
    """The first tensor of the provider's trace that is wrong, if there is one."""

    def to_json(self) -> dict[str, Any]:
        """Fields for a program: the instruction, the element, and both values by their bits."""
        more = {} if self.difference is None else self.difference.to_json()
        return {"wrong": self.wrong, "reason": self.reason} | more


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

    0. The claim is of the machine's semantics.
    1. It is about this model and these inputs; else nothing is run, and nothing is said of it.
    2. With a trace: its bytes are those of its roots.
    3. With a trace of this claim: every tensor, computed again, has the root that the trace says.
    4. The outputs, computed again, have the root that the claim names.

    Only 3 and 4 refute: the same model on the same inputs gave something else. In 3 that is a
    tensor which the provider stands for once the trace is committed; the run ends there. A trace
    whose inputs or outputs are not the claim's is none of it, and is not held against it.

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
    HostError
        If step 0 fails: this version knows no machine of that name.
    InputError
        If step 1 fails: the material is not what the claim speaks of. Whoever expects a claim
        about it holds the claim against that first, as `verifiable.receipt` does. Also if the
        claim stands, but the trace is not of it.
    EncodingError
        If step 2 fails: the trace is damaged, and nobody is to blame for it yet.
    TensorError
        If the inputs do not fit the model.
    """
    graph = canon.graph
    check_semantics(claim)
    _same("bundle", "model", claim.subject.model, canon.model)
    _same("input", "input", claim.subject.input, input_root(graph, inputs))
    if trace is not None:
        trace.check()
        if not trace.is_of(claim.subject.input, claim.subject.output):
            return _without(trace, claim, output_root(graph, runner.run(inputs, progress=progress)))
        difference = replay(graph, trace, runner, inputs, progress=progress)
        if difference is None:
            # The trace is what the model gives, so its outputs are the true ones.
            return Upheld()
        return Refuted(wrong="trace", reason=difference.text(graph), difference=difference)
    return _outputs(claim, output_root(graph, runner.run(inputs, progress=progress)))


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
        wrong="output",
        reason=f"the outputs have root {to_hex(computed)}, claimed is "
        f"{to_hex(claim.subject.output)}",
    )


def _without(trace: StoredTrace, claim: CanonClaim, computed: Sha256) -> Verdict:
    """What is said of a claim when the trace that was given is not of it."""
    verdict = _outputs(claim, computed)
    if isinstance(verdict, Refuted):
        return verdict
    found = trace.trace.sections
    raise InputError(
        f"the claim stands, but the trace is not of it: it has input root {to_hex(found.input)} "
        f"and output root {to_hex(found.output)}",
        hint="leave out --trace, or name the trace of this claim",
    )


def check_semantics(claim: CanonClaim) -> None:
    """Check that a claim is of the machine that this version is.

    Raises
    ------
    HostError
        If it is of another one.
    """
    if claim.header.semantics != SEMANTICS:
        raise HostError(
            f"the claim is of semantics {claim.header.semantics}, this version runs {SEMANTICS}",
            hint="check it with a version that knows those semantics",
        )


def _same(given: str, what: str, claimed: Sha256, found: Sha256) -> None:
    if claimed != found:
        raise InputError(
            f"the {given} you gave has the {what} root {to_hex(found)}, the claim is about "
            f"{to_hex(claimed)}",
            hint=f"nothing was checked; replay the claim with the {given} that it is about",
        )
