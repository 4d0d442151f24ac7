// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CanonClaim} from "../Types.sol";
import {Eip712Claim} from "../lib/Eip712Claim.sol";
import {Membership} from "../lib/Membership.sol";
import {IJobRegister, Job} from "../market/IJobRegister.sol";
import {JobId} from "../market/JobId.sol";
import {IStakeVault} from "../market/IStakeVault.sol";
import {IStep} from "../step/IStep.sol";
import {Statement, StepProof} from "../step/StepTypes.sol";
import {Asking} from "./Asking.sol";
import {Clocks} from "./Clocks.sol";
import {IReferee} from "./IReferee.sol";
import {IWalks} from "./IWalks.sol";
import {RefereeMoney} from "./RefereeMoney.sol";
import {
    Answer,
    ChallengeRecord,
    ClaimRecord,
    ClaimStatus,
    Demand,
    Form,
    Policy,
    Reason,
    Standing,
    Walk
} from "./RefereeTypes.sol";

/// @title The referee
/// @notice Mirrors `verifiable/dispute/rules.py`, move by move. It calls nobody but the
/// contracts that it was deployed with, none of which calls back.
contract Referee is RefereeMoney {
    bytes32 private constant VENUE = keccak256("optimistic");
    bytes32 private constant SEMANTICS = keccak256("canon/1");
    /// @dev What a transaction costs before it runs, and its cheapest byte. More expensive bytes
    /// are not counted, so that nobody gains by adding to a refutation.
    uint256 private constant BASE_GAS = 21_000;
    uint256 private constant BYTE_GAS = 4;
    /// @dev Largest integer that every reader of a JSON document takes for itself; what the referee
    /// accepts must be a document, so that everyone can dispute it.
    uint64 private constant MOST_EXPIRY = 2 ** 53 - 1;
    /// @dev Demands of one challenge. The longest way to a leaf takes 14; without a limit a
    /// challenger could spend the proposer's clock on answers that take him one block each.
    uint256 private constant MOST_DEMANDS = 64;

    IStep public immutable step;
    IWalks public immutable walks;

    mapping(bytes32 id => bytes32) private _partials;

    constructor(
        Policy memory policy_,
        IStakeVault vault_,
        IJobRegister jobs_,
        IStep step_,
        IWalks walks_
    ) RefereeMoney(policy_, vault_, jobs_) {
        step = step_;
        walks = walks_;
    }

    /// @inheritdoc IReferee
    function post(CanonClaim calldata claim, Job calldata job, bytes32 body)
        external
        returns (bytes32 claimId)
    {
        if (keccak256(bytes(claim.header.venue)) != VENUE) {
            revert VenueMismatch(claim.header.venue);
        }
        _requireSemantics(claim.header.semantics);
        _requireSemantics(job.semantics);
        if (msg.sender != claim.header.provider) {
            revert NotProposer(msg.sender, claim.header.provider);
        }
        if (block.timestamp > claim.header.expiry) {
            revert ClaimExpired(claim.header.expiry, block.timestamp);
        }
        if (claim.header.expiry > MOST_EXPIRY) {
            revert ExpiryTooLarge(claim.header.expiry, MOST_EXPIRY);
        }
        _requireSame(claim.subject.model, job.model);
        _requireSame(claim.subject.inputRoot, job.inputRoot);
        claimId = claimIdOf(claim);
        bytes32 jobId = JobId.hash(job, address(jobs));
        if (jobId != claim.header.jobId) revert JobMismatch(jobId, claimId);
        ClaimRecord storage c = _claims[claimId];
        if (c.status != ClaimStatus.Unknown) revert ClaimExists(claimId);
        c.proposer = msg.sender;
        c.windowEnd = uint40(block.timestamp + _window);
        c.status = ClaimStatus.Open;
        c.output = claim.subject.outputRoot;
        if (job.challengers != 0) c.challengers = job.challengers;
        emit Posted(claimId, jobId, msg.sender, claim, c.windowEnd);
        if (body != 0) _commit(claimId, c, body);
        jobs.assign(job, claimId, msg.sender);
        vault.reserve(msg.sender, _bond);
    }

    /// @inheritdoc IReferee
    function challenge(bytes32 claimId, bytes32[] calldata membership)
        external
        returns (uint32 id)
    {
        ClaimRecord storage c = _open(claimId);
        if (block.timestamp > c.windowEnd) revert WindowClosed(c.windowEnd, block.timestamp);
        bytes32 admitted = c.challengers;
        if (admitted != 0 && !Membership.proves(admitted, msg.sender, membership)) {
            revert MayNotChallenge(msg.sender);
        }
        id = _append(claimId, c);
        emit Challenged(claimId, id, msg.sender);
        vault.reserve(msg.sender, _challengeBond);
    }

    /// @inheritdoc IReferee
    function commitTrace(bytes32 claimId, bytes32 body) external {
        ClaimRecord storage c = _open(claimId);
        _requireProposer(c);
        if (c.committedAt != 0) revert TraceCommittedAlready(claimId);
        if (body == 0) revert ZeroRoot();
        // No challenge closes before the trace is committed, so none has waited longer.
        uint32 first = c.first;
        if (first != 0 && _standingOf(claimId, first, c) != Standing.Running) {
            revert ClockRunOut(claimId, first);
        }
        _commit(claimId, c, body);
    }

    /// @inheritdoc IReferee
    function refute(bytes32 claimId, Job calldata job, StepProof calldata proof) external {
        uint256 gas = gasleft();
        ClaimRecord storage c = _open(claimId);
        if (_ask(IStep.differs.selector, _unbound(claimId, c, job), proof, _none(), 0) != 1) {
            revert NotDifferent(proof.instruction, proof.element);
        }
        emit Refuted(claimId, Reason.Element, proof.instruction, proof.element, msg.sender);
        _forfeit(claimId, c, job, Reason.Element, _cost(gas));
    }

    /// @inheritdoc IReferee
    function demand(
        bytes32 claimId,
        uint32 challengeId,
        Job calldata job,
        bytes32 answering,
        Walk calldata walk
    ) external returns (bytes32 id) {
        ClaimRecord storage c = _open(claimId);
        ChallengeRecord storage h = _turn(claimId, challengeId, c, answering);
        if (walk.from.form != Form.None) {
            bytes32 from = keccak256(abi.encode(walk.from));
            bool asked = walk.from.claimId == claimId && _answers[from].challenge != 0;
            if (!asked) revert DemandUnknown(from);
        }
        // On from a node of the claim, within a tree, all is fixed by that node.
        Statement memory statement;
        if (walk.from.form == Form.None || walk.crossing.length != 0) {
            statement = _subject(claimId, job);
            // Of the other two a walk reads the one that it starts at.
            if (walk.zone == 1) statement.body = c.body;
            if (walk.zone == 2) statement.output = c.output;
        }
        return _pend(h, challengeId, Asking.target(walks, statement, claimId, walk));
    }

    /// @inheritdoc IReferee
    function reveal(Demand calldata demand_, bytes calldata data) external {
        _open(demand_.claimId);
        _answer(demand_, data);
        Asking.check(walks);
    }

    /// @inheritdoc IReferee
    function demandPartials(
        bytes32 claimId,
        uint32 challengeId,
        Job calldata job,
        bytes32 answering,
        StepProof calldata proof
    ) external returns (bytes32 id) {
        ClaimRecord storage c = _open(claimId);
        ChallengeRecord storage h = _turn(claimId, challengeId, c, answering);
        uint256 length =
            _ask(IStep.partialsLength.selector, _subject(claimId, job), proof, _none(), 0);
        return
            _pend(
                h, challengeId, _partialsDemand(claimId, proof.instruction, proof.element, length)
            );
    }

    /// @inheritdoc IReferee
    function revealPartials(
        bytes32 claimId,
        uint32 instruction,
        uint64 element,
        bytes calldata partials
    ) external {
        _requireProposer(_open(claimId));
        // Of another length they answer a demand that nobody made.
        bytes32 id =
            _answer(_partialsDemand(claimId, instruction, element, partials.length), partials);
        _partials[id] = keccak256(partials);
    }

    /// @inheritdoc IReferee
    function refutePartials(
        bytes32 claimId,
        Job calldata job,
        StepProof calldata proof,
        bytes calldata partials
    ) external {
        _refuteRevealed(IStep.combines.selector, claimId, job, proof, partials, 0);
    }

    /// @inheritdoc IReferee
    function refutePiece(
        bytes32 claimId,
        Job calldata job,
        StepProof calldata proof,
        bytes calldata partials,
        uint256 piece
    ) external {
        _refuteRevealed(IStep.pieceDiffers.selector, claimId, job, proof, partials, piece);
    }

    /// @inheritdoc IReferee
    function timeout(bytes32 claimId, uint32 challengeId, Job calldata job) external {
        ClaimRecord storage c = _open(claimId);
        ChallengeRecord storage h = _unclosed(claimId, challengeId);
        (bool answered, uint256 p, uint256 q) =
            Clocks.read(h, Clocks.answeredAt(h, c, _answers), block.timestamp);
        Standing standing = Clocks.standing(p, q, _allowance);
        if (standing == Standing.Running) {
            revert ClockRunning(claimId, challengeId, _allowance - (answered ? q : p));
        }
        if (standing == Standing.ChallengerOut) {
            _lose(claimId, challengeId, c);
            return;
        }
        Reason reason = h.pending == 0 ? Reason.TraceWithheld : Reason.BytesWithheld;
        emit Refuted(claimId, reason, 0, 0, msg.sender);
        _forfeit(claimId, c, job, reason, 0);
    }

    /// @inheritdoc IReferee
    function finalize(bytes32 claimId, Job calldata job) external {
        ClaimRecord storage c = _open(claimId);
        if (block.timestamp <= c.windowEnd) revert WindowOpen(c.windowEnd, block.timestamp);
        if (c.open != 0) revert ChallengesOpen(c.open);
        c.status = ClaimStatus.Final;
        emit Finalized(claimId);
        jobs.settle(job, claimId, c.proposer, true);
        vault.release(c.proposer, _bond);
    }

    /// @inheritdoc IReferee
    function claimIdOf(CanonClaim calldata claim) public view returns (bytes32) {
        return Eip712Claim.digest(claim, block.chainid, address(this));
    }

    function _commit(bytes32 claimId, ClaimRecord storage c, bytes32 body) private {
        c.body = body;
        c.committedAt = uint40(block.timestamp);
        emit TraceCommitted(claimId, body);
    }

    /// @notice The challenge, if its challenger may make a demand now, in the state he names.
    function _turn(bytes32 claimId, uint32 id, ClaimRecord storage c, bytes32 answering)
        private
        returns (ChallengeRecord storage h)
    {
        h = _known(claimId, id);
        if (msg.sender != h.challenger) revert NotChallenger(msg.sender, h.challenger);
        if (h.closed) revert ChallengeClosed(claimId, id);
        if (c.committedAt == 0) revert TraceMissing(claimId);
        (bool answered, uint256 p, uint256 q) =
            Clocks.read(h, Clocks.answeredAt(h, c, _answers), block.timestamp);
        if (Clocks.standing(p, q, _allowance) != Standing.Running) revert ClockRunOut(claimId, id);
        if (!answered) revert ProposersTurn(claimId, id);
        if (answering != h.pending) revert StateMismatch(answering, h.pending);
        if (h.demands == MOST_DEMANDS) revert DemandsSpent(claimId, id, MOST_DEMANDS);
        ++h.demands;
        // The casts are exact: both are below an allowance that fits.
        h.proposerUsed = uint40(p);
        h.challengerUsed = uint40(q);
        h.turnAt = uint40(block.timestamp);
    }

    /// @notice Refute by partial results that were revealed: a piece differs, or they do not combine.
    function _refuteRevealed(
        bytes4 question,
        bytes32 claimId,
        Job calldata job,
        StepProof calldata proof,
        bytes calldata partials,
        uint256 piece
    ) private {
        uint256 gas = gasleft();
        ClaimRecord storage c = _open(claimId);
        Statement memory statement = _unbound(claimId, c, job);
        bytes32 id = keccak256(
            abi.encode(_partialsDemand(claimId, proof.instruction, proof.element, partials.length))
        );
        if (_answers[id].at == 0 || _partials[id] != keccak256(partials)) {
            revert PartialsMismatch(id);
        }
        bool said = _ask(question, statement, proof, partials, piece) == 1;
        if (said != (question == IStep.pieceDiffers.selector)) {
            revert NotDifferent(proof.instruction, proof.element);
        }
        emit Refuted(claimId, Reason.Piece, proof.instruction, proof.element, msg.sender);
        _forfeit(claimId, c, job, Reason.Piece, _cost(gas));
    }

    /// @notice A question about a proof; see `Asking`.
    function _ask(
        bytes4 question,
        Statement memory statement,
        StepProof calldata proof,
        bytes calldata partials,
        uint256 piece
    ) private view returns (uint256) {
        return Asking.aboutStep(step, question, statement, proof, partials, piece);
    }

    function _none() private pure returns (bytes calldata) {
        return msg.data[:0];
    }

    function _pend(ChallengeRecord storage h, uint32 challengeId, Demand memory demand_)
        private
        returns (bytes32 id)
    {
        id = keccak256(abi.encode(demand_));
        Answer storage a = _answers[id];
        if (a.at != 0) revert RevealedAlready(id);
        h.pending = id;
        emit Demanded(demand_.claimId, challengeId, id, demand_);
        if (a.challenge != 0) return id;
        a.challenge = challengeId;
        if (h.paid++ % FEES == 0) vault.reserve(msg.sender, FEES * _revealFee);
    }

    function _answer(Demand memory demand_, bytes calldata data) private returns (bytes32 id) {
        id = keccak256(abi.encode(demand_));
        Answer storage a = _answers[id];
        if (a.challenge == 0) revert DemandUnknown(id);
        if (a.at != 0) revert RevealedAlready(id);
        a.at = uint40(block.timestamp);
        emit Revealed(demand_.claimId, id, msg.sender, data);
    }

    /// @notice What the claim says of model and input, in the words of its job.
    function _subject(bytes32 claimId, Job calldata job)
        private
        view
        returns (Statement memory statement)
    {
        _requireJob(claimId, job);
        (statement.model, statement.input) = (job.model, job.inputRoot);
    }

    /// @notice What claim and trace fix, in the words of a job that nobody has held against the claim yet.
    function _unbound(bytes32 claimId, ClaimRecord storage c, Job calldata job)
        private
        view
        returns (Statement memory)
    {
        if (c.committedAt == 0) revert TraceMissing(claimId);
        return Statement(job.model, job.inputRoot, c.body, c.output);
    }

    function _partialsDemand(bytes32 claimId, uint32 instruction, uint64 element, uint256 length)
        private
        pure
        returns (Demand memory demand_)
    {
        demand_.claimId = claimId;
        demand_.form = Form.Partials;
        demand_.extra = bytes32(length << 96 | uint256(instruction) << 64 | element);
    }

    function _cost(uint256 gas) private view returns (uint256) {
        uint256 used = gas - gasleft() + BASE_GAS + BYTE_GAS * msg.data.length;
        return _gasIsMoney ? used * tx.gasprice : 0;
    }

    function _requireProposer(ClaimRecord storage c) private view {
        if (msg.sender != c.proposer) revert NotProposer(msg.sender, c.proposer);
    }

    function _requireSemantics(string calldata got) private pure {
        if (keccak256(bytes(got)) != SEMANTICS) revert SemanticsMismatch(got);
    }

    function _requireSame(bytes32 got, bytes32 wanted) private pure {
        if (got != wanted) revert SubjectMismatch(got, wanted);
    }
}
