"""The texts that make an emission a Foundry project: settings, deployment, tests, solc."""

from typing import Final

from verifiable.chain.build import Build
from verifiable.chain.deployment import key_initcode
from verifiable.chain.measure import VECTOR_KEY
from verifiable.solidity.standard import EZKL_SETTINGS, SOLC_VERSION, Settings

VM: Final = """// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice What we use of Foundry's cheat codes.
interface Vm {
    function addr(uint256 privateKey) external pure returns (address);
    function sign(uint256 privateKey, bytes32 digest)
        external
        pure
        returns (uint8 v, bytes32 r, bytes32 s);
    function warp(uint256 time) external;
    function chainId(uint256 id) external;
    function getCode(string calldata artifact) external view returns (bytes memory);
    function envOr(string calldata name, bool otherwise) external view returns (bool);
    function startBroadcast() external;
    function stopBroadcast() external;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
"""

# Tried in the order of `verifiable.solidity.compiler`.
SOLC_WRAPPER: Final = f"""#!/bin/sh
# solc {SOLC_VERSION} for machines where Foundry cannot download one:
#   FOUNDRY_SOLC=tools/solc FOUNDRY_OFFLINE=true forge test
# Needs SOLC (a native binary), or node and the npm package: SOLC_MODULE names its folder, and
# `npm install solc@{SOLC_VERSION}` in this project also does.
set -eu
if [ -n "${{SOLC:-}}" ]; then exec "$SOLC" "$@"; fi
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
module=${{SOLC_MODULE:-$here/node_modules/solc}}
exec "${{NODE:-node}}" -e '
const solc = require(process.argv[1]);
if (process.argv.includes("--version")) {{
  console.log("solc, the solidity compiler commandline interface");
  console.log("Version: " + solc.version().replace(".Emscripten.clang", ".Linux.g++"));
  process.exit(0);
}}
const chunks = [];
process.stdin.on("data", c => chunks.push(c));
process.stdin.on("end", () =>
  process.stdout.write(solc.compile(Buffer.concat(chunks).toString("utf8"))));
' "$module" "$@"
"""


def foundry_toml(build: Build) -> str:
    """Settings under which forge makes the very bytes that were emitted."""
    settings = Settings(evm=build.spec.evm)
    via_ir, runs = str(EZKL_SETTINGS.via_ir).lower(), EZKL_SETTINGS.runs
    return f"""# The emitted verifiers need settings of their own, and the wrapper checks the hash
# of their code: change neither. Offline: FOUNDRY_SOLC=tools/solc FOUNDRY_OFFLINE=true forge test
[profile.default]
src = "src"
test = "test"
script = "script"
out = "out"
libs = []
solc = "{SOLC_VERSION}"
evm_version = "{settings.evm}"
via_ir = {str(settings.via_ir).lower()}
optimizer = true
optimizer_runs = {settings.runs}
bytecode_hash = "none"
cbor_metadata = false
additional_compiler_profiles = [{{ name = "halo2", via_ir = {via_ir}, optimizer_runs = {runs} }}]

[[profile.default.compilation_restrictions]]
paths = "src/halo2/*.sol"
via_ir = {via_ir}
optimizer_runs = {runs}
"""


def deployer(build: Build) -> str:
    """``script/Deployer.sol``: what the deployment script and the tests share."""
    name, plan = build.spec.name, build.plan
    keyed = any(key is not None for key in plan.keys)
    lines = []
    for i, verifier in enumerate(artifact.name for artifact in plan.verifiers):
        code = f'vm.getCode("{verifier}.sol:{verifier}")'
        lines.append(f"        address verifier{i} = _create({code});")
    lines.append(f"        address[] memory halo2 = new address[]({len(plan.keys)});")
    for i, j in enumerate(plan.part_verifiers):
        lines.append(f"        halo2[{i}] = verifier{j};")
    arguments = ["halo2"]
    if keyed:
        lines.append(f"        address[] memory keys = new address[]({len(plan.keys)});")
        lines += [
            f"        keys[{i}] = _create(Keys.PART_{i});"
            for i, key in enumerate(plan.keys)
            if key is not None
        ]
        arguments.append("keys")
    if build.spec.insecure_srs:
        arguments.append("acceptInsecureSrs")
    body = "\n".join(lines)
    accept = "bool acceptInsecureSrs" if build.spec.insecure_srs else "bool"
    keys_import = 'import {Keys} from "./Keys.sol";\n' if keyed else ""
    return f"""// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {{{name}Verifier}} from "../src/{name}Verifier.sol";
import {{IInferenceVerifier}} from "../src/IInferenceVerifier.sol";
import {{Erc7007Adapter}} from "../src/adapters/Erc7007Adapter.sol";
import {{Erc7992Adapter}} from "../src/adapters/Erc7992Adapter.sol";
{keys_import}import {{vm}} from "./Vm.sol";

/// @notice Creates the contracts of {name} in order.
abstract contract Deployer {{
    IInferenceVerifier internal verifier;
    Erc7007Adapter internal erc7007;
    Erc7992Adapter internal erc7992;

    /// @notice A contract could not be created.
    error CreationFailed();

    function _deploy({accept}) internal {{
{body}
        verifier = new {name}Verifier({", ".join(arguments)});
        erc7007 = new Erc7007Adapter(verifier);
        erc7992 = new Erc7992Adapter(verifier);
    }}

    /// @dev The Halo2 verifiers are compiled with settings of their own, so they are not imported.
    function _create(bytes memory initcode) private returns (address created) {{
        assembly {{
            created := create(0, add(initcode, 0x20), mload(initcode))
        }}
        if (created == address(0)) revert CreationFailed();
    }}
}}
"""


