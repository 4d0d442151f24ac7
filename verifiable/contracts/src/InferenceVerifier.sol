// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInferenceVerifier} from "./IInferenceVerifier.sol";
import {EzklClaim, EzklPart, EzklSubject, Header} from "./Types.sol";
import {Eip712Claim} from "./lib/Eip712Claim.sol";
import {Halo2Call} from "./lib/Halo2Call.sol";
import {Instances} from "./lib/Instances.sol";
import {Signatures} from "./lib/Signatures.sol";

/// @title Checks claims about one model
/// @notice What is pinned (digests, layout, verifiers) comes from the emitted contract that
/// inherits from this one. No owner, no upgrade, no ether.
abstract contract InferenceVerifier is IInferenceVerifier {
    /// @notice What is pinned of one circuit.
    /// @param instances Number of instances.
    /// @param proofBytes Exact length of a proof.
    /// @param halo2 Emitted verifier, whose code hash the constructor has checked.
    /// @param key Contract with the key material, or zero for a plain verifier.
    struct Part {
        bytes32 onnx;
        bytes32 settings;
        bytes32 vk;
        uint256 instances;
        uint256 proofBytes;
        address halo2;
        address key;
    }

    /// @notice A tensor among the instances of a part.
    /// @param scale Bits after the point.
    /// @param hashed The instance is a Poseidon digest, not a number.
    struct Slot {
        uint256 part;
        uint256 start;
        uint256 count;
        int256 scale;
        bool hashed;
    }

    /// @notice Instances of two parts that must be equal.
    struct Joint {
        uint256 fromPart;
        uint256 fromStart;
        uint256 toPart;
        uint256 toStart;
        uint256 count;
    }

    /// @notice An instance with one permitted value, such as the digest of the weights.
    struct Fixed {
        uint256 part;
        uint256 index;
        uint256 value;
    }

    /// @notice A contract handed to the constructor has other code than the emitted one.
    error CodeMismatch(address account, bytes32 got, bytes32 wanted);

    bytes32 private constant VENUE_HASH = keccak256("zk");

    /// @inheritdoc IInferenceVerifier
    mapping(address provider => mapping(bytes32 nonce => bytes32)) public claimOf;

    /// @inheritdoc IInferenceVerifier
    function verify(EzklClaim calldata claim, bytes calldata proof) external returns (bytes32 id) {
        // 0. There is one encoding of the arguments: a byte more or elsewhere is refused.
        _requireCanonical(claim, proof);
        // 1. The claim is about this model, made with these keys.
        _requirePinned(claim);
        // 2. It has not expired.
        _requireCurrent(claim.header);
        // 3. Its nonce is new; recorded before anything outside is called.
        id = _digest(claim);
        bytes32 earlier = claimOf[claim.header.provider][claim.header.nonce];
        if (earlier != 0) revert NonceUsed(claim.header.provider, claim.header.nonce, earlier);
        claimOf[claim.header.provider][claim.header.nonce] = id;
        // 4. The provider signed it, 5. to 7. its instances are in order, and the proofs hold.
        _requireEvidence(claim, proof, id);
        emit InferenceVerified(id, claim.header.provider, claim.header.jobId);
    }

    /// @inheritdoc IInferenceVerifier
    function check(EzklClaim calldata claim, bytes calldata proof)
        external
        view
        returns (bytes32 id)
    {
        _requireCanonical(claim, proof);
        _requirePinned(claim);
        _requireCurrent(claim.header);
        id = _digest(claim);
        _requireEvidence(claim, proof, id);
    }

    /// @inheritdoc IInferenceVerifier
    function claimId(EzklClaim calldata claim) external view returns (bytes32) {
        return _digest(claim);
    }

    /// @inheritdoc IInferenceVerifier
    function inputsOf(EzklClaim calldata claim) external view returns (uint256[] memory felts) {
        Slot[] memory slots = _inputs();
        felts = new uint256[](_total(slots));
        uint256 n;
        for (uint256 i = 0; i < slots.length; ++i) {
            uint256[] calldata instances = claim.subject.parts[slots[i].part].instances;
            for (uint256 j = 0; j < slots[i].count; ++j) {
                felts[n++] = instances[slots[i].start + j];
            }
        }
    }

    /// @inheritdoc IInferenceVerifier
    function outputOf(EzklClaim calldata claim) external view returns (int256[] memory numbers) {
        Slot[] memory slots = _outputs();
        numbers = new int256[](_total(slots));
        uint256 n;
        for (uint256 i = 0; i < slots.length; ++i) {
            uint256[] calldata instances = claim.subject.parts[slots[i].part].instances;
            for (uint256 j = 0; j < slots[i].count; ++j) {
                uint256 felt = instances[slots[i].start + j];
                // A digest is below r < 2**254 in any accepted claim, so the cast is exact.
                numbers[n++] = slots[i].hashed ? int256(felt) : Instances.decode(felt);
            }
        }
    }

    /// @inheritdoc IInferenceVerifier
    function outputScales() external view returns (int256[] memory scales) {
        Slot[] memory slots = _outputs();
        scales = new int256[](_total(slots));
        uint256 n;
        for (uint256 i = 0; i < slots.length; ++i) {
            for (uint256 j = 0; j < slots[i].count; ++j) {
                scales[n++] = slots[i].hashed ? int256(0) : slots[i].scale;
            }
        }
    }

    /// @inheritdoc IInferenceVerifier
    function inputHashed() external view returns (bool) {
        Slot[] memory slots = _inputs();
        return slots.length == 1 && slots[0].hashed;
    }

    /// @inheritdoc IInferenceVerifier
    function partCount() external view returns (uint256) {
        return _parts().length;
    }

    /// @inheritdoc IInferenceVerifier
    function partDigests(uint256 part) external view returns (bytes32, bytes32, bytes32) {
        Part memory pinned = _parts()[part];
        return (pinned.onnx, pinned.settings, pinned.vk);
    }

    /// @inheritdoc IInferenceVerifier
    function model() public view virtual returns (bytes32);

    /// @inheritdoc IInferenceVerifier
    function semantics() public view virtual returns (string memory);

    /// @inheritdoc IInferenceVerifier
    function insecureSrs() public view virtual returns (bool);

    function _parts() internal view virtual returns (Part[] memory);

    function _inputs() internal view virtual returns (Slot[] memory);

    function _outputs() internal view virtual returns (Slot[] memory);

    function _joints() internal view virtual returns (Joint[] memory);

    function _fixed() internal view virtual returns (Fixed[] memory);

    /// @notice Return `account` if its code is the one emitted.
    /// @custom:reverts CodeMismatch otherwise.
    function _requireCode(address account, bytes32 wanted) internal view returns (address) {
        bytes32 got = account.codehash;
        if (got != wanted) revert CodeMismatch(account, got, wanted);
        return account;
    }

    function _digest(EzklClaim calldata claim) private view returns (bytes32) {
        return Eip712Claim.digest(claim, block.chainid, address(this));
    }

    function _requireCanonical(EzklClaim calldata claim, bytes calldata proof) private pure {
        if (keccak256(abi.encode(claim, proof)) != keccak256(msg.data[4:])) {
            revert NonCanonicalCalldata();
        }
    }

    function _requirePinned(EzklClaim calldata claim) private view {
        if (keccak256(bytes(claim.header.venue)) != VENUE_HASH) {
            revert VenueMismatch(claim.header.venue);
        }
        if (keccak256(bytes(claim.header.semantics)) != keccak256(bytes(semantics()))) {
            revert SemanticsMismatch(claim.header.semantics);
        }
        EzklSubject calldata subject = claim.subject;
        if (subject.model != model()) revert ModelMismatch(subject.model, model());
        if (subject.insecureSrs != insecureSrs()) {
            revert InsecureSrsMismatch(subject.insecureSrs, insecureSrs());
        }
        Part[] memory parts = _parts();
        if (subject.parts.length != parts.length) {
            revert PartCountMismatch(subject.parts.length, parts.length);
        }
        for (uint256 i = 0; i < parts.length; ++i) {
            _requireDigests(i, subject.parts[i], parts[i]);
        }
    }

    function _requireDigests(uint256 i, EzklPart calldata part, Part memory pinned) private pure {
        if (part.onnx != pinned.onnx) revert OnnxMismatch(i, part.onnx, pinned.onnx);
        if (part.settings != pinned.settings) {
            revert SettingsMismatch(i, part.settings, pinned.settings);
        }
        if (part.vk != pinned.vk) revert VkMismatch(i, part.vk, pinned.vk);
    }

    function _requireCurrent(Header calldata header) private view {
        if (block.timestamp > header.expiry) revert ClaimExpired(header.expiry, block.timestamp);
    }

    function _requireEvidence(EzklClaim calldata claim, bytes calldata proof, bytes32 id)
        private
        view
    {
        (bytes[] memory proofs, bytes memory signature) = abi.decode(proof, (bytes[], bytes));
        if (keccak256(abi.encode(proofs, signature)) != keccak256(proof)) {
            revert NonCanonicalProof();
        }
        // 4. The provider signed this claim, for this chain and this contract.
        address provider = claim.header.provider;
        if (provider == address(0)) revert ProviderMissing();
        if (!Signatures.isValid(provider, id, signature)) revert SignatureRejected(provider, id);
        // 5. Each circuit has its number of instances, each below r; what the model fixes is so.
        // 6. The parts of a split model meet in the same values.
        Part[] memory parts = _parts();
        _requireInstances(claim.subject.parts, parts);
        // 7. Each proof has its length, and satisfies its key with these instances.
        if (proofs.length != parts.length) revert ProofCountMismatch(proofs.length, parts.length);
        for (uint256 i = 0; i < parts.length; ++i) {
            _requireProof(i, parts[i], proofs[i], claim.subject.parts[i].instances);
        }
    }

    function _requireInstances(EzklPart[] calldata claimed, Part[] memory parts) private view {
        for (uint256 i = 0; i < parts.length; ++i) {
            uint256[] calldata felts = claimed[i].instances;
            if (felts.length != parts[i].instances) {
                revert InstanceCountMismatch(i, felts.length, parts[i].instances);
            }
            uint256 bad = Instances.firstNotCanonical(felts);
            if (bad != felts.length) revert InstanceNotCanonical(i, bad, felts[bad]);
        }
        Fixed[] memory fixed_ = _fixed();
        for (uint256 i = 0; i < fixed_.length; ++i) {
            (uint256 part, uint256 index) = (fixed_[i].part, fixed_[i].index);
            uint256 got = claimed[part].instances[index];
            if (got != fixed_[i].value) {
                revert FixedInstanceMismatch(part, index, got, fixed_[i].value);
            }
        }
        Joint[] memory joints = _joints();
        for (uint256 i = 0; i < joints.length; ++i) {
            Joint memory joint = joints[i];
            uint256[] calldata from = claimed[joint.fromPart].instances;
            uint256[] calldata to = claimed[joint.toPart].instances;
            for (uint256 j = 0; j < joint.count; ++j) {
                if (from[joint.fromStart + j] != to[joint.toStart + j]) revert JointBroken(i, j);
            }
        }
    }

    function _requireProof(
        uint256 i,
        Part memory part,
        bytes memory proof,
        uint256[] calldata instances
    ) private view {
        if (proof.length != part.proofBytes) {
            revert ProofLengthMismatch(i, proof.length, part.proofBytes);
        }
        bool accepted = part.key == address(0)
            ? Halo2Call.plain(part.halo2, proof, instances)
            : Halo2Call.reusable(part.halo2, part.key, proof, instances);
        if (!accepted) revert ProofRejected(i);
    }

    function _total(Slot[] memory slots) private pure returns (uint256 n) {
        for (uint256 i = 0; i < slots.length; ++i) {
            n += slots[i].count;
        }
    }
}
