# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # What settings cost, and what an auditor sees
#
# For those who set up a circuit (providers) and those who judge one (auditors). Notebook 01 took
# its settings as given. Here they are varied on a small model, by calibration alone, which takes
# half a second a point. Then two points are proven, and prediction is compared with measurement. At
# the end the input is shown, hashed, committed to or kept private, and an auditor looks at each.
#
# Under a minute on two cores, no network, everything in a temporary folder.

# %%
import math
import os
import secrets
import sys
import tempfile
import time
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
# ## The model
#
# `mlp_tiny` tells the digits 0 to 3 apart on 4x4 pixels: 16 inputs, 8 hidden units, 4 logits.

# %%
from circuits import recipe
from verifiable.engines.ort import run

model = recipe.model("mlp_tiny")
samples = recipe.load("mlp_tiny").samples()
image = {"image": samples.test["image"][0]}
logits = run(model, image)["logits"]
print(f"{len(model):,} bytes of ONNX, logits {logits.round(2)}")

# %% [markdown]
# ## The levers
#
# A circuit knows whole numbers only.
#
# - `scale`: fractional bits. A number x becomes round(x * 2^scale).
# - `decomp_base` and `decomp_legs`: ReLU and rescaling cut a number into `legs` digits of the given
#   base. A table with one row for each digit goes into the circuit, and the circuit's 2^k rows must
#   hold it. Base times base, `legs` times, bounds the numbers that fit.
# - `scale_rebase_multiplier`: how far scales may grow before results are scaled back.
# - `num_inner_cols`: columns side by side; fewer rows, larger keys and proofs.
#
# `plan` lays a circuit out and predicts its cost. No keys are made. The error is the largest
# difference from onnxruntime on four held-out calibration samples, so it is a measurement and not
# a bound: another input can be off by more.

# %%
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.protocol import Limits, Policy, Visibility


def levers(scale, log_base, legs):
    return {
        "scale": scale,
        "scale_rebase_multiplier": 2,
        "decomp_base": 1 << log_base,
        "decomp_legs": legs,
        "num_inner_cols": 2,
    }


def policy(settings, visibility="public"):
    return Policy(error=math.inf, visibility=Visibility(input=visibility), levers=settings)


def plan(settings, visibility="public"):
    return Ezkl().plan(model, samples.calibration, policy(settings, visibility))


plan(levers(scale=9, log_base=8, legs=3))

# %% [markdown]
# ## How many bits?
#
# Each scale gets the smallest base that still holds its numbers in three digits. For this model
# that takes 2 * scale + 3 bits; the tuner finds such numbers by bisection.

# %%
SCALES = range(3, 14, 2)
by_scale = {s: plan(levers(s, math.ceil((2 * s + 3) / 3), 3)) for s in SCALES}
errors = [estimate.error for estimate in by_scale.values()]

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
left.semilogy(SCALES, errors, "o-", label="measured, worst of 4 samples")
left.semilogy(SCALES, [10 * 2.0**-s for s in SCALES], "--", color="0.6", label="10 / 2^scale")
left.set(xlabel="scale (fractional bits)", ylabel="largest error of a logit")
left.legend()
right.bar(SCALES, [e.key_bytes / 1e6 for e in by_scale.values()], width=1.2, color="0.75")
right.set(xlabel="scale (fractional bits)", ylabel="proving key, MB (predicted)")
figure.tight_layout()

assert all(by_scale[s].error > by_scale[s + 4].error for s in SCALES if s + 4 in by_scale)
assert by_scale[3].error > 1
assert by_scale[13].error < 0.001

# %% [markdown]
# The error falls by about half with each bit, though not evenly, since rounding errors add up or
# cancel by chance. The key grows in steps: rows are a power of two, so precision is free until the
# table, or what is computed, no longer fits. That is why one lever at a time misleads.
#
# ## How large a table?
#
# Now the scale stays at 9 and the same 21 bits are cut into fewer, larger digits.

# %%
LOG_BASES = range(4, 16, 2)
by_base = {b: plan(levers(9, b, math.ceil(21 / b))) for b in LOG_BASES}

