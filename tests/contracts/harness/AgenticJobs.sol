// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IErc8183} from "../adapters/IErc8183.sol";

/// @notice An ERC-8183 job contract without fee or hooks, written from the ERC's text: every role
/// check and transition of its table, with the budget really held.
contract AgenticJobs is IErc8183 {
    using SafeERC20 for IERC20;

    enum Status {
        None,
        Open,
        Funded,
        Submitted,
        Completed,
        Rejected,
        Expired
    }

    struct Escrow {
        address client;
        address provider;
        address evaluator;
        uint256 budget;
        uint256 expiredAt;
        Status status;
    }

    IERC20 public immutable token;
    uint256 public count;
    mapping(uint256 => Escrow) public escrows;
    mapping(uint256 => bytes32) public reasonOf;

    error WrongStatus(Status status);
    error WrongCaller(address caller);
    error WrongBudget(uint256 budget);
    error WrongTime(uint256 time);

    constructor(IERC20 token_) {
        token = token_;
    }

    function createJob(
        address provider,
        address evaluator,
        uint256 expiredAt,
        string calldata,
        address
    ) external returns (uint256 jobId) {
        if (evaluator == address(0)) revert WrongCaller(evaluator);
        if (expiredAt <= block.timestamp) revert WrongTime(expiredAt);
        jobId = ++count;
        escrows[jobId] = Escrow(msg.sender, provider, evaluator, 0, expiredAt, Status.Open);
    }

    function setBudget(uint256 jobId, uint256 amount, bytes calldata) external {
        Escrow storage job = _in(jobId, Status.Open);
        if (msg.sender != job.client && msg.sender != job.provider) revert WrongCaller(msg.sender);
        job.budget = amount;
    }

    function fund(uint256 jobId, uint256 expected, bytes calldata) external {
        Escrow storage job = _in(jobId, Status.Open);
        _only(job.client);
        if (job.provider == address(0)) revert WrongCaller(job.provider);
        if (job.budget != expected || expected == 0) revert WrongBudget(job.budget);
        job.status = Status.Funded;
        token.safeTransferFrom(job.client, address(this), job.budget);
    }

    function submit(uint256 jobId, bytes32, bytes calldata) external {
        Escrow storage job = _in(jobId, Status.Funded);
        _only(job.provider);
        job.status = Status.Submitted;
    }

    function complete(uint256 jobId, bytes32 reason, bytes calldata) external {
        Escrow storage job = _in(jobId, Status.Submitted);
        _only(job.evaluator);
        (job.status, reasonOf[jobId]) = (Status.Completed, reason);
        token.safeTransfer(job.provider, job.budget);
    }

    function reject(uint256 jobId, bytes32 reason, bytes calldata) external {
        Escrow storage job = escrows[jobId];
        Status status = job.status;
        if (status == Status.Open) _only(job.client);
        else if (status == Status.Funded || status == Status.Submitted) _only(job.evaluator);
        else revert WrongStatus(status);
        (job.status, reasonOf[jobId]) = (Status.Rejected, reason);
        if (status != Status.Open) token.safeTransfer(job.client, job.budget);
    }

    function claimRefund(uint256 jobId) external {
        Escrow storage job = escrows[jobId];
        if (job.status != Status.Funded && job.status != Status.Submitted) {
            revert WrongStatus(job.status);
        }
        if (block.timestamp < job.expiredAt) revert WrongTime(job.expiredAt);
        job.status = Status.Expired;
        token.safeTransfer(job.client, job.budget);
    }

    function _in(uint256 jobId, Status status) private view returns (Escrow storage job) {
        job = escrows[jobId];
        if (job.status != status) revert WrongStatus(job.status);
    }

    function _only(address who) private view {
        if (msg.sender != who) revert WrongCaller(msg.sender);
    }
}
