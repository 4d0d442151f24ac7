// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IErc7992} from "../adapters/IErc7992.sol";
import {IErc7992Registry} from "../adapters/IErc7992Registry.sol";

/// @notice What ERC-7992 says of a model, and what it leaves out.
/// @param commitment `modelHash` is the SHA-256 of the ONNX file; `circuitHash`, `vkHash` and
/// `proofSystemId` are of the proof system, or all zero without one; `uri` is the bundle's.
/// @param root Model root of the canonical graph, which jobs and claims name; zero if there is none.
/// @param verifier Contract that checks proofs of the model, zero without a proof system.
struct ModelVersion {
    IErc7992.ModelCommitment commitment;
    bytes32 root;
    address verifier;
}

/// @title A list of models that their owners describe
/// @notice Nobody vouches for an entry but its owner, and nothing else reads one: a job names a
/// model root and a referee, a receipt a verifier. So no entry, and no change of one, touches a
/// claim.
/// A model's versions are only ever added to; a consumer pins `versionIdOf`, or the digests.
/// The owner cannot change: one that may pass into other hands is a contract.
interface IModelRegistry is IErc7992Registry {
    /// @notice A version was added; `version` counts from zero.
    event VersionAdded(
        uint256 indexed modelId, uint256 indexed version, bytes32 indexed root, address verifier
    );

    /// @notice Digest of the ONNX file is missing, or the proof system is described in part only.
    error VersionIncomplete();
    /// @notice The model has fewer versions.
    error VersionNotFound(uint256 modelId, uint256 version);

    /// @notice Register a model under the sender, with its first version.
    /// @custom:reverts VersionIncomplete if a digest is missing.
    function register(ModelVersion calldata version) external returns (uint256 modelId);

    /// @notice By the owner: add a version, which becomes the current one.
    /// @custom:reverts ModelNotFound, NotModelOwner, ModelRetired or VersionIncomplete.
    function addVersion(uint256 modelId, ModelVersion calldata version) external;

    /// @notice Id of the `n`-th model (from zero) that `owner` registers: it depends on nobody else,
    /// so a reorganisation of the chain cannot give it to another's model.
    function modelIdOf(address owner, uint256 n) external view returns (uint256);

    /// @notice How many models an owner registered.
    function modelsOf(address owner) external view returns (uint256);

    /// @notice How many versions a model has.
    /// @custom:reverts ModelNotFound if there is none of that id.
    function versionCount(uint256 modelId) external view returns (uint256);

    /// @notice A version; the same for ever.
    /// @custom:reverts ModelNotFound or VersionNotFound.
    function getVersion(uint256 modelId, uint256 version)
        external
        view
        returns (ModelVersion memory);

    /// @notice Digest of a version's content: `keccak256(abi.encode(version))`.
    /// @custom:reverts ModelNotFound or VersionNotFound.
    function versionIdOf(uint256 modelId, uint256 version) external view returns (bytes32);
}
