// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CanonClaim} from "../Types.sol";
import {IJobRegister, Job} from "../market/IJobRegister.sol";
import {IReferee} from "../referee/IReferee.sol";
import {ClaimStatus} from "../referee/RefereeTypes.sol";
import {IErc8183} from "./IErc8183.sol";

/// @title ERC-8183 evaluator: a claim's fate decides about an escrowed job
/// @notice The client of an ERC-8183 job names this contract as its evaluator, and says once, with
/// `bind`, which job of our register stands for it. When the provider's claim on that job is final,
/// anyone has the provider paid; when it is refuted, anyone has the client refunded, and there is no
/// second try.
/// One evaluator serves one client: the ERC fixes no way to ask a job contract who its client is,
/// and whoever binds decides what is asked. A provider looks at `bindingOf`, which never changes,
/// before he works. The price of the register's job may be zero, for the escrow pays.
/// It calls `complete` and `reject` of the job contract, with the claim's id as the reason, and
/// holds no money. A provider who never answers is left to the ERC's own `claimRefund`.
contract Erc8183Evaluator {
    /// @param jobId Of our register, zero if the ERC-8183 job is not bound.
    /// @param provider Whose claim counts: a stranger's refuted claim must not end the job.
    struct Binding {
        bytes32 jobId;
        address provider;
    }

    IReferee public immutable referee;
    IJobRegister public immutable register;
    address public immutable client;
    mapping(address escrow => mapping(uint256 escrowJobId => Binding)) private _bindings;

    event Bound(
        address indexed escrow, uint256 indexed escrowJobId, bytes32 indexed jobId, Job job
    );
    event Completed(address indexed escrow, uint256 indexed escrowJobId, bytes32 indexed claimId);
    event Rejected(address indexed escrow, uint256 indexed escrowJobId, bytes32 indexed claimId);

    /// @notice Only the client may bind.
    error NotClient(address sender, address client);
    /// @notice The ERC-8183 job is bound already.
    error BoundAlready(address escrow, uint256 escrowJobId);
    /// @notice The ERC-8183 job is not bound.
    error NotBound(address escrow, uint256 escrowJobId);
    /// @notice The job has another requester or referee, or names no provider.
    error JobUnfit(address requester, address referee, address provider);
    /// @notice The claim answers another job, or is another provider's.
    error ClaimUnfit(bytes32 jobId, address provider);
    /// @notice The claim is neither final nor refuted.
    error Undecided(bytes32 claimId, ClaimStatus status);

    /// @param referee_ Whose verdict counts.
    /// @param register_ Whose jobs it adjudicates.
    /// @param client_ Who may bind.
    constructor(IReferee referee_, IJobRegister register_, address client_) {
        (referee, register, client) = (referee_, register_, client_);
    }

    /// @notice By the client, once: what a job of an ERC-8183 contract asks for.
    /// @custom:reverts NotClient, BoundAlready or JobUnfit.
    function bind(address escrow, uint256 escrowJobId, Job calldata job) external {
        if (msg.sender != client) revert NotClient(msg.sender, client);
        Binding storage binding = _bindings[escrow][escrowJobId];
        if (binding.jobId != 0) revert BoundAlready(escrow, escrowJobId);
        bool fits = job.requester == client && job.referee == address(referee);
        if (!fits || job.provider == address(0)) {
            revert JobUnfit(job.requester, job.referee, job.provider);
        }
        binding.jobId = register.jobIdOf(job);
        binding.provider = job.provider;
        emit Bound(escrow, escrowJobId, binding.jobId, job);
    }

    /// @notice Have the ERC-8183 job completed or rejected as its claim ended. By anyone.
    /// @custom:reverts NotBound, ClaimUnfit or Undecided, or what the job contract reverts with.
    function evaluate(IErc8183 escrow, uint256 escrowJobId, CanonClaim calldata claim) external {
        Binding memory binding = _bindings[address(escrow)][escrowJobId];
        if (binding.jobId == 0) revert NotBound(address(escrow), escrowJobId);
        bool fits = claim.header.jobId == binding.jobId;
        if (!fits || claim.header.provider != binding.provider) {
            revert ClaimUnfit(claim.header.jobId, claim.header.provider);
        }
        bytes32 claimId = referee.claimIdOf(claim);
        ClaimStatus status = referee.claimOf(claimId).status;
        if (status == ClaimStatus.Final) {
            emit Completed(address(escrow), escrowJobId, claimId);
            escrow.complete(escrowJobId, claimId, "");
        } else if (status == ClaimStatus.Refuted) {
            emit Rejected(address(escrow), escrowJobId, claimId);
            escrow.reject(escrowJobId, claimId, "");
        } else {
            revert Undecided(claimId, status);
        }
    }

    /// @notice What stands for an ERC-8183 job; zeros if nothing does.
    function bindingOf(address escrow, uint256 escrowJobId)
        external
        view
        returns (bytes32 jobId, address provider)
    {
        Binding storage binding = _bindings[escrow][escrowJobId];
        return (binding.jobId, binding.provider);
    }
}
