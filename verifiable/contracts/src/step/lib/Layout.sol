// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Descriptor, Instruction} from "./Descriptor.sol";

/// @notice How the elements of a tensor are cut into leaves.
/// @param width Bytes of an element.
/// @param row Elements of a row.
/// @param trees Trees below the tensor's own: one to a long row, one for all packed rows.
/// @param span Elements of each of them.
/// @param leaf Elements of each leaf but the last of its tree.
/// @param leaves Leaves of each tree.
/// @param rowsAreTrees Whether a row is a tree, not a part of a leaf.
struct Plan {
    uint256 width;
    uint256 row;
    uint256 trees;
    uint256 span;
    uint256 leaf;
    uint256 leaves;
    bool rowsAreTrees;
}

/// @title Leaves of a tensor
/// @notice Mirrors `verifiable/graph/layout.py`.
library Layout {
    uint256 internal constant LEAF_BYTES = 1024;

    /// @notice How the result of an instruction is cut.
    function plan(Instruction memory ins) internal pure returns (Plan memory p) {
        return plan(ins.dtype, Descriptor.row(ins), ins.size);
    }

    /// @notice How `size` elements in rows of `row` are cut.
    function plan(uint256 dtype, uint256 row, uint256 size) internal pure returns (Plan memory p) {
        unchecked {
            p.width = Descriptor.width(dtype);
            p.row = row;
            uint256 most = LEAF_BYTES / p.width;
            p.rowsAreTrees = row >= most;
            p.leaf = most;
            if (size == 0) return p;
            // A size above 0 has rows above 0.
            if (p.rowsAreTrees) {
                (p.trees, p.span) = (size / row, row);
            } else {
                (p.trees, p.span, p.leaf) = (1, size, most / row * row);
            }
            p.leaves = (p.span + p.leaf - 1) / p.leaf;
        }
    }
}
