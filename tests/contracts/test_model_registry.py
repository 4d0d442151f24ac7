"""A registry says what owners said, for ever, and nothing that pays listens to it."""

from collections.abc import Mapping
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st
from market_lab import ZERO, Contract, RefusedError, artifacts, deploy

from verifiable.chain.abi import canonical_type, selector
from verifiable.chain.embedded import EmbeddedChain
from verifiable.crypto.hashing import keccak256
from verifiable.solidity.artifacts import sources, with_libraries
from verifiable.solidity.standard import reachable
from verifiable.types import Address

pytestmark = pytest.mark.evm

COMMITMENT = "(bytes32,bytes32,bytes32,bytes4,string)"
VERSION = f"({COMMITMENT},bytes32,address)"
NONE = bytes(32)
SYSTEM = keccak256(b"halo2-kzg-bn254-ezkl-v23")[:4]
VERIFIER = Address("0x" + "ab" * 20)

Commitment = tuple[bytes, bytes, bytes, bytes, str]


def digest(text: str) -> bytes:
    return keccak256(text.encode())


def commitment(tag: str = "", *, proven: bool = True) -> Commitment:
    if not proven:
        return digest("onnx" + tag), NONE, NONE, bytes(4), "ipfs://bundle" + tag
    circuit, key = digest("circuit" + tag), digest("key" + tag)
    return digest("onnx" + tag), circuit, key, SYSTEM, "ipfs://bundle" + tag


def version(tag: str = "") -> tuple[Commitment, bytes, str]:
    return commitment(tag), digest("root" + tag), VERIFIER


@pytest.fixture
def registry() -> Contract:
    return deploy(EmbeddedChain(), artifacts()["ModelRegistry"])


def owner(registry: Contract) -> Address:
    return registry.chain.accounts[0]


def stranger(registry: Contract) -> Address:
    return registry.chain.accounts[1]


def registered(registry: Contract, tag: str = "") -> int:
    n = registry.call("modelsOf", owner(registry))
    registry.send("register", version(tag))
    return int(registry.call("modelIdOf", owner(registry), n))


def test_a_model_is_found_by_its_id(registry: Contract) -> None:
    model = registered(registry)
    assert registry.call("getModel", model) == (commitment(), False, owner(registry).lower())
    assert registry.call("versionCount", model) == 1
    assert registry.call("getVersion", model, 0) == version()
    assert registry.call("versionIdOf", model, 0) == keccak256(encode([VERSION], [version()]))


def test_an_id_is_the_owners_own_whatever_others_register(registry: Contract) -> None:
    place = [registry.chain.chain_id, registry.address, owner(registry), 1]
    expected = keccak256(encode(["uint256", "address", "address", "uint256"], place))
    registered(registry)
    registry.send("register", version("x"), sender=stranger(registry))
    assert registered(registry, "b") == int.from_bytes(expected, "big")


@given(tags=st.lists(st.sampled_from("abc"), max_size=6))
def test_versions_are_only_ever_added(tags: list[str]) -> None:
    registry = deploy(EmbeddedChain(), artifacts()["ModelRegistry"])
    model = registered(registry)
    expected = [version()]
    for i, tag in enumerate(tags):
        if i % 2:
            registry.send("updateModel", model, commitment(tag))
            expected.append((commitment(tag), NONE, ZERO))
        else:
            registry.send("addVersion", model, version(tag))
            expected.append(version(tag))
        seen = [registry.call("getVersion", model, n) for n in range(len(expected))]
        assert seen == expected
        assert registry.call("versionCount", model) == len(expected)
        assert registry.call("getModel", model)[0] == expected[-1][0]


def test_a_retired_model_stays_as_it_was_and_takes_no_more(registry: Contract) -> None:
    model = registered(registry)
    registry.send("addVersion", model, version("b"))
    before = [registry.call("getVersion", model, n) for n in range(2)]
    registry.send("deprecateModel", model)
    assert registry.call("getModel", model) == (commitment("b"), True, owner(registry).lower())
    assert [registry.call("getVersion", model, n) for n in range(2)] == before
    for name, arguments in (
        ("addVersion", (model, version("c"))),
        ("updateModel", (model, commitment("c"))),
        ("deprecateModel", (model,)),
    ):
        with pytest.raises(RefusedError, match="ModelRetired"):
            registry.send(name, *arguments)
    # Its owner's other models live on.
    registered(registry, "d")


