// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {StepBase} from "./StepBase.sol";
import {StepProof, Statement, TensorOpening} from "./StepTypes.sol";
import {Descriptor, Instruction} from "./lib/Descriptor.sol";
import {Openings} from "./lib/Openings.sol";

/// @title Recomputes an element of a View, a Gather or a Concat
/// @notice They move elements and compute none.
contract MoveStep is StepBase {
    /// @dev Bytes of the parameters of a View that do not depend on its rank.
    uint256 private constant OFFSET_BYTES = 8;
    uint256 private constant I64_BITS = 63;

    function _recompute(
        Statement calldata statement,
        StepProof calldata proof,
        Instruction memory ins
    ) internal view override returns (uint256) {
        if (ins.kind == Descriptor.VIEW) {
            return _view(statement, proof, ins);
        }
        if (ins.kind == Descriptor.GATHER) return _gather(statement, proof, ins);
        if (ins.kind == Descriptor.CONCAT) return _concat(statement, proof, ins);
        revert KindRefused(ins.kind);
    }

    function _view(Statement calldata statement, StepProof calldata proof, Instruction memory ins)
        private
        view
        returns (uint256)
    {
        (bool inside, uint256 source) = _source(ins, proof.element);
        if (!inside) {
            _checkCount(proof, 0);
            unchecked {
                return Descriptor.load(ins.parameters + 9 + 16 * ins.rank, 8);
            }
        }
        _checkCount(proof, 1);
        Instruction memory x = _operand(proof, ins, 0);
        return _open(statement, proof, proof.operands[0], x, source);
    }

    // Whether an element lies in the box, and which one of the operand it is then. On a well-formed
    // graph offset and strides are at most 2**40, so that no sum overflows.
    function _source(Instruction memory ins, uint256 element)
        private
        pure
        returns (bool inside, uint256 source)
    {
        unchecked {
            uint256 strides = ins.parameters + 8;
            uint256 low = strides + 8 * ins.rank;
            uint256 high = low + 4 * ins.rank;
            source = _signed(ins.parameters);
            inside = true;
            for (uint256 axis = ins.rank; axis-- != 0;) {
                uint256 extent = Descriptor.extent(ins, axis);
                uint256 place = element % extent;
                element /= extent;
                source += place * _signed(strides + 8 * axis);
                if (place < Descriptor.load(low + 4 * axis, 4)) inside = false;
                if (place >= Descriptor.load(high + 4 * axis, 4)) inside = false;
            }
        }
    }

    function _gather(Statement calldata statement, StepProof calldata proof, Instruction memory ins)
        private
        view
        returns (uint256)
    {
        _checkCount(proof, 2);
        Instruction memory x = _operand(proof, ins, 0);
        uint256 inner = Descriptor.extent(ins, 2);
        uint256 place = proof.element / inner % Descriptor.extent(ins, 1);
        uint256 batch = proof.element / inner / Descriptor.extent(ins, 1);
        uint256 chosen = _chosen(statement, proof, ins, batch, place);
        uint256 extent = Descriptor.extent(x, 1);
        unchecked {
            // Of a negative index, and of one that wraps back to 0 or above.
            if (int256(chosen) < 0) chosen += extent;
            if (chosen >= extent) {
                Openings.checkEmpty(proof.operands[0]);
                return 0;
            }
            uint256 element = (batch * extent + chosen) * inner + proof.element % inner;
            return _open(statement, proof, proof.operands[0], x, element);
        }
    }

    // Element of a Gather's index, its sign extended.
    function _chosen(
        Statement calldata statement,
        StepProof calldata proof,
        Instruction memory ins,
        uint256 batch,
        uint256 place
    ) private view returns (uint256 chosen) {
        Instruction memory index = _operand(proof, ins, 1);
        uint256 element = batch % Descriptor.extent(index, 0) * Descriptor.extent(index, 1) + place;
        chosen = _open(statement, proof, proof.operands[1], index, element);
        uint256 width = Descriptor.width(index.dtype);
        assembly ("memory-safe") {
            chosen := signextend(sub(width, 1), chosen)
        }
    }

    function _concat(Statement calldata statement, StepProof calldata proof, Instruction memory ins)
        private
        view
        returns (uint256)
    {
        uint256 axis = Descriptor.load(ins.parameters, 1);
        if (axis >= ins.rank) revert Descriptor.DescriptorMalformed();
        uint256 inner = Descriptor.product(ins, axis + 1, ins.rank);
        uint256 place = proof.element / inner % Descriptor.extent(ins, axis);
        uint256 outer = proof.element / inner / Descriptor.extent(ins, axis);
        uint256 opened = proof.operands.length;
        if (opened == 0 || opened > ins.count) revert OperandCount(opened, ins.count);
        for (uint256 number = 0; number < opened; ++number) {
            Instruction memory part = _operand(proof, ins, number);
            if (axis >= part.rank) revert Descriptor.DescriptorMalformed();
            uint256 extent = Descriptor.extent(part, axis);
            TensorOpening calldata opening = proof.operands[number];
            if (place < extent) {
                _checkCount(proof, number + 1);
                uint256 element = (outer * extent + place) * inner + proof.element % inner;
                return _open(statement, proof, opening, part, element);
            }
            Openings.checkEmpty(opening);
            place -= extent;
        }
        revert OperandCount(opened, opened + 1);
    }

    function _signed(uint256 place) private pure returns (uint256 value) {
        value = Descriptor.load(place, 8);
        assembly ("memory-safe") {
            value := signextend(7, value)
        }
    }
}
