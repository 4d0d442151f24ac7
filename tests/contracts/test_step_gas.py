"""What it costs to refute one element of a large model's trace, and that both builds do."""

from collections.abc import Iterator

import pytest
from anvil import start
from graph_zoo import case
from step_gas import CANCUN_LIMITS, LIMITS, cases, gas_of, made_up, model_of
from step_lab import KINDS, Lab, artifacts, lab, lab_on
from step_runs import disputable, honest
from tensor_zoo import LONG, SMALL

from verifiable.chain.protocol import TRANSACTION_GAS_CAP
from verifiable.chain.rpc import RpcChain
from verifiable.dispute.prove import prove_step
from verifiable.dispute.step import check_step, statement_of
from verifiable.graph.check import check
from verifiable.solidity.standard import MAX_RUNTIME, EvmVersion

pytestmark = pytest.mark.evm


@pytest.fixture(scope="module")
def osaka() -> Iterator[Lab]:
    with start("--hardfork", "osaka") as node:
        yield lab_on(RpcChain(node.url), "osaka")


def refute(where: Lab, evm: EvmVersion, name: str) -> int:
    """Gas of a refutation that succeeds."""
    types, instruction = cases()[name]
    check(model_of(types, instruction))
    statement, proof = made_up(types, instruction)
    assert check_step(statement, proof).differs
    assert where.differs(statement, proof, gas=TRANSACTION_GAS_CAP)
    return gas_of(where.chain, where.steps, artifacts(evm)["Steps"].abi, statement, proof)


@pytest.mark.parametrize("name", LIMITS)
def test_a_refutation_costs_no_more_than_its_limit(name: str) -> None:
    assert refute(lab(), "cancun", name) <= CANCUN_LIMITS[name]


@pytest.mark.slow
@pytest.mark.anvil
@pytest.mark.parametrize("name", LIMITS)
def test_a_refutation_costs_no_more_than_its_limit_on_osaka(osaka: Lab, name: str) -> None:
    assert refute(osaka, "osaka", name) <= LIMITS[name]


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
