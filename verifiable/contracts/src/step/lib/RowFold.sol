// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Descriptor} from "./Descriptor.sol";
import {SoftFloat} from "./SoftFloat.sol";

/// @title Folds of a row
/// @notice Mirrors `verifiable/ops/reduce.py`. Rows lie in memory, big-endian; whatever follows
/// them in their last word may be read.
library RowFold {
    uint256 internal constant SUM = 0;
    uint256 internal constant MAX = 1;
    uint256 internal constant MIN = 2;
    uint256 internal constant ARGMAX = 3;
    uint256 internal constant ARGMIN = 4;

    uint256 private constant LANES = 32;
    /// @dev Key of a NaN: an end of the keys of floats, which are of 32 bits.
    int256 private constant KEY_END = 0x7fffffff;

    /// @notice Elements that a fold goes through.
    /// @param pointer Place of the first in memory.
    /// @param stride Bytes from one to the next.
    /// @param count Number of them.
    /// @param dtype Code of their dtype.
    struct Row {
        uint256 pointer;
        uint256 stride;
        uint256 count;
        uint256 dtype;
    }

    /// @notice Sum of a row of floats in chunks of 32 lanes, or of integers, which wraps.
    function sum(Row memory row, uint256 chunk) internal pure returns (uint256 total) {
        if (row.dtype != Descriptor.F32) return _sumIntegers(row);
        uint256 lanes;
        assembly ("memory-safe") {
            lanes := mload(0x40)
            mstore(0x40, add(lanes, shl(5, LANES)))
        }
        unchecked {
            for (uint256 start = 0; start < row.count; start += chunk) {
                uint256 end = start + chunk < row.count ? start + chunk : row.count;
                uint256 part = _sumChunk(row.pointer, start, end, lanes);
                total = start == 0 ? part : SoftFloat.add(total, part);
            }
        }
        return SoftFloat.add(total, 0);
    }

    /// @notice Sum of floats one after the other, and of +0 at last; or of integers, which wraps.
    function sumInOrder(Row memory row) internal pure returns (uint256 total) {
        if (row.dtype != Descriptor.F32) return _sumIntegers(row);
        unchecked {
            for (uint256 i = 0; i < row.count; ++i) {
                total = SoftFloat.add(total, _load(row.pointer + i * row.stride, 4));
            }
        }
    }

    /// @notice Place and bits of the greatest or least element, the first of equals; of the first
    /// NaN, if there is one.
    /// @param row At least one element.
    function best(Row memory row, bool greatest)
        internal
        pure
        returns (uint256 place, uint256 bits)
    {
        unchecked {
            uint256 width = Descriptor.width(row.dtype);
            int256 top = type(int256).min;
            for (uint256 i = 0; i < row.count; ++i) {
                uint256 x = _load(row.pointer + i * row.stride, width);
                int256 key = _key(row.dtype, x, greatest);
                if (!greatest) key = -key;
                if (key > top) (top, place, bits) = (key, i, x);
            }
            if (row.dtype == Descriptor.F32) bits = SoftFloat.canonical(bits);
            if (row.dtype == Descriptor.BOOL && bits != 0) bits = 1;
        }
    }

    // Element k of a chunk is added to lane k % 32, then the upper half of the lanes to the lower.
    function _sumChunk(uint256 pointer, uint256 start, uint256 end, uint256 lanes)
        private
        pure
        returns (uint256)
    {
        unchecked {
            for (uint256 lane = 0; lane < LANES; ++lane) {
                uint256 total = 0;
                for (uint256 k = start + lane; k < end; k += LANES) {
                    total = SoftFloat.add(total, _load(pointer + 4 * k, 4));
                }
                _store(lanes, lane, total);
            }
            for (uint256 half = LANES / 2; half != 0; half >>= 1) {
                for (uint256 lane = 0; lane < half; ++lane) {
                    _store(lanes, lane, SoftFloat.add(_at(lanes, lane), _at(lanes, lane + half)));
                }
            }
        }
        return _at(lanes, 0);
    }

    function _sumIntegers(Row memory row) private pure returns (uint256 total) {
        uint256 width = Descriptor.width(row.dtype);
        unchecked {
            for (uint256 i = 0; i < row.count; ++i) {
                total += _load(row.pointer + i * row.stride, width);
            }
            return total & ((1 << (8 * width)) - 1);
        }
    }

    // A number in the order of the elements.
    function _key(uint256 dtype, uint256 x, bool greatest) private pure returns (int256 key) {
        if (dtype == Descriptor.F32) {
            if (SoftFloat.isNan(x)) return greatest ? KEY_END : -KEY_END - 1;
            // Negative floats order by falling magnitude.
            if (x & SoftFloat.SIGN != 0) return -int256(x & SoftFloat.MAGNITUDE) - 1;
            return int256(x);
        }
        if (dtype == Descriptor.BOOL) return x == 0 ? int256(0) : int256(1);
        if (dtype == Descriptor.U8) return int256(x);
        uint256 width = Descriptor.width(dtype);
        assembly ("memory-safe") {
            key := signextend(sub(width, 1), x)
        }
    }

    function _load(uint256 pointer, uint256 width) private pure returns (uint256 x) {
        assembly ("memory-safe") {
            x := shr(sub(256, shl(3, width)), mload(pointer))
        }
    }

    function _at(uint256 lanes, uint256 lane) private pure returns (uint256 x) {
        assembly ("memory-safe") {
            x := mload(add(lanes, shl(5, lane)))
        }
    }

    function _store(uint256 lanes, uint256 lane, uint256 x) private pure {
        assembly ("memory-safe") {
            mstore(add(lanes, shl(5, lane)), x)
        }
    }
}
