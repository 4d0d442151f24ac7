// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CanonClaim, CanonSubject, EzklClaim, EzklPart, EzklSubject, Header} from "../Types.sol";

/// @title The id of a claim
/// @notice Mirrors the EIP-712 part of `verifiable/claim.py`.
library Eip712Claim {
    bytes32 internal constant DOMAIN_TYPEHASH = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 internal constant HEADER_TYPEHASH = keccak256(
        "Header(string venue,string semantics,bytes32 jobId,bytes32 nonce,uint64 expiry,address provider)"
    );
    bytes32 internal constant PART_TYPEHASH =
        keccak256("EzklPart(bytes32 onnx,bytes32 settings,bytes32 vk,uint256[] instances)");
    bytes32 internal constant SUBJECT_TYPEHASH = keccak256(
        "EzklSubject(bytes32 model,bool insecureSrs,EzklPart[] parts)"
        "EzklPart(bytes32 onnx,bytes32 settings,bytes32 vk,uint256[] instances)"
    );
    bytes32 internal constant CLAIM_TYPEHASH = keccak256(
        "EzklClaim(Header header,EzklSubject subject)"
        "EzklPart(bytes32 onnx,bytes32 settings,bytes32 vk,uint256[] instances)"
        "EzklSubject(bytes32 model,bool insecureSrs,EzklPart[] parts)"
        "Header(string venue,string semantics,bytes32 jobId,bytes32 nonce,uint64 expiry,address provider)"
    );
    bytes32 internal constant CANON_SUBJECT_TYPEHASH =
        keccak256("CanonSubject(bytes32 model,bytes32 inputRoot,bytes32 outputRoot)");
    bytes32 internal constant CANON_CLAIM_TYPEHASH = keccak256(
        "CanonClaim(Header header,CanonSubject subject)"
        "CanonSubject(bytes32 model,bytes32 inputRoot,bytes32 outputRoot)"
        "Header(string venue,string semantics,bytes32 jobId,bytes32 nonce,uint64 expiry,address provider)"
    );
    bytes32 internal constant NAME_HASH = keccak256("verifiable");
    bytes32 internal constant VERSION_HASH = keccak256("1");

    /// @notice EIP-712 digest of `claim` in the domain of one chain and one contract.
    function digest(EzklClaim calldata claim, uint256 chainId, address verifier)
        internal
        pure
        returns (bytes32)
    {
        bytes32 struct_ = keccak256(
            abi.encode(CLAIM_TYPEHASH, _hashHeader(claim.header), _hashSubject(claim.subject))
        );
        return _typed(struct_, chainId, verifier);
    }

    /// @notice The same of a claim of the optimistic venue, whose contract is a referee.
    function digest(CanonClaim calldata claim, uint256 chainId, address referee)
        internal
        pure
        returns (bytes32)
    {
        CanonSubject calldata subject = claim.subject;
        bytes32 inner = keccak256(
            abi.encode(CANON_SUBJECT_TYPEHASH, subject.model, subject.inputRoot, subject.outputRoot)
        );
        bytes32 struct_ =
            keccak256(abi.encode(CANON_CLAIM_TYPEHASH, _hashHeader(claim.header), inner));
        return _typed(struct_, chainId, referee);
    }

    function _typed(bytes32 struct_, uint256 chainId, address verifier)
        private
        pure
        returns (bytes32)
    {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, chainId, verifier));
        return keccak256(abi.encodePacked(hex"1901", domain, struct_));
    }

    function _hashHeader(Header calldata header) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                HEADER_TYPEHASH,
                keccak256(bytes(header.venue)),
                keccak256(bytes(header.semantics)),
                header.jobId,
                header.nonce,
                header.expiry,
                header.provider
            )
        );
    }

    function _hashSubject(EzklSubject calldata subject) private pure returns (bytes32) {
        bytes32[] memory parts = new bytes32[](subject.parts.length);
        for (uint256 i = 0; i < parts.length; ++i) {
            EzklPart calldata part = subject.parts[i];
            parts[i] = keccak256(
                abi.encode(
                    PART_TYPEHASH,
                    part.onnx,
                    part.settings,
                    part.vk,
                    keccak256(abi.encodePacked(part.instances))
                )
            );
        }
        return keccak256(
            abi.encode(
                SUBJECT_TYPEHASH,
                subject.model,
                subject.insecureSrs,
                keccak256(abi.encodePacked(parts))
            )
        );
    }
}