def test_only_the_owner_changes_a_model(registry: Contract) -> None:
    model = registered(registry)
    for name, arguments in (
        ("addVersion", (model, version("c"))),
        ("updateModel", (model, commitment("c"))),
        ("deprecateModel", (model,)),
    ):
        with pytest.raises(RefusedError, match="NotModelOwner"):
            registry.send(name, *arguments, sender=stranger(registry))
    assert registry.call("getModel", model) == (commitment(), False, owner(registry).lower())
    assert registry.call("versionCount", model) == 1


def test_what_is_not_there_is_said_to_be_so(registry: Contract) -> None:
    model = registered(registry)
    for name, arguments in (
        ("getModel", ()),
        ("versionCount", ()),
        ("getVersion", (0,)),
        ("versionIdOf", (0,)),
        ("addVersion", (version(),)),
        ("updateModel", (commitment(),)),
        ("deprecateModel", ()),
    ):
        with pytest.raises(RefusedError, match="ModelNotFound"):
            registry.call(name, model ^ 1, *arguments)
    with pytest.raises(RefusedError, match="VersionNotFound"):
        registry.call("getVersion", model, 1)


def test_a_commitment_described_in_part_is_refused(registry: Contract) -> None:
    onnx, circuit, key, system, uri = commitment()
    for broken in (
        ((NONE, circuit, key, system, uri), NONE, VERIFIER),
        ((onnx, NONE, key, system, uri), NONE, VERIFIER),
        ((onnx, circuit, NONE, system, uri), NONE, VERIFIER),
        ((onnx, circuit, key, bytes(4), uri), NONE, VERIFIER),
        (commitment(proven=False), digest("root"), VERIFIER),
    ):
        with pytest.raises(RefusedError, match="VersionIncomplete"):
            registry.send("register", broken)
    assert registry.call("modelsOf", owner(registry)) == 0
    # Without a proof system: the optimistic venue needs none.
    registry.send("register", (commitment(proven=False), digest("root"), ZERO))


def test_the_ercs_own_functions_register_and_tell_it_by_events(registry: Contract) -> None:
    abi = registry.artifact.abi
    events = {e["name"]: selector_of(e) for e in abi if e["type"] == "event"}
    first = registry.send("registerModel", commitment())
    model = int(registry.call("modelIdOf", owner(registry), 0))
    assert registry.call("getVersion", model, 0) == (commitment(), NONE, ZERO)
    second = registry.send("updateModel", model, commitment("b"))
    third = registry.send("deprecateModel", model)
    names = {topic: name for name, topic in events.items()}
    seen = [[names[log.topics[0]] for log in sent.logs] for sent in (first, second, third)]
    assert seen == [
        ["ModelRegistered", "VersionAdded"],
        ["ModelUpdated", "VersionAdded"],
        ["ModelDeprecated"],
    ]
    assert first.logs[0].topics[1] == model.to_bytes(32, "big")
    assert second.logs[0].data == encode([COMMITMENT] * 2, [commitment(), commitment("b")])


def selector_of(event: Mapping[str, Any]) -> bytes:
    types = ",".join(canonical_type(i) for i in event["inputs"])
    return keccak256(f"{event['name']}({types})".encode())


def test_the_interface_ids_are_those_of_the_functions(registry: Contract) -> None:
    def supports(identifier: bytes) -> bool:
        return bool(registry.call("supportsInterface", identifier))

    # The four functions of the draft's registry.
    wanted = 0
    for name in ("registerModel", "updateModel", "deprecateModel", "getModel"):
        (entry,) = [e for e in registry.artifact.abi if e.get("name") == name]
        wanted ^= int.from_bytes(selector(entry), "big")
    assert supports(wanted.to_bytes(4, "big"))
    assert supports(bytes.fromhex("01ffc9a7"))
    assert not supports(bytes.fromhex("ffffffff"))


def test_nothing_that_holds_money_or_gives_verdicts_reads_the_registry() -> None:
    every = with_libraries(sources())
    others = ("market/StakeVault.sol", "market/JobRegister.sol", "InferenceVerifier.sol")
    folders = ("referee/", "step/", "lib/", "adapters/Erc", "adapters/Optimistic")
    judging = [name for name in every if name.startswith(folders) or name in others]
    assert set(others) < set(judging)
    for name in judging:
        text = reachable(every, [name]).items()
        assert not [n for n, t in text if "ModelRegistry" in n or "ModelRegistry" in t], name
