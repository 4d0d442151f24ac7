// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInferenceVerifier} from "../IInferenceVerifier.sol";
import {EzklClaim} from "../Types.sol";
import {Subcall} from "../lib/Subcall.sol";
import {IErc7007Verifier} from "./IErc7007Verifier.sol";

/// @title ERC-7007 face of an inference verifier
/// @notice `prompt` is `abi.encode(uint256[] inputs)`, `aigcData` is `abi.encode(int256[] outputs)`,
/// `proof` is `abi.encode(EzklClaim claim, bytes proof)`: all length-prefixed, where the ERC's
/// reference concatenates, so that no byte can move from one to the next.
/// @dev The ERC wants `verify` to be `view`, so no nonce is recorded: this says that the answer is
/// the model's, and says it as often as it is asked. Whoever pays for an answer calls the
/// verifier's own `verify`, which records the nonce.
contract Erc7007Adapter is IErc7007Verifier {
    IInferenceVerifier public immutable verifier;

    /// @notice The verifier failed without a reason, as when gas runs out: nothing was decided.
    error Undecided();

    constructor(IInferenceVerifier verifier_) {
        verifier = verifier_;
    }

    /// @inheritdoc IErc7007Verifier
    /// @dev False means refused. A malformed `proof` reverts.
    /// @custom:reverts Undecided or SubcallOutOfGas if gas may have run out.
    function verify(bytes calldata prompt, bytes calldata aigcData, bytes calldata proof)
        external
        view
        returns (bool)
    {
        (EzklClaim memory claim, bytes memory inner) = abi.decode(proof, (EzklClaim, bytes));
        if (keccak256(abi.encode(claim, inner)) != keccak256(proof)) return false;
        try verifier.check(claim, inner) {
            // Only what was checked is decoded: its parts and instances have the right counts.
            return keccak256(prompt) == keccak256(abi.encode(verifier.inputsOf(claim)))
                && keccak256(aigcData) == keccak256(abi.encode(verifier.outputOf(claim)));
        } catch (bytes memory reason) {
            if (reason.length < 4) revert Undecided();
            if (bytes4(reason) == Subcall.SubcallOutOfGas.selector) {
                revert Undecided();
            }
            return false;
        }
    }

    /// @notice ERC-165.
    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == type(IErc7007Verifier).interfaceId;
    }
}
