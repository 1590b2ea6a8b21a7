"""One session's events as steps: what the model was asked, what it said, and what each of its calls came to.

Pure and of constant memory: a step is handed out when the next one begins. Screens, ``show``, the digest and training
all read a session through this fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.fold.released_reply import Replies

Fate = Literal["ok", "error", "timeout", "interrupted", "unknown", "refused", "running", "waiting"]
"""What a call came to: its outcome, ``refused``, or no result yet (``waiting`` has not even begun)."""

SIDE_KINDS: Final = frozenset(
    {
        "job.started",
        "job.backgrounded",
        "job.ended",
        "plan.changed",
        "file.changed",
        "eval.scored",
        "question.asked",
        "question.answered",
    }
)
"""Kinds that a step carries along as ``side_events``."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One action: the call as the model wrote it, and what became of it. ``number`` is the ``2`` of ``41.2``."""

    number: int
    part: CallPart | None
    """None only where a log has a result without the reply that called for it."""
    started: ev.Event | None = None
    ended: ev.Event | None = None
    """``action.result`` or ``action.refusal``."""
    jobs: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The tool's name, as far as anybody knows it."""
        if self.part is not None:
            return self.part.name
        bodies = (event.body for event in (self.started, self.ended) if event is not None)
        return next((body.name for body in bodies if isinstance(body, ev.ActionStarted | ev.ActionRefused)), "")

    @property
    def result(self) -> ev.ActionResult | None:
        """The observation of a call that ran."""
        return self.ended.body if self.ended and isinstance(self.ended.body, ev.ActionResult) else None

    @property
    def refusal(self) -> ev.ActionRefused | None:
        """Why the call never ran."""
        return self.ended.body if self.ended and isinstance(self.ended.body, ev.ActionRefused) else None

    @property
    def malformed(self) -> bool:
        """Whether the call was no call: unknown tool, or arguments that break the schema."""
        return self.refusal is not None and self.refusal.malformed

    @property
    def fate(self) -> Fate:
        """What the call came to so far."""
        if self.result is not None:
            return self.result.outcome
        if self.refusal is not None:
            return "refused"
        return "running" if self.started is not None else "waiting"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step. Events are whole, so that nobody has to look them up again."""

    session: str
    step: int
    requests: tuple[ev.Event, ...] = ()
    """All requests made for this step; more than one after a crash or when the context had to shrink."""
    reply: ev.Event | None = None
    calls: tuple[CallRecord, ...] = ()
    interrupted: tuple[ev.Event, ...] = ()
    """Partial replies that were cut: in the log, never in the context."""
    attempts_failed: tuple[ev.Event, ...] = ()
    advice: tuple[ev.Event, ...] = ()
    """``advice.delivered`` in the prompt of this step, and in no earlier one."""
    summaries: tuple[ev.Event, ...] = ()
    """``summary.written`` since the step before: the context of this step begins with the last one."""
    harness: tuple[ev.Event, ...] = ()
    """``harness.turn`` since the step before: what no person said and the prompt of this step holds."""
    nudge: ev.Event | None = None
    """The host's own user turn after this step's reply."""
    side_events: tuple[ev.Event, ...] = ()
    """Jobs, plans, files, scores and questions, in order."""
    dropped: bool = False
    """Whether the reply was left out of the context, and no other one took its place."""

    @property
    def reply_body(self) -> ev.ModelReplied | None:
        """The body of the reply."""
        return self.reply.body if self.reply and isinstance(self.reply.body, ev.ModelReplied) else None

    @property
    def request(self) -> ev.Event | None:
        """The request that the reply answers, else the newest one."""
        if self.reply_body is not None:
            for event in self.requests:
                if event.seq == self.reply_body.request:
                    return event
        return self.requests[-1] if self.requests else None

    @property
    def reasoning(self) -> str:
        """The reasoning that the model showed."""
        parts = self.reply_body.parts if self.reply_body else ()
        return "".join(part.text for part in parts if isinstance(part, ReasoningPart))

    @property
    def text(self) -> str:
        """The visible text of the reply."""
        parts = self.reply_body.parts if self.reply_body else ()
        return "".join(part.text for part in parts if isinstance(part, TextPart))

    @property
    def seqs(self) -> tuple[int, int]:
        """First and last seq of the step's own events; (0, 0) if it has none."""
        ends = (event for call in self.calls for event in (call.started, call.ended) if event is not None)
        singles = (event for event in (self.reply, self.nudge) if event is not None)
        groups = (self.requests, self.interrupted, self.attempts_failed, self.side_events)
        found = [*(event.seq for group in groups for event in group), *(event.seq for event in (*ends, *singles))]
        return (min(found), max(found)) if found else (0, 0)


