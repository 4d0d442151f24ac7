// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice What a requester asks for. Its digest is the job id that a claim names.
/// @param requester Who pays, and whose input it is.
/// @param referee Contract whose verdict decides about the price.
/// @param model Model root.
/// @param inputRoot Root over the inputs; the requester puts them where challengers find them.
/// @param semantics Name of the machine, "canon/1".
/// @param price In the vault's token, held in escrow.
/// @param deadline Unix seconds, the last second at which a claim may be posted.
/// @param provider The only one who may answer, or zero for anyone.
/// @param challengers Root of OpenZeppelin's standard Merkle tree over the addresses that may
/// challenge, or zero for anyone.
/// @param salt Tells jobs apart that are otherwise the same.
struct Job {
    address requester;
    address referee;
    bytes32 model;
    bytes32 inputRoot;
    string semantics;
    uint256 price;
    uint64 deadline;
    address provider;
    bytes32 challengers;
    bytes32 salt;
}

/// @title Jobs and their escrow
interface IJobRegister {
    event JobOpened(bytes32 indexed jobId, address indexed requester, Job job);
    event JobAssigned(bytes32 indexed jobId, bytes32 indexed claimId);
    event JobReopened(bytes32 indexed jobId, bytes32 indexed claimId);
    event JobPaid(bytes32 indexed jobId, bytes32 indexed claimId, address indexed provider);
    event JobCancelled(bytes32 indexed jobId);

    /// @notice The same job was opened before; another salt makes another job.
    error JobExists(bytes32 jobId);
    /// @notice No such job was opened.
    error JobUnknown(bytes32 jobId);
    /// @notice A claim answers the job and is not decided yet.
    error JobTaken(bytes32 jobId, bytes32 claimId);
    /// @notice The job is paid or cancelled.
    error JobClosed(bytes32 jobId);
    /// @notice The last second for a claim is over.
    error DeadlinePassed(uint64 deadline, uint256 time);
    /// @notice The last second for a claim is still to come.
    error DeadlineAhead(uint64 deadline, uint256 time);
    /// @notice Only the requester may do this.
    error NotRequester(address sender, address requester);
    /// @notice Only the job's referee may do this.
    error NotReferee(address sender, address referee);
    /// @notice The job names another provider, or none was given.
    error NotProvider(address provider, address wanted);
    /// @notice Another claim answers the job, or none does (`got` is zero).
    error ClaimMismatch(bytes32 jobId, bytes32 got, bytes32 wanted);

    /// @notice Id of a job: `keccak256(abi.encode(block.chainid, register, job))`.
    function jobIdOf(Job calldata job) external view returns (bytes32);

    /// @notice By the requester: open a job and put its price in escrow in the vault, where he has
    /// allowed the register.
    /// @custom:reverts NotRequester, DeadlinePassed or JobExists.
    /// @custom:reverts NotAllowed or FreeTooLittle of the vault.
    function open(Job calldata job) external returns (bytes32 jobId);

    /// @notice By the job's referee: a claim answers it. Reverts unless the job is open, before its
    /// deadline, and for this provider.
    /// @custom:reverts NotReferee, DeadlinePassed, NotProvider, JobUnknown, JobTaken or JobClosed.
    function assign(Job calldata job, bytes32 claimId, address provider) external;

    /// @notice By the job's referee: the claim is final (the provider is paid) or forfeit (the job
    /// is open again).
    /// @custom:reverts NotReferee, NotProvider, JobUnknown, JobClosed or ClaimMismatch.
    function settle(Job calldata job, bytes32 claimId, address provider, bool upheld) external;

    /// @notice By the requester, after the deadline, while no claim is pending: the price goes back.
    /// @custom:reverts NotRequester, DeadlineAhead, JobUnknown, JobTaken or JobClosed.
    function cancel(Job calldata job) external;

    /// @notice State of a job: 0 unknown, 1 open, 2 assigned, 3 paid, 4 cancelled.
    function stateOf(bytes32 jobId) external view returns (uint8);

    /// @notice The claim that answers a job now, pending or paid, or zero.
    function claimOf(bytes32 jobId) external view returns (bytes32);
}
