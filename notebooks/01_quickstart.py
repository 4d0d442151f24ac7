# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # One image, from a model to a contract
#
# Somebody runs a neural network for you and tells you what it answered. This notebook makes a
# receipt for such an answer, and then checks it three times: with ezkl, with an independent
# verifier in Python, and with a contract in an EVM. At the end a forged receipt is refused.
#
# It takes well under a minute on two cores and needs no network. Everything it writes goes into a
# temporary folder. You need `pip install 'verifiable[dev]'` and `make setup` (for solc).
#
# Two people appear. The **provider** has the bundle with the proving key, runs the model and signs.
# The **verifier** has the same bundle without the proving key, and believes nothing that the
# provider says.

# %%
import json
import os
import secrets
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

ROOT = next(
    p for p in (Path.cwd(), *Path.cwd().parents) if (p / "circuits" / "recipe.py").is_file()
)
sys.path.insert(0, str(ROOT))

scratch = tempfile.TemporaryDirectory(prefix="verifiable-notebook-")
FOLDER = Path(scratch.name)
os.environ["VERIFIABLE_CACHE"] = str(FOLDER / "cache")

# %% [markdown]
# ## The model and an image
#
# `circuits/digits_cnn` holds a small CNN for scikit-learn's 8x8 digits, trained beforehand. Its
# ONNX file is committed, so that everybody proves the same model. `load_model` refuses what a
# circuit would silently get wrong, such as a NaN among the weights. The image below is a test
# image: the network was not trained on it, and the circuit is not calibrated on it.

# %%
from circuits import recipe
from verifiable.engines.ort import run, run_samples
from verifiable.frontend.export import load_model, signature_of

model = load_model(recipe.model("digits_cnn"))
digits = recipe.load("digits_cnn")
samples = digits.samples()
accuracy = digits.accuracy(run_samples(model, samples.test), samples.labels)
INDEX = 0
image = {"image": samples.test["image"][INDEX]}
label = int(samples.labels[INDEX])
logits = run(model, image)["logits"].ravel()

print(*signature_of(model).inputs, "->", *signature_of(model).outputs)
print(f"right on {100 * accuracy:.1f}% of {len(samples.labels)} test images")
figure, axes = plt.subplots(1, 2, figsize=(7, 2.6))
axes[0].imshow(image["image"][0, 0], cmap="gray_r")
axes[0].set(title=f"test image {INDEX}, labelled {label}", xticks=[], yticks=[])
axes[1].bar(range(10), logits, color="0.5")
axes[1].set(title="the float model's answer", xlabel="digit", ylabel="logit", xticks=range(10))
figure.tight_layout()

assert accuracy > 0.96
assert int(logits.argmax()) == label

# %% [markdown]
# ## Compile: a circuit and its keys
#
# A circuit computes with whole numbers, so weights and pixels become multiples of 2^-9. How many
# bits to keep, and how to check ranges, are *levers*. `verifiable compile` finds good ones in about
# 20 seconds; here they are given, to save the wait. Notebook 02 is about them.
#
# The input is `hashed`: the receipt will show one Poseidon digest in place of 64 pixels.
#
# **What `allow_insecure_srs` means.** The keys rest on a set of points made from a secret number.
# In a ceremony many people mix it and each deletes their share. Here this machine drew it alone,
# which is quick, but whoever kept the number could prove anything. So the bundle, the receipt and
# the contract are all marked, and each check below has to say that it accepts the mark.

# %%
from verifiable.proofs.compile import compile_model
from verifiable.proofs.protocol import Policy, Visibility

LEVERS = {
    "scale": 9,
    "scale_rebase_multiplier": 2,
    "decomp_base": 2048,
    "decomp_legs": 2,
    "num_inner_cols": 1,
}
policy = Policy(error=0.05, visibility=Visibility(input="hashed"), levers=LEVERS)
compiled = compile_model(
    model, samples.calibration, policy, FOLDER / "digits-cnn", allow_insecure_srs=True
)
bundle, (circuit,) = compiled.bundle, compiled.circuits
print(f"2**{circuit.k} rows, proving key {(circuit.folder / 'pk').stat().st_size / 1e6:.0f} MB")
print(f"largest error on held-out calibration images: {circuit.estimate.error:.4f}")

