// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice An instruction, as its canonical bytes say; places are those in the calldata.
/// @param kind 0 Input, 1 Const, 2 Dot, 3 Reduce, 4 Map, 5 View, 6 Gather, 7 Concat.
/// @param dtype Of the result (`verifiable/graph/vocabulary.py`).
/// @param rank Axes of the result.
/// @param count Operands.
/// @param size Elements of the result.
/// @param shape Place of its extents, 4 bytes each.
/// @param read Place of the operands, 4 bytes each.
/// @param parameters Place of the rest.
struct Instruction {
    uint256 kind;
    uint256 dtype;
    uint256 rank;
    uint256 count;
    uint256 size;
    uint256 shape;
    uint256 read;
    uint256 parameters;
}

/// @title Canonical bytes of an instruction
/// @notice Mirrors `parse_descriptor` of `verifiable/graph/encoding.py`. Whether an instruction
/// fits its operands is for whoever accepts a model root to check, once (`verifiable/graph/check.py`).
library Descriptor {
    uint256 internal constant INPUT = 0;
    uint256 internal constant CONST = 1;
    uint256 internal constant DOT = 2;
    uint256 internal constant REDUCE = 3;
    uint256 internal constant MAP = 4;
    uint256 internal constant VIEW = 5;
    uint256 internal constant GATHER = 6;
    uint256 internal constant CONCAT = 7;

    uint256 internal constant F32 = 0;
    uint256 internal constant I8 = 1;
    uint256 internal constant U8 = 2;
    uint256 internal constant I32 = 3;
    uint256 internal constant I64 = 4;
    uint256 internal constant BOOL = 5;

    uint256 private constant MAX_RANK = 8;
    uint256 private constant MAX_SIZE = 1 << 40;
    // Byte i: of dtype i the bytes of an element, of kind i the operands; 0xff is any number.
    uint256 private constant WIDTHS =
        0x0401010408010000000000000000000000000000000000000000000000000000;
    uint256 private constant OPERANDS =
        0x00000201ff0102ff000000000000000000000000000000000000000000000000;

    /// @notice The bytes are no instruction's.
    error DescriptorMalformed();

    /// @notice Read the canonical bytes of an instruction.
    /// @custom:reverts DescriptorMalformed if they are of another length than they say, or hold an
    /// unknown kind or dtype, another number of operands than the kind has, or too large a shape.
    function parse(bytes calldata data) internal pure returns (Instruction memory ins) {
        if (data.length < 4) revert DescriptorMalformed();
        unchecked {
            uint256 head = uint32(bytes4(data));
            uint256 start;
            assembly ("memory-safe") {
                start := data.offset
            }
            ins.kind = head >> 24;
            ins.dtype = (head >> 16) & 0xff;
            ins.rank = (head >> 8) & 0xff;
            ins.count = head & 0xff;
            ins.shape = start + 4;
            ins.read = ins.shape + 4 * ins.rank;
            ins.parameters = ins.read + 4 * ins.count;
            if (ins.kind > CONCAT || ins.dtype > BOOL || ins.rank > MAX_RANK) {
                revert DescriptorMalformed();
            }
            uint256 wanted = _byteAt(OPERANDS, ins.kind);
            if (wanted != 0xff && wanted != ins.count) revert DescriptorMalformed();
            uint256 end = start + data.length;
            if (ins.parameters > end || end - ins.parameters != _parameterBytes(ins, end)) {
                revert DescriptorMalformed();
            }
            // At most 8 extents of 32 bits: no product overflows.
            ins.size = product(ins, 0, ins.rank);
            if (ins.size > MAX_SIZE) revert DescriptorMalformed();
        }
    }

    function _parameterBytes(Instruction memory ins, uint256 end) private pure returns (uint256) {
        unchecked {
            if (ins.kind == CONST) return 32;
            if (ins.kind == DOT) return 4;
            if (ins.kind == REDUCE) return 5;
            if (ins.kind == VIEW) return 17 + 16 * ins.rank;
            if (ins.kind == CONCAT) return 1;
            if (ins.kind != MAP) return 0;
            if (end - ins.parameters < 2) revert DescriptorMalformed();
            return 2 + 9 * load(ins.parameters, 1) + 5 * load(ins.parameters + 1, 1);
        }
    }

    /// @notice Bytes of an element of a dtype.
    function width(uint256 dtype) internal pure returns (uint256) {
        return _byteAt(WIDTHS, dtype);
    }

    /// @notice Big-endian number of so many bytes of calldata.
    function load(uint256 place, uint256 length) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(sub(256, shl(3, length)), calldataload(place))
        }
    }

    /// @notice Extent of an axis below the rank.
    function extent(Instruction memory ins, uint256 axis) internal pure returns (uint256) {
        unchecked {
            return load(ins.shape + 4 * axis, 4);
        }
    }

    /// @notice Extent of the last axis; 1 of a scalar.
    function row(Instruction memory ins) internal pure returns (uint256) {
        unchecked {
            return ins.rank == 0 ? 1 : extent(ins, ins.rank - 1);
        }
    }

    /// @notice Product of the extents of axes `first <= axis < end`.
    function product(Instruction memory ins, uint256 first, uint256 end)
        internal
        pure
        returns (uint256 found)
    {
        unchecked {
            found = 1;
            for (uint256 axis = first; axis < end; ++axis) {
                found *= extent(ins, axis);
            }
        }
    }

    /// @notice Place in the graph of an operand below the count.
    function operand(Instruction memory ins, uint256 index) internal pure returns (uint256) {
        unchecked {
            return load(ins.read + 4 * index, 4);
        }
    }

    function _byteAt(uint256 word, uint256 index) private pure returns (uint256 found) {
        assembly ("memory-safe") {
            found := byte(index, word)
        }
    }
}
