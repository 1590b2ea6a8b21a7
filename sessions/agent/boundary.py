"""The boundary: what happens between a step's last observation and the next request, in one fixed order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from sessions import events as ev
from sessions.agent.advice import read_queued, ready_advice, seconds_to_delivery, user_turn
from sessions.agent.prompts import NUDGE
from sessions.agent.resume_point import ResumePoint
from sessions.agent.session import NeedsPerson, Session
from sessions.agent.wakeup import wait_for_any
from sessions.fold import budget
from sessions.fold.summary import Summary
from sessions.providers.base import Playback

MOST_NUDGES: Final = 3
"""This many replies without a call in a row ask for a person."""

Decision = Literal["request", "look_again", "shorten", "finish", "stop"]


class Boundary:
    """Decides at the boundary of one session. Each decision is committed, or follows from what is.

    ``nudges``: whether a reply without a call is for the host to answer; a harness does that itself. ``count``: the
    session with all that counts towards its limits, where that is more than its own.
    """

    def __init__(self, session: Session, *, nudges: bool = True, count: Callable[[], Summary] | None = None) -> None:
        self._session = session
        self._nudges = nudges
        self._count = count or (lambda: session.summary)

    async def decide(self, point: ResumePoint) -> Decision:
        """What comes next: a request, a shorter context, the end, or another look at the log, which has grown.

        Raises NeedsPerson after too many replies without a call.
        """
        session, summary = self._session, self._session.summary
        if summary.pending == "stop":
            return "stop"
        if await self._pause(point):
            return "look_again"
        if playback := session.playback:
            return await self._play_on(playback, point)
        if point.asks_to_finish:
            return "look_again" if await self._advise(point, wait=True) else "finish"
        if await self._stop_at_limit(point):
            return "look_again"
        if point.has_refusal("limit") and budget.evaluations_left(summary) == 0:
            used = budget.Budget("evaluations", summary.evaluations, summary.limits.evaluations or 0)
            await session.commit(ev.StateChanged(state="paused", need="limit", reason=budget.limit_reason(used)))
            return "look_again"
        if summary.pending == "shorten":
            return "shorten"
        if await self._advise(point, wait=point.has_refusal("skipped_for_advice") and not point.user_turn):
            return "look_again"
        silent = self._nudges and point.reply is not None and not point.calls and not point.user_turn
        return await self._nudge(point) if silent else "request"

    async def _play_on(self, playback: Playback, point: ResumePoint) -> Decision:
        """The next recorded reply, up to the end of the recording. Advice is delivered, but changes nothing."""
        if point.step and await playback.is_over(point.step):
            return "finish"
        if await self._stop_at_limit(point):
            return "look_again"
        await self._deliver(point)
        return "request"

    async def _stop_at_limit(self, point: ResumePoint) -> bool:
        """Pause where a budget is used up. True if it is."""
        counted = self._count()
        below = counted.step - self._session.summary.step  # steps of its sub-agents
        reason = budget.reason_to_pause(counted, self._session.now(), step=point.step + below)
        if reason:
            await self._session.commit(ev.StateChanged(state="paused", need="limit", reason=reason))
        return bool(reason)

    async def _pause(self, point: ResumePoint) -> bool:
        session, pending = self._session, self._session.summary.pending
        if pending == "next":
            asked = session.services.reader.events(session.id, kinds={"control.requested"}, newest_first=True, limit=1)
            if not asked or point.observed < asked[0].seq:
                return False
        elif pending not in ("pause", "interrupt"):
            return False
        reason = {"next": "at the next boundary", "interrupt": "interrupted"}.get(pending, "")
        await session.commit(ev.StateChanged(state="paused", reason=reason), actor=session.last_actor(pending))
        return True

    async def _advise(self, point: ResumePoint, *, wait: bool) -> bool:
        """Deliver advice that is ready; with ``wait``, held advice gets its chance first. True if the log has grown."""
        session = self._session
        while wait and not ready_advice(session.summary, session.now()):
            woken = session.wakeup.listen()
            seconds = seconds_to_delivery(session.summary, session.now())
            if seconds is None:
                return False
            await wait_for_any(woken.wait(), session.services.sleep(seconds))
            if session.summary.pending:
                return True
        return await self._deliver(point)

    async def _deliver(self, point: ResumePoint) -> bool:
        """Deliver the advice that is ready now. True if there was any."""
        session = self._session
        # A person may be taking it back or changing it in this very moment, and is told so: their word comes first.
        await session.services.writer.wait_for_writes()
        numbers = [advice.advice for advice in ready_advice(session.summary, session.now())]
        if not numbers:
            return False
        pieces = read_queued(session.services.reader, session.id, numbers)
        harness = session.created.harness
        delivered = ev.AdviceDelivered(
            advice=tuple(piece.advice for piece in pieces),
            at_step=point.step + 1,
            text=user_turn(session.created.nonce, pieces, harness.advice if harness is not None else ""),
            woke=point.was_woken,
            without_effect=session.playback is not None,
        )
        await session.commit(delivered, step=point.step + 1)
        return True

    async def _nudge(self, point: ResumePoint) -> Decision:
        """After a reply without a call: the host's own turn, or a person's."""
        streak = self._session.summary.nudges + 1
        if streak >= MOST_NUDGES:
            if await self._advise(point, wait=True):
                return "look_again"
            raise NeedsPerson("nudges", f"{MOST_NUDGES} replies in a row called no tool; advise it, or resume")
        await self._session.commit(ev.NudgeSent(text=NUDGE, streak=streak), step=point.reply_step)
        return "look_again"
