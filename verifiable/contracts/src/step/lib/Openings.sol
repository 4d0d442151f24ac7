// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    InstructionOpening,
    ModelHeader,
    Statement,
    StepProof,
    TensorOpening
} from "../StepTypes.sol";
import {Descriptor, Instruction} from "./Descriptor.sol";
import {Layout, Plan} from "./Layout.sol";
import {Merkle} from "./Merkle.sol";

/// @title Openings of a model's instructions and of a trace's tensors
/// @notice Mirrors `verifiable/graph/commitment.py`, `verifiable/graph/tensors.py` and the checks of
/// `verifiable/dispute/step.py`.
library Openings {
    /// @dev Code of the section of a Const; below it are those of a trace.
    uint256 internal constant OF_MODEL = 3;

    /// @notice No trace of the model holds such a tensor, or a Const is said to be in one.
    error NoSuchTensor(uint256 section, uint256 position);
    /// @notice The tensor has fewer elements.
    error NoSuchElement(uint256 element, uint256 size);
    /// @notice A leaf or row has another length than it must have.
    error DataLength(uint256 got, uint256 wanted);
    /// @notice Elements are opened of a tensor whose type alone is needed.
    error TypeAloneWanted();

    /// @notice Check that a header is that of a model.
    /// @custom:reverts RootMismatch if it is not.
    function checkHeader(bytes32 model, ModelHeader calldata header) internal view {
        bytes memory whole = abi.encodePacked(
            uint8(Merkle.MODEL),
            header.instructions,
            header.inputs,
            header.bodies,
            header.outputs,
            header.tree,
            header.borders,
            "canon/1"
        );
        Merkle.check(sha256(whole), model);
    }

    /// @notice Check that the model of a checked header has an instruction at `place`, and read it.
    /// @custom:reverts NoSuchLeaf, PathLength or RootMismatch if it has not, DescriptorMalformed if
    /// there is no such instruction.
    function instruction(
        ModelHeader calldata header,
        uint256 place,
        InstructionOpening calldata opening
    ) internal view returns (Instruction memory) {
        (bytes32 node, uint256 used) = Merkle.climb(
            _leaf(opening), header.instructions, place, opening.siblings, 0, Merkle.WHOLE
        );
        Merkle.checkLength(opening.siblings, used);
        Merkle.check(node, header.tree);
        return Descriptor.parse(opening.descriptor);
    }

    /// @notice The same of an operand, by the path of the checked instruction that reads it.
    /// @param reader Its place.
    /// @param beside Its opening.
    /// @custom:reverts As `instruction`.
    function operand(
        ModelHeader calldata header,
        uint256 place,
        InstructionOpening calldata opening,
        uint256 reader,
        InstructionOpening calldata beside
    ) internal view returns (Instruction memory) {
        Merkle.checkBeside(
            _leaf(opening), header.instructions, place, opening.siblings, reader, beside.siblings
        );
        return Descriptor.parse(opening.descriptor);
    }

    function _leaf(InstructionOpening calldata opening) private view returns (bytes32) {
        return sha256(
            abi.encodePacked(
                uint8(Merkle.INSTRUCTION), opening.section, opening.position, opening.descriptor
            )
        );
    }

    /// @notice Check that an opening shows no elements.
    /// @custom:reverts TypeAloneWanted if it does.
    function checkEmpty(TensorOpening calldata opening) internal pure {
        if (opening.data.length | opening.siblings.length | opening.above.length != 0) {
            revert TypeAloneWanted();
        }
    }

    /// @notice Check an opening of `count` neighbouring elements: of the whole row if that is what
    /// they are and it is a tree, else of the leaf that holds them.
    /// @param ins The instruction that wrote them, of the checked opening.
    /// @param isResult Whether this is the opening of the result, whose path to the root is whole.
    /// @return pointer Where the first of them lies in memory; a word before it and the rest of the
    /// word at their end may be read.
    /// @custom:reverts NoSuchElement, NoSuchTensor, DataLength, PathLength, RootMismatch or NoDigest
    /// if they do not stand in the statement.
    function open(
        Statement calldata statement,
        StepProof calldata proof,
        TensorOpening calldata opening,
        Instruction memory ins,
        bool isResult,
        uint256 first,
        uint256 count
    ) internal view returns (uint256 pointer) {
        if (first >= ins.size) revert NoSuchElement(first, ins.size);
        Plan memory plan = Layout.plan(ins);
        bytes32 node;
        uint256 used;
        unchecked {
            uint256 tree = first / plan.span;
            uint256 within = first % plan.span;
            uint256 length = plan.row;
            if (plan.rowsAreTrees && count == length) {
                pointer = _copy(opening.data, length * plan.width);
                node = _rowRoot(pointer, length * plan.width, plan.leaves);
            } else {
                uint256 leaf = within / plan.leaf;
                within -= leaf * plan.leaf;
                length = plan.leaf;
                if (leaf == plan.leaves - 1) length = plan.span - leaf * plan.leaf;
                pointer = _copy(opening.data, length * plan.width);
                node = Merkle.hashLeaf(pointer, length * plan.width);
                (node, used) =
                    Merkle.climb(node, plan.leaves, leaf, opening.siblings, 0, Merkle.WHOLE);
            }
            if (within + count > length) revert NoSuchElement(first + count - 1, ins.size);
            (node, used) =
                Merkle.climb(node, plan.trees, tree, opening.siblings, used, Merkle.WHOLE);
            Merkle.checkLength(opening.siblings, used);
            pointer += within * plan.width;
        }
        bytes32 root = _seal(opening.instruction.descriptor, ins, node);
        _checkTensor(statement, proof, opening, ins, isResult, root);
    }

    // Copies elements, and leaves a word free before them and at least one after.
    function _copy(bytes calldata data, uint256 length) private pure returns (uint256 pointer) {
        if (data.length != length) revert DataLength(data.length, length);
        assembly ("memory-safe") {
            pointer := add(mload(0x40), 32)
            calldatacopy(pointer, data.offset, length)
            mstore(0x40, add(pointer, and(add(length, 63), not(31))))
        }
    }

    function _rowRoot(uint256 pointer, uint256 length, uint256 leaves)
        private
        view
        returns (bytes32)
    {
        unchecked {
            uint256 digests;
            assembly ("memory-safe") {
                // `fold` writes over the word before the digests and the one after.
                digests := add(mload(0x40), 32)
                mstore(0x40, add(digests, add(shl(5, leaves), 32)))
            }
            for (uint256 i = 0; i < leaves; ++i) {
                uint256 bytes_ =
                    i + 1 == leaves ? length - i * Layout.LEAF_BYTES : Layout.LEAF_BYTES;
                bytes32 digest = Merkle.hashLeaf(pointer + i * Layout.LEAF_BYTES, bytes_);
                assembly ("memory-safe") {
                    mstore(add(digests, shl(5, i)), digest)
                }
            }
            return Merkle.fold(digests, leaves);
        }
    }

    // Root of a tensor from its type and the root of its tree. The descriptor holds the extents as
    // the tensor's root does.
    function _seal(bytes calldata descriptor, Instruction memory ins, bytes32 tree)
        private
        view
        returns (bytes32)
    {
        return sha256(
            abi.encodePacked(
                uint8(Merkle.TENSOR),
                uint8(ins.dtype),
                uint8(ins.rank),
                descriptor[4:4 + 4 * ins.rank],
                tree
            )
        );
    }

    function _checkTensor(
        Statement calldata statement,
        StepProof calldata proof,
        TensorOpening calldata opening,
        Instruction memory ins,
        bool isResult,
        bytes32 root
    ) private view {
        uint256 section = opening.instruction.section;
        uint256 position = opening.instruction.position;
        if ((section == OF_MODEL) != (ins.kind == Descriptor.CONST) || section > OF_MODEL) {
            revert NoSuchTensor(section, position);
        }
        if (section == OF_MODEL) {
            Merkle.checkLength(opening.above, 0);
            Merkle.check(root, bytes32(Descriptor.load(ins.parameters, 32)));
            return;
        }
        ModelHeader calldata header = proof.header;
        (uint256 tensors, bytes32 wanted) = section == 0
            ? (header.inputs, statement.input)
            : section == 1 ? (header.bodies, statement.body) : (header.outputs, statement.output);
        if (position >= tensors) revert NoSuchTensor(section, position);
        TensorOpening calldata result = proof.result;
        if (!isResult && result.data.length != 0 && result.instruction.section == section) {
            uint256 other = result.instruction.position;
            Merkle.checkBeside(root, tensors, position, opening.above, other, result.above);
            return;
        }
        (bytes32 found, uint256 used) =
            Merkle.climb(root, tensors, position, opening.above, 0, Merkle.WHOLE);
        Merkle.checkLength(opening.above, used);
        Merkle.check(found, wanted);
    }
}
