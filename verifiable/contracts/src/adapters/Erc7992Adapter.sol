// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInferenceVerifier} from "../IInferenceVerifier.sol";
import {EzklClaim} from "../Types.sol";
import {IErc7992} from "./IErc7992.sol";

/// @title ERC-7992 face of an inference verifier: a registry that holds one model for ever
/// @notice `output` is `abi.encode(int256[] outputs)`, `proof` is `abi.encode(EzklClaim, bytes)`.
/// The input commitment is the Poseidon digest of a hashed input, else
/// `keccak256(abi.encode(uint256[] inputs))`. Replays are stopped by the claim's nonce, which the
/// verifier records; the commitment itself holds none.
contract Erc7992Adapter is IErc7992 {
    /// @notice Name whose Keccak-256 gives `proofSystemId`.
    string public constant PROOF_SYSTEM = "halo2-kzg-bn254-ezkl-v23";
    bytes4 private constant PROOF_SYSTEM_ID = bytes4(keccak256(bytes(PROOF_SYSTEM)));

    IInferenceVerifier public immutable verifier;
    /// @notice Id of the one model: Keccak-256 of its commitment's hashes.
    uint256 public immutable modelId;
    bytes32 private immutable MODEL_HASH;
    bytes32 private immutable CIRCUIT_HASH;
    bytes32 private immutable VK_HASH;

    constructor(IInferenceVerifier verifier_) {
        verifier = verifier_;
        MODEL_HASH = verifier_.model();
        uint256 parts = verifier_.partCount();
        bytes32[] memory settings = new bytes32[](parts);
        bytes32[] memory vks = new bytes32[](parts);
        for (uint256 i = 0; i < parts; ++i) {
            (, settings[i], vks[i]) = verifier_.partDigests(i);
        }
        // One part stands as its own digest, several as the hash of theirs in order.
        CIRCUIT_HASH = parts == 1 ? settings[0] : keccak256(abi.encode(settings));
        VK_HASH = parts == 1 ? vks[0] : keccak256(abi.encode(vks));
        modelId = uint256(keccak256(abi.encode(MODEL_HASH, CIRCUIT_HASH, VK_HASH, PROOF_SYSTEM_ID)));
    }

    /// @inheritdoc IErc7992
    /// @dev Records the claim's nonce in the verifier, so it succeeds once per claim.
    /// @custom:reverts ModelNotFound if `id` is another model.
    /// @custom:reverts InvalidProof if `proof` is not canonical.
    /// @custom:reverts InputCommitmentMismatch or OutputMismatch if the claim says otherwise.
    function verifyInference(
        uint256 id,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external {
        if (id != modelId) revert ModelNotFound(id);
        (EzklClaim memory claim, bytes memory inner) = abi.decode(proof, (EzklClaim, bytes));
        if (keccak256(abi.encode(claim, inner)) != keccak256(proof)) revert InvalidProof();
        verifier.verify(claim, inner);
        uint256[] memory inputs = verifier.inputsOf(claim);
        bytes32 commitment =
            verifier.inputHashed() ? bytes32(inputs[0]) : keccak256(abi.encode(inputs));
        if (inputCommitment != commitment) revert InputCommitmentMismatch();
        if (keccak256(output) != keccak256(abi.encode(verifier.outputOf(claim)))) {
            revert OutputMismatch();
        }
        emit InferenceVerified(id, inputCommitment, output, msg.sender);
    }

    /// @inheritdoc IErc7992
    /// @dev Nothing here can be changed, so the owner is nobody and no model is deprecated.
    function getModel(uint256 id)
        external
        view
        returns (ModelCommitment memory commitment, bool deprecated, address owner)
    {
        if (id != modelId) revert ModelNotFound(id);
        commitment = ModelCommitment(MODEL_HASH, CIRCUIT_HASH, VK_HASH, PROOF_SYSTEM_ID, "");
        (deprecated, owner) = (false, address(0));
    }

    /// @inheritdoc IErc7992
    function proofSystemOf(uint256 id) external view returns (bytes4) {
        if (id != modelId) revert ModelNotFound(id);
        return PROOF_SYSTEM_ID;
    }

    /// @inheritdoc IErc7992
    function registry() external view returns (address) {
        return address(this);
    }

    /// @notice ERC-165.
    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == type(IErc7992).interfaceId;
    }
}
