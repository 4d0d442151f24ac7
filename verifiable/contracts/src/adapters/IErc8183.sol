// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What an evaluator calls of an ERC-8183 (Agentic Commerce) job contract
/// @notice The draft fixes no getter, and implementations lay out a job each in their own way, so
/// we read nothing.
interface IErc8183 {
    /// @notice By the job's evaluator, once work was submitted: pay the provider.
    function complete(uint256 jobId, bytes32 reason, bytes calldata optParams) external;

    /// @notice By the job's evaluator, once the job is funded: give the client the budget back.
    function reject(uint256 jobId, bytes32 reason, bytes calldata optParams) external;
}