figure, left = plt.subplots(figsize=(6, 3.2))
left.bar(LOG_BASES, [e.key_bytes / 1e6 for e in by_base.values()], width=1.2, color="0.75")
left.set(xlabel="log2 of decomp_base", ylabel="proving key, MB (predicted)", yscale="log", ylim=1)
right = left.twinx()
right.plot(LOG_BASES, [e.rows for e in by_base.values()], "o-")
right.set(ylim=(0, 700))
right.set_ylabel("rows computed (line)", color="C0")
figure.tight_layout()

cheapest = min(by_base.values(), key=lambda e: e.key_bytes)
print(f"base 2^14, ezkl's default: {by_base[14].key_bytes / 1e6:.0f} MB, k = {by_base[14].k}")
print(f"base {cheapest.settings['decomp_base']}: {cheapest.key_bytes / 1e6:.1f} MB")

assert by_base[14].key_bytes > 50 * cheapest.key_bytes
assert len({e.error for e in by_base.values()}) == 1
assert all(e.k > b for b, e in by_base.items())

# %% [markdown]
# Small digits need more rows, large ones a larger table. For a small network the table decides: the
# default pays for 32,768 rows and computes a few hundred. The error is the same in every bar,
# because how digits are cut changes no result. (With a large network it is the other way round,
# and its rows decide.)
#
# Too few digits are refused at calibration, before any key is made. The limit follows from the
# calibration data: an input far outside of it has no witness and cannot be proven.

# %%
from verifiable.errors import PolicyError

try:
    plan(levers(scale=9, log_base=8, legs=2))
except PolicyError as e:
    print("refused:", e)
else:
    raise AssertionError("16 bits held numbers that need 21")

# %% [markdown]
# ## Prediction and measurement
#
# Two points are proven: a cheap one, and one with 3 more bits and a table that is too large. The
# SRS is insecure, as in notebook 01; a cost does not depend on who knows its secret.

# %%
from verifiable.crypto.address import ZERO_ADDRESS
from verifiable.crypto.signatures import SigningKey
from verifiable.proofs.compile import compile_model
from verifiable.proofs.prove import Job, prove
from verifiable.proofs.srs_store import insecure_srs
from verifiable.types import Bytes32

key = SigningKey(secrets.token_bytes(32))
for k in (9, 10, 11):  # one SRS of each size: a larger one would do, but slows every stage down
    insecure_srs(k, Limits())


def prove_once(name, settings, visibility="public"):
    terms = policy(settings, visibility)
    compiled = compile_model(
        model, samples.calibration, terms, FOLDER / name, allow_insecure_srs=True
    )
    job = Job(
        job_id=Bytes32(bytes(32)),
        nonce=Bytes32(secrets.token_bytes(32)),
        chain_id=0,
        verifier=ZERO_ADDRESS,
        expiry=int(time.time()) + 3600,
    )
    return compiled.circuits[0], prove(compiled.bundle, image, job, key)


points = {
    "cheap": prove_once("cheap", levers(scale=9, log_base=8, legs=3)),
    "dear": prove_once("dear", levers(scale=12, log_base=10, legs=3)),
}

# %%
print(f"{'':24}{'predicted':>12}{'measured':>12}")
for name, (circuit, proven) in points.items():
    estimate = circuit.estimate
    pk = (circuit.folder / "pk").stat().st_size
    proof = len(proven.receipt.proofs[0])
    error = float(np.abs(proven.outputs["logits"] - logits).max())
    print(f"{name + ', key bytes':24}{estimate.key_bytes:12,}{pk:12,}")
    print(f"{name + ', proof bytes':24}{estimate.proof_bytes:12,}{proof:12,}")
    print(f"{name + ', seconds':24}{estimate.prove_seconds:12.2f}{proven.usages[0].seconds:12.2f}")
    print(f"{name + ', error':24}{estimate.error:12.2g}{error:12.2g}")
    assert 0.95 < estimate.key_bytes / pk < 1.05
    assert 0.9 < estimate.proof_bytes / proof < 1.1
    assert error < 2 * estimate.error

# %% [markdown]
# Key and proof bytes follow from the layout and come out within a few percent. Seconds are a linear
# fit over earlier proofs on two cores: below one second most of them is starting a process, and a
# busy machine takes longer, so read them as an order of magnitude. Memory is left to
# `scripts/bench.py zk`, whose circuits are large enough for it to matter.
#
# ## Who sees what
#
# A proof speaks about a short list of field elements, its **instances**. They stand in the receipt
# for all to read. The layout says what each one is, and visibility decides which there are.

