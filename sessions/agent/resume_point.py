"""Where a session stands: a pure fold of the newest part of its log, from which the loop knows what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sessions import events as ev
from sessions.events.messages import CallPart

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
    """The newest step with a reply, and what has happened since.

    ``open_request`` is a step's request that has neither a reply nor been interrupted.
    """

    tail: tuple[ev.Event, ...] = ()
    """Events from the newest reply on (from the beginning, if there is none), in seq order."""
    reply: ev.Event | None = None
    calls: tuple[CallState, ...] = ()
    open_request: ev.Event | None = None
    attempts: int = 0
    """Failed attempts of ``open_request``."""
    user_turn: bool = False
    """Whether a user turn (advice, nudge) stands after the reply."""
    observed: int = 0
    """Seq of the reply's last observation (of the reply itself, if it has none yet)."""
    halted: bool = False
    """Whether the session has come to rest since the last observation."""
    ended: bool = False
    """Whether the session has ended since then (and was reopened)."""

    @property
    def step(self) -> int:
        """The step of the newest reply, 0 before the first one."""
        return (self.reply.step or 0) if self.reply else 0

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
    reply = next((e for e in reversed(tail) if isinstance(e.body, ev.ModelReplied) and e.step is not None), None)
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
    open_request, attempts = _open_request(since)
    return ResumePoint(
        tail=tuple(event for event in tail if reply is None or event.seq >= reply.seq),
        reply=reply,
        calls=calls,
        open_request=open_request,
        attempts=attempts,
        user_turn=any(isinstance(e.body, ev.NudgeSent) or _is_turn(e) for e in since),
        observed=observed,
        halted=any(e.seq > observed and _enters(e, "paused", "needs_you", "finished", "stopped") for e in since),
        ended=any(e.seq > observed and _enters(e, "finished", "stopped") for e in since),
    )


def read_resume_point(reader: LogReader, session: str, step: int) -> ResumePoint:
    """Where a session stands whose newest step, answered or only requested, is ``step``. Two short reads."""
    replies = reader.events(session, kinds={"model.reply"}, steps=(step - 1, step), newest_first=True, limit=1)
    return resume_point_of(reader.events(session, after=replies[0].seq - 1 if replies else 0))


def _parts(reply: ev.Event | None) -> tuple[object, ...]:
    return reply.body.parts if reply is not None and isinstance(reply.body, ev.ModelReplied) else ()


def _open_request(since: Sequence[ev.Event]) -> tuple[ev.Event | None, int]:
    found: ev.Event | None = None
    attempts = 0
    for event in since:
        match event.body:
            case ev.ModelRequested(purpose="step"):
                found, attempts = event, 0
            case ev.ReplyInterrupted() as body if found and body.request == found.seq:
                found, attempts = None, 0
            case ev.ModelAttemptFailed() as body if found and body.request == found.seq:
                attempts += 1
            case _:
                continue
    return found, attempts


def _is_turn(event: ev.Event) -> bool:
    body = event.body
    return isinstance(body, ev.AdviceDelivered) and body.channel == "user" and not body.without_effect


def _enters(event: ev.Event, *states: str) -> bool:
    return isinstance(event.body, ev.StateChanged) and event.body.state in states
