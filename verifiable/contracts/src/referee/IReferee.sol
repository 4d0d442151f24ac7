// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CanonClaim} from "../Types.sol";
import {Job} from "../market/IJobRegister.sol";
import {StepProof} from "../step/StepTypes.sol";
import {
    Answer,
    ChallengeRecord,
    ClaimRecord,
    ClaimStatus,
    Demand,
    Policy,
    Reason,
    Standing,
    Walk
} from "./RefereeTypes.sol";

/// @title The referee of the optimistic venue
/// @notice A proposer bonds a claim, anyone may refute it, the contract itself recomputes the
/// disputed element. `verifiable/dispute/rules.py` states the same rules. No owner, no upgrade.
interface IReferee {
    event Posted(
        bytes32 indexed claimId,
        bytes32 indexed jobId,
        address indexed proposer,
        CanonClaim claim,
        uint40 windowEnd
    );
    event Challenged(bytes32 indexed claimId, uint32 indexed challenge, address challenger);
    event TraceCommitted(bytes32 indexed claimId, bytes32 body);
    event Demanded(bytes32 indexed claimId, uint32 indexed challenge, bytes32 id, Demand demand);
    /// @notice `data` is the answer itself, so that it can be read wherever the call came from.
    event Revealed(bytes32 indexed claimId, bytes32 indexed id, address indexed by, bytes data);
    /// @notice `instruction` and `element` say something for the reasons Element and Piece alone.
    event Refuted(
        bytes32 indexed claimId, Reason reason, uint32 instruction, uint64 element, address by
    );
    /// @notice What was left of the bond went to this challenge; to nobody, if it is zero.
    event Rewarded(bytes32 indexed claimId, uint32 indexed challenge, uint256 amount);
    event ChallengeLost(bytes32 indexed claimId, uint32 indexed challenge);
    event Collected(bytes32 indexed claimId, uint32 indexed challenge);
    event Finalized(bytes32 indexed claimId);

    /// @notice The same claim was posted before; another nonce makes another claim.
    error ClaimExists(bytes32 claimId);
    /// @notice No such claim is in dispute.
    error ClaimNotOpen(bytes32 claimId, ClaimStatus status);
    /// @notice The claim does not stand for ever.
    error ClaimNotFinal(bytes32 claimId, ClaimStatus status);
    /// @notice Only of a refuted claim there is something to collect.
    error ClaimNotRefuted(bytes32 claimId, ClaimStatus status);
    /// @notice The claim is of another venue.
    error VenueMismatch(string got);
    /// @notice The claim or its job is of another machine than "canon/1".
    error SemanticsMismatch(string got);
    /// @notice The claim held until a time that is over.
    error ClaimExpired(uint64 expiry, uint256 time);
    /// @notice No document can hold such an expiry.
    error ExpiryTooLarge(uint64 expiry, uint64 most);
    /// @notice Only the proposer may do this.
    error NotProposer(address sender, address proposer);
    /// @notice Only the challenger may do this.
    error NotChallenger(address sender, address challenger);
    /// @notice The job admits others alone.
    error MayNotChallenge(address sender);
    /// @notice The claim does not answer this job.
    error JobMismatch(bytes32 jobId, bytes32 claimId);
    /// @notice The claim is about another model or input than its job.
    error SubjectMismatch(bytes32 got, bytes32 wanted);
    /// @notice The last second for a challenge is over.
    error WindowClosed(uint40 windowEnd, uint256 time);
    /// @notice The claim may still be challenged.
    error WindowOpen(uint40 windowEnd, uint256 time);
    /// @notice So many challenges are not over.
    error ChallengesOpen(uint32 open);
    /// @notice The claim has no challenge of this number.
    error ChallengeUnknown(bytes32 claimId, uint32 challenge);
    /// @notice The challenge is over.
    error ChallengeClosed(bytes32 claimId, uint32 challenge);
    /// @notice The trace is not committed.
    error TraceMissing(bytes32 claimId);
    /// @notice The trace is committed, and stays as it is.
    error TraceCommittedAlready(bytes32 claimId);
    /// @notice Zero is the root of nothing.
    error ZeroRoot();
    /// @notice A side has no time left to move: the challenge is to be timed out.
    error ClockRunOut(bytes32 claimId, uint32 challenge);
    /// @notice The side to move has so many seconds left.
    error ClockRunning(bytes32 claimId, uint32 challenge, uint256 left);
    /// @notice The last demand is not answered.
    error ProposersTurn(bytes32 claimId, uint32 challenge);
    /// @notice The move answers another state than that of the challenge.
    error StateMismatch(bytes32 got, bytes32 wanted);
    /// @notice Nobody made this demand.
    error DemandUnknown(bytes32 id);
    /// @notice The demand was answered: read the answer and walk on from there.
    error RevealedAlready(bytes32 id);
    /// @notice A challenge may make so many demands.
    error DemandsSpent(bytes32 claimId, uint32 challenge, uint256 most);
    /// @notice The parts of a walk do not fit one another.
    error WalkMalformed();
    /// @notice A walk leads to another node than it starts at.
    error WalkMismatch(bytes32 got, bytes32 wanted);
    /// @notice There is nothing there but padding.
    error IntoPadding(uint8 zone, uint8 height, uint64 index);
    /// @notice The revealed bytes have another length.
    error RevealLength(uint256 got, uint256 wanted);
    /// @notice The revealed bytes hash to something else.
    error RevealMismatch(bytes32 got, bytes32 wanted);
    /// @notice The committed element follows from its operands.
    error NotDifferent(uint32 instruction, uint64 element);
    /// @notice These are not the results that were revealed.
    error PartialsMismatch(bytes32 id);
    /// @notice A share is above the whole, or a time or a bond is zero or too large.
    error PolicyInvalid();

