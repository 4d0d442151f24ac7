// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobRegister, Job} from "../market/IJobRegister.sol";
import {IStakeVault} from "../market/IStakeVault.sol";
import {JobId} from "../market/JobId.sol";
import {Clocks} from "./Clocks.sol";
import {IReferee} from "./IReferee.sol";
import {
    Answer,
    ChallengeRecord,
    ClaimRecord,
    ClaimStatus,
    Policy,
    Reason,
    Standing
} from "./RefereeTypes.sol";

/// @title Records of the referee, and how its money ends
/// @notice Mirrors `verifiable/dispute/money.py`.
abstract contract RefereeMoney is IReferee {
    /// @notice Challenges that are looked at in one go for the one that is rewarded.
    uint256 private constant SCAN = 8;
    uint256 private constant WHOLE = 10_000;
    /// @dev Fees that are reserved at a time: a call of the vault costs more than most of a demand.
    uint256 internal constant FEES = 8;

    IStakeVault public immutable vault;
    IJobRegister public immutable jobs;

    uint256 internal immutable _window;
    uint256 internal immutable _allowance;
    uint256 internal immutable _bond;
    uint256 internal immutable _challengeBond;
    uint256 internal immutable _revealFee;
    uint256 private immutable _burntShare;
    uint256 private immutable _requesterShare;
    uint256 private immutable _refuterGas;
    /// @dev Whether bonds are in the coin that gas is paid in.
    bool internal immutable _gasIsMoney;

    mapping(bytes32 claimId => ClaimRecord) internal _claims;
    mapping(bytes32 id => Answer) internal _answers;
    mapping(bytes32 claimId => mapping(uint32 id => ChallengeRecord)) private _challenges;
    mapping(bytes32 claimId => uint256) private _unpaid;

    constructor(Policy memory p, IStakeVault vault_, IJobRegister jobs_) {
        bool timed = p.window != 0 && p.allowance != 0 && p.window <= type(uint32).max
            && p.allowance <= type(uint32).max;
        bool bonded = p.bond != 0 && p.challengeBond != 0;
        if (!timed || !bonded || uint256(p.burntShare) + p.requesterShare > WHOLE) {
            revert PolicyInvalid();
        }
        _window = p.window;
        _allowance = p.allowance;
        _bond = p.bond;
        _challengeBond = p.challengeBond;
        _revealFee = p.revealFee;
        _burntShare = p.burntShare;
        _requesterShare = p.requesterShare;
        _refuterGas = p.refuterGas;
        vault = vault_;
        jobs = jobs_;
        _gasIsMoney = vault_.token() == address(0);
    }

    /// @inheritdoc IReferee
    function collect(bytes32 claimId, uint32 id) external {
        ClaimRecord storage c = _claims[claimId];
        if (c.status != ClaimStatus.Refuted) revert ClaimNotRefuted(claimId, c.status);
        ChallengeRecord storage h = _unclosed(claimId, id);
        uint256 unpaid = _unpaid[claimId];
        if (unpaid != 0) _goOn(claimId, c, unpaid);
        if (!h.closed) vault.release(h.challenger, _close(claimId, id, c));
    }

    /// @inheritdoc IReferee
    function isFinal(bytes32 claimId) external view returns (bool) {
        return _claims[claimId].status == ClaimStatus.Final;
    }

    /// @inheritdoc IReferee
    function outputOf(bytes32 claimId) external view returns (bytes32) {
        ClaimRecord storage c = _claims[claimId];
        if (c.status != ClaimStatus.Final) revert ClaimNotFinal(claimId, c.status);
        return c.output;
    }

    /// @inheritdoc IReferee
    function policy() external view returns (Policy memory p) {
        // The casts are exact: they came in with these widths.
        p.window = uint64(_window);
        p.allowance = uint64(_allowance);
        p.bond = _bond;
        p.challengeBond = _challengeBond;
        p.revealFee = _revealFee;
        p.burntShare = uint16(_burntShare);
        p.requesterShare = uint16(_requesterShare);
        p.refuterGas = _refuterGas;
    }

    /// @inheritdoc IReferee
    function claimOf(bytes32 claimId) external view returns (ClaimRecord memory) {
        return _claims[claimId];
    }

    /// @inheritdoc IReferee
    function challengeOf(bytes32 claimId, uint32 id)
        external
        view
        returns (ChallengeRecord memory)
    {
        return _challenges[claimId][id];
    }

    /// @inheritdoc IReferee
    function clocksOf(bytes32 claimId, uint32 id)
        external
        view
        returns (bool answered, uint256 proposerUsed, uint256 challengerUsed, Standing standing)
    {
        ClaimRecord storage c = _claims[claimId];
        ChallengeRecord storage h = _known(claimId, id);
        (answered, proposerUsed, challengerUsed) =
            Clocks.read(h, Clocks.answeredAt(h, c, _answers), block.timestamp);
        standing = Clocks.standing(proposerUsed, challengerUsed, _allowance);
    }

    /// @inheritdoc IReferee
    function answerOf(bytes32 id) external view returns (Answer memory) {
        return _answers[id];
    }

    /// @inheritdoc IReferee
    function unpaidOf(bytes32 claimId) external view returns (uint256) {
        return _unpaid[claimId];
    }

    function _open(bytes32 claimId) internal view returns (ClaimRecord storage c) {
        c = _claims[claimId];
        if (c.status != ClaimStatus.Open) revert ClaimNotOpen(claimId, c.status);
    }

    function _known(bytes32 claimId, uint32 id) internal view returns (ChallengeRecord storage h) {
        h = _challenges[claimId][id];
        if (h.challenger == address(0)) revert ChallengeUnknown(claimId, id);
    }

    function _unclosed(bytes32 claimId, uint32 id)
        internal
        view
        returns (ChallengeRecord storage h)
    {
        h = _known(claimId, id);
        if (h.closed) revert ChallengeClosed(claimId, id);
    }

    function _requireJob(bytes32 claimId, Job calldata job) internal view {
        bytes32 jobId = JobId.hash(job, address(jobs));
        // Of another referee's job anyone can be that referee, and assign it to any claim.
        if (job.referee != address(this) || jobs.claimOf(jobId) != claimId) {
            revert JobMismatch(jobId, claimId);
        }
    }

    /// @notice Standing of a challenge now, or when its claim was refuted.
    function _standingOf(bytes32 claimId, uint32 id, ClaimRecord storage c)
        internal
        view
        returns (Standing)
    {
        ChallengeRecord storage h = _challenges[claimId][id];
        uint256 time = c.refutedAt == 0 ? block.timestamp : c.refutedAt;
        (, uint256 p, uint256 q) = Clocks.read(h, Clocks.answeredAt(h, c, _answers), time);
        return Clocks.standing(p, q, _allowance);
    }

    /// @notice Open a challenge of the sender behind all others.
    function _append(bytes32 claimId, ClaimRecord storage c) internal returns (uint32 id) {
        id = ++c.challenges;
        uint32 last = c.last;
        ChallengeRecord storage h = _challenges[claimId][id];
        h.challenger = msg.sender;
        h.turnAt = uint40(block.timestamp);
        h.previous = last;
        if (last == 0) c.first = id;
        else _challenges[claimId][last].next = id;
        c.last = id;
        ++c.open;
    }

    /// @notice Close a challenge that ran out of time; its bond goes to the proposer.
    function _lose(bytes32 claimId, uint32 id, ClaimRecord storage c) internal {
        ChallengeRecord storage h = _challenges[claimId][id];
        h.closed = true;
        (uint32 previous, uint32 next) = (h.previous, h.next);
        if (previous == 0) c.first = next;
        else _challenges[claimId][previous].next = next;
        if (next == 0) c.last = previous;
        else _challenges[claimId][next].previous = previous;
        --c.open;
        emit ChallengeLost(claimId, id);
        // His demands were all answered: it is his turn.
        uint256 earned = h.paid * _revealFee;
        vault.move(h.challenger, c.proposer, _challengeBond + earned);
        vault.release(h.challenger, _reserved(h) - earned);
    }

    /// @notice Refute a claim: split its bond, and reward the earliest challenge that may move.
    function _forfeit(
        bytes32 claimId,
        ClaimRecord storage c,
        Job calldata job,
        Reason reason,
        uint256 cost
    ) internal {
        c.status = ClaimStatus.Refuted;
        c.reason = reason;
        c.refutedAt = uint40(block.timestamp);
        address proposer = c.proposer;
        // Reverts unless the claim answers this job.
        jobs.settle(job, claimId, proposer, false);
        uint256 burnt = _bond * _burntShare / WHOLE;
        uint256 requester = _bond * _requesterShare / WHOLE;
        uint256 rest = _bond - burnt - requester;
        (uint32 id, bool found) = _search(claimId, c);
        address rewarded = found ? _challenges[claimId][id].challenger : address(0);
        uint256 gas = cost < _refuterGas ? cost : _refuterGas;
        if (gas > rest) gas = rest;
        if (gas != 0 && rewarded != msg.sender) {
            rest -= gas;
            vault.move(proposer, msg.sender, gas);
        }
        if (id == 0) burnt += rest;
        _record(claimId, id, found, rest);
        (uint256 reward, uint256 back) = found ? (rest, _close(claimId, id, c)) : (0, 0);
        vault.split(proposer, burnt, job.requester, requester, rewarded, reward, back);
    }

    /// @notice Go on with a search that was put off, and pay what is left of the bond.
    function _goOn(bytes32 claimId, ClaimRecord storage c, uint256 unpaid) private {
        (uint32 id, bool found) = _search(claimId, c);
        if (found || id == 0) _unpaid[claimId] = 0;
        _record(claimId, id, found, unpaid);
        if (found) {
            ChallengeRecord storage h = _challenges[claimId][id];
            vault.move(c.proposer, h.challenger, unpaid);
            if (!h.closed) vault.release(h.challenger, _close(claimId, id, c));
        } else if (id == 0) {
            vault.burn(c.proposer, unpaid);
        }
    }

    /// @notice Look for the earliest challenge that had not run out of time when the claim was
    /// refuted.
    /// @dev Looks at a bounded number; many that ran out before it put the payment off, no more.
    /// @return id It, if it was found; else where the search goes on, zero if there is none.
    function _search(bytes32 claimId, ClaimRecord storage c)
        private
        returns (uint32 id, bool found)
    {
        id = c.first;
        for (uint256 i = 0; i < SCAN && id != 0; ++i) {
            if (_standingOf(claimId, id, c) != Standing.ChallengerOut) return (id, true);
            id = _challenges[claimId][id].next;
        }
        c.first = id;
    }

    /// @notice Record where what is left of a bond goes: to a challenge; to nobody, if there is
    /// none; or, if there are more to look at, nowhere yet.
    function _record(bytes32 claimId, uint32 id, bool found, uint256 amount) private {
        if (found || id == 0) emit Rewarded(claimId, id, amount);
        else _unpaid[claimId] = amount;
    }

    /// @notice Close a challenge of a refuted claim.
    /// @return back What is to be given back to its challenger: the bond, and all fees.
    function _close(bytes32 claimId, uint32 id, ClaimRecord storage c)
        private
        returns (uint256 back)
    {
        ChallengeRecord storage h = _challenges[claimId][id];
        h.closed = true;
        --c.open;
        emit Collected(claimId, id);
        return _challengeBond + _reserved(h);
    }

    /// @notice Fees that are reserved of a challenger, for demands made and to come.
    function _reserved(ChallengeRecord storage h) private view returns (uint256) {
        return (h.paid + FEES - 1) / FEES * FEES * _revealFee;
    }
}
