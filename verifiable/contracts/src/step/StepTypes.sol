// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice What a claim and its committed trace fix; the trace root is the digest of the last three.
/// @param model Model root (`verifiable/graph/commitment.py`).
/// @param input Root over the input tensors.
/// @param body Root over the tensors between.
/// @param output Root over the output tensors.
struct Statement {
    bytes32 model;
    bytes32 input;
    bytes32 body;
    bytes32 output;
}

/// @notice What the model root is the digest of, beside the name of the machine.
/// @param instructions How many the model has.
/// @param inputs Tensors of a trace's inputs; `bodies` and `outputs` likewise.
/// @param tree Root over the instructions.
/// @param borders Digest of the names of inputs and outputs.
struct ModelHeader {
    uint32 instructions;
    uint32 inputs;
    uint32 bodies;
    uint32 outputs;
    bytes32 tree;
    bytes32 borders;
}

/// @notice One instruction, where its tensor stands, and the way to the root of the instructions.
/// @param section 0 inputs, 1 body, 2 outputs, 3 the model itself: a Const.
/// @param position Place of the tensor in its section.
/// @param descriptor Canonical bytes (`verifiable/graph/encoding.py`).
/// @param siblings From the lowest up, without padding; of an operand's instruction up to where
/// they meet the path of the disputed one: what they lead to is one of its siblings.
struct InstructionOpening {
    uint8 section;
    uint32 position;
    bytes descriptor;
    bytes32[] siblings;
}

/// @notice A leaf or a whole row of a tensor, and the way to the root of its section.
/// @param data Big-endian elements; empty where a step needs the tensor's type alone, and then so
/// are both paths.
/// @param siblings From there to the root of the tensor's tree, without padding.
/// @param above From the tensor to the root of its section; empty for a Const. Of an operand in
/// the section of an opened result up to where they meet the result's, as above.
struct TensorOpening {
    InstructionOpening instruction;
    bytes data;
    bytes32[] siblings;
    bytes32[] above;
}

/// @notice All that is needed to compute one element again.
/// @param header Of the model.
/// @param instruction Which one wrote the element.
/// @param element Its number in row-major order.
/// @param result The leaf that holds it.
/// @param operands What it was computed from: for each operand in the order of the descriptor the
/// leaf or row that the element needs, `verifiable/dispute/step.py` says which.
struct StepProof {
    ModelHeader header;
    uint32 instruction;
    uint64 element;
    TensorOpening result;
    TensorOpening[] operands;
}
