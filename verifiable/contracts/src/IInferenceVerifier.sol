// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EzklClaim} from "./Types.sol";

/// @title The verifier of one model
/// @notice `proof` is `abi.encode(bytes[] proofs, bytes signature)`: one proof per part, and the
/// provider's EIP-712 signature of the claim. Both functions revert unless every check passes.
interface IInferenceVerifier {
    /// @notice A claim was checked and its nonce recorded.
    event InferenceVerified(
        bytes32 indexed claimId, address indexed provider, bytes32 indexed jobId
    );

    /// @notice The arguments have another encoding than the canonical one.
    error NonCanonicalCalldata();
    /// @notice `proof` has another encoding than the canonical one.
    error NonCanonicalProof();
    error VenueMismatch(string got);
    error SemanticsMismatch(string got);
    error ModelMismatch(bytes32 got, bytes32 wanted);
    error InsecureSrsMismatch(bool got, bool wanted);
    error PartCountMismatch(uint256 got, uint256 wanted);
    error OnnxMismatch(uint256 part, bytes32 got, bytes32 wanted);
    error SettingsMismatch(uint256 part, bytes32 got, bytes32 wanted);
    error VkMismatch(uint256 part, bytes32 got, bytes32 wanted);
    error ClaimExpired(uint64 expiry, uint256 time);
    /// @notice The provider already used this nonce, for the claim named.
    error NonceUsed(address provider, bytes32 nonce, bytes32 claimId);
    error ProviderMissing();
    error SignatureRejected(address provider, bytes32 claimId);
    error InstanceCountMismatch(uint256 part, uint256 got, uint256 wanted);
    error InstanceNotCanonical(uint256 part, uint256 index, uint256 value);
    /// @notice An instance that the model fixes, such as the digest of its weights, is another.
    error FixedInstanceMismatch(uint256 part, uint256 index, uint256 got, uint256 wanted);
    /// @notice Two parts of a split model do not meet in the same values.
    error JointBroken(uint256 joint, uint256 index);
    error ProofCountMismatch(uint256 got, uint256 wanted);
    error ProofLengthMismatch(uint256 part, uint256 got, uint256 wanted);
    error ProofRejected(uint256 part);

    /// @notice Check `claim` and record its nonce.
    /// @dev Anyone may submit a claim. A contract that pays on a claim and finds its nonce used
    /// compares `claimOf(provider, nonce)` with `claimId(claim)`: if equal, somebody else has had
    /// the same claim checked before, and it holds.
    function verify(EzklClaim calldata claim, bytes calldata proof)
        external
        returns (bytes32 claimId);

    /// @notice Check `claim` and record nothing; a used nonce is no obstacle.
    function check(EzklClaim calldata claim, bytes calldata proof)
        external
        view
        returns (bytes32 claimId);

    /// @notice EIP-712 digest of `claim` for this chain and this contract.
    function claimId(EzklClaim calldata claim) external view returns (bytes32);

    /// @notice Claim for which `provider` used `nonce`, or zero.
    function claimOf(address provider, bytes32 nonce) external view returns (bytes32);

    /// @notice Instances of the model's inputs: felts in row-major order, or one Poseidon digest.
    function inputsOf(EzklClaim calldata claim) external view returns (uint256[] memory);

    /// @notice The model's outputs as signed fixed-point numbers; a hashed one stands as its digest.
    function outputOf(EzklClaim calldata claim) external view returns (int256[] memory);

    /// @notice Bits after the point in each number of `outputOf`; 0 where it is a digest.
    function outputScales() external view returns (int256[] memory);

    /// @notice Whether the model's input is one digest instead of numbers.
    function inputHashed() external view returns (bool);

    /// @notice Keys come from a development SRS: whoever made it can prove anything.
    function insecureSrs() external view returns (bool);

    function model() external view returns (bytes32);
    function semantics() external view returns (string memory);
    function partCount() external view returns (uint256);

    /// @notice Digests of one part: ONNX file, canonical settings, verifying key.
    function partDigests(uint256 part)
        external
        view
        returns (bytes32 onnx, bytes32 settings, bytes32 vk);
}
