// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobRegister, Job} from "./IJobRegister.sol";
import {IStakeVault} from "./IStakeVault.sol";
import {JobId} from "./JobId.sol";

/// @title Jobs and their escrow
/// @notice A job is not stored but named by its digest, and brought along with each call. Its price
/// is reserved of the requester in the vault until it is paid or the job is cancelled. Anyone may
/// be a job's referee: the requester chooses one, and trusts it with this price alone.
contract JobRegister is IJobRegister {
    enum State {
        Unknown,
        Open,
        Assigned,
        Paid,
        Cancelled
    }

    /// @dev `claim` is the one assigned last, the job's own id before the first: so the requester
    /// pays for the slot, and answering his job costs 17,000 gas less.
    struct Entry {
        State state;
        bytes32 claim;
    }

    IStakeVault public immutable vault;
    mapping(bytes32 jobId => Entry) private _entries;

    /// @param vault_ Where prices are held.
    constructor(IStakeVault vault_) {
        vault = vault_;
    }

    /// @inheritdoc IJobRegister
    function open(Job calldata job) external returns (bytes32 jobId) {
        if (msg.sender != job.requester) revert NotRequester(msg.sender, job.requester);
        _requireInTime(job.deadline);
        jobId = jobIdOf(job);
        if (_entries[jobId].state != State.Unknown) revert JobExists(jobId);
        _entries[jobId] = Entry(State.Open, jobId);
        emit JobOpened(jobId, job.requester, job);
        vault.reserve(job.requester, job.price);
    }

    /// @inheritdoc IJobRegister
    function assign(Job calldata job, bytes32 claimId, address provider) external {
        _requireParties(job, provider);
        _requireInTime(job.deadline);
        bytes32 jobId = jobIdOf(job);
        Entry storage entry = _entries[jobId];
        _requireOpen(entry, jobId);
        entry.state = State.Assigned;
        entry.claim = claimId;
        emit JobAssigned(jobId, claimId);
    }

    /// @inheritdoc IJobRegister
    function settle(Job calldata job, bytes32 claimId, address provider, bool upheld) external {
        _requireParties(job, provider);
        bytes32 jobId = jobIdOf(job);
        Entry storage entry = _entries[jobId];
        State state = entry.state;
        if (state == State.Unknown) revert JobUnknown(jobId);
        if (state == State.Open) revert ClaimMismatch(jobId, 0, claimId);
        if (state != State.Assigned) revert JobClosed(jobId);
        if (entry.claim != claimId) revert ClaimMismatch(jobId, entry.claim, claimId);
        entry.state = upheld ? State.Paid : State.Open;
        if (upheld) {
            emit JobPaid(jobId, claimId, provider);
            vault.move(job.requester, provider, job.price);
        } else {
            emit JobReopened(jobId, claimId);
        }
    }

    /// @inheritdoc IJobRegister
    function cancel(Job calldata job) external {
        if (msg.sender != job.requester) revert NotRequester(msg.sender, job.requester);
        if (block.timestamp <= job.deadline) revert DeadlineAhead(job.deadline, block.timestamp);
        bytes32 jobId = jobIdOf(job);
        Entry storage entry = _entries[jobId];
        _requireOpen(entry, jobId);
        entry.state = State.Cancelled;
        emit JobCancelled(jobId);
        vault.release(job.requester, job.price);
    }

    /// @inheritdoc IJobRegister
    function stateOf(bytes32 jobId) external view returns (uint8) {
        return uint8(_entries[jobId].state);
    }

    /// @inheritdoc IJobRegister
    function claimOf(bytes32 jobId) external view returns (bytes32) {
        Entry storage entry = _entries[jobId];
        State state = entry.state;
        return state == State.Assigned || state == State.Paid ? entry.claim : bytes32(0);
    }

    /// @inheritdoc IJobRegister
    function jobIdOf(Job calldata job) public view returns (bytes32) {
        return JobId.hash(job, address(this));
    }

    function _requireParties(Job calldata job, address provider) private view {
        if (msg.sender != job.referee) revert NotReferee(msg.sender, job.referee);
        bool fits = job.provider == address(0) || job.provider == provider;
        if (!fits || provider == address(0)) revert NotProvider(provider, job.provider);
    }

    function _requireInTime(uint64 deadline) private view {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline, block.timestamp);
    }

    function _requireOpen(Entry storage entry, bytes32 jobId) private view {
        State state = entry.state;
        if (state == State.Unknown) revert JobUnknown(jobId);
        if (state == State.Assigned) revert JobTaken(jobId, entry.claim);
        if (state != State.Open) revert JobClosed(jobId);
    }
}
