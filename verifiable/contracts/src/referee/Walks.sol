// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InstructionOpening, ModelHeader, Statement} from "../step/StepTypes.sol";
import {Descriptor, Instruction} from "../step/lib/Descriptor.sol";
import {Layout, Plan} from "../step/lib/Layout.sol";
import {Merkle} from "../step/lib/Merkle.sol";
import {Openings} from "../step/lib/Openings.sol";
import {IReferee} from "./IReferee.sol";
import {IWalks} from "./IWalks.sol";
import {Crossing, Cursor, Demand, Form, Walk} from "./RefereeTypes.sol";
import {Trees} from "./Trees.sol";

/// @title Walks along the trees of a model and a trace
/// @notice Mirrors `verifiable/dispute/walk.py`. Everything here is proven by hashes, from the
/// roots that the claim and its trace fix; padding and places beyond a tree are no places.
contract Walks is IWalks {
    /// @dev Most levels that one answer shows.
    uint256 private constant LEVELS = 6;
    uint8 private constant MODEL = 3;
    uint8 private constant TENSOR = 4;

    /// @inheritdoc IWalks
    function target(Statement calldata statement, bytes32 claimId, Walk calldata walk)
        external
        view
        returns (Demand memory)
    {
        bool fresh = walk.from.form == Form.None;
        uint256 crossings = walk.crossing.length;
        if (fresh || crossings != 0) Openings.checkHeader(statement.model, walk.header);
        bool constant_ = fresh && walk.zone == TENSOR;
        Cursor memory at = constant_ ? _const(walk) : _reach(statement, walk);
        bool enters = constant_ || (at.height == 0 && at.zone < MODEL);
        if (crossings != (enters ? 1 : 0)) revert IReferee.WalkMalformed();
        if (enters) return _tensor(claimId, at, walk);
        if (at.height != 0) return Demand(claimId, Form.Nodes, _levels(at), 0, at);
        if (at.zone == MODEL) return Demand(claimId, Form.Instruction, 0, 0, at);
        return Demand(claimId, Form.Leaf, _leafBytes(at), 0, at);
    }

    /// @inheritdoc IWalks
    function check(Demand calldata demand, bytes calldata data) external view {
        bytes32 got;
        if (demand.form == Form.Nodes) {
            got = Trees.rootOfBelow(demand.at, demand.size, data);
        } else if (demand.form == Form.Tensor) {
            got = _tensorRoot(demand, data);
        } else if (demand.form == Form.Leaf) {
            if (data.length != demand.size) {
                revert IReferee.RevealLength(data.length, demand.size);
            }
            got = sha256(abi.encodePacked(uint8(Merkle.LEAF), data));
        } else if (demand.form == Form.Instruction) {
            got = sha256(abi.encodePacked(uint8(Merkle.INSTRUCTION), data));
        } else {
            revert IReferee.WalkMalformed();
        }
        if (got != demand.at.node) revert IReferee.RevealMismatch(got, demand.at.node);
    }

    function _tensorRoot(Demand calldata demand, bytes calldata data)
        private
        view
        returns (bytes32)
    {
        if (data.length < 2) revert IReferee.RevealLength(data.length, 2);
        uint256 cut = 2 + 4 * uint256(uint8(data[1]));
        if (data.length < cut) revert IReferee.RevealLength(data.length, cut);
        bytes32 typed = keccak256(data[:cut]);
        if (typed != demand.extra) revert IReferee.RevealMismatch(typed, demand.extra);
        return _seal(data[:cut], Trees.rootOfBelow(demand.at, demand.size, data[cut:]));
    }

    function _reach(Statement calldata statement, Walk calldata walk)
        private
        view
        returns (Cursor memory at)
    {
        Form form = walk.from.form;
        if (form == Form.None) at = _zone(statement, walk);
        else if (form == Form.Nodes || form == Form.Tensor) at = walk.from.at;
        else revert IReferee.WalkMalformed();
        if (walk.height > at.height) revert IReferee.WalkMalformed();
        uint256 levels = at.height - walk.height;
        bool stays = form == Form.Nodes && levels == 0;
        bool typed = (form == Form.Tensor) == (walk.typeHeader.length != 0);
        bool below = walk.index >> levels == at.index;
        if (stays || !typed || !below || walk.siblings.length != levels) {
            revert IReferee.WalkMalformed();
        }
        if (Trees.isPadding(at, Trees.heightOf(at.leaves), walk.height, walk.index)) {
            revert IReferee.IntoPadding(at.zone, walk.height, walk.index);
        }
        bytes32 top = Trees.fold(walk.node, walk.index, walk.siblings);
        if (form == Form.Tensor) top = _seal(walk.typeHeader, top);
        if (top != at.node) revert IReferee.WalkMismatch(top, at.node);
        at.node = walk.node;
        at.height = walk.height;
        at.index = walk.index;
    }

    function _zone(Statement calldata statement, Walk calldata walk)
        private
        pure
        returns (Cursor memory at)
    {
        ModelHeader calldata header = walk.header;
        at.zone = walk.zone;
        at.trees = 1;
        if (walk.zone == 0) (at.node, at.leaves) = (statement.input, header.inputs);
        else if (walk.zone == 1) (at.node, at.leaves) = (statement.body, header.bodies);
        else if (walk.zone == 2) (at.node, at.leaves) = (statement.output, header.outputs);
        else if (walk.zone == MODEL) (at.node, at.leaves) = (header.tree, header.instructions);
        else revert IReferee.WalkMalformed();
        // The cast is exact: fewer than 2**32 leaves.
        at.height = uint8(Trees.heightOf(at.leaves));
    }

    /// @notice A walk to the root of a Const, which stands in the model, not in a tree.
    function _const(Walk calldata walk) private pure returns (Cursor memory at) {
        bool bare = walk.siblings.length == 0 && walk.typeHeader.length == 0;
        if (walk.height != 0 || walk.index != 0 || !bare) revert IReferee.WalkMalformed();
        at.node = walk.node;
        at.zone = MODEL;
    }

    function _tensor(bytes32 claimId, Cursor memory at, Walk calldata walk)
        private
        view
        returns (Demand memory)
    {
        Crossing calldata crossing = walk.crossing[0];
        InstructionOpening calldata opening = crossing.instruction;
        Instruction memory ins = Openings.instruction(walk.header, crossing.place, opening);
        bool constant_ = at.zone == MODEL;
        bool here = constant_ ? ins.kind == Descriptor.CONST : opening.position == at.index;
        if (opening.section != at.zone || !here) revert IReferee.WalkMalformed();
        bytes calldata descriptor = opening.descriptor;
        if (constant_) {
            bytes32 root = bytes32(Descriptor.load(ins.parameters, 32));
            if (at.node != root) revert IReferee.WalkMismatch(at.node, root);
        }
        Cursor memory into = _treeOf(ins);
        into.node = at.node;
        bytes memory typeHeader = bytes.concat(descriptor[1:3], descriptor[4:4 + 4 * ins.rank]);
        return Demand(claimId, Form.Tensor, _levels(into), keccak256(typeHeader), into);
    }

    function _treeOf(Instruction memory ins) private pure returns (Cursor memory at) {
        Plan memory plan = Layout.plan(ins);
        at.zone = TENSOR;
        if (ins.size == 0) return at;
        // The casts are exact: at most 2**40 elements, at most 1024 bytes to a leaf.
        at.trees = uint64(plan.trees);
        at.leaves = uint64(plan.leaves);
        at.height = uint8(Trees.heightOf(plan.leaves) + Trees.heightOf(plan.trees));
        at.leafBytes = uint16(plan.leaf * plan.width);
        at.lastBytes = uint16((plan.span - (plan.leaves - 1) * plan.leaf) * plan.width);
    }

    function _leafBytes(Cursor memory at) private pure returns (uint16) {
        uint256 place = at.index & ((uint256(1) << Trees.heightOf(at.leaves)) - 1);
        return place == at.leaves - 1 ? at.lastBytes : at.leafBytes;
    }

    // The fewest answers that lead to the leaves, and the least of them.
    function _levels(Cursor memory at) private pure returns (uint16) {
        if (at.height == 0) return 0;
        uint256 answers = (at.height + LEVELS - 1) / LEVELS;
        // The cast is exact: at most LEVELS.
        return uint16((at.height + answers - 1) / answers);
    }

    function _seal(bytes calldata typeHeader, bytes32 tree) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(Merkle.TENSOR), typeHeader, tree));
    }
}
