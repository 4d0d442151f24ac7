// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A static call whose failure means something
/// @notice A callee that fails for want of gas has decided nothing, and an emitted verifier fails
/// with empty data either way. EIP-150 keeps 1/64 of the gas back, and a callee that ran dry (or a
/// precompile inside it, which leaves the callee 1/64 in turn) leaves hardly more than that, so
/// what is left tells the two apart.
library Subcall {
    /// @dev Gas that a real refusal must leave beyond 1/64. A verifier whose pairing ran dry at a
    /// price of up to 1.9 M gas still leaves less; today's pairing costs 113,000.
    uint256 internal constant RESERVE = 30_000;

    /// @notice The call failed and may have run out of gas: repeat it with more.
    error SubcallOutOfGas(address callee);

    /// @notice Call `callee` without value or side effects.
    /// @return ok Whether it returned; if false it refused, and did not lack gas.
    /// @return result What it returned.
    /// @custom:reverts SubcallOutOfGas if it failed and may have lacked gas.
    function staticcall(address callee, bytes memory data)
        internal
        view
        returns (bool ok, bytes memory result)
    {
        uint256 given = gasleft();
        (ok, result) = callee.staticcall(data);
        if (!ok && gasleft() < given / 63 + RESERVE) revert SubcallOutOfGas(callee);
    }
}
