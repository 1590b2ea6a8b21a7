"""What a person tells a session: advice, answers, pause and resume, limits. Each returns a receipt of one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec

from apollo_tui.acts.drafts import Draft
from apollo_tui.acts.error_hints import noted
from apollo_tui.acts.requests import KEYED, Verb, budget_named, is_limit_change, limit_request
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.events.states import ENDED
from sessions.hints import go_on
from sessions.host import protocol
from sessions.host.api_keys import key_here
from sessions.ulid import new_ulid


class Steering:
    """What the keys i, a, p, x x and the commands about a session do."""

    def __init__(self, feed: Feed, state: BoardState, keymap: Mapping[str, str] | None = None) -> None:
        self.feed = feed
        self.state = state
        self._keymap = keymap or {}

    def name(self, session: str) -> str:
        """``1 tune-lr``: for receipts."""
        summary = self.state.sessions[session].summary
        return f"{summary.number} {summary.title}"

    async def control(self, session: str, verb: Verb) -> str:
        """Ask for a change of state."""
        key = await self.feed.read(partial(key_here, session=session)) if verb in KEYED else None
        done = await self.feed.call(protocol.Control(request=new_ulid(), session=session, verb=verb, key=key))
        return f"{self.name(session)}: {self._note(done) or VERBS[verb]}"

    def pause_verb(self, session: str) -> Verb:
        """What ``p`` means now: pause, resume, start or reopen. Raises NotDone where it means nothing."""
        summary = self.state.sessions[session].summary
        if summary.pending == "pause":
            return "resume"
        if summary.state == "created":
            return "start"
        if summary.state in ("paused", "needs_you"):
            return "resume"
        if summary.state in ENDED:
            raise NotDone(f"{self.name(session)} is {summary.state}", remedies=[go_on(summary.number, "reopen")])
        return "pause"

    async def limit(self, session: str, name: str, change: str) -> str:
        """Set a budget: ``200``, or ``+200`` to raise it, or ``none`` to lift it."""
        budget = budget_named(name)
        if budget is None:
            raise NotDone(f"no limit is called {name}: {', '.join(protocol.BUDGETS)}")
        if not is_limit_change(change):
            raise NotDone(f"{change}: expected a number, +number or none")
        done = await self.feed.call(limit_request(new_ulid(), session, budget, change))
        return f"{self.name(session)}: {self._note(done) or f'limit of {name} {change}'}"

    async def send(self, draft: Draft, *, now: bool, seen: ev.Seen | None) -> str:
        """Queue the draft, put it in the place of queued advice, or answer the question. On disk when this returns."""
        where = self.name(draft.session)
        if draft.answers is not None:
            await self.feed.call(
                protocol.Answer(
                    request=draft.request, session=draft.session, text=draft.text, question=draft.answers, seen=seen
                )
            )
            return f"answered {where}"
        if draft.edits is not None:
            await self.feed.call(
                protocol.EditAdvice(
                    request=draft.request, session=draft.session, advice=draft.edits, text=draft.text, now=now
                )
            )
            return f"advice to {where} changed" + (", now" if now else "")
        done = await self.feed.call(
            protocol.QueueAdvice(
                request=draft.request,
                session=draft.session,
                text=draft.text,
                about=draft.about,
                now=now,
                drafted_at=draft.started_at,
                seen=seen,
            )
        )
        how, note = "now" if now else "queued", self._note(done)
        return f"{how}: advice to {where}{' · ' + note if note else ''} · u takes it back"

    async def send_to_all(self, draft: Draft, *, now: bool, seen: Callable[[str], ev.Seen | None]) -> str:
        """Queue the same advice for several sessions. Sent again after a failure, none gets it twice."""
        sessions = (draft.session, *draft.also)
        for at, session in enumerate(sessions):
            one = msgspec.structs.replace(draft, session=session, request=f"{draft.request}-{at}", about=None, also=())
            try:
                await self.send(one, now=now, seen=seen(session))
            except NotDone as problem:
                left = ", ".join(self.name(other) for other in sessions[at:])
                what = f"{at} of {len(sessions)} have it, not {left}: {problem}"
                raise NotDone(what, cut=problem.cut, remedies=problem.remedies) from problem
        names = ", ".join(self.name(session) for session in sessions)
        return f"{'now' if now else 'queued'}: advice to {len(sessions)} sessions, {names} · u takes the last one back"

    async def withdraw(self, session: str, advice: int, undoes: int | None = None) -> str:
        """Take queued advice back, to be a draft again. ``undoes``: the seq at which one queued it oneself."""
        call = protocol.WithdrawAdvice(request=new_ulid(), session=session, advice=advice, to_draft=True, undoes=undoes)
        await self.feed.call(call)
        return f"advice to {self.name(session)} is a draft again"

    def _note(self, done: protocol.Done) -> str:
        return noted(done, self._keymap)


VERBS: Final[dict[str, str]] = {
    "start": "starts",
    "pause": "pauses at the boundary",
    "resume": "goes on",
    "stop": "stops now",
    "interrupt": "the reply under way is cut",
    "archive": "archived; `:archived` shows it",
    "unarchive": "back from the archive, paused",
    "reopen": "reopened",
    "next": "goes on to the next boundary",
}
