"""The embedded chain behaves as a chain."""

import pytest

from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.protocol import calldata_floor
from verifiable.chain.revert import OutOfGasError, RevertedError, decode_revert
from verifiable.errors import ChainError
from verifiable.types import Address

pytestmark = pytest.mark.evm
NOBODY = Address("0x" + "22" * 20)


def creation(code: bytes) -> bytes:
    return bytes.fromhex(f"60{len(code):02x}600c60003960{len(code):02x}6000f3") + code


# Adds one to slot 0 and returns what it was.
COUNTER = bytes.fromhex("600054806001016000556000526020" + "6000f3")
REVERTING = bytes.fromhex("36600060003736" + "6000fd")
ENDLESS = bytes.fromhex("5b600056")
CHAIN_ID = bytes.fromhex("4660005260206000f3")
TIME = bytes.fromhex("4260005260206000f3")


def test_a_call_changes_nothing_and_a_transaction_does() -> None:
    chain = EmbeddedChain()
    counter = chain.deploy(creation(COUNTER)).address
    assert chain.call(counter, b"") == chain.call(counter, b"") == bytes(32)
    chain.send(counter, b"")
    chain.send(counter, b"")
    assert chain.call(counter, b"") == (2).to_bytes(32, "big")


def test_code_is_what_was_deployed_before_and_after_it_ran() -> None:
    chain = EmbeddedChain()
    for code in (COUNTER, CHAIN_ID, b"\0", bytes(50), CHAIN_ID + bytes(40)):
        address = chain.deploy(creation(code)).address
        assert chain.code(address) == code
        chain.call(address, b"")
        assert chain.code(address) == code
    assert chain.code(NOBODY) == b""
    assert chain.code(chain.accounts[0]) == b""


def test_contracts_see_the_chain_id_and_the_time() -> None:
    chain = EmbeddedChain(chain_id=77, time=1_000)
    identity, clock = (chain.deploy(creation(code)).address for code in (CHAIN_ID, TIME))
    assert int.from_bytes(chain.call(identity, b""), "big") == chain.chain_id == 77
    assert int.from_bytes(chain.call(clock, b""), "big") == chain.block_time() == 1_000
    chain.advance(5)
    assert int.from_bytes(chain.call(clock, b""), "big") == chain.block_time() == 1_005


def test_ether_moves() -> None:
    chain = EmbeddedChain()
    chain.send(NOBODY, b"", value=7)
    assert chain.balance(NOBODY) == 7
    with pytest.raises(ChainError):
        chain.send(NOBODY, b"", sender=Address("0x" + "33" * 20), value=1)


def test_a_revert_keeps_its_data() -> None:
    chain = EmbeddedChain()
    address = chain.deploy(creation(REVERTING)).address
    for data in (b"", b"\x12\x34\x56\x78", bytes(100)):
        with pytest.raises(RevertedError) as caught:
            chain.call(address, data)
        assert caught.value.data == data
        assert caught.value.name is None


def test_running_dry_is_said_to_be_that() -> None:
    chain = EmbeddedChain()
    address = chain.deploy(creation(ENDLESS)).address
    with pytest.raises(OutOfGasError):
        chain.call(address, b"", gas=100_000)
    with pytest.raises(ChainError):
        chain.call(address, b"", gas=1)


def test_code_beyond_the_limit_is_refused() -> None:
    chain = EmbeddedChain()
    # PUSH3 24577, PUSH 0, RETURN: as many zeros.
    with pytest.raises(ChainError):
        chain.deploy(bytes.fromhex("626001016000f3"))


def test_bulky_calldata_costs_the_floor() -> None:
    chain = EmbeddedChain()
    data = b"\1" * 1000
    assert chain.send(NOBODY, data).gas == calldata_floor(data) == 61_000


@pytest.mark.parametrize(
    "data", [b"", b"abc", b"\x08\xc3\x79\xa0", b"\x08\xc3\x79\xa0" + b"\xff" * 64]
)
def test_a_reason_that_does_not_decode_is_no_name(data: bytes) -> None:
    assert decode_revert(data) is None