    /// @notice Bond a claim that answers a job. `body` commits the trace at once, zero later.
    /// @custom:reverts VenueMismatch, SemanticsMismatch, NotProposer, ClaimExpired, ExpiryTooLarge,
    /// JobMismatch, SubjectMismatch or ClaimExists; as the job register's `assign` and the vault's `reserve`.
    function post(CanonClaim calldata claim, Job calldata job, bytes32 body)
        external
        returns (bytes32 claimId);

    /// @notice Open a challenge. `membership` proves that the job admits the sender, if it does not
    /// admit everyone.
    /// @custom:reverts ClaimNotOpen, WindowClosed or MayNotChallenge; as the vault's `reserve`.
    function challenge(bytes32 claimId, bytes32[] calldata membership) external returns (uint32 id);

    /// @notice By the proposer: commit the trace with the root over its body.
    /// @custom:reverts ClaimNotOpen, NotProposer, TraceCommittedAlready, ZeroRoot or ClockRunOut.
    function commitTrace(bytes32 claimId, bytes32 body) external;

    /// @notice Show one element that its operands do not give. By anyone, at any time until the
    /// claim is final.
    /// @custom:reverts ClaimNotOpen, TraceMissing or NotDifferent; as `IStep`; as the job register's
    /// `settle` if the claim answers another job.
    function refute(bytes32 claimId, Job calldata job, StepProof calldata proof) external;

    /// @notice By a challenger: ask for withheld bytes. `answering` is the challenge's last demand.
    /// @param job Read where the walk starts afresh or has a crossing.
    /// @custom:reverts ClaimNotOpen, ChallengeUnknown, NotChallenger, ChallengeClosed, TraceMissing,
    /// ClockRunOut, ProposersTurn, StateMismatch, DemandsSpent or JobMismatch; WalkMalformed,
    /// WalkMismatch, IntoPadding or as `Openings`; RevealedAlready; as the vault's `reserve`.
    function demand(
        bytes32 claimId,
        uint32 challengeId,
        Job calldata job,
        bytes32 answering,
        Walk calldata walk
    ) external returns (bytes32 id);

