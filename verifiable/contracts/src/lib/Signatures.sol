// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Subcall} from "./Subcall.sol";

/// @title Signatures of accounts and of contracts
/// @notice ECDSA in its one canonical form, then ERC-1271. In this order a delegated account
/// (EIP-7702), which has code, may still sign with its key.
library Signatures {
    /// @dev Half the order of secp256k1: of s and n - s, only the lower is canonical (EIP-2).
    uint256 internal constant MAX_S =
        0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    /// @dev isValidSignature(bytes32,bytes), and what it returns.
    bytes4 internal constant MAGIC = 0x1626ba7e;

    /// @notice Whether `signature` of `digest` is that of `signer`, account or contract.
    /// @custom:reverts SubcallOutOfGas if the signing contract may have run out of gas.
    function isValid(address signer, bytes32 digest, bytes memory signature)
        internal
        view
        returns (bool)
    {
        if (signer == address(0)) return false;
        if (_recover(digest, signature) == signer) return true;
        if (signer.code.length == 0) return false;
        (bool ok, bytes memory result) =
            Subcall.staticcall(signer, abi.encodeWithSelector(MAGIC, digest, signature));
        return ok && result.length == 32 && abi.decode(result, (bytes32)) == bytes32(MAGIC);
    }

    /// @return The signer, or zero if `signature` is not 65 bytes r, s, v with low s, v 27 or 28.
    function _recover(bytes32 digest, bytes memory signature) private pure returns (address) {
        if (signature.length != 65) return address(0);
        // Padded to three words, the 65 bytes decode without assembly; v is the last word's first byte.
        (bytes32 r, bytes32 s, bytes32 last) =
            abi.decode(bytes.concat(signature, new bytes(31)), (bytes32, bytes32, bytes32));
        uint8 v = uint8(last[0]);
        if (uint256(s) > MAX_S || (v != 27 && v != 28)) return address(0);
        return ecrecover(digest, v, r, s);
    }
}
