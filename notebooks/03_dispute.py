# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A forged answer, and anyone who refutes it
#
# A proof costs seconds for a model of this size and hours for a large one. Here is the cheaper
# way: the provider bonds a **claim**, and whoever runs the model again and finds another answer may
# refute it. The referee is a contract. It does not run the model: it computes one element again,
# bit for bit, and whoever is wrong about that element loses his bond.
#
# Played below, on an EVM inside this process: an honest claim, a forged one whose bytes are served,
# and the same forged one whose provider withholds every byte he can. It takes seconds on two cores
# and needs no network. You need `pip install 'verifiable[dev]'`.

# %%
import os
import sys
import tempfile
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
# ## The model as a canonical graph
#
# `digits_cnn` is a small CNN for 8x8 digits, trained beforehand. Lowering turns its ONNX operators
# into instructions of six kinds, each with one meaning down to the last bit. So two honest machines
# cannot differ, and equality can be asked for where others need a tolerance.

# %%
from circuits import recipe
from verifiable.engines.reference import Reference
from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower_model
from verifiable.trace.store import store_run

lowered = lower_model(parse_model(recipe.model("digits_cnn")))
graph, weights = lowered.graph, lowered.weights
samples = recipe.load("digits_cnn").samples()
image = {"image": np.ascontiguousarray(samples.test["image"][0], np.float32)}
honest, outputs = store_run(FOLDER / "honest", graph, Reference().prepare(graph, weights), image)
answer = int(outputs["logits"].argmax())
kinds = [type(instruction).__name__ for instruction in graph.instructions]
print(f"{len(kinds)} instructions:", ", ".join(f"{kinds.count(k)} {k}" for k in sorted(set(kinds))))
print(f"the image shows a {samples.labels[0]}, the model says {answer}")

assert answer == int(samples.labels[0])

# %% [markdown]
# ## The forgery
#
# This provider ran the model and then said something else: the logit of another digit is raised, so
# that the answer changes. It is one element of one tensor; all that comes before it is true.

# %%


class Forger:
    """Runs the model, and shows a last tensor that says something else."""

    def __init__(self, runner, place, change):
        self.runner, self.place, self.change = runner, place, change

    def run(self, inputs, *, watch=None, progress=None):
        def show(index, tensor):
            watch(index, self.change(tensor) if index == self.place else tensor)

        found = self.runner.run(inputs, watch=show, progress=progress)
        return {name: self.change(tensor) for name, tensor in found.items()}


OTHER = (answer + 1) % 10


def raised(logits):
    changed = logits.copy()
    changed[0, OTHER] = logits.max() + 1
    return changed


LAST = graph.outputs[0][1]
forger = Forger(Reference().prepare(graph, weights), LAST, raised)
forged, said = store_run(FOLDER / "forged", graph, forger, image)
pairs = zip(honest.trace.roots, forged.trace.roots, strict=True)
differs = [i for i, (mine, his) in enumerate(pairs) if mine != his]
print(f"the forged answer is {int(said['logits'].argmax())}; instructions {differs} differ")

assert int(said["logits"].argmax()) == OTHER
assert differs == [LAST]

# %% [markdown]
# ## A referee, its vault, and a job
#
# Money lies in a vault. A claim reserves the provider's bond there, a challenge the challenger's.
# Of a forfeit bond a part is burnt: whoever challenges himself loses at least that. A requester
# opens a **job**, which names model and input, so that a claim cannot be about something else.

# %%
from verifiable.chain.agent import Agent
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.recorder import record_of
from verifiable.chain.venue import deploy_venue
from verifiable.claim import CanonClaim, CanonSubject, Header, claim_id
from verifiable.dispute.players import Challenger, Proposer
from verifiable.dispute.shelf import NothingServed
from verifiable.dispute.state import Status
from verifiable.dispute.terms import Job, Policy
from verifiable.graph.commitment import model_root
from verifiable.serving.stored import StoredSource
from verifiable.types import Bytes32

