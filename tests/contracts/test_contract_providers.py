"""Providers that are contracts sign through ERC-1271."""

import functools

import pytest
from evm_worlds import PROVIDER, STRANGER, World, sign, with_header, world

from verifiable.chain.abi import encode_constructor
from verifiable.errors import ChainError, RejectedError, SignatureRejectedError
from verifiable.solidity.compiler import compile_sources
from verifiable.solidity.standard import Artifact, Settings
from verifiable.types import Address

pytestmark = pytest.mark.evm

# Wallets that accept a signature of their owner's, and wallets that behave badly.
WALLETS = """
pragma solidity 0.8.37;
contract Wallet {
    address immutable OWNER;
    constructor(address owner) { OWNER = owner; }
    function isValidSignature(bytes32 digest, bytes calldata s) external view returns (bytes4) {
        if (s.length != 66 || s[0] != 0x77) return 0xffffffff;
        address made = ecrecover(digest, uint8(s[65]), bytes32(s[1:33]), bytes32(s[33:65]));
        return made == OWNER ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}
contract Yes { fallback() external { assembly { mstore(0, 1) return(0, 32) } } }
contract Short { fallback() external { assembly { mstore(0, shl(224, 0x1626ba7e)) return(0, 4) } } }
contract Reverting { fallback() external { revert("no"); } }
contract Burning { fallback() external { while (true) {} } }
contract Dirty {
    fallback() external { assembly { mstore(0, or(shl(224, 0x1626ba7e), 1)) return(0, 32) } }
}
contract Writing { uint256 x; fallback() external { x = 1; } }
"""


@functools.cache
def wallets() -> dict[str, Artifact]:
    return compile_sources({"W.sol": WALLETS}, Settings(via_ir=False))


@functools.cache
def place() -> World:
    return world("single")


@functools.cache
def wallet(name: str) -> Address:
    artifact = wallets()[name]
    arguments = [PROVIDER.address] if name == "Wallet" else []
    code = artifact.bytecode + encode_constructor(artifact.abi, arguments)
    return place().chain.deploy(code).address


def test_a_contract_that_accepts_the_signature_is_the_provider() -> None:
    w = place()
    claim = with_header(w.claim(), provider=wallet("Wallet"))
    w.verifier.check(claim, w.proofs, b"\x77" + sign(claim))


def test_a_contract_that_does_not_is_none() -> None:
    w = place()
    claim = with_header(w.claim(), provider=wallet("Wallet"))
    other = with_header(claim, provider=PROVIDER.address)
    for signature in (
        sign(claim),
        b"\x77" + sign(claim, STRANGER),
        b"\x77" + sign(other),
        b"",
    ):
        with pytest.raises(SignatureRejectedError):
            w.verifier.check(claim, w.proofs, signature)


@pytest.mark.parametrize("name", ["Yes", "Short", "Dirty", "Reverting"])
def test_a_contract_that_answers_anything_else_is_none(name: str) -> None:
    w = place()
    claim = with_header(w.claim(), provider=wallet(name))
    with pytest.raises(SignatureRejectedError):
        w.verifier.check(claim, w.proofs, sign(claim))


@pytest.mark.parametrize("name", ["Burning", "Writing"])
def test_a_contract_that_eats_all_gas_decides_nothing(name: str) -> None:
    w = place()
    claim = with_header(w.claim(), provider=wallet(name))
    with pytest.raises(ChainError) as caught:
        w.verifier.check(claim, w.proofs, sign(claim))
    assert not isinstance(caught.value, RejectedError)
