// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Job} from "./IJobRegister.sol";

/// @title The id of a job
library JobId {
    /// @notice Its digest, in a register on this chain.
    function hash(Job calldata job, address register) internal view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, register, job));
    }
}
