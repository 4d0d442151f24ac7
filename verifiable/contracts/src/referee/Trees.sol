// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Merkle} from "../step/lib/Merkle.sol";
import {IReferee} from "./IReferee.sol";
import {Cursor} from "./RefereeTypes.sol";

/// @title Nodes of a tree of which only a part is known
/// @notice Mirrors `verifiable/dispute/nodes.py`.
library Trees {
    /// @notice Steps from a leaf to the root of a tree of so many leaves.
    function heightOf(uint256 leaves) internal pure returns (uint256 h) {
        while (uint256(1) << h < leaves) ++h;
    }

    /// @notice Node that a node and all its siblings lead to.
    function fold(bytes32 node, uint256 index, bytes32[] calldata siblings)
        internal
        view
        returns (bytes32)
    {
        for (uint256 i = 0; i < siblings.length; ++i) {
            bytes32 sibling = siblings[i];
            node = index & 1 == 0 ? Merkle.hashPair(node, sibling) : Merkle.hashPair(sibling, node);
            index >>= 1;
        }
        return node;
    }

    /// @notice Whether there is no leaf of the tree below a node.
    /// @param lower Height of the lower trees.
    function isPadding(Cursor memory at, uint256 lower, uint256 height, uint256 index)
        internal
        pure
        returns (bool)
    {
        if (height >= lower) return index << (height - lower) >= at.trees;
        uint256 levels = lower - height;
        uint256 place = index & ((uint256(1) << levels) - 1);
        return index >> levels >= at.trees || place << height >= at.leaves;
    }

    /// @notice Node that the nodes `size` levels below lead to.
    /// @param at Not padding, unless the tree has no leaf at all.
    /// @param nodes Those that are not padding, end to end.
    /// @custom:reverts RevealLength if there are more or fewer.
    function rootOfBelow(Cursor memory at, uint256 size, bytes calldata nodes)
        internal
        view
        returns (bytes32)
    {
        uint256 lower = heightOf(at.leaves);
        uint256 bottom = at.height - size;
        if (bottom >= lower) {
            uint256 held = _ceil(at.trees, bottom - lower) - (uint256(at.index) << size);
            return _foldOne(nodes, held, size, bottom - lower);
        }
        uint256 width = _ceil(at.leaves, bottom);
        if (at.height <= lower) {
            uint256 first = (uint256(at.index) << size) & ((uint256(1) << (lower - bottom)) - 1);
            return _foldOne(nodes, width - first, size, bottom);
        }
        uint256 upper = at.height - lower;
        return _foldBoth(nodes, at.trees - (uint256(at.index) << upper), upper, width, bottom);
    }

    /// @notice Node over the first `2**levels` of the `held` nodes of one tree that begin there.
    /// @param height Of the nodes in their tree, for the padding.
    function _foldOne(bytes calldata nodes, uint256 held, uint256 levels, uint256 height)
        private
        view
        returns (bytes32)
    {
        uint256 count = _least(held, uint256(1) << levels);
        _checkLength(nodes, count);
        bytes32 pad = _padFor(count, levels, height);
        return _fold(_load(nodes, 0, count), count, levels, pad);
    }

    /// @notice Node over the roots of the first `2**upper` of `held` lower trees.
    /// @param width Nodes of each of them at the height `bottom`.
    function _foldBoth(
        bytes calldata nodes,
        uint256 held,
        uint256 upper,
        uint256 width,
        uint256 bottom
    ) private view returns (bytes32) {
        uint256 count = _least(held, uint256(1) << upper);
        _checkLength(nodes, count * width);
        // Behind the last, for what folding writes there.
        bytes32[] memory roots = new bytes32[](count + 1);
        uint256 down = heightOf(width);
        bytes32 pad = _padFor(width, down, bottom);
        uint256 first;
        assembly ("memory-safe") {
            first := add(roots, 32)
        }
        for (uint256 i = 0; i < count; ++i) {
            roots[i] = _fold(_load(nodes, i * width, width), width, down, pad);
        }
        return _fold(first, count, upper, Merkle.PAD);
    }

    function _checkLength(bytes calldata nodes, uint256 count) private pure {
        if (nodes.length != 32 * count) revert IReferee.RevealLength(nodes.length, 32 * count);
    }

    // A word before them and one behind is free.
    function _load(bytes calldata nodes, uint256 first, uint256 count)
        private
        pure
        returns (uint256 pointer)
    {
        assembly ("memory-safe") {
            pointer := add(mload(0x40), 32)
            calldatacopy(pointer, add(nodes.offset, shl(5, first)), shl(5, count))
            mstore(0x40, add(pointer, shl(5, add(count, 1))))
        }
    }

    /// @notice Root of a tree of `2**levels` nodes; `pad` stands for those behind the given ones,
    /// which are written over.
    function _fold(uint256 pointer, uint256 count, uint256 levels, bytes32 pad)
        private
        view
        returns (bytes32)
    {
        return count == 0 ? pad : Merkle.fold(pointer, count, levels, pad);
    }

    /// @notice Padding of a height, where `count` nodes need it to be `2**levels`.
    function _padFor(uint256 count, uint256 levels, uint256 height)
        private
        view
        returns (bytes32 pad)
    {
        pad = Merkle.PAD;
        if (count == uint256(1) << levels) return pad;
        for (uint256 i = 0; i < height; ++i) {
            pad = Merkle.hashPair(pad, pad);
        }
    }

    function _ceil(uint256 count, uint256 levels) private pure returns (uint256) {
        return (count + (uint256(1) << levels) - 1) >> levels;
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
