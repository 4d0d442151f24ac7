"""From a spec to compiled contracts: patch, compile, choose the form, pin the code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from verifiable.chain.deployment import Plan
from verifiable.chain.model_contract import PinnedPart, model_contract
from verifiable.chain.spec import EmissionSpec, PartSpec
from verifiable.crypto.hashing import keccak256
from verifiable.errors import InputError
from verifiable.proofs.ezkl.evm_patch import (
    PlainVerifier,
    parse_key_material,
    patch_plain,
    patch_reusable,
)
from verifiable.solidity.artifacts import load, sources
from verifiable.solidity.compiler import Solc, compile_sources, find_solc
from verifiable.solidity.standard import EZKL_SETTINGS, MAX_RUNTIME, Artifact, Settings, reachable

ADAPTERS: Final = ("Erc7007Adapter", "Erc7992Adapter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Everything that is compiled for one model."""

    spec: EmissionSpec
    parts: tuple[PinnedPart, ...]
    sources: Mapping[str, str]
    """All Solidity, by path below ``src/``."""
    plan: Plan
    plain_sizes: tuple[int | None, ...]
    """Runtime bytes of each part's plain verifier, chosen or not; None if it was not tried."""

    @property
    def form(self) -> str:
        """``plain``, ``reusable``, or ``mixed`` if some parts of a split model are each."""
        kinds = {"plain" if key is None else "reusable" for key in self.plan.keys}
        return kinds.pop() if len(kinds) == 1 else "mixed"


def build(spec: EmissionSpec, solc: Solc | None = None) -> Build:
    """Compile the contracts of one model.

    Parameters
    ----------
    spec : EmissionSpec
    solc : Solc, optional
        What `find_solc` finds by default.

    Returns
    -------
    Build

    Raises
    ------
    InputError
        If a part fits in no contract in the form asked for, or a proof of the vector has another
        length than its verifier takes.
    StageFailedError
        If the emitted sources are of an unknown form.
    MissingDependencyError
        If there is no solc.
    """
    compiler = solc or find_solc()
    settings = Settings(evm=spec.evm)
    halo2 = _Halo2(spec, compiler)
    pinned = tuple(halo2.add(i, part) for i, part in enumerate(spec.parts))
    root = f"{spec.name}Verifier.sol"
    every = sources(spec.evm) | {root: model_contract(spec, pinned)}
    needed = reachable(every, [root])
    wrapper = compile_sources(needed, settings, solc=compiler)[f"{spec.name}Verifier"]
    _require_fit(wrapper)
    text = reachable(every, [root, *(f"adapters/{name}.sol" for name in ADAPTERS)])
    text |= {f"halo2/{name}.sol": source for name, source in halo2.sources.items()}
    verifiers = tuple(halo2.artifacts.values())
    names = [artifact.name for artifact in verifiers]
    plan = Plan(
        verifiers=verifiers,
        part_verifiers=tuple(names.index(pin.verifier) for pin in pinned),
        keys=tuple(halo2.keys),
        wrapper=wrapper,
        adapters=tuple(load(name, spec.evm) for name in ADAPTERS),
        insecure_srs=spec.insecure_srs,
    )
    return Build(
        spec=spec,
        parts=pinned,
        sources=text,
        plan=plan,
        plain_sizes=tuple(halo2.plain_sizes),
    )


class _Halo2:
    """The Halo2 verifiers of one emission; parts that share a reusable one share its contract."""

    def __init__(self, spec: EmissionSpec, solc: Solc) -> None:
        self._spec = spec
        self._solc = solc
        self._settings = Settings(
            evm=spec.evm, via_ir=EZKL_SETTINGS.via_ir, runs=EZKL_SETTINGS.runs
        )
        self._reusable_names: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.keys: list[bytes | None] = []
        self.plain_sizes: list[int | None] = []

    def add(self, i: int, part: PartSpec) -> PinnedPart:
        """Choose and compile the verifier of part `i`."""
        suffix = str(i) if len(self._spec.parts) > 1 else ""
        name = f"{self._spec.name}Halo2{suffix}"
        plain = patch_plain(part.plain_source, name)
        self._check_vector(i, plain)
        if self._spec.form == "reusable":
            self.plain_sizes.append(None)
            return self._add_reusable(i, part, plain)
        artifact = self._compile(name, plain.source)
        self.plain_sizes.append(len(artifact.deployed))
        if self._spec.form == "auto" and not artifact.fits:
            return self._add_reusable(i, part, plain)
        _require_fit(artifact)
        self._keep(name, plain.source, artifact)
        self.keys.append(None)
        return _pinned(artifact, plain, None)

    def _add_reusable(self, i: int, part: PartSpec, plain: PlainVerifier) -> PinnedPart:
        if part.reusable_source is None or part.key_material is None:
            raise InputError(
                f"part {i} takes the reusable form (plain: {self.plain_sizes[i]} bytes, at most "
                f"{MAX_RUNTIME}), and the spec has no source or key material for it",
                hint="give both, or split the model into parts",
            )
        name = self._reusable_names.get(part.reusable_source)
        if name is None:
            number = len(self._reusable_names) or ""
            name = f"{self._spec.name}Halo2Reusable{number}"
            source = patch_reusable(part.reusable_source, name)
            artifact = self._compile(name, source)
            _require_fit(artifact)
            self._keep(name, source, artifact)
            self._reusable_names[part.reusable_source] = name
        words = parse_key_material(part.key_material)
        # ABI form of bytes32[]: the count, whose first byte is 0 and thus STOP, then the words.
        code = len(words).to_bytes(32, "big") + b"".join(words)
        if len(code) > MAX_RUNTIME:
            raise InputError(
                f"the key of part {i} takes {len(code)} bytes, a contract at most {MAX_RUNTIME}",
                hint="split the model into more parts",
            )
        self.keys.append(code)
        return _pinned(self.artifacts[name], plain, code)

    def _check_vector(self, i: int, plain: PlainVerifier) -> None:
        got = len(self._spec.vector.proofs[i])
        if got != plain.proof_bytes:
            raise InputError(
                f"proof {i} of the vector has {got} bytes, its verifier takes {plain.proof_bytes}"
            )

    def _compile(self, name: str, source: str) -> Artifact:
        compiled = compile_sources({f"halo2/{name}.sol": source}, self._settings, solc=self._solc)
        return compiled[name]

    def _keep(self, name: str, source: str, artifact: Artifact) -> None:
        self.sources[name] = source
        self.artifacts[name] = artifact


def _pinned(artifact: Artifact, plain: PlainVerifier, key: bytes | None) -> PinnedPart:
    return PinnedPart(
        verifier=artifact.name,
        proof_bytes=plain.proof_bytes,
        verifier_hash=keccak256(artifact.deployed),
        key_hash=None if key is None else keccak256(key),
        key_digest=None if key is None else keccak256(key[32:]),
    )


def _require_fit(artifact: Artifact) -> None:
    if not artifact.fits:
        raise InputError(
            f"{artifact.name} takes {len(artifact.deployed)} bytes, a contract at most "
            f"{MAX_RUNTIME}",
            hint="emit the reusable form, or split the model into parts",
        )
