// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IStakeVault} from "./IStakeVault.sol";

/// @title Deposits that several claims share
/// @notice No owner, no upgrade, no way out for what was burnt. The token may take a fee on
/// transfer; one whose balances change by themselves must not be used.
/// @dev Only `deposit` and `withdraw` call out, and neither can be entered from the other: a token
/// with hooks would otherwise have what arrives counted twice.
contract StakeVault is IStakeVault, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev What a spender holds of an account. The permission shares the slot of the amount, which
    /// therefore is not zero before the first reservation, and costs 17,000 gas less to write.
    struct Hold {
        uint248 amount;
        bool allowed;
    }

    /// @inheritdoc IStakeVault
    address public immutable token;
    /// @inheritdoc IStakeVault
    uint256 public burnt;
    /// @inheritdoc IStakeVault
    mapping(address account => uint256) public free;
    mapping(address account => mapping(address spender => Hold)) private _holds;

    /// @param token_ ERC-20 to hold, or zero for the native coin.
    constructor(address token_) {
        token = token_;
    }

    /// @inheritdoc IStakeVault
    function deposit(address account, uint256 amount) external payable nonReentrant {
        if (account == address(0)) revert ZeroAddress();
        uint256 wanted = token == address(0) ? amount : 0;
        if (msg.value != wanted) revert WrongValue(msg.value, wanted);
        uint256 arrived = token == address(0) ? amount : _pull(amount);
        free[account] += arrived;
        emit Deposited(account, msg.sender, arrived);
    }

    /// @inheritdoc IStakeVault
    function withdraw(address to, uint256 amount) external nonReentrant {
        if (to == address(0)) revert ZeroAddress();
        if (to == address(this)) revert TransferFailed(to, amount);
        _take(msg.sender, amount);
        emit Withdrawn(msg.sender, to, amount);
        if (token == address(0)) {
            (bool ok,) = to.call{value: amount}("");
            if (!ok) revert TransferFailed(to, amount);
        } else {
            IERC20(token).safeTransfer(to, amount);
        }
    }

    /// @inheritdoc IStakeVault
    function allow(address spender, bool allowed_) external {
        _holds[msg.sender][spender].allowed = allowed_;
        emit Allowed(msg.sender, spender, allowed_);
    }

    /// @inheritdoc IStakeVault
    function reserve(address account, uint256 amount) external {
        Hold memory hold = _holds[account][msg.sender];
        if (!hold.allowed) revert NotAllowed(account, msg.sender);
        _take(account, amount);
        uint256 held = hold.amount + amount;
        if (held > type(uint248).max) revert AmountTooLarge(held);
        // The cast is exact: the line above.
        _holds[account][msg.sender] = Hold(uint248(held), true);
        emit Reserved(account, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function release(address account, uint256 amount) external {
        _unhold(account, amount);
        free[account] += amount;
        emit Released(account, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function move(address from, address to, uint256 amount) external {
        if (to == address(0)) revert ZeroAddress();
        _unhold(from, amount);
        free[to] += amount;
        emit Moved(from, to, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function burn(address from, uint256 amount) external {
        _unhold(from, amount);
        burnt += amount;
        emit Burnt(from, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function split(
        address from,
        uint256 burnt_,
        address first,
        uint256 toFirst,
        address second,
        uint256 toSecond,
        uint256 back
    ) external {
        if (first == address(0)) revert ZeroAddress();
        _unhold(from, burnt_ + toFirst + toSecond);
        burnt += burnt_;
        free[first] += toFirst;
        if (toSecond + back != 0) {
            if (second == address(0)) revert ZeroAddress();
            _unhold(second, back);
            free[second] += toSecond + back;
        }
        emit Split(from, msg.sender, burnt_, first, toFirst, second, toSecond, back);
    }

    /// @inheritdoc IStakeVault
    function reserved(address account, address spender) external view returns (uint256) {
        return _holds[account][spender].amount;
    }

    /// @inheritdoc IStakeVault
    function allowed(address account, address spender) external view returns (bool) {
        return _holds[account][spender].allowed;
    }

    /// @return What arrived, which is less than `amount` if the token takes a fee.
    function _pull(uint256 amount) private returns (uint256) {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        return IERC20(token).balanceOf(address(this)) - before;
    }

    function _take(address account, uint256 amount) private {
        uint256 has = free[account];
        if (amount > has) revert FreeTooLittle(account, has, amount);
        unchecked {
            free[account] = has - amount;
        }
    }

    function _unhold(address account, uint256 amount) private {
        Hold storage hold = _holds[account][msg.sender];
        uint248 held = hold.amount;
        if (amount > held) revert ReservedTooLittle(account, msg.sender, held, amount);
        unchecked {
            // The cast is exact: amount <= held.
            hold.amount = held - uint248(amount);
        }
    }
}
