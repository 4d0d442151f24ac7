"""README of an emission: what it checks, what it costs, what stays trusted."""

from collections.abc import Mapping
from typing import Any

from verifiable.chain.build import Build
from verifiable.chain.measure import Measurement
from verifiable.chain.model_contract import INSECURE_NOTICE


def readme(build: Build, measured: Measurement, report: Mapping[str, Any]) -> str:
    """Write the README.

    Parameters
    ----------
    build : Build
    measured : Measurement
    report : mapping
        Contents of ``emission.json``, less the digests of the files.

    Returns
    -------
    str
        Markdown.
    """
    spec = build.spec
    warning = (
        f"> **{INSECURE_NOTICE}** `INSECURE_SRS` is true in the contract; deploying it needs the "
        "caller's word.\n"
    )
    summary = (
        f"`{spec.name}Verifier.verify(claim, proof)` accepts a claim *this model, on this input, "
        "gave this output, for this job* only with a valid proof and the provider's signature, "
        "and each of a provider's nonces once. It reverts with a named error otherwise.\n"
    )
    sections = [
        f"# {spec.name}: an inference verifier\n",
        warning if spec.insecure_srs else "",
        summary,
        _identity(report),
        _sizes(report),
        _gas(measured),
        _usage(build),
        _trust(build),
    ]
    return "\n".join(section for section in sections if section)


def _identity(report: Mapping[str, Any]) -> str:
    rows = [
        f"| model | `{report['model']}` |",
        f"| semantics | {report['semantics']} |",
        f"| form | {report['form']} |",
    ]
    for i, part in enumerate(report["parts"]):
        rows += [f"| part {i} {key} | `{part[key]}` |" for key in ("onnx", "settings", "vk")]
        if part["key_digest"]:
            rows.append(f"| part {i} key (Keccak-256) | `{part['key_digest']}` |")
    return "\n".join(["## What is pinned", "", "| | SHA-256 |", "|---|---|", *rows, ""])


def _sizes(report: Mapping[str, Any]) -> str:
    rows = [f"| {c['name']} | {c['bytes']:,} |" for c in report["contracts"]]
    rows += [
        f"| Key{i} | {part['key_bytes']:,} |"
        for i, part in enumerate(report["parts"])
        if part["key_bytes"]
    ]
    return "\n".join(
        [
            "## Sizes",
            "",
            "Runtime bytes; a contract may have 24,576.",
            "",
            "| contract | bytes |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _gas(measured: Measurement) -> str:
    rows = [
        f"| `verify`, whole transaction | {measured.verify:,} |",
        f"| of it execution | {measured.verify_execution:,} |",
        *(
            f"| the proof of part {i} alone, as a transaction to its verifier | {gas:,} |"
            for i, gas in enumerate(measured.halo2)
        ),
        *(f"| deploy {name} | {gas:,} |" for name, gas in measured.deployment.items()),
    ]
    return "\n".join(
        [
            "## Gas",
            "",
            "Measured on pyrevm (Cancun), nothing warm. Osaka charges some thousands more, for",
            "modular inversions (EIP-7883).",
            "",
            "| | gas |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _usage(build: Build) -> str:
    accept = "ACCEPT_INSECURE_SRS=true " if build.spec.insecure_srs else ""
    flag = " --allow-insecure-srs" if build.spec.insecure_srs else ""
    return f"""## Use

```
forge test                                                     # with a network
npm install solc@0.8.37 && FOUNDRY_SOLC=tools/solc FOUNDRY_OFFLINE=true forge test   # without
{accept}forge script script/Deploy.s.sol --rpc-url $RPC_URL --broadcast --account NAME
verifiable contract deploy . --rpc $RPC_URL{flag}
```

`src/IInferenceVerifier.sol` is all that a calling contract imports. Anyone may submit a claim; a
contract that pays on one and finds the nonce used compares `claimOf(provider, nonce)` with
`claimId(claim)`. `Erc7007Adapter` answers `view` and records nothing; `Erc7992Adapter` records.
"""


def _trust(build: Build) -> str:
    text = """## What stays trusted

- the SRS behind the keys, and that the keys are of this model (build them yourself, compare the
  digests);
- `src/halo2/`, which ezkl wrote on the machine of whoever emitted this, under ezkl's terms; it was
  changed in the places marked `Added by`, so that it reads one calldata only;
- the fixed-point arithmetic of the circuit, near the float model within the error that the settings
  give.
"""
    if any(s.form == "commitment" for p in build.spec.parts for s in p.layout.slots):
        text += "- committed tensors: the claim does not name them, so the contract cannot.\n"
    if not build.spec.inputs:
        text += "- the input is private: a claim says that *some* input gave this output.\n"
    return text
