"""``verifiable post``: run a job's model and bond the claim that it gave this output."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from verifiable.cli import common
from verifiable.cli.court import Court, add_court_arguments, court_of
from verifiable.cli.exits import Exit
from verifiable.cli.following import Docket, take_turn
from verifiable.cli.library import Model, OwnRun, stored_for
from verifiable.cli.output import Console
from verifiable.errors import InputError

if TYPE_CHECKING:
    from verifiable.chain.referee import Posted
    from verifiable.claim import CanonClaim
    from verifiable.dispute.answers import Run
    from verifiable.dispute.terms import Job
    from verifiable.types import Bytes32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument("bundle", type=Path, help="bundle of the job's model")
    parser.add_argument("input", type=Path, help="input tensors of the job")
    parser.add_argument("--job", type=Path, required=True, metavar="FILE", help="job to answer")
    add_court_arguments(parser)
    parser.add_argument(
        "--claim", type=Path, metavar="FILE", help="post this claim, made by `run`; nothing is run"
    )
    parser.add_argument(
        "--eager", action="store_true", help="commit the trace too, before anyone asks for it"
    )
    parser.add_argument(
        "--trace", type=Path, metavar="DIR",
        help="trace of the run: read with --claim, else kept there",
    )  # fmt: skip
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="also write the claim")
    parser.add_argument(
        "--receipt", type=Path, metavar="FILE", help="also write a signed receipt of the bond"
    )
    common.add_engine_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Post a claim once.

    0. Bundle and input are the job's, and the job may be answered by this account, here and now.
    1. The claim is what the model gave, or what `--claim` says; it is about the job.
    2. The vault holds the bond.
    3. The claim stands at the referee. If it stood there before, nothing is sent.
    """
    from verifiable.claim import claim_id, encode_claim
    from verifiable.dispute.files import parse_job
    from verifiable.storage import check_new

    kept = None if args.claim else args.trace
    for path in filter(None, (args.out, args.receipt, kept)):
        check_new(path)
    job = parse_job(common.read_bytes(args.job))
    court = court_of(args, acts=True)
    docket = Docket(court.referee, args.since)
    docket.read()
    _check_job(court, docket, job)
    model, own = _material(args, console, job)
    claim, trace = _claim(args, court, job, model, own)
    posted = _answer(docket, court, job)
    if posted is None:
        posted = _post(args, console, court, docket, claim, job, model, trace)
    elif posted.claim_id != claim_id(claim):
        raise InputError(
            f"you answered the job with the claim 0x{posted.claim_id.hex()} already",
            hint="a job has one answer; `verifiable defend` it",
        )
    else:
        console.tell("the claim was posted before")
    if args.out is not None:
        common.write_result_file(args.out, encode_claim(claim))
    if args.receipt is not None:
        common.write_result_file(args.receipt, _receipt(court, posted, claim))
    subject = claim.subject
    console.result(
        "posted",
        {
            "claim": "0x" + posted.claim_id.hex(),
            "job": "0x" + posted.job_id.hex(),
            "referee": court.referee.address,
            "block": posted.block,
            "window_end": posted.window_end,
            "bond": str(court.policy.bond),
            "output": "0x" + subject.output.hex(),
        },
    )
    return Exit.DONE


def _check_job(court: Court, docket: Docket, job: "Job") -> None:
    from verifiable.dispute.jobs import JobState
    from verifiable.dispute.terms import NOBODY
    from verifiable.graph.vocabulary import SEMANTICS

    if job.referee != court.referee.address:
        raise InputError(f"the job is for the referee {job.referee}, not {court.referee.address}")
    if job.semantics != SEMANTICS:
        raise InputError(f"the job is of semantics {job.semantics!r}, this is {SEMANTICS}")
    if job.provider not in (NOBODY, court.me):
        raise InputError(f"the job is for the provider {job.provider}, and you are {court.me}")
    register = court.referee.register()
    key = register.id_of(job)
    state = register.state_of(key)
    if state is JobState.UNKNOWN:
        raise InputError(
            f"job 0x{key.hex()} was not opened at {register.address}",
            hint="the requester opens it: `verifiable contract open-job`",
        )
    if state is JobState.CANCELLED:
        raise InputError(f"job 0x{key.hex()} was cancelled")
    now = court.referee.chain.block_time()
    if state is JobState.OPEN and now > job.deadline:
        raise InputError(f"the job's deadline was {job.deadline}, it is {now} on the chain")
    if state is not JobState.OPEN and _answer(docket, court, job) is None:
        raise InputError(f"job 0x{key.hex()} is answered already")


def _answer(docket: Docket, court: Court, job: "Job") -> "Posted | None":
    """The claim of this account that answers the job."""
    register = court.referee.register()
    key = register.claim_of(register.id_of(job))
    posted = None if key is None else docket.claims.get(key)
    if posted is None or court.referee.claim(posted.claim_id).proposer != court.me:
        return None
    return posted


