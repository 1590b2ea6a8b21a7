"""Where a session stands: a pure fold of the newest part of its log, from which the loop knows what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.fold.released_reply import REPLY_KINDS, Replies

if TYPE_CHECKING:
    from sessions.log.reader import LogReader

FINISH: Final = "finish"
"""Key in an action result's data: the session is to finish after this step."""
NOTICES: Final = "told"
"""Key in an action result's data: budget name to the share (percent) that the model was told of with it."""


@dataclass(frozen=True, slots=True)
class CallState:
    """One call of the newest reply: ``number`` counts from 1; ``ended`` is its result or refusal."""

    number: int
    part: CallPart
    started: ev.Event | None = None
    ended: ev.Event | None = None


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The newest reply that the agent goes on from, and what has happened since.

    ``step`` is the newest step that had a reply, also where that was left out of the context: numbers are not given
    twice. ``open_request`` is a step's request that has neither a reply nor been interrupted.
    """

    tail: tuple[ev.Event, ...] = ()
    """Events from the newest reply on (from the beginning, if there is none), in seq order."""
    reply: ev.Event | None = None
    calls: tuple[CallState, ...] = ()
    open_request: ev.Event | None = None
    attempts: int = 0
    """Failed attempts of ``open_request``."""
    refused: str = ""
    """What of ``open_request`` the server refuses, where its newest attempt was refused for that."""
    step: int = 0
    user_turn: bool = False
    """Whether a user turn (advice, nudge) stands after the reply."""
    observed: int = 0
    """Seq of the reply's last observation (of the reply itself, if it has none yet)."""
    halted: bool = False
    """Whether the session has come to rest since the last observation."""
    ended: bool = False
    """Whether the session has ended since then (and was reopened)."""

    @property
    def reply_step(self) -> int:
        """The step of the reply, 0 before the first one."""
        return (self.reply.step or 0) if self.reply else 0

    @property
    def reply_in_context(self) -> ev.Event | None:
        """The reply, if no summary covers it."""
        written = (event.body for event in self.tail if isinstance(event.body, ev.SummaryWritten))
        return self.reply if self.reply_step > max((body.to_step for body in written), default=0) else None

    @property
    def open_calls(self) -> tuple[CallState, ...]:
        """Calls without an observation yet."""
        return tuple(call for call in self.calls if call.ended is None)

    @property
    def asks_to_finish(self) -> bool:
        """Whether a call of this step asked to finish and nobody has acted on it (nor reopened the session) since."""
        return not self.ended and not self.user_turn and any(data.get(FINISH) for data in self._results())

    @property
    def was_woken(self) -> bool:
        """Whether advice ended a wait in this step."""
        return any(data.get("why") == "advice" for data in self._results())

    def has_refusal(self, why: str) -> bool:
        """Whether a call of this step was refused for this reason and the session has not come to rest since."""
        ends = (call.ended.body for call in self.calls if call.ended is not None)
        return not self.halted and any(isinstance(body, ev.ActionRefused) and body.why == why for body in ends)

    def _results(self) -> list[dict[str, object]]:
        ends = (call.ended.body for call in self.calls if call.ended is not None)
        return [body.data for body in ends if isinstance(body, ev.ActionResult)]


def resume_point_of(tail: Sequence[ev.Event]) -> ResumePoint:
    """The point at the end of ``tail``, which begins with a step's reply or with the session's first event."""
    replies = Replies(tail)
    reply, dropped = replies.newest, replies.dropped_steps
    since = [event for event in tail if reply is None or event.seq > reply.seq]
    started = {e.call: e for e in since if isinstance(e.body, ev.ActionStarted) and reply and e.step == reply.step}
    ended = {
        e.call: e
        for e in since
        if isinstance(e.body, ev.ActionResult | ev.ActionRefused) and reply and e.step == reply.step
    }
    parts = [part for part in _parts(reply) if isinstance(part, CallPart)]
    calls = tuple(CallState(n, part, started.get(n), ended.get(n)) for n, part in enumerate(parts, 1))
    observed = max((event.seq for event in ended.values()), default=reply.seq if reply else 0)
    open_request, attempts, refused = _open_request(since)
    return ResumePoint(
        tail=tuple(event for event in tail if reply is None or event.seq >= reply.seq),
        reply=reply,
        calls=calls,
        open_request=open_request,
        attempts=attempts,
        refused=refused,
        step=replies.newest_step,
        user_turn=any(_is_nudge(e, dropped) or _is_turn(e) for e in since),
        observed=observed,
        halted=any(e.seq > observed and _enters(e, "paused", "needs_you", "finished", "stopped") for e in since),
        ended=any(e.seq > observed and _enters(e, "finished", "stopped") for e in since),
    )


def read_resume_point(reader: LogReader, session: str, step: int) -> ResumePoint:
    """Where a session stands whose newest step, answered or only requested, is ``step``. Two short reads, and more
    where its newest replies were left out."""
    first, last = step - 1, step
    found: list[ev.Event] = []
    while last > 0:
        found = [*reader.events(session, kinds=REPLY_KINDS, steps=(first, last)), *found]
        if Replies(found).newest is not None:
            break
        first, last = first - 2 * (step - first), first - 1
    newest = Replies(found).newest
    return resume_point_of(reader.events(session, after=newest.seq - 1 if newest is not None else 0))


def read_droppable_reply(reader: LogReader, session: str, step: int) -> ev.Event | None:
    """The reply that could be left out of the context: the newest that is in it, None if a summary covers all."""
    return read_resume_point(reader, session, step).reply_in_context


def _parts(reply: ev.Event | None) -> tuple[object, ...]:
    return reply.body.parts if reply is not None and isinstance(reply.body, ev.ModelReplied) else ()


def _open_request(since: Sequence[ev.Event]) -> tuple[ev.Event | None, int, str]:
    """The open request, its failed attempts, and what of it is refused."""
    found: ev.Event | None = None
    attempts, refused = 0, ""
    for event in since:
        match event.body:
            case ev.ModelRequested(purpose="step"):
                found, attempts, refused = event, 0, ""
            case ev.ReplyInterrupted() | ev.ModelReplied() as body if found and body.request == found.seq:
                found, attempts, refused = None, 0, ""
            case ev.ReplySuperseded():
                found, attempts, refused = None, 0, ""
            case ev.ModelAttemptFailed() as body if found and body.request == found.seq:
                attempts, refused = attempts + 1, body.refused
            case ev.SummaryWritten() | ev.ControlRequested(verb="retry"):
                refused = ""
            case _:
                continue
    return found, attempts, refused


def _is_nudge(event: ev.Event, dropped: frozenset[int]) -> bool:
    return isinstance(event.body, ev.NudgeSent) and event.step not in dropped


def _is_turn(event: ev.Event) -> bool:
    body = event.body
    return isinstance(body, ev.AdviceDelivered) and body.channel == "user" and not body.without_effect


def _enters(event: ev.Event, *states: str) -> bool:
    return isinstance(event.body, ev.StateChanged) and event.body.state in states
