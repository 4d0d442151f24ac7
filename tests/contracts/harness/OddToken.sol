// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice An ERC-20 with the habits of tokens that exist.
contract OddToken {
    enum Habit {
        Plain,
        ReturnsNothing,
        ReturnsFalse,
        TakesFee,
        CallsSender
    }

    Habit public immutable habit;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    error Short();

    constructor(Habit habit_) {
        habit = habit_;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external {
        _answer(_move(msg.sender, to, amount));
    }

    function transferFrom(address from, address to, uint256 amount) external {
        if (allowance[from][msg.sender] < amount) revert Short();
        allowance[from][msg.sender] -= amount;
        _answer(_move(from, to, amount));
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (habit == Habit.ReturnsFalse) return false;
        if (balanceOf[from] < amount) revert Short();
        // As ERC-777 does: the sender learns of it before it happens.
        if (habit == Habit.CallsSender && from.code.length > 0) {
            (bool ok,) = from.call("");
            if (!ok) revert Short();
        }
        balanceOf[from] -= amount;
        balanceOf[to] += habit == Habit.TakesFee ? amount - amount / 100 : amount;
        return true;
    }

    function _answer(bool ok) private view {
        if (habit == Habit.ReturnsNothing) return;
        assembly {
            mstore(0, ok)
            return(0, 32)
        }
    }
}
