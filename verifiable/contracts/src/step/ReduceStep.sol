// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RowStep} from "./RowStep.sol";
import {Descriptor, Instruction} from "./lib/Descriptor.sol";
import {RowFold} from "./lib/RowFold.sol";

/// @title Recomputes an element of a Reduce: a fold of one row
contract ReduceStep is RowStep {
    function _parameters(Instruction memory ins)
        internal
        pure
        override
        returns (uint256 fold, uint256 chunk)
    {
        if (ins.kind != Descriptor.REDUCE) revert KindRefused(ins.kind);
        fold = Descriptor.load(ins.parameters, 1);
        chunk = Descriptor.load(ins.parameters + 1, 4);
        if (fold > RowFold.ARGMIN || chunk == 0) revert Descriptor.DescriptorMalformed();
    }

    function _rowOf(Job memory, uint256 element, uint256) internal pure override returns (uint256) {
        return element;
    }

    function _fold(Job memory job, uint256[] memory pointers, uint256 count)
        internal
        pure
        override
        returns (uint256 place, uint256 bits)
    {
        uint256 dtype = job.operands[0].dtype;
        RowFold.Row memory row = RowFold.Row(pointers[0], Descriptor.width(dtype), count, dtype);
        if (job.fold == RowFold.SUM) return (0, RowFold.sum(row, job.chunk));
        return RowFold.best(row, _greatest(job));
    }
}
