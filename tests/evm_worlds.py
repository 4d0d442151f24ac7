"""Material, emissions and deployments that the EVM tests share; each is made once per run."""

import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from run_folder import once, run_folder, value_once

from verifiable.chain.bindings import InferenceVerifier
from verifiable.chain.build import Build, build
from verifiable.chain.deployment import Deployment, deploy_plan
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.emission import Emission, emit
from verifiable.chain.folder import read_plan
from verifiable.chain.protocol import Chain
from verifiable.chain.spec import EmissionSpec, PartSpec, Vector
from verifiable.claim import Claim, EzklPart, EzklSubject, Header, claim_id
from verifiable.crypto.signatures import SigningKey
from verifiable.proofs.statement import Joint, Layout, Slot
from verifiable.types import Bytes32, Felt, Sha256

SCRIPT = Path(__file__).with_name("evm_material.py")
PROVIDER = SigningKey(b"\x11" * 32)
STRANGER = SigningKey(b"\x22" * 32)
SCALE = 4
# Order of BN254's scalar field, from EIP-196.
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617

HASHED_INPUT = Slot(
    role="input", name="x", form="hash", start=0, count=1, shape=(1, 3), scale=SCALE
)
LAYOUTS = {
    "first": Layout(
        slots=(
            HASHED_INPUT,
            Slot(role="output", name="y", form="hash", start=1, count=1, shape=(1, 3), scale=SCALE),
        )
    ),
    "second": Layout(
        slots=(
            HASHED_INPUT,
            Slot(
                role="output", name="y", form="felts", start=1, count=2, shape=(1, 2), scale=SCALE
            ),
        )
    ),
    # To the contract an instance of the weights is like any other, but must be fixed: here the
    # first input plays it.
    "public": Layout(
        slots=(
            Slot(role="weights", name="w", form="felts", start=0, count=1, shape=(1,), scale=SCALE),
            Slot(role="input", name="x", form="felts", start=1, count=2, shape=(2,), scale=SCALE),
            Slot(role="output", name="y", form="felts", start=3, count=2, shape=(2,), scale=SCALE),
        )
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    folder: Path
    part: PartSpec
    instances: tuple[Felt, ...]
    proof: bytes


@functools.cache
def material() -> Path:
    """Circuits, keys and proofs, fresh from ezkl in a child process."""

    def make(folder: Path) -> None:
        home = str(folder / "home")
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(folder)],
            env={**os.environ, "HOME": home, "EZKL_REPO_PATH": home},
            check=False,
            capture_output=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:].decode()

    return once("evm-material", make)


@functools.cache
def circuit(name: str) -> Circuit:
    folder = material() / name
    proof = json.loads((folder / "proof.json").read_text())
    instances = tuple(
        Felt(int.from_bytes(bytes.fromhex(felt), "little")) for felt in proof["instances"][0]
    )
    part = PartSpec(
        onnx=digest(folder / "model.onnx"),
        settings=digest(folder / "settings.json"),
        vk=digest(folder / "vk"),
        layout=LAYOUTS[name],
        plain_source=(folder / "plain.sol").read_text(),
        reusable_source=(folder / "reusable.sol").read_text(),
        key_material=(folder / "vka").read_bytes(),
        fixed=((0, instances[0]),) if name == "public" else (),
    )
    return Circuit(
        folder=folder,
        part=part,
        instances=instances,
        proof=bytes.fromhex(proof["hex_proof"].removeprefix("0x")),
    )


def digest(path: Path) -> Sha256:
    return Sha256(hashlib.sha256(path.read_bytes()).digest())


Kind = Literal["single", "split", "public"]


@functools.cache
def spec(kind: Kind) -> EmissionSpec:
    """``single``: hashed input, plain verifier. ``split``: two parts, reusable verifier, one joint.
    ``public``: public input, one instance fixed."""
    names = {"single": ("second",), "split": ("first", "second"), "public": ("public",)}[kind]
    circuits = [circuit(name) for name in names]
    joint = Joint(from_part=0, from_slot=1, to_part=1, to_slot=0)
    return EmissionSpec(
        name=f"Tiny{kind.title()}",
        model=Sha256(hashlib.sha256(kind.encode()).digest()),
        semantics="ezkl/23.0.5",
        insecure_srs=True,
        parts=tuple(c.part for c in circuits),
        joints=(joint,) if kind == "split" else (),
        vector=Vector(
            instances=tuple(c.instances for c in circuits), proofs=tuple(c.proof for c in circuits)
        ),
        form="reusable" if kind == "split" else "auto",
    )


@functools.cache
def emission(kind: Kind) -> Emission:
    folder = run_folder() / f"emission-{kind}"
    return value_once(f"emitted-{kind}", lambda: emit(spec(kind), folder))


@functools.cache
def public_build() -> Build:
    return value_once("build-public", lambda: build(spec("public")))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One emission on one chain, and an honest claim about it."""

    kind: Kind
    spec: EmissionSpec
    chain: Chain
    deployment: Deployment

    @property
    def verifier(self) -> InferenceVerifier:
        return InferenceVerifier(self.chain, self.deployment.verifier)

    @property
    def proofs(self) -> tuple[bytes, ...]:
        return self.spec.vector.proofs

    def claim(self, nonce: int = 1, instances: Sequence[Sequence[int]] | None = None) -> Claim:
        felts = self.spec.vector.instances if instances is None else instances
        parts = tuple(
            EzklPart(
                onnx=p.onnx,
                settings=p.settings,
                vk=p.vk,
                instances=tuple(Felt(x) for x in values),
            )
            for p, values in zip(self.spec.parts, felts, strict=True)
        )
        return Claim(
            header=Header(
                venue="zk",
                semantics=self.spec.semantics,
                job_id=Bytes32(b"\x05" * 32),
                nonce=Bytes32(nonce.to_bytes(32, "big")),
                chain_id=self.chain.chain_id,
                verifier=self.deployment.verifier,
                expiry=self.chain.block_time() + 3600,
                provider=PROVIDER.address,
            ),
            subject=EzklSubject(model=self.spec.model, insecure_srs=True, parts=parts),
        )


def world(kind: Kind, chain: Chain | None = None) -> World:
    """Deploy on `chain`, or on a new embedded one."""
    plan = public_build().plan if kind == "public" else read_plan(emission(kind).folder)
    where = chain or EmbeddedChain()
    deployment = deploy_plan(plan, where, accept_insecure_srs=True)
    return World(kind=kind, spec=spec(kind), chain=where, deployment=deployment)


@functools.cache
def shared(kind: Kind) -> World:
    """A world on an embedded chain that no test changes: `call`, not `send`."""
    return world(kind)


def sign(claim: Claim, key: SigningKey = PROVIDER) -> bytes:
    return key.sign(claim_id(claim))


def check(w: World, claim: Claim, signature: bytes | None = None) -> None:
    w.verifier.check(claim, w.proofs, sign(claim) if signature is None else signature)


def raw_check(w: World, data: bytes) -> None:
    w.chain.call(w.deployment.verifier, data)


def with_header(claim: Claim, **changes: object) -> Claim:
    return replace(claim, header=replace(claim.header, **changes))  # type: ignore[arg-type]


def with_subject(claim: Claim, **changes: object) -> Claim:
    return replace(claim, subject=replace(claim.subject, **changes))  # type: ignore[arg-type]


def with_part(claim: Claim, index: int, **changes: object) -> Claim:
    parts = list(claim.subject.parts)
    parts[index] = replace(parts[index], **changes)  # type: ignore[arg-type]
    return with_subject(claim, parts=tuple(parts))
