"""Rows of ``bench.py zk``: each model proven with our tuned settings and with ezkl's calibration.

The peer runs with its own defaults on the same machine in the same run; figures are medians.
"""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark import Row, median

from circuits import recipe
from verifiable.bundle import open_bundle
from verifiable.crypto.address import ZERO_ADDRESS
from verifiable.crypto.hashing import sha256
from verifiable.crypto.signatures import SigningKey
from verifiable.crypto.srs import reduced, verifier_points
from verifiable.engines.ort import Session
from verifiable.frontend.export import signature_of
from verifiable.proofs import halo2, srs_store
from verifiable.proofs.compile import compile_model
from verifiable.proofs.divide import find_cuts
from verifiable.proofs.ezkl import cost, tuner
from verifiable.proofs.ezkl.files import COMPILED, MODEL, SETTINGS, read_circuit
from verifiable.proofs.ezkl.process import run_stage, stage_path
from verifiable.proofs.ezkl.settings import canonical_bytes, layout
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.protocol import Circuit, Limits, Policy, Proof, Tensors, Usage, Visibility
from verifiable.proofs.prove import Job, prove
from verifiable.types import Bytes32

MODELS = ("mlp_tiny", "digits_mlp", "digits_cnn", "lenet")
PUBLIC = Visibility(input="public")
LIMITS = Limits(memory=20 << 30, seconds=3600)
# Of the peer's error; tuned on calibration data and compared on test data, so leave room below 2.
ERROR_SHARE = 1.0
TESTED = 16
SPLIT_MEMORY = 5 << 28
"""Bytes that LeNet in parts may take: 1.25 GiB."""
_KEY = SigningKey(b"\x11" * 32)
_JOB = Job(
    job_id=Bytes32(bytes(32)),
    nonce=Bytes32(bytes(32)),
    chain_id=0,
    verifier=ZERO_ADDRESS,
    expiry=2**40,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One circuit, set up and proven."""

    circuit: Circuit
    setup: Usage
    proofs: tuple[Proof, ...]
    error: float
    """Largest on held-out data."""

    @property
    def key_bytes(self) -> int:
        """Size of the proving key."""
        return (self.circuit.folder / "pk").stat().st_size

    @property
    def prove_cpu(self) -> float:
        """CPU seconds of a proof, median."""
        return median([proof.usage.cpu_seconds for proof in self.proofs])

    @property
    def peak_memory(self) -> int:
        """Bytes, of the hungriest stage."""
        return max(self.setup.peak_memory, *(proof.usage.peak_memory for proof in self.proofs))


def key_level(measured: Measured) -> int:
    """The k that a verifying key was really made with: the second byte of its file."""
    return (measured.circuit.folder / "vk").read_bytes()[1]


def default_circuit(model: bytes, data: Tensors, visibility: Visibility, folder: Path) -> Circuit:
    """The circuit that ezkl's own calibration chooses, in ``folder``."""
    (folder / MODEL).write_bytes(model)
    names = {"input_visibility": visibility.input}
    args = {
        "model": stage_path(folder / MODEL),
        "settings": stage_path(folder / SETTINGS),
        "calibration": tuner.write_ezkl_data(folder / "data.json", tuner.split_samples(data)[:16]),
        "visibility": names,
    }
    settings = run_stage("default-settings", args, limits=LIMITS).value
    compiled = {
        "model": args["model"],
        "compiled_circuit": stage_path(folder / COMPILED),
        "settings_path": args["settings"],
    }
    run_stage("compile", compiled, limits=LIMITS)
    signature = signature_of(model)
    return Circuit(
        folder=folder,
        onnx=sha256(model),
        settings=sha256(canonical_bytes(settings)),
        layout=layout(
            settings,
            visibility,
            [(spec.name, spec.shape) for spec in signature.inputs],
            [(spec.name, spec.shape) for spec in signature.outputs],
        ),
        inputs=tuple(spec.name for spec in signature.inputs),
        k=settings["run_args"]["logrows"],
        estimate=cost.estimate(settings, math.nan),
    )


def test_error(system: Ezkl, circuit: Circuit, model: bytes, test: Tensors) -> float:
    """Largest difference to onnxruntime over held-out samples."""
    session, error = Session(model), 0.0
    for sample in tuner.split_samples(test)[:TESTED]:
        got = system.run(circuit, sample, LIMITS)
        for name, wanted in session.run(sample).items():
            error = max(error, float(np.max(np.abs(got[name] - wanted), initial=0.0)))
    return error


def measure(circuit: Circuit, model: bytes, test: Tensors, repeat: int) -> Measured:
    """Set up, prove `repeat` times, and compare with the float model."""
    system = Ezkl()
    srs = srs_store.insecure_srs(circuit.k, LIMITS)
    (circuit.folder.parent / "srs.verifier").write_bytes(reduced(srs))
    setup = system.setup(circuit, srs, LIMITS)
    samples = tuner.split_samples(test)
    proofs = tuple(system.prove(circuit, srs, samples[i], LIMITS) for i in range(repeat))
    error = test_error(system, circuit, model, test)
    return Measured(circuit=circuit, setup=setup, proofs=proofs, error=error)


def bench_model(name: str, repeat: int, work: Path) -> Iterator[Row]:
    """Prove one model with our settings and ezkl's, at comparable error."""
    say(f"{name}: ezkl's own calibration")
    model, samples = recipe.model(name), recipe.load(name).samples()
    folders = [work / name / kind / "part-0" for kind in ("peer", "ours")]
    for folder in folders:
        folder.mkdir(parents=True)
    peer = measure(
        default_circuit(model, samples.calibration, PUBLIC, folders[0]), model, samples.test, repeat
    )
    say(f"{name}: peer error {peer.error:.3g}, k {peer.circuit.k}, {peer.prove_cpu:.1f} CPU s")
    (peer.circuit.folder / "pk").rename(work / "old-pk")
    key_bytes = (work / "old-pk").stat().st_size
    (work / "old-pk").unlink()
    policy = Policy(error=ERROR_SHARE * peer.error, visibility=PUBLIC, limits=LIMITS)
    circuit = Ezkl().compile(model, samples.calibration, policy, folders[1])
    ours = measure(circuit, model, samples.test, repeat)
    say(f"{name}: our error {ours.error:.3g}, k {circuit.k}, {ours.prove_cpu:.1f} CPU s")
    label = name.replace("_", "-")
    yield Row(id=f"zk-prove-{label}", ours=ours.prove_cpu, peer=peer.prove_cpu, unit="CPU s")
    yield Row(id=f"zk-pk-{label}", ours=ours.key_bytes, peer=key_bytes, unit="bytes")
    yield Row(id=f"zk-error-{label}", ours=ours.error, peer=peer.error, unit="max abs error")
    # Predicted over measured: here "ours" is the prediction and "peer" the truth.
    yield Row(id=f"zk-predict-k-{label}", ours=circuit.estimate.k, peer=key_level(ours), unit="k")
    yield Row(
        id=f"zk-predict-pk-{label}",
        ours=circuit.estimate.key_bytes,
        peer=ours.key_bytes,
        unit="bytes",
    )
    yield Row(
        id=f"zk-predict-memory-{label}",
        ours=circuit.estimate.peak_memory,
        peer=ours.peak_memory,
        unit="bytes",
    )
    if name == "lenet":
        yield from bench_split(peer.peak_memory, peer.error, work)
    shutil.rmtree(work / name)


def bench_split(whole: int, error: float, work: Path) -> Iterator[Row]:
    """Peak memory of proving LeNet in parts, against ezkl's default on the whole."""
    model, samples = recipe.model("lenet"), recipe.load("lenet").samples()
    limits = Limits(memory=SPLIT_MEMORY, seconds=LIMITS.seconds)
    policy = Policy(
        error=max(ERROR_SHARE * error, 0.05), visibility=Visibility(input="hashed"), limits=limits
    )
    cuts = find_cuts(model, samples.calibration, policy, parts=None)
    say(f"lenet in parts: cut at {', '.join(cuts.at)}, in slices {dict(cuts.slices)}")
    made = compile_model(
        model, samples.calibration, policy, work / "split", at=cuts, allow_insecure_srs=True
    )
    sample = tuner.split_samples(samples.test)[0]
    proven = prove(made.bundle, sample, _JOB, _KEY, limits=limits)
    peak = max(usage.peak_memory for usage in (*made.setups, *proven.usages))
    seconds = sum(usage.cpu_seconds for usage in proven.usages)
    error = made.circuits[0].estimate.error
    say(f"lenet in {len(made.circuits)} parts: {seconds:.0f} CPU s, error {error:.3g}")
    yield Row(id="zk-split-lenet", ours=peak / 1e9, peer=whole / 1e9, unit="GB")


def bench_contract(repeat: int, work: Path) -> Iterator[Row]:
    """The digits CNN with hashed input: verification in Python and on the EVM."""
    from verifiable.chain.build import build
    from verifiable.chain.measure import measure as on_chain
    from verifiable.chain.model import emission_spec
    from verifiable.receipt import encode_receipt, parse_receipt

    say("digits_cnn, hashed input: verification")
    model, samples = recipe.model("digits_cnn"), recipe.load("digits_cnn").samples()
    policy = Policy(error=0.05, visibility=Visibility(input="hashed"), limits=LIMITS, gas=600_000)
    out = work / "digits-cnn"
    compile_model(model, samples.calibration, policy, out, allow_insecure_srs=True)
    bundle = open_bundle(out, "prove")
    proven = prove(bundle, tuner.split_samples(samples.test)[0], _JOB, _KEY, limits=LIMITS)
    receipt = parse_receipt(encode_receipt(proven.receipt))
    part = out / "zk" / "part-0"
    g2, tau_g2 = verifier_points((out / "zk" / "srs.verifier").read_bytes())
    instances = receipt.claim.subject.parts[0].instances

    def independently() -> None:
        verifying = halo2.read_key(
            (part / "vk").read_bytes(), (part / "verifier.sol").read_text(encoding="utf-8")
        )
        halo2.verify(verifying, instances, receipt.proofs[0], g2=g2, tau_g2=tau_g2)

    from verifiable.proofs.locked import from_lock

    circuit = read_circuit(part, from_lock(bundle).parts[0].layout)
    yield Row(
        id="zk-verify-independent",
        ours=timed(independently, max(repeat, 5)),
        peer=timed(lambda: Ezkl().verify(circuit, instances, receipt.proofs[0]), max(repeat, 5)),
        unit="s",
    )
    spec = emission_spec(bundle, receipt, name="DigitsCnn")
    gas = on_chain(build(spec))
    peer_folder = work / "default" / "part-0"
    peer_folder.mkdir(parents=True)
    default = default_circuit(model, samples.calibration, policy.visibility, peer_folder)
    measured = measure(default, model, samples.test, 1)
    yield Row(id="zk-gas-digits-cnn", ours=gas.halo2[0], peer=bare_gas(measured), unit="gas")
    yield Row(id="zk-gas-digits-cnn-total", ours=gas.verify, peer=None, unit="gas")


def bare_gas(measured: Measured) -> int:
    """Gas of ezkl's own verifier for a measured circuit, in a transaction of its own."""
    from verifiable.chain.build import build
    from verifiable.chain.measure import measure as on_chain
    from verifiable.chain.spec import EmissionSpec, PartSpec, Vector
    from verifiable.crypto.hashing import sha256_file

    circuit, proof = measured.circuit, measured.proofs[0]
    spec = EmissionSpec(
        name="Peer",
        model=circuit.onnx,
        semantics=Ezkl().semantics,
        insecure_srs=True,
        parts=(
            PartSpec(
                onnx=circuit.onnx,
                settings=circuit.settings,
                vk=sha256_file(circuit.folder / "vk"),
                layout=circuit.layout,
                plain_source=(circuit.folder / "verifier.sol").read_text(encoding="utf-8"),
                reusable_source=(circuit.folder / "reusable.sol").read_text(encoding="utf-8"),
                key_material=(circuit.folder / "vka").read_bytes(),
            ),
        ),
        vector=Vector(instances=(proof.instances,), proofs=(proof.data,)),
    )
    return int(on_chain(build(spec)).halo2[0])


def timed(work: object, repeat: int) -> float:
    """Median of wall-clock seconds."""
    assert callable(work)
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)


