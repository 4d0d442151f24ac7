// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Binary Merkle trees over SHA-256
/// @notice Mirrors `verifiable/crypto/merkle.py`. Heights come from the number of leaves, which the
/// checker knows; padding is never among the siblings.
library Merkle {
    uint256 internal constant LEAF = 0;
    uint256 internal constant NODE = 1;
    uint256 internal constant TENSOR = 2;
    uint256 internal constant INSTRUCTION = 3;
    uint256 internal constant MODEL = 7;

    /// @notice What stands where a tree has no leaf: the digest of the byte 8.
    bytes32 internal constant PAD =
        0xbeead77994cf573341ec17b58bbf7eb34d2711c993c1d976b128b3188dc1829a;

    /// @dev More levels than any tree has.
    uint256 internal constant WHOLE = type(uint256).max;

    /// @notice The SHA-256 precompile gave no digest.
    error NoDigest();
    /// @notice The tree has fewer leaves.
    error NoSuchLeaf(uint256 index, uint256 leaves);
    /// @notice A path has another number of siblings than it must have.
    error PathLength(uint256 got, uint256 used);
    /// @notice An opening leads to another root.
    error RootMismatch(bytes32 got, bytes32 wanted);

    /// @notice Digest of `length` bytes of memory.
    /// @custom:reverts NoDigest if the precompile fails, for want of gas too.
    function hash(uint256 pointer, uint256 length) internal view returns (bytes32 digest) {
        bool ok;
        assembly ("memory-safe") {
            ok := staticcall(gas(), 2, pointer, length, 0, 32)
            ok := and(ok, eq(returndatasize(), 32))
            digest := mload(0)
        }
        if (!ok) revert NoDigest();
    }

    /// @notice Digest of `length` bytes of memory after the tag of a leaf, which for the moment
    /// takes the place of the byte before them.
    function hashLeaf(uint256 pointer, uint256 length) internal view returns (bytes32 digest) {
        uint256 kept;
        assembly ("memory-safe") {
            kept := mload(sub(pointer, 32))
            mstore8(sub(pointer, 1), LEAF)
        }
        unchecked {
            digest = hash(pointer - 1, length + 1);
        }
        assembly ("memory-safe") {
            mstore(sub(pointer, 32), kept)
        }
    }

    /// @notice Digest of two nodes.
    /// @custom:reverts NoDigest if the precompile fails.
    function hashPair(bytes32 left, bytes32 right) internal view returns (bytes32) {
        uint256 buffer;
        assembly ("memory-safe") {
            buffer := mload(0x40)
            mstore8(buffer, NODE)
            mstore(add(buffer, 1), left)
            mstore(add(buffer, 33), right)
        }
        return hash(buffer, 65);
    }

    /// @notice Root of a tree over `count` digests in memory, at least one.
    /// @dev They, a word before them and one after them are written over.
    /// @custom:reverts NoDigest if the precompile fails.
    function fold(uint256 pointer, uint256 count) internal view returns (bytes32 root) {
        unchecked {
            bytes32 pad = PAD;
            // Levels that `pad` is below the one at hand.
            uint256 lag;
            while (count > 1) {
                if (count & 1 != 0) {
                    for (; lag != 0; --lag) {
                        pad = hashPair(pad, pad);
                    }
                    assembly ("memory-safe") {
                        mstore(add(pointer, shl(5, count)), pad)
                    }
                    ++count;
                }
                _foldLevel(pointer, count);
                count >>= 1;
                ++lag;
            }
            assembly ("memory-safe") {
                root := mload(pointer)
            }
        }
    }

    // A pair is hashed where it lies. What stands before it has been read already, so the tag may
    // take its last byte; what its digest replaces has been read too.
    function _foldLevel(uint256 pointer, uint256 count) private view {
        bool ok = true;
        assembly ("memory-safe") {
            let end := add(pointer, shl(5, count))
            let parent := pointer
            for { let pair := sub(pointer, 1) } lt(pair, sub(end, 1)) { pair := add(pair, 64) } {
                mstore8(pair, NODE)
                ok := and(ok, staticcall(gas(), 2, pair, 65, parent, 32))
                ok := and(ok, eq(returndatasize(), 32))
                parent := add(parent, 32)
            }
        }
        if (!ok) revert NoDigest();
    }

    /// @notice Root that a node and its path lead to, or the node so many levels up.
    /// @param leaves Size of the tree.
    /// @param used Siblings of `path` that are below this tree.
    /// @param levels At most so many; `WHOLE` to reach the root.
    /// @return root Of the tree.
    /// @return end Siblings that have been used now.
    /// @custom:reverts NoSuchLeaf if `index` is not in the tree, PathLength if the path is too
    /// short, NoDigest if the precompile fails.
    function climb(
        bytes32 node,
        uint256 leaves,
        uint256 index,
        bytes32[] calldata path,
        uint256 used,
        uint256 levels
    ) internal view returns (bytes32 root, uint256 end) {
        if (index >= leaves) revert NoSuchLeaf(index, leaves);
        unchecked {
            bytes32 pad = PAD;
            uint256 lag;
            for (; leaves > 1 && levels != 0; leaves = (leaves + 1) >> 1) {
                bytes32 sibling;
                if (index ^ 1 < leaves) {
                    if (used >= path.length) revert PathLength(path.length, used + 1);
                    assembly ("memory-safe") {
                        sibling := calldataload(add(path.offset, shl(5, used)))
                    }
                    ++used;
                } else {
                    for (; lag != 0; --lag) {
                        pad = hashPair(pad, pad);
                    }
                    sibling = pad;
                }
                node = index & 1 == 0 ? hashPair(node, sibling) : hashPair(sibling, node);
                index >>= 1;
                ++lag;
                --levels;
            }
        }
        return (node, used);
    }

    /// @notice Check that a tree has a leaf, by the path of another of its leaves.
    /// @param path Of the leaf, up to a sibling on the other path.
    /// @param other Index of the other leaf.
    /// @param beside Its whole path, which has been checked.
    /// @custom:reverts NoSuchLeaf, PathLength or RootMismatch if it has not, or the two are one.
    function checkBeside(
        bytes32 leaf,
        uint256 leaves,
        uint256 index,
        bytes32[] calldata path,
        uint256 other,
        bytes32[] calldata beside
    ) internal view {
        uint256 difference = index ^ other;
        if (difference == 0) revert NoSuchLeaf(index, leaves);
        unchecked {
            uint256 levels;
            // Siblings of `beside` that are no padding, below the one in question.
            uint256 named;
            uint256 width = leaves;
            uint256 at = other;
            for (; difference > 1; difference >>= 1) {
                if (at ^ 1 < width) ++named;
                (at, width) = (at >> 1, (width + 1) >> 1);
                ++levels;
            }
            (bytes32 found, uint256 used) = climb(leaf, leaves, index, path, 0, levels);
            checkLength(path, used);
            check(found, beside[named]);
        }
    }

    /// @notice Check that all siblings of a path have been used.
    /// @custom:reverts PathLength if they have not.
    function checkLength(bytes32[] calldata path, uint256 used) internal pure {
        if (path.length != used) revert PathLength(path.length, used);
    }

    /// @notice Hold a root against the committed one.
    /// @custom:reverts RootMismatch if they differ.
    function check(bytes32 got, bytes32 wanted) internal pure {
        if (got != wanted) revert RootMismatch(got, wanted);
    }
}