# %% [markdown]
# ## Prove and sign
#
# The **proof** shows: the weights in this verifying key, applied to an image with this digest, give
# these ten logits. It shows nothing about who asked, when, or for which contract, and a proof can
# be copied. The **signature** covers those: job, nonce, chain, contract and expiry. It shows only
# that the provider stands by them.
#
# `prove` verifies its own proof before it signs, since ezkl's prover checks nothing.

# %%
from verifiable.crypto.address import ZERO_ADDRESS
from verifiable.crypto.signatures import SigningKey
from verifiable.proofs.prove import Job, prove
from verifiable.types import Bytes32

key = SigningKey(secrets.token_bytes(32))
now = int(time.time())
job = Job(
    job_id=Bytes32(secrets.token_bytes(32)),
    nonce=Bytes32(secrets.token_bytes(32)),
    chain_id=0,  # no chain yet: this receipt is for use off chain
    verifier=ZERO_ADDRESS,
    expiry=now + 3600,
)
proven = prove(bundle, image, job, key)
answer = proven.outputs["logits"].ravel()
off_by = float(np.abs(answer - logits).max())
instances = proven.receipt.claim.subject.parts[0].instances

print(f"proof of {len(proven.receipt.proofs[0]):,} bytes, {len(instances)} instances")
print(f"the circuit answers {answer.argmax()}; its logits are off by at most {off_by:.4f}")
assert answer.argmax() == label
assert len(instances) == 1 + 10  # one digest, ten logits
assert 0 < off_by <= policy.error

# %% [markdown]
# The last number is the price of whole numbers. What is proven is the rounded network's answer, not
# the float model's. The distance was measured on a few images and is not part of the proof: where
# two logits lie closer together than it, the two networks may name different digits.
#
# ## The receipt, and what the verifier expects
#
# The provider sends a receipt. The verifier writes an expectation *without looking at it*: its own
# bundle, image and job. `output` is null because the answer is what the verifier wants to learn.

# %%
from verifiable.crypto.strict import to_hex
from verifiable.expectation import parse_expectation
from verifiable.receipt import encode_receipt

np.savez(FOLDER / "image.npz", **image)
(FOLDER / "receipt.json").write_bytes(encode_receipt(proven.receipt))
wanted = {
    "schema": "verifiable/expectation/1",
    "bundle": "digits-cnn",
    "provider": key.address,
    "job_id": to_hex(job.job_id),
    "nonce": to_hex(job.nonce),
    "chain_id": 0,
    "verifier": ZERO_ADDRESS,
    "input": "image.npz",
    "output": None,
    "lock": to_hex(bundle.digest),
}
(FOLDER / "expect.json").write_text(json.dumps(wanted, indent=2))
print((FOLDER / "expect.json").read_text())

# %% [markdown]
# ## Verify, twice, offline
#
# `check` raises unless all holds. On the command line this is
# `verifiable verify receipt.json --expect expect.json --allow-insecure-srs`, with `--independent`
# for the second. The independent verifier uses no ezkl and no compiler. It still takes the
# circuit's equations from the source that ezkl emitted at compile time, and compares that source's
# commitments with the verifying key; see the README for what stays trusted.

# %%
from verifiable.proofs.check import check

expected = parse_expectation((FOLDER / "expect.json").read_bytes())
receipt = (FOLDER / "receipt.json").read_bytes()
for method in ("ezkl", "independent"):
    started = time.monotonic()
    checked = check(receipt, expected, now=now, method=method, allow_insecure_srs=True, base=FOLDER)
    seen = checked.outputs["logits"].ravel()
    print(f"{method}: upheld in {time.monotonic() - started:.1f} s, answer {seen.argmax()}")
    assert np.array_equal(seen, answer)

# %% [markdown]
# Without the word of consent the same receipt is refused, whatever else is right about it.

# %%
from verifiable.errors import InsecureSrsError

try:
    check(receipt, expected, now=now, method="ezkl", base=FOLDER)
except InsecureSrsError as e:
    print("refused:", e)
else:
    raise AssertionError("an insecure SRS was accepted")

# %% [markdown]
# ## Verify on a chain
#
# The contracts are compiled from this bundle: ezkl's verifier, patched to take one encoding only,
# and a wrapper that checks digests, instances, signature and expiry and keeps used nonces. The
# chain is an EVM inside this process, so nothing leaves this machine and gas costs nothing.

