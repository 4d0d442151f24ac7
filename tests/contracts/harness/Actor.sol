// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice An account that is a contract: acts as told, and when called does as planned.
contract Actor {
    bool public refuses;
    address public target;
    bytes public plan;
    uint256 public calls;
    bool public worked;
    bytes public answer;

    error Refused();

    receive() external payable {
        _react();
    }

    fallback() external payable {
        _react();
    }

    function setRefuses(bool refuses_) external {
        refuses = refuses_;
    }

    function setPlan(address target_, bytes calldata plan_) external {
        (target, plan) = (target_, plan_);
    }

    function act(address to, uint256 value, bytes calldata data) external payable {
        (bool ok, bytes memory result) = to.call{value: value}(data);
        if (ok) return;
        assembly {
            revert(add(result, 32), mload(result))
        }
    }

    function _react() private {
        if (refuses) revert Refused();
        if (target == address(0)) return;
        ++calls;
        (worked, answer) = target.call(plan);
    }
}
