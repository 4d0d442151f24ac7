// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The checking half of ERC-7007
interface IErc7007Verifier {
    /// @notice Whether `proof` shows that the model answered `prompt` with `aigcData`.
    function verify(bytes calldata prompt, bytes calldata aigcData, bytes calldata proof)
        external
        view
        returns (bool success);
}