# %%
from verifiable.chain.build import build
from verifiable.chain.deployment import deploy_plan
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.model import emission_spec

chain = EmbeddedChain(time=now)
built = build(emission_spec(bundle, proven.receipt, name="DigitsCnn"))
deployed = deploy_plan(built.plan, chain, accept_insecure_srs=True, adapters=False)
print(f"{built.form} form, wrapper at {deployed.verifier}")
print(f"deployment: {sum(deployed.gas.values()):,} gas")

# %% [markdown]
# The receipt above names no chain, so this contract would refuse it. The proof names none either
# and can be used again: the provider signs a claim that names this chain and this contract.

# %%
from verifiable.chain.bindings import InferenceVerifier
from verifiable.receipt import build_receipt

header = replace(proven.receipt.claim.header, chain_id=chain.chain_id, verifier=deployed.verifier)
claim = replace(proven.receipt.claim, header=header)
onchain = build_receipt(claim, proven.receipt.proofs, proven.receipt.versions, key)
contract = InferenceVerifier(chain, deployed.verifier)
sent = contract.verify(claim, onchain.proofs, onchain.signature)
digit = int(np.argmax(contract.outputs(claim)))
print(f"upheld for {sent.gas:,} gas; the contract reads the digit {digit}")
assert digit == label
assert sent.gas < 700_000

# %% [markdown]
# A nonce counts once. The same claim again is refused, though proof and signature are good.

# %%
from verifiable.errors import StatementRejectedError

try:
    contract.verify(claim, onchain.proofs, onchain.signature)
except StatementRejectedError as e:
    refusal = str(e)
else:
    raise AssertionError("a nonce was accepted twice")
print("refused:", refusal)
assert "NonceUsed" in refusal

# %% [markdown]
# ## A forged receipt
#
# Now the provider cheats. It raises the logit of a wrong digit until that one wins, and signs the
# changed claim with its own, genuine key. Both signatures are good, so all rests on the proof.

# %%
from verifiable.crypto.felt import quantize
from verifiable.errors import ProofRejectedError

(output,) = circuit.layout.of("output")
wrong = (label + 1) % 10
raised = list(instances)
raised[output.start + wrong] = quantize(float(answer.max()) + 1, output.scale)
subject = replace(claim.subject, parts=(replace(claim.subject.parts[0], instances=tuple(raised)),))
off_chain = replace(proven.receipt.claim, subject=subject)
forged = build_receipt(off_chain, proven.receipt.proofs, proven.receipt.versions, key)

for method in ("ezkl", "independent"):
    try:
        check(
            encode_receipt(forged), expected, now=now, method=method,
            allow_insecure_srs=True, base=FOLDER,
        )  # fmt: skip
    except ProofRejectedError as e:
        print(f"{method} refuses: {e}")
    else:
        raise AssertionError("a forgery was accepted")

# %% [markdown]
# The contract refuses it too, under a fresh nonce, so that only the proof is at fault.

# %%
fresh = replace(header, nonce=Bytes32(secrets.token_bytes(32)))
lie = replace(claim, header=fresh, subject=subject)
signed_lie = build_receipt(lie, proven.receipt.proofs, proven.receipt.versions, key)
try:
    contract.verify(lie, signed_lie.proofs, signed_lie.signature)
except ProofRejectedError as e:
    print("the contract refuses:", e)
else:
    raise AssertionError("a forgery was accepted")

scratch.cleanup()

# %% [markdown]
# ## What you know now, and what not
#
# - **The proof** shows that this rounded network gave these logits on an image with this digest. It
#   does not show that the float model agrees, nor that the answer is right.
# - **The digest** shows that it is *your* image, since you hashed it yourself. It keeps no secret
#   that can be guessed: whoever tries the right image sees the same digest.
# - **The signature** shows that the provider made this claim, for this job and contract, until it
#   expires. It does not show that the claim is true.
# - **The SRS here** shows nothing: this machine knew its secret, so all of the above holds only for
#   those who trust this machine. Use a ceremony file for anything that matters.
#
# Next: `02_prove` shows what precision costs, and what an auditor sees when inputs stay private.
