// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InstructionOpening, ModelHeader} from "../step/StepTypes.sol";

/// @notice Money and time, fixed when a referee is deployed. Amounts are in the vault's token.
/// @param window Seconds after `post` in which a challenge may be opened.
/// @param allowance Seconds on each side's clock, for each challenge anew.
/// @param bond Of a claim, reserved of its proposer.
/// @param challengeBond Of a challenge, reserved of its challenger.
/// @param revealFee Prepaid for each demand, several at a time; the proposer's once the challenge is
/// lost, given back if the claim is refuted.
/// @param burntShare Of a forfeit bond, in 1/10,000; deters a proposer who challenges himself.
/// @param requesterShare Of a forfeit bond, in 1/10,000.
/// @param refuterGas Most that a refuter is given for gas, out of the reward; nothing where the
/// vault's token is not the coin that gas is paid in.
struct Policy {
    uint64 window;
    uint64 allowance;
    uint256 bond;
    uint256 challengeBond;
    uint256 revealFee;
    uint16 burntShare;
    uint16 requesterShare;
    uint256 refuterGas;
}

enum ClaimStatus {
    Unknown,
    Open,
    Final,
    Refuted
}

/// @notice Why a claim was refuted.
/// @param Piece The result of a piece is wrong, or all of them do not give the element.
enum Reason {
    None,
    Element,
    Piece,
    TraceWithheld,
    BytesWithheld
}

/// @notice What stands in storage of a claim.
/// @param windowEnd Last second at which a challenge may be opened.
/// @param committedAt When the trace was committed, zero before.
/// @param output Root over the output tensors.
/// @param body Root over the tensors between; says nothing before `committedAt`.
/// @param challengers Root over who may challenge, zero for anyone.
/// @param refutedAt When the claim was refuted, zero before.
/// @param challenges How many were opened; their ids are 1, 2, ...
/// @param open How many of them still are; once refuted, how many are still to be collected.
/// @param first Earliest open challenge, zero if none; once refuted, where the search for the one
/// that is rewarded goes on.
/// @param last Latest open challenge.
struct ClaimRecord {
    address proposer;
    uint40 windowEnd;
    ClaimStatus status;
    Reason reason;
    uint40 committedAt;
    bytes32 output;
    bytes32 body;
    bytes32 challengers;
    uint40 refutedAt;
    uint32 challenges;
    uint32 open;
    uint32 first;
    uint32 last;
}

/// @notice A challenge and its two clocks. At a moment at which `a` is the time of the answer to
/// `pending` (before the first demand: of the commitment), the proposer has used `proposerUsed`
/// and the seconds from `turnAt` to `a`, the challenger `challengerUsed` and those since then.
/// @param previous Neighbours among the open challenges of the claim, zero at the ends.
/// @param proposerUsed Seconds that the proposer had used at `turnAt`.
/// @param challengerUsed Seconds that the challenger had used at `turnAt`.
/// @param turnAt When the challenge was opened, or made its last demand.
/// @param demands How many it has made; there is a limit, since each costs the proposer time.
/// @param paid How many of them nobody had made before: their answers it prepaid.
/// @param pending Id of the last demand, zero before the first.
struct ChallengeRecord {
    address challenger;
    bool closed;
    uint32 previous;
    uint32 next;
    uint40 proposerUsed;
    uint40 challengerUsed;
    uint40 turnAt;
    uint16 demands;
    uint16 paid;
    bytes32 pending;
}

/// @notice Who a challenge stands for at a moment.
/// @param Running Both sides have time left.
/// @param ProposerOut The proposer let his clock run out; nothing heals that.
/// @param ChallengerOut The challenger did, and the proposer had not before.
enum Standing {
    Running,
    ProposerOut,
    ChallengerOut
}

/// @notice Whether and when a demand was answered.
/// @param challenge Which one made it first; zero if none did.
/// @param at When it was answered, zero before.
struct Answer {
    uint32 challenge;
    uint40 at;
}

/// @notice A node of a tree, and how far the tree reaches. A tensor is `trees` lower trees under an
/// upper one; its nodes are counted as in one tree, `index` of a leaf being the number of its lower
/// tree times the width of one, plus its place there. Outside a tensor there is one lower tree.
/// @param zone 0 inputs, 1 body, 2 outputs, 3 the model's instructions, 4 inside a tensor.
/// @param height Above the leaves.
/// @param index Among the nodes of its height.
/// @param leaves Of each lower tree.
/// @param leafBytes Length of a leaf, and `lastBytes` of the last one of a tree; 0 outside a tensor.
struct Cursor {
    bytes32 node;
    uint8 zone;
    uint8 height;
    uint64 index;
    uint64 trees;
    uint64 leaves;
    uint16 leafBytes;
    uint16 lastBytes;
}

/// @notice What a demand asks for: the bytes that hash to a node.
/// @param Nodes The nodes `size` levels below it, without the padding.
/// @param Tensor The node is a tensor's root: its type, and the same of the top of its tree.
/// @param Leaf Elements, of an exact length.
/// @param Instruction Section, position and descriptor.
/// @param Partials Results of the pieces of a long row.
enum Form {
    None,
    Nodes,
    Tensor,
    Leaf,
    Instruction,
    Partials
}

/// @notice A demand; its id is `keccak256(abi.encode(demand))`, the same for all challenges.
/// @param size Levels of Nodes and Tensor, bytes of a Leaf.
/// @param extra Digest of the type that a Tensor must have; of Partials 2**96 times their bytes, plus
/// 2**64 times the instruction, plus the element.
/// @param at The node, and where it stands; of a Tensor the node is the root, the rest of its tree.
struct Demand {
    bytes32 claimId;
    Form form;
    uint16 size;
    bytes32 extra;
    Cursor at;
}

/// @notice How a demand reaches the node that it asks about: from the root of a zone, or from the
/// node of a demand that somebody made: what was revealed to one challenger serves them all.
/// @param from That demand; of form None where the walk starts afresh.
/// @param header Of the model; read where the walk starts afresh or has a crossing.
/// @param zone Of a fresh start: 0 to 3; 4 for the root of a Const, which stands in no tree.
/// @param height Of the node above the leaves of its tree.
/// @param index Of the node among those of its height.
/// @param siblings From the node up to where the walk starts, padding included.
/// @param typeHeader Of the tensor, where the walk starts at a tensor's root; else empty.
/// @param crossing One where the walk ends at a tensor's root, else none.
struct Walk {
    Demand from;
    ModelHeader header;
    uint8 zone;
    uint8 height;
    uint64 index;
    bytes32 node;
    bytes32[] siblings;
    bytes typeHeader;
    Crossing[] crossing;
}

/// @notice What ties a tensor's root to its type: the instruction that gives it.
/// @param place Of the instruction in the graph.
struct Crossing {
    uint32 place;
    InstructionOpening instruction;
}