def bench_start(repeat: int) -> Iterator[Row]:
    """Start of the command line, against a bare interpreter."""
    script = str(Path(sys.executable).with_name("verifiable"))

    def run(*command: str) -> float:
        return timed(
            lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL),
            max(repeat, 7),
        )

    yield Row(
        id="cli-start", ours=run(script, "--help"), peer=run(sys.executable, "-c", ""), unit="s"
    )


def geometric_means(rows: Sequence[Row]) -> Iterator[Row]:
    """Means over the models, of the rows that are judged by them."""
    for prefix in ("zk-prove", "zk-pk"):
        ratios = [row.ratio for row in rows if row.id.startswith(f"{prefix}-") and row.ratio]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            yield Row(id=f"{prefix}-mean", ours=mean, peer=1.0, unit="geometric mean of ratios")


def say(message: str) -> None:
    """Narrate on stderr."""
    print(message, file=sys.stderr, flush=True)


def rows(models: Sequence[str], *, runs: int) -> Iterator[Row]:
    """The rows of the table for `models`, all if empty; the short measures come last."""
    with tempfile.TemporaryDirectory(prefix="verifiable-bench-") as folder:
        work = Path(folder)
        os.environ.setdefault("VERIFIABLE_CACHE", str(work / "cache"))
        made: list[Row] = []
        for name in models or MODELS:
            for row in bench_model(name, runs, work):
                made.append(row)
                yield row
        yield from geometric_means(made)
        yield from bench_contract(runs, work)
        yield from bench_start(runs)