def _material(args: argparse.Namespace, console: Console, job: "Job") -> tuple[Model, OwnRun]:
    """The job's model on its input, from what the command line names."""
    from verifiable.bundle import open_bundle
    from verifiable.canon import bind_inputs, open_canon
    from verifiable.frontend.inputs import read_arrays
    from verifiable.storage import cache_folder
    from verifiable.trace.commit import input_root

    canon = open_canon(open_bundle(args.bundle, "verify"))
    if canon.model != job.model:
        raise InputError(
            f"the bundle is of the model 0x{canon.model.hex()}, the job of 0x{job.model.hex()}"
        )
    inputs = bind_inputs(canon.graph, read_arrays(args.input))
    root = input_root(canon.graph, inputs)
    if root != job.input:
        raise InputError(f"the input has root 0x{root.hex()}, the job's is 0x{job.input.hex()}")
    engine = common.engine_of(args, console)
    model = Model(canon, engine.prepare(canon.graph, canon.weights))
    folder = cache_folder() / "traces"
    return model, OwnRun(model, inputs, folder, common.regions_of(console))


def _claim(
    args: argparse.Namespace, court: Court, job: "Job", model: Model, own: OwnRun
) -> "tuple[CanonClaim, Run]":
    from verifiable.claim import parse_canon_claim

    register = court.referee.register()
    key = register.id_of(job)
    if args.claim is None:
        if args.trace is not None:
            own.keep(args.trace)
        return _claim_of(court, job, key, own), own
    claim = parse_canon_claim(common.read_bytes(args.claim))
    h, s = claim.header, claim.subject
    pairs = {
        "job": (h.job_id, key), "model": (s.model, job.model), "input": (s.input, job.input),
        "semantics": (h.semantics, job.semantics), "provider": (h.provider, court.me),
        "chain": (h.chain_id, court.referee.chain.chain_id),
        "referee": (h.verifier, court.referee.address),
    }  # fmt: skip
    for name, (got, wanted) in pairs.items():
        if got != wanted:
            shown = [f"0x{x.hex()}" if isinstance(x, bytes) else x for x in (got, wanted)]
            raise InputError(f"the claim's {name} is {shown[0]}, wanted {shown[1]}")
    if args.trace is None:
        return claim, own
    stored = stored_for(args.trace, claim, model.canon.graph)
    if stored is None:
        raise InputError(f"the trace `{args.trace}` is not of the claim `{args.claim}`")
    return claim, stored


def _claim_of(court: Court, job: "Job", key: "Bytes32", own: OwnRun) -> "CanonClaim":
    """The claim about an own run: nothing in it is left to chance, so it is the same each time."""
    from verifiable.claim import CanonClaim, CanonSubject, Header

    policy, whole = court.policy, own.trace.sections
    header = Header(
        venue="optimistic",
        semantics=job.semantics,
        job_id=key,
        # One job has one answer: its id is as good as a random number.
        nonce=key,
        chain_id=court.referee.chain.chain_id,
        verifier=court.referee.address,
        # Posted at the deadline, it is decided by then.
        expiry=job.deadline + policy.window + 2 * policy.allowance,
        provider=court.me,
    )
    subject = CanonSubject(model=job.model, input=job.input, output=whole.output)
    return CanonClaim(header=header, subject=subject)


def _post(
    args: argparse.Namespace,
    console: Console,
    court: Court,
    docket: Docket,
    claim: "CanonClaim",
    job: "Job",
    model: Model,
    trace: "Run",
) -> "Posted":
    from verifiable.chain.agent import Agent
    from verifiable.claim import claim_id
    from verifiable.dispute.players import Proposer

    now = court.referee.chain.block_time()
    if now > claim.header.expiry:
        raise InputError(f"the claim expired at {claim.header.expiry}, it is {now} on the chain")
    court.provide(court.policy.bond, args.deposit, console)
    player = Proposer(
        claim=claim, job=job, run=trace, weights=model.canon.weights, eager=args.eager
    )
    agent = Agent(
        referee=court.referee, player=player, claim_id=claim_id(claim), job=job, first=args.since
    )
    take_turn(agent, console)
    docket.read()
    posted = docket.claims.get(agent.claim_id)
    if posted is None:
        raise InputError("somebody else answered the job in the meantime")
    return posted


def _receipt(court: Court, posted: "Posted", claim: "CanonClaim") -> bytes:
    from verifiable import __version__
    from verifiable.expectation import POLICY_FIELDS, RefereePolicy
    from verifiable.receipt import Bond, build_bonded_receipt, encode_bonded_receipt
    from verifiable.types import Bytes32

    assert court.key is not None, "who posts has a key"
    named = court.referee.named(posted.block, posted.block)
    sent = next(
        one.event.transaction for one in named if one.values.get("claimId") == posted.claim_id
    )
    bond = Bond(
        transaction=Bytes32(sent),
        block=posted.block,
        window_end=posted.window_end,
        policy=RefereePolicy(**{name: getattr(court.policy, name) for name in POLICY_FIELDS}),
        outputs=None,
    )
    receipt = build_bonded_receipt(claim, bond, [("verifiable", __version__)], court.key)
    return encode_bonded_receipt(receipt)