ETHER = 10**18
policy = Policy(
    window=3_600, allowance=7_200, bond=ETHER, challenge_bond=ETHER // 20,
    reveal_fee=ETHER // 1_000, burnt_share=3_000, requester_share=1_000,
    refuter_gas=ETHER // 100,
)  # fmt: skip
PRICE, DEPOSIT = ETHER // 100, 2 * ETHER


def play(run, *, served=None, eager=False):
    """One job and one claim about `run`; provider and challenger move until it is decided."""
    chain = EmbeddedChain()
    requester, provider, challenger, _ = chain.accounts
    venue = deploy_venue(chain, policy)
    referee, vault, register = venue.referee(chain), venue.vault(chain), venue.register(chain)
    for who in (requester, provider, challenger):
        vault.deposit(who, DEPOSIT, sender=who)
        for spender in (referee.address, register.address):
            vault.allow(spender, sender=who)
    deadline = chain.block_time() + 600
    job = Job(
        requester=requester, referee=referee.address, model=model_root(graph),
        input=honest.trace.sections.input, semantics="canon/1", price=PRICE, deadline=deadline,
    )  # fmt: skip
    register.open(job)
    key = register.id_of(job)
    claim = CanonClaim(
        header=Header(
            venue="optimistic", semantics="canon/1", job_id=key, nonce=Bytes32(key),
            chain_id=chain.chain_id, verifier=referee.address, expiry=deadline, provider=provider,
        ),
        subject=CanonSubject(
            model=job.model, input=job.input, output=run.trace.sections.output
        ),
    )  # fmt: skip
    players = (
        Proposer(claim=claim, job=job, run=run, weights=weights, eager=eager),
        Challenger(me=challenger, run=honest, weights=weights, served=served or NothingServed()),
    )
    agents = [Agent(referee=referee, player=p, claim_id=claim_id(claim), job=job) for p in players]
    moves = []
    while True:
        ticks = [(agent.player, agent.tick()) for agent in agents]
        moves += [(type(p).__name__, tick) for p, tick in ticks if tick.move is not None]
        if any(tick.move is not None for _, tick in ticks):
            continue
        if referee.claim(claim_id(claim)).status in (Status.FINAL, Status.REFUTED):
            break
        chain.advance(600)
    people = {"requester": requester, "provider": provider, "challenger": challenger}
    # The price of a job that is open again stays in escrow, and is still the requester's.
    escrow = vault.reserved(requester, register.address)
    money = {name: vault.free(who) - DEPOSIT for name, who in people.items()}
    money["requester"] += escrow
    money["burnt"] = vault.burnt()
    assert sum(money.values()) == 0
    return referee.claim(claim_id(claim)), moves, money, record_of(referee, claim_id(claim), 0)


def show(moves):
    for who, tick in moves:
        print(f"{who:<10}  {type(tick.move).__name__:<13}  {tick.sent.gas:>9,} gas")
    print(f"{len(moves)} transactions, {sum(t.sent.gas for _, t in moves):,} gas")


# %% [markdown]
# ## An honest claim
#
# The challenger runs the model again, finds the same bits, and does nothing. Nothing but the claim
# was ever committed: no trace, no proof. After the window the provider is paid.

# %%
standing, moves, paid, _ = play(honest)
show(moves)

assert standing.status is Status.FINAL
assert [type(tick.move).__name__ for _, tick in moves] == ["Post", "Finalize"]
assert (paid["provider"], paid["challenger"]) == (PRICE, 0)

# %% [markdown]
# ## A forged claim whose bytes are served
#
# The trace, one root over every tensor of the run, is committed, and its objects can be had by
# their digests. The challenger walks from the root to the first leaf that is not his own. All
# operands of that element are his own too, so he can open them under the provider's root, and one
# transaction shows the referee that they do not give what was committed.

# %%
standing, served_moves, served_money, _ = play(forged, served=StoredSource(forged), eager=True)
show(served_moves)
evidence = [tick for _, tick in served_moves if type(tick.move).__name__ == "Refute"]
print(f"refuted at instruction {evidence[0].move.proof.instruction}, element "
      f"{evidence[0].move.proof.element}, in one transaction")  # fmt: skip

