// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Subcall} from "./Subcall.sol";

/// @title Calls of the verifiers that ezkl emits
/// @notice The calldata is always written here, in canonical form: an emitted verifier reads some
/// of it at fixed places, whatever its offsets say, so calldata from outside must never reach it.
/// Both forms are called statically, though their source does not say `view`.
library Halo2Call {
    bytes4 internal constant PLAIN = bytes4(keccak256("verifyProof(bytes,uint256[])"));
    bytes4 internal constant REUSABLE = bytes4(keccak256("verifyProof(bytes,uint256[],bytes32[])"));
    bytes4 internal constant REGISTER = bytes4(keccak256("registerVka(bytes32[])"));

    /// @notice The reusable verifier did not register the key.
    error RegistrationFailed(address halo2, address key);

    /// @notice The plain verifier accepts `proof` of `instances`.
    /// @param halo2 Verifier with the key in its code.
    /// @custom:reverts SubcallOutOfGas if it may have run out of gas.
    function plain(address halo2, bytes memory proof, uint256[] calldata instances)
        internal
        view
        returns (bool)
    {
        (bool ok, bytes memory result) =
            Subcall.staticcall(halo2, abi.encodeWithSelector(PLAIN, proof, instances));
        return ok && result.length == 32 && abi.decode(result, (uint256)) == 1;
    }

    /// @notice The reusable verifier accepts `proof` of `instances` under the key in `key`'s code.
    /// @param halo2 Verifier that takes key material with each call.
    /// @param key Contract whose code is the key material as ABI-encoded `bytes32[]`: first the
    /// count of its words, whose leading zero byte is STOP, so the code cannot run.
    /// @param proof Of a length divisible by 32, which the caller has checked.
    /// @dev Of the answer only the flag counts; the digest that follows is that of the key we sent.
    /// @custom:reverts SubcallOutOfGas if it may have run out of gas.
    function reusable(address halo2, address key, bytes memory proof, uint256[] calldata instances)
        internal
        view
        returns (bool)
    {
        uint256 instancesHead = 0x80 + proof.length;
        bytes memory data = bytes.concat(
            abi.encodePacked(
                REUSABLE,
                uint256(0x60),
                instancesHead,
                instancesHead + 0x20 + 0x20 * instances.length,
                proof.length
            ),
            proof,
            abi.encodePacked(instances.length, instances),
            key.code
        );
        (bool ok, bytes memory result) = Subcall.staticcall(halo2, data);
        return ok && result.length == 64 && abi.decode(result, (uint256)) == 1;
    }

    /// @notice Have the reusable verifier admit the key in `key`'s code. Anyone may register any
    /// key there, so this is a formality: what counts is that we send ours with each call.
    /// @custom:reverts RegistrationFailed if it does not.
    function register(address halo2, address key) internal {
        (bool ok,) = halo2.call(bytes.concat(REGISTER, bytes32(uint256(0x20)), key.code));
        if (!ok) revert RegistrationFailed(halo2, key);
    }
}
