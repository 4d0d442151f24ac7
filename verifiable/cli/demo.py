"""``verifiable demo``: prove a real image, verify it three ways, and see forgeries refused.

Then the same answer at the optimistic venue (``cli.duel``): a true claim is paid, a forged one
loses its bond, whether its bytes are served or withheld.

Nothing is precomputed: settings are tuned, keys made and an image and nonces drawn anew each time,
in a cache of its own that is removed at the end.
"""

import argparse
import importlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console, table
from verifiable.errors import InputError, RejectedError, StageFailedError

if TYPE_CHECKING:
    from verifiable.bundle import Bundle
    from verifiable.chain.bindings import InferenceVerifier
    from verifiable.cli.duel import Outcome
    from verifiable.crypto.signatures import SigningKey
    from verifiable.expectation import Expectation
    from verifiable.receipt import Receipt

RECIPE = "digits_cnn"
ERROR = 0.05
GAS = 600_000
"""For the bare verifier; the wrapper, which checks claim, signature and nonce, adds 70,000."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument(
        "--circuits", type=Path, default=Path("circuits"), help="folder of the recipes"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what was made here")
    common.add_limit_arguments(parser)


@dataclass(slots=True, kw_only=True)
class _Stages:
    """The table the demo prints, filled as it goes."""

    console: Console
    rows: list[dict[str, Any]] = field(default_factory=list)

    def run(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do `work` and note how long it took; `add` says more of it."""
        self.console.tell(f".. {stage}")
        started = time.monotonic()
        value = work()
        self.rows.append({"stage": stage, "seconds": round(time.monotonic() - started, 2)})
        return value

    def add(self, **facts: int) -> None:
        """Note bytes or gas of the last stage."""
        self.rows[-1] |= facts


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Play the whole story once."""
    with tempfile.TemporaryDirectory(prefix="verifiable-demo-") as scratch:
        folder = Path(scratch)
        if args.keep is not None:
            if args.keep.exists():
                raise InputError(f"`{args.keep}` exists already")
            args.keep.mkdir(parents=True)
            folder = args.keep
        before = os.environ.get("VERIFIABLE_CACHE")
        os.environ["VERIFIABLE_CACHE"] = str(folder / "cache")
        try:
            return _play(args, console, folder)
        finally:
            if before is None:
                del os.environ["VERIFIABLE_CACHE"]
            else:
                os.environ["VERIFIABLE_CACHE"] = before


def _play(args: argparse.Namespace, console: Console, folder: Path) -> Exit:
    import numpy as np

    from verifiable.bundle import open_bundle
    from verifiable.chain.bindings import InferenceVerifier
    from verifiable.chain.build import build
    from verifiable.chain.deployment import deploy_plan
    from verifiable.chain.embedded import EmbeddedChain
    from verifiable.chain.model import emission_spec
    from verifiable.crypto.signatures import SigningKey
    from verifiable.proofs.check import check
    from verifiable.proofs.compile import compile_model
    from verifiable.proofs.protocol import Policy, Visibility
    from verifiable.proofs.prove import Job, prove
    from verifiable.receipt import encode_receipt
    from verifiable.types import Address, Bytes32

    stages, observer = _Stages(console=console), common.observer_of(console)
    model, samples, accuracy = _load(args.circuits)
    index = secrets.randbelow(len(samples.labels))
    image = {name: array[index] for name, array in samples.test.items()}
    np.savez(folder / "image.npz", **image)
    console.tell(
        f"model {RECIPE}: {100 * accuracy:.1f}% right on {len(samples.labels)} test images; "
        f"image {index}, a {samples.labels[index]}"
    )

    policy = Policy(
        error=ERROR, visibility=Visibility(input="hashed"), limits=common.limits_of(args), gas=GAS
    )
    compiled = stages.run(
        "tune, compile, set up keys",
        lambda: compile_model(
            model, samples.calibration, policy, folder / "digits-cnn",
            allow_insecure_srs=True, observer=observer,
        ),
    )  # fmt: skip
    stages.add(bytes=(compiled.circuits[0].folder / "pk").stat().st_size)
    bundle = open_bundle(folder / "digits-cnn", "prove")

    key = SigningKey(secrets.token_bytes(32))
    chain = EmbeddedChain(time=int(time.time()))
    job = Job(
        job_id=Bytes32(secrets.token_bytes(32)),
        nonce=Bytes32(secrets.token_bytes(32)),
        chain_id=0,
        verifier=Address("0x" + "00" * 20),
        expiry=chain.block_time() + 3600,
    )
    proven = stages.run(
        "prove, self-verify", lambda: prove(bundle, image, job, key, observer=observer)
    )
    stages.add(bytes=len(proven.receipt.proofs[0]))
    built = stages.run(
        "emit contracts", lambda: build(emission_spec(bundle, proven.receipt, name="DigitsCnn"))
    )
    deployed = stages.run(
        "deploy contracts",
        lambda: deploy_plan(built.plan, chain, accept_insecure_srs=True, adapters=False),
    )
    stages.add(gas=sum(deployed.gas.values()))

    # The proof binds no nonce, chain or contract; the provider's signature of the claim does.
    header = replace(
        proven.receipt.claim.header, chain_id=chain.chain_id, verifier=deployed.verifier
    )
    claim = replace(proven.receipt.claim, header=header)
    receipt = _signed(proven.receipt, claim, key)
    (folder / "receipt.json").write_bytes(encode_receipt(receipt))
    expected = _expectation(bundle, receipt, folder / "image.npz")
    contract = InferenceVerifier(chain, deployed.verifier)

    def offline(method: Any) -> Any:
        return check(
            encode_receipt(receipt), expected, now=chain.block_time(), method=method,
            allow_insecure_srs=True,
        )  # fmt: skip

    checked = stages.run("verify: ezkl", lambda: offline("ezkl"))
    stages.run("verify: independent Python", lambda: offline("independent"))
    sent = stages.run(
        "verify: EVM contract", lambda: contract.verify(claim, receipt.proofs, receipt.signature)
    )
    stages.add(gas=sent.gas)
    refusals = _forgeries(bundle, receipt, key, expected, contract)
    disputes = stages.run("dispute three claims", lambda: _disputes(model, image, folder, console))
    if args.keep is None:
        console.tell("(--keep FOLDER keeps bundle, image and receipt)")
    logits = next(iter(checked.outputs.values())).ravel()
    answer, label = int(np.argmax(logits)), int(samples.labels[index])
    _report(console, stages, refusals, disputes, answer, label)
    return Exit.DONE


def _load(circuits: Path) -> tuple[bytes, Any, float]:
    """Model, samples and accuracy of the recipe, by running its own code."""
    if not (circuits / RECIPE / "model.py").is_file():
        raise InputError(
            f"`{circuits}` holds no recipe `{RECIPE}`",
            hint="run the demo in a checkout of the repository, or name its folder with --circuits",
        )
    from verifiable.engines.ort import run_samples

    sys.path.insert(0, str(circuits.resolve().parent))
    try:
        recipe = importlib.import_module("circuits.recipe").load(RECIPE)
        samples = recipe.samples()
    except ImportError as e:
        raise InputError(f"the recipe needs {e.name}", hint="pip install scikit-learn") from e
    finally:
        sys.path.pop(0)
    model = (circuits / RECIPE / "model.onnx").read_bytes()
    accuracy = recipe.accuracy(run_samples(model, samples.test), samples.labels)
    return model, samples, accuracy


def _signed(receipt: "Receipt", claim: Any, key: "SigningKey") -> "Receipt":
    from verifiable.receipt import build_receipt

    return build_receipt(claim, receipt.proofs, receipt.versions, key)


def _expectation(bundle: "Bundle", receipt: "Receipt", image: Path) -> "Expectation":
    from verifiable.expectation import Expectation

    header = receipt.claim.header
    return Expectation(
        bundle=bundle.folder.resolve(),
        provider=header.provider,
        job_id=header.job_id,
        nonce=header.nonce,
        chain_id=header.chain_id,
        verifier=header.verifier,
        input=image.resolve(),
        output=None,
        lock=bundle.digest,
    )


def _forgeries(
    bundle: "Bundle",
    receipt: "Receipt",
    key: "SigningKey",
    expected: "Expectation",
    contract: "InferenceVerifier",
) -> list[Mapping[str, str]]:
    """Try what a cheating provider would; each attempt must be refused by everyone."""
    from verifiable.crypto.felt import MODULUS
    from verifiable.proofs.check import check
    from verifiable.proofs.locked import from_lock
    from verifiable.receipt import encode_receipt
    from verifiable.types import Bytes32, Felt

    part = receipt.claim.subject.parts[0]
    (slot,) = from_lock(bundle).parts[0].layout.of("output")
    instances = list(part.instances)
    instances[slot.start] = Felt((instances[slot.start] + 1) % MODULUS)
    fresh = replace(receipt.claim.header, nonce=Bytes32(secrets.token_bytes(32)))
    claim = replace(receipt.claim, header=fresh)
    subject = replace(claim.subject, parts=(replace(part, instances=tuple(instances)),))
    other_output = _signed(receipt, replace(claim, subject=subject), key)

    proof = bytearray(receipt.proofs[0])
    proof[secrets.randbelow(len(proof))] ^= 1 << secrets.randbelow(8)
    other_proof = _signed(replace(receipt, proofs=(bytes(proof),)), claim, key)

    fresh_expected = replace(expected, nonce=fresh.nonce)
    outcomes: list[Mapping[str, str]] = []
    for name, forged in (
        ("changed output, signed anew", other_output),
        ("changed proof byte", other_proof),
        ("replayed nonce", receipt),
    ):
        document = encode_receipt(forged)
        verdicts = {"forgery": name}
        for method in ("ezkl", "independent"):
            verdicts[method] = _refused(
                lambda document=document, method=method: check(  # type: ignore[misc]
                    document, fresh_expected, now=contract.chain.block_time(), method=method,
                    allow_insecure_srs=True,
                )
            )  # fmt: skip
        verdicts["contract"] = _refused(
            lambda forged=forged: contract.verify(  # type: ignore[misc]
                forged.claim, forged.proofs, forged.signature
            )
        )
        outcomes.append(verdicts)
    return outcomes


def _refused(attempt: Callable[[], object]) -> str:
    """Why `attempt` was refused; it is our bug if it was not."""
    try:
        attempt()
    except RejectedError as e:
        return type(e).__name__.removesuffix("Error")
    raise StageFailedError("a forgery was accepted: do not trust this build")


def _disputes(
    model: bytes, image: Mapping[str, Any], folder: Path, console: Console
) -> "list[Outcome]":
    """Play the same answer at the other venue; it is our bug if a verdict is wrong."""
    from verifiable.cli.duel import play
    from verifiable.frontend.files import parse_model
    from verifiable.frontend.lower import lower

    disputes = play(*lower(parse_model(model)), image, folder, console.tell)
    if [outcome.verdict for outcome in disputes] != ["final", "refuted", "refuted"]:
        raise StageFailedError("a dispute ended wrongly: do not trust this build")
    return disputes


def _report(
    console: Console,
    stages: _Stages,
    refusals: list[Mapping[str, str]],
    disputes: "list[Outcome]",
    answer: int,
    label: int,
) -> None:
    from verifiable.cli.duel import HEADINGS
    from verifiable.cli.duel import rows as rows_of

    rows = [
        (row["stage"], row["seconds"], f"{row['bytes']:,}" if "bytes" in row else "",
         f"{row['gas']:,}" if "gas" in row else "")
        for row in stages.rows
    ]  # fmt: skip
    lines = [
        *table(("stage", "seconds", "bytes", "gas"), rows),
        "",
        *table(tuple(refusals[0]), [tuple(refusal.values()) for refusal in refusals]),
        "",
        *table(HEADINGS, rows_of(disputes)),
        "",
        f"the model answers {answer} (label {label}); the claim was upheld three times,",
        "and three forgeries were refused by all three verifiers.",
        "bonded instead of proven, the true claim was paid; the forged one lost its bond, in coin,",
        "to one challenger, who needed more transactions where its bytes were withheld.",
        "insecure development SRS: this proof convinces nobody outside this demo.",
    ]
    value = {
        "answer": answer,
        "label": label,
        "stages": stages.rows,
        "refused": refusals,
        "disputes": [asdict(outcome) for outcome in disputes],
        "insecure_srs": True,
    }
    console.result("demo", value, lines)
