"""Put a referee and all that it calls on a chain."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from verifiable.chain.abi import encode_constructor
from verifiable.chain.market import JobRegister, StakeVault
from verifiable.chain.protocol import Chain, Ledger
from verifiable.chain.referee import Referee
from verifiable.chain.referee_values import policy_value
from verifiable.dispute.terms import NOBODY, Policy
from verifiable.solidity.standard import EvmVersion
from verifiable.types import Address, Gas

KINDS: Final = ("DotStep", "ReduceStep", "MapStep", "MoveStep")
"""Contracts that `Steps` asks, in the order of its constructor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Addresses of the optimistic venue's contracts on one chain, by contract."""

    chain_id: int
    addresses: Mapping[str, Address]
    gas: Mapping[str, Gas]
    """Of each creation."""

    def referee(self, chain: Ledger) -> Referee:
        """The referee."""
        return Referee(chain, self.addresses["Referee"])

    def vault(self, chain: Chain) -> StakeVault:
        """Its vault."""
        return StakeVault(chain, self.addresses["StakeVault"])

    def register(self, chain: Ledger) -> JobRegister:
        """Its job register."""
        return JobRegister(chain, self.addresses["JobRegister"])


def deploy_venue(
    chain: Chain,
    policy: Policy,
    *,
    token: Address = NOBODY,
    evm: EvmVersion = "cancun",
    sender: Address | None = None,
) -> Venue:
    """Create vault, register, step contracts, walks and referee.

    Parameters
    ----------
    chain : Chain
    policy : Policy
    token : Address
        ERC-20 that bonds are in; `NOBODY` for the native coin.
    evm : {"cancun", "osaka"}
        Rules of the chain.
    sender : Address, optional

    Raises
    ------
    ChainError
        If the chain refuses; contracts created before stay, without harm.
    """
    from verifiable.solidity.artifacts import load

    addresses: dict[str, Address] = {}
    gas: dict[str, Gas] = {}

    def create(name: str, *arguments: Any) -> Address:
        artifact = load(name, evm)
        code = artifact.bytecode + encode_constructor(artifact.abi, arguments)
        done = chain.deploy(code, sender=sender)
        addresses[name], gas[name] = done.address, done.gas
        return done.address

    vault = create("StakeVault", token)
    jobs = create("JobRegister", vault)
    steps = create("Steps", *(create(kind) for kind in KINDS))
    create("Referee", policy_value(policy), vault, jobs, steps, create("Walks"))
    return Venue(chain_id=chain.chain_id, addresses=addresses, gas=gas)
