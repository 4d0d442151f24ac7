// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {clz} from "../../evm/Clz.sol";

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
    function fold(uint256 pointer, uint256 count) internal view returns (bytes32) {
        return fold(pointer, count, 256 - clz(count - 1), PAD);
    }

    /// @notice The same so many levels up, where `pad` stands for each digest that is missing.
    function fold(uint256 pointer, uint256 count, uint256 levels, bytes32 pad)
        internal
        view
        returns (bytes32 root)
    {
        unchecked {
            // Levels that `pad` is below the one at hand.
            uint256 lag;
            for (; levels != 0; --levels) {
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
            uint256 last = leaves - 1;
            // Until the paths of the leaf and of the last one meet no sibling is padding.
            uint256 named = 256 - clz(index ^ last);
            if (named > levels) named = levels;
            if (named > path.length - used) revert PathLength(path.length, used + named);
            node = _climbNamed(node, index, path, used, named);
            used += named;
            levels -= named;
            index >>= named;
            last >>= named;
            bytes32 pad = PAD;
            // Levels that `pad` is below the one at hand.
            uint256 lag = named;
            for (; last != 0 && levels != 0; last >>= 1) {
                if (index & 1 != 0) {
                    if (used == path.length) revert PathLength(path.length, used + 1);
                    node = hashPair(path[used], node);
                    ++used;
                } else {
                    for (; lag != 0; --lag) {
                        pad = hashPair(pad, pad);
                    }
                    node = hashPair(node, pad);
                }
                index >>= 1;
                ++lag;
                --levels;
            }
        }
        return (node, used);
    }

    // Node so many levels up, of which every sibling is named. The pair is hashed in a place at
    // which one bit tells right from left, and each digest is written to where its own pair needs
    // it: it lies over two words that the compiler uses, which are put back.
    function _climbNamed(
        bytes32 node,
        uint256 index,
        bytes32[] calldata path,
        uint256 used,
        uint256 levels
    ) private view returns (bytes32 root) {
        bool ok = true;
        assembly ("memory-safe") {
            let kept := mload(0x40)
            index := shl(5, index)
            let place := or(0x40, and(index, 32))
            mstore8(0x3f, NODE)
            mstore(place, node)
            let next := add(path.offset, shl(5, used))
            let end := add(next, shl(5, levels))
            for {} lt(next, end) { next := add(next, 32) } {
                mstore(xor(place, 32), calldataload(next))
                index := shr(1, index)
                place := or(0x40, and(index, 32))
                ok := and(ok, staticcall(gas(), 2, 0x3f, 65, place, 32))
            }
            root := mload(place)
            // A precompile that answers once always does.
            ok := and(ok, or(iszero(levels), eq(returndatasize(), 32)))
            mstore(0x40, kept)
            mstore(0x60, 0)
        }
        if (!ok) revert NoDigest();
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
