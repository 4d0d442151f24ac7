// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {StepBase} from "./StepBase.sol";
import {StepProof, Statement} from "./StepTypes.sol";
import {Descriptor, Instruction} from "./lib/Descriptor.sol";
import {Scalars} from "./lib/Scalars.sol";

/// @title Recomputes an element of a Map: a scalar program
contract MapStep is StepBase {
    /// @dev A register holds the bits of its element below the code of its dtype.
    uint256 private constant DTYPE_SHIFT = 64;
    uint256 private constant LITERAL_BYTES = 9;
    uint256 private constant STEP_BYTES = 5;

    uint256 private constant LT = 32;
    uint256 private constant EQ = 34;
    uint256 private constant SELECT = 48;
    uint256 private constant TO_F32 = 56;
    uint256 private constant TO_BOOL = 61;
    uint256 private constant BITS_TO_F32 = 62;
    uint256 private constant BITS_OF_F32 = 63;
    uint256 private constant REQUANTISE = 64;

    /// @notice A step reads a register that is not written yet, or the program has no step.
    error ProgramMalformed();

    function _recompute(
        Statement calldata statement,
        StepProof calldata proof,
        Instruction memory ins
    ) internal view override returns (uint256) {
        if (ins.kind != Descriptor.MAP) revert KindRefused(ins.kind);
        _checkCount(proof, ins.count);
        uint256 literals = Descriptor.load(ins.parameters, 1);
        uint256 steps = Descriptor.load(ins.parameters + 1, 1);
        if (steps == 0) revert ProgramMalformed();
        uint256[] memory registers = new uint256[](ins.count + literals + steps);
        for (uint256 i = 0; i < ins.count; ++i) {
            registers[i] = _argument(statement, proof, ins, i);
        }
        uint256 place = ins.parameters + 2;
        for (uint256 i = ins.count; i < ins.count + literals; ++i) {
            // The dtype stands before the bits, as in a register.
            registers[i] = Descriptor.load(place, LITERAL_BYTES);
            place += LITERAL_BYTES;
        }
        for (uint256 i = ins.count + literals; i < registers.length; ++i) {
            registers[i] = _step(registers, i, Descriptor.load(place, STEP_BYTES));
            place += STEP_BYTES;
        }
        return uint64(registers[registers.length - 1]);
    }

    function _argument(
        Statement calldata statement,
        StepProof calldata proof,
        Instruction memory ins,
        uint256 number
    ) private view returns (uint256 register) {
        Instruction memory x = _operand(proof, ins, number);
        uint256 element = _broadcast(ins, x, proof.element);
        uint256 bits = _open(statement, proof, proof.operands[number], x, element);
        // A tensor of another party may hold bytes that are no bool.
        if (x.dtype == Descriptor.BOOL && bits != 0) bits = 1;
        return (x.dtype << DTYPE_SHIFT) | bits;
    }

    // Element of an operand that is broadcast to an element of the result.
    function _broadcast(Instruction memory ins, Instruction memory x, uint256 element)
        private
        pure
        returns (uint256 found)
    {
        if (x.rank > ins.rank) revert Descriptor.DescriptorMalformed();
        unchecked {
            uint256 stride = 1;
            for (uint256 i = 1; i <= x.rank; ++i) {
                uint256 extent = Descriptor.extent(ins, ins.rank - i);
                uint256 own = Descriptor.extent(x, x.rank - i);
                if (own != 1) found += stride * (element % extent);
                element /= extent;
                stride *= own;
            }
        }
    }

    // Registers below `next` are written. A step is a function and four registers, a byte each.
    function _step(uint256[] memory registers, uint256 next, uint256 step)
        private
        pure
        returns (uint256)
    {
        uint256 fn = step >> 32;
        uint256 a = _read(registers, next, step >> 24);
        uint256 b = _read(registers, next, step >> 16);
        uint256 c = _read(registers, next, step >> 8);
        uint256 d = _read(registers, next, step);
        uint256 dtype = (fn == SELECT ? b : a) >> DTYPE_SHIFT;
        uint256 bits = Scalars.evaluate(fn, dtype, uint64(a), uint64(b), uint64(c), uint64(d));
        return (_gives(fn, dtype) << DTYPE_SHIFT) | bits;
    }

    function _read(uint256[] memory registers, uint256 next, uint256 number)
        private
        pure
        returns (uint256)
    {
        if (uint8(number) >= next) revert ProgramMalformed();
        return registers[uint8(number)];
    }

    // Dtype that a function gives for operands of a dtype that it takes.
    function _gives(uint256 fn, uint256 dtype) private pure returns (uint256) {
        if (fn >= LT && fn <= EQ) return Descriptor.BOOL;
        if (fn >= TO_F32 && fn <= TO_BOOL) return fn - TO_F32;
        if (fn == BITS_TO_F32) return Descriptor.F32;
        if (fn == BITS_OF_F32) return Descriptor.I32;
        return fn == REQUANTISE ? Descriptor.I8 : dtype;
    }
}
