"""Every kind of event and its typed body, one module per family; import them from here.

An event is never changed or deleted: what changes is said by a later event. Events refer to each other by
``(session, seq)``; ``id`` is the global order and only a watermark. Times are Unix milliseconds, UTC.
To add a kind: write a body with a docstring and a ``kind`` in its family's module and export it here; the registry, the
decoder, the migration test and docs/log.md's table are made from it.
"""

from __future__ import annotations

from sessions.events.advice import (
    AdviceDelivered,
    AdviceEdited,
    AdviceKind,
    AdviceOutcome,
    AdviceQueued,
    AdviceReach,
    AdviceRequeued,
    AdviceStanding,
    AdviceWithdrawn,
    Reach,
)
from sessions.events.base import (
    HOST_SESSION,
    Body,
    Event,
    EventPlace,
    LongText,
    Mark,
    MessageRef,
    NewEvent,
    ReversibleAct,
    Seen,
    SeqRange,
    Target,
)
from sessions.events.harness import HarnessOpened, HarnessPrompted, HarnessRested
from sessions.events.judgement import (
    BookmarkSet,
    CorrectionWritten,
    CursorMoved,
    EffortSpent,
    ExportWritten,
    FlagRemoved,
    FlagSet,
    NoteWritten,
    PreferenceStated,
    RecoveryMarked,
    SignalJudged,
    SignedOff,
)
from sessions.events.keeping import BeginningPurged, SessionPurged, Terms, TermsSet
from sessions.events.recording import LostPart, RecordingLoss, RecordingRead
from sessions.events.session import (
    Beginning,
    Containment,
    ControlRequested,
    EnvironmentSpec,
    EvaluateSpec,
    Handover,
    Harness,
    HostStarted,
    HostStopped,
    LimitChanged,
    Limits,
    ModelSpec,
    SessionCreated,
    SessionRecovered,
    SpaceLimits,
    StateChanged,
    Verb,
)
from sessions.events.step import (
    ActionRefused,
    ActionResult,
    ActionStarted,
    Delivered,
    FramePiece,
    HarnessTurn,
    KeptRange,
    ModelAttemptFailed,
    ModelReplied,
    ModelRequested,
    NudgeSent,
    Outcome,
    ReplacedMessage,
    ReplyInterrupted,
    ReplySuperseded,
    SummaryWritten,
    WireAnswer,
    WireFrame,
)
from sessions.events.threads import ThreadAssigned
from sessions.events.tools import (
    EvalScored,
    FileChanged,
    JobBackgrounded,
    JobEnded,
    JobStarted,
    PlanChanged,
    PlanItem,
    QuestionAnswered,
    QuestionAsked,
    QuestionOption,
)


def _bodies(base: type[Body]) -> dict[str, type[Body]]:
    found: dict[str, type[Body]] = {}
    for child in base.__subclasses__():
        if child.kind:
            found[child.kind] = child
        found |= _bodies(child)
    return found


KINDS: dict[str, type[Body]] = _bodies(Body)
"""Kind name to body type; the single registry."""

ANCHORS: frozenset[str] = frozenset(
    {
        "session.created",
        "session.state",
        "model.reply",
        "model.interrupted",
        "model.attempt_failed",
        "action.started",
        "action.refused",
        "nudge.sent",
        "harness.turn",
        "harness.opened",
        "summary.written",
        "reply.superseded",
        "eval.scored",
        "question.asked",
        "question.answered",
        "advice.queued",
        "advice.delivered",
        "advice.requeued",
        "thread.assigned",
        "session.recovered",
        "limit.changed",
    }
)
"""Kinds that begin an entry of the transcript; all other kinds only change an entry that is there."""

__all__ = [
    "ANCHORS",
    "HOST_SESSION",
    "KINDS",
    "ActionRefused",
    "ActionResult",
    "ActionStarted",
    "AdviceDelivered",
    "AdviceEdited",
    "AdviceKind",
    "AdviceOutcome",
    "AdviceQueued",
    "AdviceReach",
    "AdviceRequeued",
    "AdviceStanding",
    "AdviceWithdrawn",
    "Beginning",
    "BeginningPurged",
    "Body",
    "BookmarkSet",
    "Containment",
    "ControlRequested",
    "CorrectionWritten",
    "CursorMoved",
    "Delivered",
    "EffortSpent",
    "EnvironmentSpec",
    "EvalScored",
    "EvaluateSpec",
    "Event",
    "EventPlace",
    "ExportWritten",
    "FileChanged",
    "FlagRemoved",
    "FlagSet",
    "FramePiece",
    "Handover",
    "Harness",
    "HarnessOpened",
    "HarnessPrompted",
    "HarnessRested",
    "HarnessTurn",
    "HostStarted",
    "HostStopped",
    "JobBackgrounded",
    "JobEnded",
    "JobStarted",
    "KeptRange",
    "LimitChanged",
    "Limits",
    "LongText",
    "LostPart",
    "Mark",
    "MessageRef",
    "ModelAttemptFailed",
    "ModelReplied",
    "ModelRequested",
    "ModelSpec",
    "NewEvent",
    "NoteWritten",
    "NudgeSent",
    "Outcome",
    "PlanChanged",
    "PlanItem",
    "PreferenceStated",
    "QuestionAnswered",
    "QuestionAsked",
    "QuestionOption",
    "Reach",
    "RecordingLoss",
    "RecordingRead",
    "RecoveryMarked",
    "ReplacedMessage",
    "ReplyInterrupted",
    "ReplySuperseded",
    "ReversibleAct",
    "Seen",
    "SeqRange",
    "SessionCreated",
    "SessionPurged",
    "SessionRecovered",
    "SignalJudged",
    "SignedOff",
    "SpaceLimits",
    "StateChanged",
    "SummaryWritten",
    "Target",
    "Terms",
    "TermsSet",
    "ThreadAssigned",
    "Verb",
    "WireAnswer",
    "WireFrame",
]