# %%
layouts, gas = {}, {}
for visibility in ("public", "hashed", "committed", "private"):
    folder = FOLDER / f"layout-{visibility}"
    folder.mkdir()
    terms = policy(levers(scale=9, log_base=8, legs=3), visibility)
    circuit = Ezkl().compile(model, samples.calibration, terms, folder)
    layouts[visibility], gas[visibility] = circuit.layout, circuit.estimate.gas
    slots = ", ".join(f"{s.count} {s.role} ({s.form})" for s in circuit.layout.slots)
    print(f"{visibility:10} k = {circuit.k:2}, about {gas[visibility]:,} gas: {slots}")

assert {name: layout.count for name, layout in layouts.items()} == {
    "public": 16 + 4,
    "hashed": 1 + 4,
    "committed": 4,
    "private": 4,
}
assert gas["private"] < gas["public"] < gas["hashed"]

# %% [markdown]
# With 16 pixels a hash costs more than it saves. With many it is the cheaper one: every public
# element costs gas, and a digest is one, whatever it is of. `verifiable compile` hashes inputs of
# more than 32 elements unless told otherwise.
#
# **Public.** The auditor needs nothing from anybody: the image stands in the receipt.

# %%
from verifiable.crypto.felt import dequantize


def instances_of(proven, slot):
    return proven.receipt.claim.subject.parts[0].instances[slot.start : slot.start + slot.count]


(slot,) = layouts["public"].of("input")
seen = [dequantize(x, slot.scale) for x in instances_of(points["cheap"][1], slot)]

figure, axes = plt.subplots(1, 2, figsize=(5, 2.4))
axes[0].imshow(image["image"].reshape(4, 4), cmap="gray_r")
axes[0].set(title="what went in", xticks=[], yticks=[])
axes[1].imshow(np.reshape(seen, (4, 4)), cmap="gray_r")
axes[1].set(title="read from the receipt", xticks=[], yticks=[])
figure.tight_layout()

assert np.array_equal(np.ravel(image["image"]), np.float32(seen))

# %% [markdown]
# The two are equal to the last bit, because these pixels are multiples of 1/64 and the scale keeps
# 9 bits. Other inputs would come back rounded.
#
# **Hashed.** The auditor sees a digest. Who has the image can hash it and compare, and that is how
# `verify` ties a receipt to the caller's own image. Who does not have it can guess: there is no
# salt, so a digest of something with few possible values hides nothing.

# %%
from verifiable.proofs.instances import slot_instances

_, hashed = prove_once("hashed", levers(scale=9, log_base=8, legs=3), "hashed")
(slot,) = layouts["hashed"].of("input")
digest = instances_of(hashed, slot)
guesses = samples.test["image"][:20]
matching = [i for i, guess in enumerate(guesses) if slot_instances(slot, guess) == digest]
print(f"the receipt shows 0x{digest[0]:064x}")
print(f"{len(guesses)} images guessed, {len(matching)} with this digest: number {matching[0]}")

assert matching == [0]

# %% [markdown]
# **Committed.** No instance at all: a KZG commitment stands at the head of the proof. It is
# computed without randomness as well, so it can be compared, and guessed, like a digest.
#
# **Private.** Nothing stands anywhere. Such a receipt says: *the provider knows some image for
# which this model answers so*. It does not say that this was your image, and for a small network
# one can be made up. Use it only where that sentence is what you need.
#
# The output is public in all four, or nobody could read the answer. The weights are `fixed` in the
# verifying key in all four: weights that nothing binds would say nothing about a model, and the
# package refuses to make them private.

# %%
scratch.cleanup()

# %% [markdown]
# ## In short
#
# 1. Choose the error you can bear first. It sets the scale.
# 2. Let the tuner fit base, legs and columns (`verifiable plan MODEL DATA` shows them). The default
#    table alone makes a small network's key fifty times larger.
# 3. Choose the visibility by what the auditor must be able to say, then by gas.
# 4. A predicted error is measured on a few samples. Take a margin.
