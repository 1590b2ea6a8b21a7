"""What people and rules say of a session: flags, sign-offs, notes, cursors, signals, effort, exports."""

from __future__ import annotations

from typing import ClassVar, Literal

from sessions.events.base import Body, ReversibleAct, Seen, Seq, SeqRange, SignalId, Target


class FlagSet(ReversibleAct, frozen=True, kw_only=True):
    """A verdict with a label on a target. ``flag`` is unique in its session; the actor is human, rule or judge.

    ``replaces``: the actor's own earlier flag in whose place this one is set; its ``flag.removed`` follows.
    """

    kind: ClassVar[str] = "flag.set"
    flag: str
    target: Target
    verdict: Literal["bad", "good", "unsure"] = "bad"
    label: str = "unspecified"
    note: str = ""
    severity: int | None = None
    until_recovery: bool = False
    seen: Seen | None = None
    replaces: str = ""


class FlagRemoved(ReversibleAct, frozen=True, kw_only=True):
    """A flag was taken back."""

    kind: ClassVar[str] = "flag.removed"
    flag: str


class RecoveryMarked(ReversibleAct, frozen=True, kw_only=True):
    """From this step on the agent is on its feet again (that step is trained); ``removed`` takes the mark back."""

    kind: ClassVar[str] = "recovery.marked"
    at_step: int
    removed: bool = False


class SignedOff(ReversibleAct, frozen=True, kw_only=True):
    """A human's word on the whole session, or "judged up to step N"; verdict None takes one's sign-off back."""

    kind: ClassVar[str] = "session.signed_off"
    verdict: Literal["good", "partial", "discard", "invalid"] | None = None
    up_to_step: int | None = None
    note: str = ""


class CorrectionWritten(ReversibleAct, frozen=True, kw_only=True):
    """What the agent should have done instead at ``target``. A newer word of the actor takes the place of the older.

    An empty text takes it back.
    """

    kind: ClassVar[str] = "correction.written"
    target: Target
    text: str


class NoteWritten(ReversibleAct, frozen=True, kw_only=True):
    """A note on the session that colleagues see and the agent does not."""

    kind: ClassVar[str] = "session.note"
    text: str


class SessionRenamed(ReversibleAct, frozen=True, kw_only=True):
    """The session is called ``title`` from now on; its number stays."""

    kind: ClassVar[str] = "session.renamed"
    title: str


class SessionTagged(ReversibleAct, frozen=True, kw_only=True):
    """The session has the tags ``added`` from now on, and those ``removed`` no more."""

    kind: ClassVar[str] = "session.tagged"
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class BookmarkSet(ReversibleAct, frozen=True, kw_only=True):
    """A place to come back to; ``removed`` takes it away."""

    kind: ClassVar[str] = "bookmark.set"
    target: Target
    note: str = ""
    removed: bool = False


class PreferenceStated(ReversibleAct, frozen=True, kw_only=True):
    """Which of two whole sessions of one task is better: this one against ``other``; None takes one's word back.

    It is about the trajectories, and says nothing of any step. It is written in the older of the two, whose id is less;
    a newer word of the actor about the same two takes the place of the older.
    """

    kind: ClassVar[str] = "preference.stated"
    other: str
    """The id of the other session, which is the younger."""
    verdict: Literal["better", "worse", "equal"] | None = None
    note: str = ""


class CursorMoved(Body, frozen=True, kw_only=True):
    """What the actor has read of this session since their last such event, coalesced by the client.

    ``read_seq`` is the newest event that they have looked at: "since you left" begins there. ``read`` is what they have
    looked at, and nothing else: who opens the newest step has not read the night before it. ``let_go``: up to this seq
    nothing counts as unread for them any more, though nobody has looked at it; None: as before.
    """

    kind: ClassVar[str] = "cursor.moved"
    v: ClassVar[int] = 2
    read_seq: Seq
    read: tuple[SeqRange, ...] = ()
    let_go: Seq | None = None

    @classmethod
    def up_to(cls, seq: int) -> CursorMoved:
        """Everything from the beginning to ``seq`` was read."""
        return cls(read_seq=seq, read=(SeqRange(1, seq),))


class SignalJudged(ReversibleAct, frozen=True, kw_only=True):
    """A person's word on a signal (its id is rule + causing event)."""

    kind: ClassVar[str] = "signal.judged"
    signal: SignalId
    verdict: Literal["done", "snoozed", "false_alarm", "reopened"]
    until: int | None = None


class EffortSpent(Body, frozen=True, kw_only=True):
    """Active annotator time on this session since the last such event (idle cut off), and keys pressed."""

    kind: ClassVar[str] = "effort.spent"
    active_ms: int
    keys: int = 0


class ExportWritten(Body, frozen=True, kw_only=True):
    """This session went into an export."""

    kind: ClassVar[str] = "export.written"
    path: str
    format: str
    policy: str
    position: int
    """The log position (event id) that was exported."""
    trained: int = 0
    masked: int = 0
