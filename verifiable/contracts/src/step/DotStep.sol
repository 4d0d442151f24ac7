// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RowStep} from "./RowStep.sol";
import {Descriptor, Instruction} from "./lib/Descriptor.sol";
import {DotKernel} from "./lib/DotKernel.sol";
import {RowFold} from "./lib/RowFold.sol";

/// @title Recomputes an element of a Dot: the product of two rows
contract DotStep is RowStep {
    /// @notice There is no Dot of these two dtypes.
    error NoSuchDot(uint256 a, uint256 b);

    function _parameters(Instruction memory ins)
        internal
        pure
        override
        returns (uint256 fold, uint256 chunk)
    {
        if (ins.kind != Descriptor.DOT) revert KindRefused(ins.kind);
        chunk = Descriptor.load(ins.parameters, 4);
        if (chunk == 0 || ins.rank != 3) revert Descriptor.DescriptorMalformed();
        fold = RowFold.SUM;
    }

    // `out[n, i, j]` is made of `a[n % A, i]` and `b[n % B, j]`.
    function _rowOf(Job memory job, uint256 element, uint256 operand)
        internal
        pure
        override
        returns (uint256)
    {
        uint256 columns = Descriptor.extent(job.ins, 2);
        uint256 rows = Descriptor.extent(job.ins, 1);
        uint256 batch = element / columns / rows % Descriptor.extent(job.operands[operand], 0);
        if (operand == 0) return batch * rows + element / columns % rows;
        return batch * columns + element % columns;
    }

    function _fold(Job memory job, uint256[] memory pointers, uint256 count)
        internal
        pure
        override
        returns (uint256 place, uint256 bits)
    {
        (uint256 a, uint256 b) = (job.operands[0].dtype, job.operands[1].dtype);
        if (a == Descriptor.F32 && b == Descriptor.F32) {
            return (0, DotKernel.f32(pointers[0], pointers[1], count, job.chunk));
        }
        if (b != Descriptor.I8 || (a != Descriptor.I8 && a != Descriptor.U8)) {
            revert NoSuchDot(a, b);
        }
        return (0, DotKernel.i8(pointers[0], pointers[1], count, a == Descriptor.I8));
    }
}
