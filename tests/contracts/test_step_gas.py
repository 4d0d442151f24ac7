"""What it costs to ask about one element of a large model's trace, and that both builds can be."""

from collections.abc import Iterator

import pytest
from anvil import start
from gas_report import MUST
from graph_zoo import case
from made_up import cases, made_up, model_of
from step_lab import Lab, artifacts, lab, lab_on
from step_runs import disputable, honest
from tensor_zoo import LONG, SMALL

from verifiable.chain.protocol import TRANSACTION_GAS_CAP
from verifiable.chain.rpc import RpcChain
from verifiable.chain.step_values import proof_value, statement_value
from verifiable.chain.venue import KINDS
from verifiable.dispute.prove import prove_step
from verifiable.dispute.step import check_step, statement_of
from verifiable.graph.check import check
from verifiable.solidity.standard import MAX_RUNTIME

pytestmark = pytest.mark.evm

# The step alone; what the referee adds stands in the gas report. There is no CLZ opcode here.
LIMITS = {name: most for name, most in MUST.items() if name.startswith("refute-")}
LIMITS["refute-dot-f32-4096"] = 1_900_000


@pytest.fixture(scope="module")
def osaka() -> Iterator[Lab]:
    with start("--hardfork", "osaka") as node:
        yield lab_on(RpcChain(node.url), "osaka")


@pytest.mark.parametrize("name", LIMITS)
def test_a_step_costs_no_more_than_a_refutation_may(name: str) -> None:
    types, instruction = cases()[name]
    check(model_of(types, instruction))
    statement, proof = made_up(types, instruction)
    assert check_step(statement, proof).differs
    where = lab()
    assert where.differs(statement, proof, gas=TRANSACTION_GAS_CAP)
    asked = where.data("differs", statement_value(statement), proof_value(proof))
    assert where.chain.send(where.steps, asked).gas <= LIMITS[name]


@pytest.mark.slow
@pytest.mark.anvil
@pytest.mark.parametrize("seed", range(8))
def test_the_osaka_build_gives_the_same_verdicts(osaka: Lab, seed: int) -> None:
    run = honest(case(seed, steps=8, extents=LONG if seed % 2 else SMALL, most=2048))
    for index, element in disputable(run, seed, 1):
        for one in (run, run.forge(index, element, 1)):
            proof = prove_step(one.graph, one.weights, one, index, element)
            found = osaka.differs(statement_of(one.trace), proof, gas=TRANSACTION_GAS_CAP)
            assert found == (one is not run)


@pytest.mark.parametrize("name", ["Steps", *KINDS])
def test_a_contract_fits_on_the_chain(name: str) -> None:
    assert len(artifacts()[name].deployed) <= MAX_RUNTIME


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Steps", *KINDS])
def test_the_osaka_build_of_a_contract_fits(name: str) -> None:
    assert len(artifacts("osaka")[name].deployed) <= MAX_RUNTIME
