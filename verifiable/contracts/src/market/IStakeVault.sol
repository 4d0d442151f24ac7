// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Deposits that several claims share
/// @notice An account's deposit is free or reserved. A contract that the account allowed reserves a
/// part of it for one purpose; what is reserved can neither be withdrawn nor reserved again, and
/// only the contract that reserved it decides where it goes. One token per vault, native coin if
/// `token()` is zero. deposited = free + reserved + burnt + withdrawn at every moment.
interface IStakeVault {
    /// @notice `amount` is what arrived, which a token that takes a fee makes less than was asked.
    event Deposited(address indexed account, address indexed from, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    event Allowed(address indexed account, address indexed spender, bool allowed);
    event Reserved(address indexed account, address indexed spender, uint256 amount);
    event Released(address indexed account, address indexed spender, uint256 amount);
    event Moved(address indexed from, address indexed to, address indexed spender, uint256 amount);
    event Burnt(address indexed account, address indexed spender, uint256 amount);
    event Split(
        address indexed from,
        address indexed spender,
        uint256 burnt,
        address first,
        uint256 toFirst,
        address second,
        uint256 toSecond,
        uint256 back
    );

    /// @notice The account did not allow this contract to reserve.
    error NotAllowed(address account, address spender);
    /// @notice The account has less than that free.
    error FreeTooLittle(address account, uint256 free, uint256 wanted);
    /// @notice The contract holds less than that reserved of the account.
    error ReservedTooLittle(address account, address spender, uint256 reserved, uint256 wanted);
    /// @notice Native coin sent is not the amount named, or was sent to a vault of a token.
    error WrongValue(uint256 got, uint256 wanted);
    /// @notice No account has this address.
    error ZeroAddress();
    /// @notice The payee refused the native coin, or is the vault.
    error TransferFailed(address to, uint256 amount);
    /// @notice More than 2**248 - 1 would be reserved: no honest token has so much.
    error AmountTooLarge(uint256 amount);

    /// @notice ERC-20 held, or zero for the native coin.
    function token() external view returns (address);

    /// @notice What `account` may withdraw or have reserved.
    function free(address account) external view returns (uint256);

    /// @notice What `spender` holds reserved of `account`.
    function reserved(address account, address spender) external view returns (uint256);

    /// @notice What was burnt so far; it never leaves the vault.
    function burnt() external view returns (uint256);

    /// @notice Whether `spender` may reserve parts of `account`.
    function allowed(address account, address spender) external view returns (bool);

    /// @notice Add to an account; with the native coin `amount` is the value sent, with a token it
    /// is drawn from the sender, who approved it, and what arrived is credited.
    /// @custom:reverts ZeroAddress if there is no account.
    /// @custom:reverts WrongValue if the value sent is another.
    function deposit(address account, uint256 amount) external payable;

    /// @notice Take out of one's own free deposit. A payee that reverts harms the sender alone.
    /// @custom:reverts ZeroAddress if there is no payee.
    /// @custom:reverts FreeTooLittle if less is free.
    /// @custom:reverts TransferFailed if the payee refuses or is the vault.
    function withdraw(address to, uint256 amount) external;

    /// @notice Let a contract reserve parts of one's deposit, or no more; what it holds it keeps.
    function allow(address spender, bool allowed) external;

    /// @notice By an allowed contract: set a part of an account aside.
    /// @custom:reverts NotAllowed if the account did not allow the sender.
    /// @custom:reverts FreeTooLittle if less is free.
    function reserve(address account, uint256 amount) external;

    /// @notice By the contract that reserved it: give it back to its account.
    /// @custom:reverts ReservedTooLittle if the sender holds less.
    function release(address account, uint256 amount) external;

    /// @notice By the contract that reserved it: give it to the free deposit of another account.
    /// @custom:reverts ReservedTooLittle if the sender holds less.
    /// @custom:reverts ZeroAddress if there is no payee.
    function move(address from, address to, uint256 amount) external;

    /// @notice By the contract that reserved it: put it out of everyone's reach.
    /// @custom:reverts ReservedTooLittle if the sender holds less.
    function burn(address from, uint256 amount) external;

    /// @notice By the contract that reserved it: `burn` a part and `move` two others, at once.
    /// @param second Zero if nothing is for it.
    /// @param back Of what the sender holds of `second` itself: it is released with its part.
    /// @custom:reverts ReservedTooLittle if the sender holds less.
    /// @custom:reverts ZeroAddress if there is no payee.
    function split(
        address from,
        uint256 burnt,
        address first,
        uint256 toFirst,
        address second,
        uint256 toSecond,
        uint256 back
    ) external;
}
