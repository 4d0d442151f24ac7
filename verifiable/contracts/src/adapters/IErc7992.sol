// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Shape of the ERC-7992 draft: a registry of model commitments and a verifier
interface IErc7992 {
    /// @param modelHash Weights and architecture.
    /// @param circuitHash Settings of the circuit, one or many.
    /// @param vkHash Verifying key, one or many.
    /// @param proofSystemId First four bytes of the Keccak-256 of the proof system's name.
    /// @param uri Metadata, empty here.
    struct ModelCommitment {
        bytes32 modelHash;
        bytes32 circuitHash;
        bytes32 vkHash;
        bytes4 proofSystemId;
        string uri;
    }

    /// @notice An inference was verified.
    event InferenceVerified(
        uint256 indexed modelId,
        bytes32 indexed inputCommitment,
        bytes output,
        address indexed caller
    );

    error ModelNotFound(uint256 modelId);
    /// @notice `proof` is not the canonical encoding of a claim and its evidence.
    error InvalidProof();
    error InputCommitmentMismatch();
    error OutputMismatch();

    /// @notice Check an inference, or revert.
    function verifyInference(
        uint256 modelId,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external;

    function getModel(uint256 modelId)
        external
        view
        returns (ModelCommitment memory commitment, bool deprecated, address owner);

    function proofSystemOf(uint256 modelId) external view returns (bytes4);

    function registry() external view returns (address);
}