def keys_library(build: Build) -> str | None:
    """``script/Keys.sol``: creation code of the key contracts; None if there are none."""
    constants = [
        f'    bytes internal constant PART_{i} = hex"{key_initcode(key).hex()}";'
        for i, key in enumerate(build.plan.keys)
        if key is not None
    ]
    if not constants:
        return None
    body = "\n".join(constants)
    return f"""// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice Creation code of the contracts that hold the key material.
library Keys {{
{body}
}}
"""


def deploy_script(build: Build) -> str:
    """``script/Deploy.s.sol``."""
    insecure = build.spec.insecure_srs
    accept = 'vm.envOr("ACCEPT_INSECURE_SRS", false)' if insecure else "false"
    note = "\n/// @dev INSECURE SRS: refuses unless ACCEPT_INSECURE_SRS=true." if insecure else ""
    return f"""// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {{Deployer}} from "./Deployer.sol";
import {{vm}} from "./Vm.sol";

/// @notice forge script script/Deploy.s.sol --rpc-url $RPC_URL --broadcast --account NAME{note}
contract Deploy is Deployer {{
    function run() external returns (address, address, address) {{
        vm.startBroadcast();
        _deploy({accept});
        vm.stopBroadcast();
        return (address(verifier), address(erc7007), address(erc7992));
    }}
}}
"""


def deploy_shell(build: Build) -> str:
    """``script/deploy.sh``: the same without Foundry."""
    flag = " --allow-insecure-srs" if build.spec.insecure_srs else ""
    return f"""#!/bin/sh
# Deploys the emitted bytecode as it is: RPC_URL=... script/deploy.sh
set -eu
cd "$(dirname -- "$0")/.."
exec verifiable contract deploy . --rpc "$RPC_URL"{flag} "$@"
"""


def vectors_library(build: Build) -> str:
    """``test/Vectors.sol``: the real proof."""
    from eth_abi.abi import encode

    vector = build.spec.vector
    instances = "\n".join(
        f'        if (part == {i}) return abi.decode(hex"{encode(["uint256[]"], [felts]).hex()}", '
        "(uint256[]));"
        for i, felts in enumerate(vector.instances)
    )
    proofs = "\n".join(
        f'        if (part == {i}) return hex"{proof.hex()}";'
        for i, proof in enumerate(vector.proofs)
    )
    return f"""// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice Instances and proofs of one real inference.
library Vectors {{
    error NoSuchPart();

    function instances(uint256 part) internal pure returns (uint256[] memory) {{
{instances}
        revert NoSuchPart();
    }}

    function proof(uint256 part) internal pure returns (bytes memory) {{
{proofs}
        revert NoSuchPart();
    }}
}}
"""


