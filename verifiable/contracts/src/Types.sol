// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice What every claim says, whatever its subject. Chain and contract stand in the EIP-712
/// domain, so they are signed as well.
/// @param venue Where trust comes from, "zk" or "optimistic".
/// @param semantics What the numbers mean, for instance "ezkl/23.0.5".
/// @param jobId The job that is answered; only the application gives it a meaning.
/// @param nonce Unique per provider: no proof of ezkl binds one, so the contract records it.
/// @param expiry Unix seconds, the last second at which the claim holds.
/// @param provider Who ran the job and signed.
struct Header {
    string venue;
    string semantics;
    bytes32 jobId;
    bytes32 nonce;
    uint64 expiry;
    address provider;
}

/// @notice One circuit: a whole model, or one part of a model that was split.
/// @param onnx SHA-256 of the ONNX file.
/// @param settings SHA-256 of the canonical settings: the proof binds no scale, this does.
/// @param vk SHA-256 of the verifying key's file.
/// @param instances Public field elements, each below the BN254 scalar modulus.
struct EzklPart {
    bytes32 onnx;
    bytes32 settings;
    bytes32 vk;
    uint256[] instances;
}

/// @param model SHA-256 of the whole model's ONNX file.
/// @param insecureSrs Whether the keys come from a development SRS, with which anything can be proven.
/// @param parts One circuit, or those of a split model in order.
struct EzklSubject {
    bytes32 model;
    bool insecureSrs;
    EzklPart[] parts;
}

/// @notice "This model, on this input, gave this output, for this job."
struct EzklClaim {
    Header header;
    EzklSubject subject;
}

/// @param model Root of the canonical graph and its weights.
/// @param inputRoot Root over the input tensors.
/// @param outputRoot Root over the output tensors.
struct CanonSubject {
    bytes32 model;
    bytes32 inputRoot;
    bytes32 outputRoot;
}

/// @notice The same of the optimistic venue: "the canonical graph gave these bits."
struct CanonClaim {
    Header header;
    CanonSubject subject;
}
