// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Descriptor} from "./Descriptor.sol";
import {Layout, Plan} from "./Layout.sol";
import {Merkle} from "./Merkle.sol";

/// @title Roots of whole tensors
/// @notice For those who hold the bytes of all inputs or outputs of a claim against its roots.
/// Mirrors `tensor_root` of `verifiable/graph/tensors.py`, and `output_root` of
/// `verifiable/trace/commit.py` where each output is a tensor of its own.
library TensorRoot {
    uint256 private constant MAX_RANK = 8;

    /// @notice The type of a tensor is none: unknown dtype, too many axes, another length.
    error TypeMalformed();
    /// @notice A tensor has other bytes than its type says.
    error ElementsLength(uint256 got, uint256 wanted);
    /// @notice There are more types than tensors, or fewer.
    error TensorCount(uint256 types, uint256 tensors);

    /// @notice Root over the tensors of a section of a trace, in the order of the instructions.
    /// @param headers Type of each: dtype (1 byte), rank (1), extents (4 each).
    /// @param elements Big-endian elements of each.
    /// @custom:reverts TensorCount, TypeMalformed or ElementsLength if they are no tensors.
    function outputRoot(bytes[] calldata headers, bytes[] calldata elements)
        internal
        view
        returns (bytes32)
    {
        uint256 count = headers.length;
        if (count != elements.length) revert TensorCount(count, elements.length);
        if (count == 0) return Merkle.PAD;
        uint256 roots = _digests(count);
        for (uint256 i = 0; i < count; ++i) {
            _store(roots, i, tensorRoot(headers[i], elements[i]));
        }
        return Merkle.fold(roots, count);
    }

    /// @notice Root of a tensor.
    /// @param header Its type: dtype (1 byte), rank (1), extents (4 each).
    /// @param elements Its elements, big-endian.
    /// @custom:reverts TypeMalformed or ElementsLength if it is no tensor.
    function tensorRoot(bytes calldata header, bytes calldata elements)
        internal
        view
        returns (bytes32)
    {
        Plan memory plan = _plan(header, elements.length);
        bytes32 tree = plan.leaves == 0 ? Merkle.PAD : _treeRoot(plan, elements);
        return sha256(abi.encodePacked(uint8(Merkle.TENSOR), header, tree));
    }

    function _plan(bytes calldata header, uint256 length) private pure returns (Plan memory) {
        if (header.length < 2) revert TypeMalformed();
        uint256 dtype = uint8(header[0]);
        uint256 rank = uint8(header[1]);
        if (dtype > Descriptor.BOOL || rank > MAX_RANK || header.length != 2 + 4 * rank) {
            revert TypeMalformed();
        }
        uint256 row = 1;
        uint256 size = 1;
        for (uint256 axis = 0; axis < rank; ++axis) {
            row = uint32(bytes4(header[2 + 4 * axis:]));
            size *= row;
        }
        // Divided, for a size of 8 axes may be beyond all but the last 3 of 256 bits.
        uint256 width = Descriptor.width(dtype);
        if (length % width != 0 || length / width != size) revert ElementsLength(length, size);
        return Layout.plan(dtype, row, size);
    }

    function _treeRoot(Plan memory plan, bytes calldata elements) private view returns (bytes32) {
        uint256 span = plan.span * plan.width;
        uint256 leaf = plan.leaf * plan.width;
        uint256 tops = _digests(plan.trees);
        uint256 digests = _digests(plan.leaves);
        uint256 buffer;
        assembly ("memory-safe") {
            buffer := add(mload(0x40), 32)
            mstore(0x40, add(buffer, and(add(leaf, 63), not(31))))
        }
        for (uint256 tree = 0; tree < plan.trees; ++tree) {
            for (uint256 i = 0; i < plan.leaves; ++i) {
                uint256 length = i + 1 == plan.leaves ? span - i * leaf : leaf;
                uint256 start = tree * span + i * leaf;
                assembly ("memory-safe") {
                    calldatacopy(buffer, add(elements.offset, start), length)
                }
                _store(digests, i, Merkle.hashLeaf(buffer, length));
            }
            _store(tops, tree, Merkle.fold(digests, plan.leaves));
        }
        return Merkle.fold(tops, plan.trees);
    }

    // Room for so many digests, with the words that `Merkle.fold` writes over around them.
    function _digests(uint256 count) private pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := add(mload(0x40), 32)
            mstore(0x40, add(pointer, shl(5, add(count, 1))))
        }
    }

    function _store(uint256 digests, uint256 place, bytes32 digest) private pure {
        assembly ("memory-safe") {
            mstore(add(digests, shl(5, place)), digest)
        }
    }
}
