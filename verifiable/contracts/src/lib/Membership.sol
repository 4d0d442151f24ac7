// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Membership in OpenZeppelin's standard Merkle tree of addresses
/// @notice Leaves are hashed twice and pairs are sorted, so no node passes for a leaf.
library Membership {
    /// @notice Whether `account` is in the tree of this root.
    function proves(bytes32 root, address account, bytes32[] calldata siblings)
        internal
        pure
        returns (bool)
    {
        bytes32 node = keccak256(bytes.concat(keccak256(abi.encode(account))));
        for (uint256 i = 0; i < siblings.length; ++i) {
            bytes32 other = siblings[i];
            node = node < other
                ? keccak256(bytes.concat(node, other))
                : keccak256(bytes.concat(other, node));
        }
        return node == root;
    }
}