    /// @notice Answer a demand. By anyone who has the bytes.
    /// @param data Of Nodes: the nodes end to end, without padding; of Tensor: the type header, then
    /// the nodes; of Leaf and Instruction: the bytes.
    /// @custom:reverts ClaimNotOpen, DemandUnknown or RevealedAlready; RevealLength, RevealMismatch
    /// or WalkMalformed.
    function reveal(Demand calldata demand, bytes calldata data) external;

    /// @notice By a challenger: ask for the results of the pieces of a long row.
    /// @param proof As of `IStep.partialsLength`.
    /// @custom:reverts As `demand`, but for the walk; as `IStep`.
    function demandPartials(
        bytes32 claimId,
        uint32 challengeId,
        Job calldata job,
        bytes32 answering,
        StepProof calldata proof
    ) external returns (bytes32 id);

    /// @notice By the proposer: answer it, in the length that was asked for. Whether they are right
    /// is not asked here: if not, he is refuted by what he said.
    /// @custom:reverts ClaimNotOpen, NotProposer, DemandUnknown or RevealedAlready.
    function revealPartials(
        bytes32 claimId,
        uint32 instruction,
        uint64 element,
        bytes calldata partials
    ) external;

    /// @notice Show that the revealed results of the pieces do not give the committed element.
    /// @custom:reverts As `refutePiece`.
    function refutePartials(
        bytes32 claimId,
        Job calldata job,
        StepProof calldata proof,
        bytes calldata partials
    ) external;

    /// @notice Show one piece whose revealed result its operands do not give.
    /// @custom:reverts ClaimNotOpen, TraceMissing, PartialsMismatch or NotDifferent; as `IStep`; as
    /// the job register's `settle` if the claim answers another job.
    function refutePiece(
        bytes32 claimId,
        Job calldata job,
        StepProof calldata proof,
        bytes calldata partials,
        uint256 piece
    ) external;

    /// @notice End a challenge, or the claim, of which a side has used up its clock.
    /// @custom:reverts ClaimNotOpen, ChallengeUnknown, ChallengeClosed or ClockRunning; as the job
    /// register's `settle` if it is the proposer's clock.
    function timeout(bytes32 claimId, uint32 challengeId, Job calldata job) external;

    /// @notice Accept a claim whose window is over and that no open challenge disputes.
    /// @custom:reverts ClaimNotOpen, WindowOpen or ChallengesOpen; as the job register's `settle`.
    function finalize(bytes32 claimId, Job calldata job) external;

    /// @notice Give a challenger of a refuted claim his bond and fees back, and look on for the
    /// challenge that is rewarded, if there were many before it.
    /// @custom:reverts ClaimNotRefuted, ChallengeUnknown or ChallengeClosed.
    function collect(bytes32 claimId, uint32 challengeId) external;

    /// @notice EIP-712 id of a claim in the domain of this chain and this contract.
    function claimIdOf(CanonClaim calldata claim) external view returns (bytes32);

    /// @notice Whether the claim stands for ever.
    function isFinal(bytes32 claimId) external view returns (bool);

    /// @notice Root over the output tensors of a final claim.
    /// @custom:reverts ClaimNotFinal of any other.
    function outputOf(bytes32 claimId) external view returns (bytes32);

    /// @notice Money and time.
    function policy() external view returns (Policy memory);

    /// @notice What is recorded of a claim.
    function claimOf(bytes32 claimId) external view returns (ClaimRecord memory);

    /// @notice What is recorded of a challenge.
    function challengeOf(bytes32 claimId, uint32 id) external view returns (ChallengeRecord memory);

    /// @notice The clocks of a challenge now.
    /// @return answered Whether it is the challenger's turn.
    function clocksOf(bytes32 claimId, uint32 id)
        external
        view
        returns (bool answered, uint256 proposerUsed, uint256 challengerUsed, Standing standing);

    /// @notice Which challenge made a demand first, and when it was answered.
    function answerOf(bytes32 id) external view returns (Answer memory);

    /// @notice What is left of the bond of a refuted claim, while it is looked for whose it is.
    function unpaidOf(bytes32 claimId) external view returns (uint256);
}
