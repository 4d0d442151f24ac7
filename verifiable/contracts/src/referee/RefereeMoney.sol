// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobRegister, Job} from "../market/IJobRegister.sol";
import {IStakeVault} from "../market/IStakeVault.sol";
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
        if (unpaid != 0) _award(claimId, c, unpaid);
        if (!h.closed) _giveBack(claimId, id, c);
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
        bytes32 jobId = jobs.jobIdOf(job);
        if (jobs.claimOf(jobId) != claimId) revert JobMismatch(jobId, claimId);
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
        vault.move(h.challenger, c.proposer, _challengeBond);
        // His demands were all answered: it is his turn.
        vault.release(h.challenger, h.prepaid * _revealFee);
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
        uint256 burnt = _bond * _burntShare / WHOLE;
        uint256 requester = _bond * _requesterShare / WHOLE;
        uint256 rest = _bond - burnt - requester;
        uint256 gas = cost < _refuterGas ? cost : _refuterGas;
        if (gas > rest) gas = rest;
        vault.burn(proposer, burnt);
        vault.move(proposer, job.requester, requester);
        vault.move(proposer, msg.sender, gas);
        _award(claimId, c, rest - gas);
        jobs.settle(job, claimId, proposer, false);
    }

    /// @notice Pay what is left of a bond to the earliest challenge that had not run out of time
    /// when the claim was refuted; burn it if there is none.
    /// @dev Looks at a bounded number; many that ran out before it put the payment off, no more.
    function _award(bytes32 claimId, ClaimRecord storage c, uint256 amount) private {
        uint32 id = c.first;
        for (uint256 i = 0; i < SCAN && id != 0; ++i) {
            if (_standingOf(claimId, id, c) != Standing.ChallengerOut) {
                _unpaid[claimId] = 0;
                emit Rewarded(claimId, id, amount);
                vault.move(c.proposer, _challenges[claimId][id].challenger, amount);
                if (!_challenges[claimId][id].closed) _giveBack(claimId, id, c);
                return;
            }
            id = _challenges[claimId][id].next;
        }
        c.first = id;
        _unpaid[claimId] = id == 0 ? 0 : amount;
        if (id != 0) return;
        emit Rewarded(claimId, 0, amount);
        vault.burn(c.proposer, amount);
    }

    /// @notice Give the bond, and the fees that were not earned, back to a challenger.
    function _giveBack(bytes32 claimId, uint32 id, ClaimRecord storage c) private {
        ChallengeRecord storage h = _challenges[claimId][id];
        h.closed = true;
        --c.open;
        bytes32 pending = h.pending;
        bool unanswered = pending != 0 && _answers[pending].at == 0;
        bool mine = unanswered && _answers[pending].challenge == id;
        uint256 fees = mine ? uint256(h.prepaid) + 1 : h.prepaid;
        emit Collected(claimId, id);
        vault.release(h.challenger, _challengeBond + fees * _revealFee);
    }
}