def test_contract(build: Build) -> str:
    """``test/{Name}Verifier.t.sol``: the vector passes, and what is changed in it does not."""
    name = build.spec.name
    secret = "0x" + VECTOR_KEY.secret.hex()
    return f"""// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {{Deployer}} from "../script/Deployer.sol";
import {{vm}} from "../script/Vm.sol";
import {{IInferenceVerifier}} from "../src/IInferenceVerifier.sol";
import {{EzklClaim, EzklPart}} from "../src/Types.sol";
import {{Vectors}} from "./Vectors.sol";

contract {name}VerifierTest is Deployer {{
    /// @dev Signs these vectors and nothing else.
    uint256 private constant SECRET = {secret};

    error ShouldHold(string what);

    function setUp() external {{
        vm.warp(1_700_000_000);
        _deploy(true);
    }}

    function test_the_real_proof_is_accepted_and_its_nonce_recorded() external {{
        EzklClaim memory claim = _claim();
        bytes32 id = verifier.verify(claim, _evidence(claim, SECRET));
        _hold(id == verifier.claimId(claim), "id");
        _hold(verifier.claimOf(claim.header.provider, claim.header.nonce) == id, "nonce");
    }}

    function test_a_used_nonce_is_refused() external {{
        EzklClaim memory claim = _claim();
        bytes memory evidence = _evidence(claim, SECRET);
        verifier.verify(claim, evidence);
        _refused(claim, evidence, IInferenceVerifier.NonceUsed.selector);
    }}

    function test_a_changed_instance_is_refused_although_signed() external {{
        for (uint256 i = 0; i < verifier.partCount(); ++i) {{
            EzklClaim memory claim = _claim();
            uint256[] memory felts = claim.subject.parts[i].instances;
            if (felts.length == 0) continue;
            felts[felts.length - 1] ^= 1;
            _refused(claim, _evidence(claim, SECRET), bytes4(0));
        }}
    }}

    function test_a_changed_proof_byte_is_refused(uint256 place) external {{
        EzklClaim memory claim = _claim();
        (bytes[] memory proofs, bytes memory signature) =
            abi.decode(_evidence(claim, SECRET), (bytes[], bytes));
        bytes memory proof = proofs[place % proofs.length];
        proof[place % proof.length] ^= 0x01;
        _refused(claim, abi.encode(proofs, signature), IInferenceVerifier.ProofRejected.selector);
    }}

    function test_another_signer_is_refused() external {{
        EzklClaim memory claim = _claim();
        _refused(claim, _evidence(claim, 7), IInferenceVerifier.SignatureRejected.selector);
    }}

    function test_an_expired_claim_is_refused() external {{
        EzklClaim memory claim = _claim();
        bytes memory evidence = _evidence(claim, SECRET);
        vm.warp(uint256(claim.header.expiry) + 1);
        _refused(claim, evidence, IInferenceVerifier.ClaimExpired.selector);
    }}

    function test_a_signature_for_another_chain_is_refused() external {{
        EzklClaim memory claim = _claim();
        bytes memory evidence = _evidence(claim, SECRET);
        vm.chainId(block.chainid + 1);
        _refused(claim, evidence, IInferenceVerifier.SignatureRejected.selector);
    }}

    function test_erc7007_answers_for_its_own_prompt_and_output_only() external view {{
        EzklClaim memory claim = _claim();
        bytes memory proof = abi.encode(claim, _evidence(claim, SECRET));
        bytes memory prompt = abi.encode(verifier.inputsOf(claim));
        int256[] memory output = verifier.outputOf(claim);
        _hold(erc7007.verify(prompt, abi.encode(output), proof), "erc7007");
        output[0] += 1;
        _hold(!erc7007.verify(prompt, abi.encode(output), proof), "erc7007 output");
        _hold(!erc7007.verify(hex"", abi.encode(verifier.outputOf(claim)), proof), "prompt");
    }}

    function test_erc7992_accepts_the_inference_once() external {{
        EzklClaim memory claim = _claim();
        bytes memory proof = abi.encode(claim, _evidence(claim, SECRET));
        uint256[] memory inputs = verifier.inputsOf(claim);
        bytes32 commitment =
            verifier.inputHashed() ? bytes32(inputs[0]) : keccak256(abi.encode(inputs));
        bytes memory output = abi.encode(verifier.outputOf(claim));
        erc7992.verifyInference(erc7992.modelId(), commitment, output, proof);
        uint256 id = erc7992.modelId();
        try erc7992.verifyInference(id, commitment, output, proof) {{
            revert ShouldHold("erc7992 once");
        }} catch {{}}
    }}

    function _claim() private view returns (EzklClaim memory claim) {{
        claim.header.venue = "zk";
        claim.header.semantics = verifier.semantics();
        claim.header.jobId = keccak256("job");
        claim.header.nonce = keccak256("nonce");
        claim.header.expiry = uint64(block.timestamp + 1 hours);
        claim.header.provider = vm.addr(SECRET);
        claim.subject.model = verifier.model();
        claim.subject.insecureSrs = verifier.insecureSrs();
        claim.subject.parts = new EzklPart[](verifier.partCount());
        for (uint256 i = 0; i < claim.subject.parts.length; ++i) {{
            EzklPart memory part = claim.subject.parts[i];
            (part.onnx, part.settings, part.vk) = verifier.partDigests(i);
            part.instances = Vectors.instances(i);
        }}
    }}

    function _evidence(EzklClaim memory claim, uint256 secret)
        private
        view
        returns (bytes memory)
    {{
        bytes[] memory proofs = new bytes[](claim.subject.parts.length);
        for (uint256 i = 0; i < proofs.length; ++i) {{
            proofs[i] = Vectors.proof(i);
        }}
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, verifier.claimId(claim));
        return abi.encode(proofs, abi.encodePacked(r, s, v));
    }}

    /// @param why Selector of the error wanted; zero for any with a name.
    function _refused(EzklClaim memory claim, bytes memory evidence, bytes4 why) private {{
        (bool ok, bytes memory reason) =
            address(verifier).call(abi.encodeCall(verifier.verify, (claim, evidence)));
        _hold(!ok && reason.length >= 4, "refused with a name");
        _hold(why == bytes4(0) || bytes4(reason) == why, "refused for that reason");
    }}

    function _hold(bool what, string memory name) private pure {{
        if (!what) revert ShouldHold(name);
    }}
}}
"""