@dataclass(slots=True)
class _Call:
    number: int
    part: CallPart | None = None
    started: ev.Event | None = None
    ended: ev.Event | None = None
    jobs: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Step:
    step: int
    session: str
    requests: list[ev.Event] = field(default_factory=list)
    reply: ev.Event | None = None
    replies: Replies = field(default_factory=Replies)
    calls: dict[int, _Call] = field(default_factory=dict)
    interrupted: list[ev.Event] = field(default_factory=list)
    attempts_failed: list[ev.Event] = field(default_factory=list)
    advice: list[ev.Event] = field(default_factory=list)
    summaries: list[ev.Event] = field(default_factory=list)
    harness: list[ev.Event] = field(default_factory=list)
    nudge: ev.Event | None = None
    side_events: list[ev.Event] = field(default_factory=list)

    def call(self, number: int) -> _Call:
        return self.calls.setdefault(number, _Call(number))

    def record(self) -> StepRecord:
        calls = (self.calls[number] for number in sorted(self.calls))
        return StepRecord(
            session=self.session,
            step=self.step,
            requests=tuple(self.requests),
            reply=self.reply,
            calls=tuple(CallRecord(c.number, c.part, c.started, c.ended, tuple(c.jobs)) for c in calls),
            interrupted=tuple(self.interrupted),
            attempts_failed=tuple(self.attempts_failed),
            advice=tuple(self.advice),
            summaries=tuple(self.summaries),
            harness=tuple(self.harness),
            nudge=self.nudge,
            side_events=tuple(self.side_events),
            dropped=self.reply is not None and self.replies.of(self.step) is None,
        )

    def choose(self, event: ev.Event) -> None:
        """Take a reply in, or what became of one: the step's is the released one, else the newest that there was."""
        self.replies.fold(event)
        self.reply = self.replies.of(self.step) or self.replies.newest_of(self.step)
        if self.reply is None or not isinstance(self.reply.body, ev.ModelReplied):
            return
        parts = [part for part in self.reply.body.parts if isinstance(part, CallPart)]
        for number, part in enumerate(parts, start=1):
            self.call(number).part = part
        chosen = isinstance(event.body, ev.ReplySuperseded) and event.body.new == self.reply.seq
        for number in [number for number in self.calls if number > len(parts)]:
            if chosen or not self.calls[number].started:  # begun by a reply that gave way to one with fewer calls
                del self.calls[number]


class Trajectory:
    """The incremental fold. ``fold`` returns the step that the event ended; ``current`` is the one under way."""

    def __init__(self, verdicts: Iterable[ev.Event] = ()) -> None:
        """``verdicts``: the ``reply.superseded`` that are known already; one may come after the next step has begun."""
        self._verdicts = list(verdicts)
        self._step: _Step | None = None
        self._advice: list[ev.Event] = []
        self._summaries: list[ev.Event] = []
        self._harness: list[ev.Event] = []
        self._summary_requests: set[int] = set()

    @property
    def current(self) -> StepRecord | None:
        """The step under way as it is now, None before the first."""
        return self._step.record() if self._step else None

    def fold(self, event: ev.Event) -> StepRecord | None:
        """Take the next event of the session; the finished step if this event begins another."""
        match event.body:
            case ev.AdviceDelivered():
                self._advice.append(event)
                return None
            case ev.HarnessTurn():
                self._harness.append(event)
                return None
            case ev.SummaryWritten():
                self._summaries.append(event)
                self._summary_requests.clear()
                return None
            case ev.ModelRequested(purpose="summary"):
                self._summary_requests.add(event.seq)
                return None
            case ev.ModelReplied() | ev.ModelAttemptFailed() | ev.ReplyInterrupted() as body:
                if body.request in self._summary_requests:
                    return None
            case _:
                pass
        ended = self._begin(event) if event.kind in _STEP_KINDS else None
        if self._step is not None:
            self._take(self._step, event)
        return ended

    def _begin(self, event: ev.Event) -> StepRecord | None:
        """Begin the step of ``event`` if it is a later one than that under way."""
        before = self._step
        if event.step is None or (before is not None and event.step <= before.step):
            return None
        self._step = _Step(
            event.step,
            event.session,
            replies=Replies(self._verdicts),
            advice=self._advice,
            summaries=self._summaries,
            harness=self._harness,
        )
        self._advice, self._summaries, self._harness = [], [], []
        return before.record() if before else None

    def _take(self, step: _Step, event: ev.Event) -> None:
        match event.body:
            case ev.ModelRequested(purpose="side"):
                return  # what a harness asks beside its work is no part of a step
            case ev.ModelRequested():
                step.requests.append(event)
                # Delivered into the prompt of a request that is made again, after a summary say.
                step.advice += self._advice
                step.summaries += self._summaries
                step.harness += self._harness
                self._advice, self._summaries, self._harness = [], [], []
            case ev.ModelReplied():
                step.choose(event)
            case ev.ReplySuperseded() if event.step == step.step:
                step.choose(event)
            case ev.ReplyInterrupted():
                step.interrupted.append(event)
            case ev.ModelAttemptFailed():
                step.attempts_failed.append(event)
            case ev.ActionStarted():
                step.call(event.call or 1).started = event
            case ev.ActionResult() | ev.ActionRefused():
                step.call(event.call or 1).ended = event
            case ev.NudgeSent():
                step.nudge = event
            case _ if event.kind in SIDE_KINDS:
                step.side_events.append(event)
                if isinstance(event.body, ev.JobStarted) and event.call is not None and event.step == step.step:
                    step.call(event.call).jobs.append(event.body.job)
            case _:
                pass


_STEP_KINDS: Final = frozenset(
    {"model.request", "model.reply", "model.interrupted", "model.attempt_failed", "action.started", "action.result"}
    | {"action.refused"}
)
"""Kinds that may be the first of a step: imported sessions have no requests."""


def steps(events: Iterable[ev.Event]) -> Iterator[StepRecord]:
    """The steps of one session's events (in seq order), each when it is over, the last one as it stands."""
    known = events if isinstance(events, list | tuple) else ()
    trajectory = Trajectory(event for event in known if isinstance(event.body, ev.ReplySuperseded))
    for event in events:
        ended = trajectory.fold(event)
        if ended is not None:
            yield ended
    if (last := trajectory.current) is not None:
        yield last