assert standing.status is Status.REFUTED
assert [type(t.move).__name__ for _, t in served_moves] == ["Post", "OpenChallenge", "Refute"]
assert (evidence[0].move.proof.instruction, evidence[0].move.proof.element) == (LAST, OTHER)

# %% [markdown]
# ## The same, with every byte withheld
#
# A root alone lets nobody open the wrong leaf, so withholding is the attack to expect. Now the
# challenger **demands** the nodes below the root, the provider must **reveal** them before his
# clock runs out, and so on down to the leaf. Each demand prepays its answer.

# %%
standing, moves, money, record = play(forged)
show(moves)

assert standing.status is Status.REFUTED
assert len(moves) <= 20

# %%
demands = [tick for _, tick in moves if type(tick.move).__name__ == "DemandBytes"]
reveals = [tick.move for _, tick in moves if type(tick.move).__name__ == "Reveal"]
computed = (
    x for x, k in zip(graph.instructions, kinds, strict=True) if k not in ("Const", "Input")
)
suspects = [sum(x.type.size for x in computed)]
for reveal in reveals:
    name = reveal.demand.form.name
    suspects.append(graph.instructions[LAST].type.size if name != "LEAF" else 1)

figure, axes = plt.subplots(1, 3, figsize=(13, 3.6))
axes[0].step(range(len(suspects)), suspects, where="post", color="0.2")
axes[0].set(title="the descent", xlabel="answers so far", ylabel="elements that may be wrong")
axes[0].set(yscale="log", xticks=range(len(suspects)))
for place, reveal in enumerate(reveals, 1):
    axes[0].annotate(reveal.demand.form.name.lower(), (place, suspects[place]),
                     textcoords="offset points", xytext=(3, 5), fontsize=8)  # fmt: skip
colours = {"Proposer": "0.75", "Challenger": "0.35"}
for offset, played in enumerate((served_moves, moves)):
    bottom = 0
    for who, tick in played:
        axes[1].bar(offset, tick.sent.gas, bottom=bottom, color=colours[who], edgecolor="white")
        bottom += tick.sent.gas
axes[1].set(title="gas, move by move", ylabel="gas")
axes[1].set(xticks=(0, 1), xticklabels=("served", "withheld"))
patches = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
axes[1].legend(patches, colours, fontsize=8)
names = list(money)
axes[2].bar(names, [money[name] / ETHER for name in names], color=["0.6", "0.75", "0.35", "0.1"])
axes[2].axhline(0, color="black", linewidth=0.8)
axes[2].set(title="who paid whom (withheld)", ylabel="ether")
figure.tight_layout()

# %% [markdown]
# The provider's bond went to the challenger, the requester and nobody. What is burnt is what keeps
# a cheater from challenging himself. The job is open again for somebody honest.

# %%
print("             transactions  of the dispute  gas of the dispute")
for title, played in (("served", served_moves), ("withheld", moves)):
    dispute = [tick.sent.gas for _, tick in played if type(tick.move).__name__ != "Post"]
    print(f"{title:<9}  {len(played):>14}  {len(dispute):>14}  {sum(dispute):>18,}")

# %% [markdown]
# This model is tiny, so its descent is short. Trees are opened by six levels at most; a trace
# of 2^26 elements and 2,000 instructions takes about 15 transactions.
#
# ## The record
#
# Every dispute can be written into one file. Whoever has it plays it again offline and must arrive
# at the same verdict; a changed record is found out.

# %%
from dataclasses import replace

from verifiable.dispute.record import encode_record, parse_record, replay
from verifiable.errors import VerifiableError

data = encode_record(record)
verdict = replay(parse_record(data))
print(f"{len(data):,} bytes; instruction {verdict.instruction}, element {verdict.element} is wrong")
tampered = replace(record, verdict=replace(verdict, element=verdict.element ^ 1))
try:
    replay(parse_record(encode_record(tampered)))
except VerifiableError as e:
    print("refused:", str(e)[:75], "...")
    refused = True

assert verdict.status is Status.REFUTED
assert (verdict.instruction, verdict.element) == (LAST, OTHER)
assert refused

# %%
scratch.cleanup()
