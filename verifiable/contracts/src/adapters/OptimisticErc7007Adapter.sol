// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CanonClaim} from "../Types.sol";
import {Subcall} from "../lib/Subcall.sol";
import {IReferee} from "../referee/IReferee.sol";
import {TensorRoot} from "../step/lib/TensorRoot.sol";
import {IErc7007Verifier} from "./IErc7007Verifier.sol";

/// @title ERC-7007 face of a referee: final claims about one model
/// @notice `prompt` and `aigcData` are `abi.encode(bytes[] headers, bytes[] elements)` of the input
/// and the output tensors in their order: of each its type header and its big-endian elements
/// (`verifiable/graph/layout.py`). `proof` is `abi.encode(CanonClaim claim)`. One encoding of each is
/// taken, so that a token keyed by its prompt has one key.
/// @dev The claim's id is the digest of all that it says, so a final id vouches for its model and
/// its roots, and these for the bytes. An input or a Const that is an output as well is no output
/// tensor of a trace: it is not in `aigcData`.
contract OptimisticErc7007Adapter is IErc7007Verifier {
    IReferee public immutable referee;
    /// @notice Model root that claims must name.
    bytes32 public immutable model;

    /// @notice The bytes are another encoding of these tensors than the canonical one.
    error NotCanonicalTensors();

    constructor(IReferee referee_, bytes32 model_) {
        (referee, model) = (referee_, model_);
    }

    /// @inheritdoc IErc7007Verifier
    /// @dev False means refused, or not final yet. A malformed `proof` reverts.
    /// @custom:reverts SubcallOutOfGas if gas may have run out.
    function verify(bytes calldata prompt, bytes calldata aigcData, bytes calldata proof)
        external
        view
        returns (bool)
    {
        CanonClaim memory claim = abi.decode(proof, (CanonClaim));
        if (keccak256(abi.encode(claim)) != keccak256(proof)) return false;
        if (claim.subject.model != model) return false;
        if (!referee.isFinal(referee.claimIdOf(claim))) return false;
        return
            _isRoot(claim.subject.inputRoot, prompt) && _isRoot(claim.subject.outputRoot, aigcData);
    }

    /// @notice Root over tensors, as claims name it.
    /// @param headers Type header of each: dtype and rank in a byte each, extents in four.
    /// @param elements Of each, big-endian, in row-major order.
    /// @custom:reverts NotCanonicalTensors if the calldata is not what `abi.encode` makes.
    function rootOf(bytes[] calldata headers, bytes[] calldata elements)
        external
        view
        returns (bytes32)
    {
        if (keccak256(abi.encode(headers, elements)) != keccak256(msg.data[4:])) {
            revert NotCanonicalTensors();
        }
        return TensorRoot.outputRoot(headers, elements);
    }

    /// @notice ERC-165.
    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == type(IErc7007Verifier).interfaceId;
    }

    /// @dev Called from outside, for malformed bytes revert, which must read as no.
    function _isRoot(bytes32 root, bytes calldata tensors) private view returns (bool) {
        (bool ok, bytes memory result) =
            Subcall.staticcall(address(this), abi.encodePacked(this.rootOf.selector, tensors));
        return ok && abi.decode(result, (bytes32)) == root;
    }
}
