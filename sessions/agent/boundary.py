"""The boundary: what happens between a step's last observation and the next request, in one fixed order."""

from __future__ import annotations

from typing import Final, Literal

from sessions import events as ev
from sessions.agent import advice as deliver
from sessions.agent.prompts import NUDGE
from sessions.agent.resume_point import Position
from sessions.agent.session import NeedsPerson, Scope
from sessions.agent.wakeup import first_of
from sessions.fold import budget
from sessions.providers.base import Playback

MOST_NUDGES: Final = 3
"""This many replies without a call in a row ask for a person."""

Verdict = Literal["request", "look_again", "finish", "stop"]


class Boundary:
    """Decides at the boundary of one session. Each decision is committed, or follows from what is."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def decide(self, position: Position) -> Verdict:
        """What comes next: a request, the session's end, or another look at the log, which has grown.

        Raises NeedsPerson after too many replies without a call.
        """
        scope, summary = self._scope, self._scope.summary
        if summary.pending == "stop":
            return "stop"
        if await self._pause(position):
            return "look_again"
        if playback := scope.playback:
            return await self._play_on(playback, position)
        if position.finishing:
            return "look_again" if await self._advise(position, wait=True) else "finish"
        if await self._stop_at_limit(position):
            return "look_again"
        if position.refused("limit") and budget.evaluations_left(summary) == 0:
            used = budget.Budget("evaluations", summary.evaluations, summary.limits.evaluations or 0)
            await scope.commit(ev.StateChanged(state="paused", need="limit", reason=budget.limit_reason(used)))
            return "look_again"
        if await self._advise(position, wait=position.refused("skipped_for_advice") and not position.user_turn):
            return "look_again"
        silent = position.reply is not None and not position.calls and not position.user_turn
        return await self._nudge(position) if silent else "request"

    async def _play_on(self, playback: Playback, position: Position) -> Verdict:
        """The next recorded reply, up to the end of the recording. Advice is delivered, but changes nothing."""
        if position.step and await playback.is_over(position.step):
            return "finish"
        if await self._stop_at_limit(position):
            return "look_again"
        await self._deliver(position)
        return "request"

    async def _stop_at_limit(self, position: Position) -> bool:
        """Pause where a budget is used up. True if it is."""
        reason = budget.reached(self._scope.summary, self._scope.now(), step=position.step)
        if reason:
            await self._scope.commit(ev.StateChanged(state="paused", need="limit", reason=reason))
        return bool(reason)

    async def _pause(self, position: Position) -> bool:
        scope, pending = self._scope, self._scope.summary.pending
        if pending == "next":
            asked = scope.services.reader.events(scope.session, kinds={"control.requested"}, newest_first=True, limit=1)
            if not asked or position.observed < asked[0].seq:
                return False
        elif pending not in ("pause", "interrupt"):
            return False
        reason = {"next": "at the next boundary", "interrupt": "interrupted"}.get(pending, "")
        await scope.commit(ev.StateChanged(state="paused", reason=reason), actor=scope.last_actor(pending))
        return True

    async def _advise(self, position: Position, *, wait: bool) -> bool:
        """Deliver advice that is ready; with ``wait``, held advice gets its chance first. True if the log has grown."""
        scope = self._scope
        while wait and not deliver.ready(scope.summary, scope.now()):
            rung = scope.bell.listen()
            seconds = deliver.held_for(scope.summary, scope.now())
            if seconds is None:
                return False
            await first_of(rung.wait(), scope.services.sleep(seconds))
            if scope.summary.pending:
                return True
        return await self._deliver(position)

    async def _deliver(self, position: Position) -> bool:
        """Deliver the advice that is ready now. True if there was any."""
        scope = self._scope
        # A person may be taking it back or changing it in this very moment, and is told so: their word comes first.
        await scope.services.writer.caught_up()
        numbers = [advice.advice for advice in deliver.ready(scope.summary, scope.now())]
        if not numbers:
            return False
        pieces = deliver.queued(scope.services.reader, scope.session, numbers)
        delivered = ev.AdviceDelivered(
            advice=tuple(piece.advice for piece in pieces),
            at_step=position.step + 1,
            text=deliver.turn(scope.created.nonce, pieces),
            woke=position.woken,
            without_effect=scope.playback is not None,
        )
        await scope.commit(delivered, step=position.step + 1)
        return True

    async def _nudge(self, position: Position) -> Verdict:
        """After a reply without a call: the host's own turn, or a person's."""
        streak = self._scope.summary.nudges + 1
        if streak >= MOST_NUDGES:
            if await self._advise(position, wait=True):
                return "look_again"
            raise NeedsPerson("nudges", f"{MOST_NUDGES} replies in a row called no tool; advise it, or resume")
        await self._scope.commit(ev.NudgeSent(text=NUDGE, streak=streak), step=position.step)
        return "look_again"
