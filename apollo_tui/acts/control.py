"""What a person tells a session: advice, answers, pause and resume, limits. Each returns a receipt of one line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

import msgspec

from apollo_tui.acts.drafts import Draft
from apollo_tui.acts.error_hints import explain_receipt
from apollo_tui.acts.requests import KEYED, find_budget, is_limit_change, limit_request, send_annotation
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.errors import ApolloError
from sessions.events.states import ENDED
from sessions.fold.advice import AdviceBook
from sessions.hints import go_on
from sessions.host import protocol
from sessions.log.reader import LogReader
from sessions.ulid import new_ulid
from widgets.models import EarlierText


def session_name(state: BoardState, session: str) -> str:
    """``1 tune-lr``: for receipts; the end of its id for one that the log does not have."""
    if session not in state.sessions:
        return f"session {session[-8:]}"
    summary = state.sessions[session].summary
    return f"{summary.address} {summary.title}"


async def request_control(
    feed: Feed, session: str, verb: ev.Verb, *, undoes: int | None = None, bulk: str = "", request: str = ""
) -> protocol.Done:
    """Ask for a change of state, with the model's key where the agent is to work. Raises NotDone."""
    from sessions.host.api_keys import key_here  # no part of the app's start

    key = await feed.read(partial(key_here, session=session)) if verb in KEYED else None
    return await feed.call(
        protocol.Control(request=request or new_ulid(), session=session, verb=verb, key=key, undoes=undoes, bulk=bulk)
    )


class SessionControl:
    """What the keys i, a, p, x x and the commands about a session do."""

    def __init__(self, feed: Feed, state: BoardState, keymap: Mapping[str, str] | None = None) -> None:
        self._feed = feed
        self._state = state
        self._keymap = keymap or {}

    async def control(self, session: str, verb: ev.Verb) -> str:
        """Ask for a change of state."""
        done = await request_control(self._feed, session, verb)
        return f"{self._name(session)}: {self._note(done) or VERBS[verb]}"

    def pause_verb(self, session: str) -> ev.Verb:
        """What ``p`` means now: pause, resume, start or reopen. Raises NotDone where it means nothing."""
        summary = self._state.sessions[session].summary
        if summary.pending == "pause":
            return "resume"
        if summary.state == "created":
            return "start"
        if summary.state in ("paused", "needs_you"):
            return "resume"
        if summary.state in ENDED:
            raise NotDone(f"{self._name(session)} is {summary.state}", remedies=[go_on(summary.address, "reopen")])
        return "pause"

    def hold_verb(self, session: str) -> ev.Verb:
        """What ``h`` means now: hold the next reply, or do not, or let the one go that is held."""
        summary = self._state.sessions[session].summary
        held = summary.state == "needs_you" and summary.need == "gate"
        return "resume" if held or summary.pending == "hold" else "hold"

    async def limit(self, session: str, name: str, change: str) -> str:
        """Set a budget: ``200``, or ``+200`` to raise it, or ``none`` to lift it."""
        budget = find_budget(name)
        if budget is None:
            raise NotDone(f"no limit is called {name}: {', '.join(protocol.BUDGETS)}")
        if not is_limit_change(change):
            raise NotDone(f"{change}: expected a number, +number or none")
        done = await self._feed.call(limit_request(new_ulid(), session, budget, change))
        return f"{self._name(session)}: {self._note(done) or f'limit of {name} {change}'}"

    async def send(self, draft: Draft, *, now: bool, seen: ev.Seen | None, bulk: str = "") -> str:
        """Queue the draft, put it in the place of queued advice, or answer the question. On disk when this returns.

        ``bulk``: the id of the act, where the same goes to several sessions.
        """
        where = self._name(draft.session)
        if draft.answers is not None:
            await self._feed.call(
                protocol.Answer(
                    request=draft.request, session=draft.session, text=draft.text, question=draft.answers, seen=seen
                )
            )
            return f"answered {where}"
        if draft.edits is not None:
            await self._feed.call(
                protocol.EditAdvice(
                    request=draft.request, session=draft.session, advice=draft.edits, text=draft.text, now=now
                )
            )
            if draft.reach:
                await self.say_reach(draft.session, draft.edits, draft.reach)
            return f"advice to {where} changed" + (", now" if now else "")
        done = await self._feed.call(
            protocol.QueueAdvice(
                request=draft.request,
                session=draft.session,
                text=draft.text,
                about=draft.about,
                now=now,
                drafted_at=draft.started_at,
                seen=seen,
                reach=draft.reach or "general",
                bulk=bulk,
            )
        )
        how, note = "now" if now else "queued", self._note(done)
        reach = draft.reach or "general"
        return f"{how}: advice to {where}, {reach}{' · ' + note if note else ''} · u takes it back"

    async def send_to_all(self, draft: Draft, *, now: bool, seen: Callable[[str], ev.Seen | None]) -> str:
        """Queue the same advice for several sessions. Sent again after a failure, none gets it twice."""
        sessions = (draft.session, *draft.also)
        for at, session in enumerate(sessions):
            one = msgspec.structs.replace(draft, session=session, request=f"{draft.request}-{at}", about=None, also=())
            try:
                await self.send(one, now=now, seen=seen(session), bulk=draft.request)
            except NotDone as problem:
                left = ", ".join(self._name(other) for other in sessions[at:])
                what = f"{at} of {len(sessions)} have it, not {left}: {problem}"
                raise NotDone(what, cut=problem.cut, remedies=problem.remedies) from problem
        names = ", ".join(self._name(session) for session in sessions)
        return f"{'now' if now else 'queued'}: advice to {len(sessions)} sessions, {names} · u takes all back"

    async def say_reach(self, session: str, advice: int, reach: ev.Reach) -> str:
        """Say how far advice reaches, also after its delivery."""
        await send_annotation(self._feed, session, ev.AdviceReach(advice=advice, reach=reach))
        words = "general" if reach == "general" else "here only"
        return f"advice {advice} to {self._name(session)}: {words} · u undoes"

    async def say_standing(self, session: str, advice: int, *, standing: bool) -> str:
        """Say whether advice is to hold as long as the work goes on."""
        await send_annotation(self._feed, session, ev.AdviceStanding(advice=advice, standing=standing))
        words = "standing: said again where a harness's new conversation lacks it" if standing else "done, not standing"
        return f"advice {advice} to {self._name(session)}: {words} · u undoes"

    async def withdraw(self, session: str, advice: int, undoes: int | None = None, *, to_draft: bool = True) -> str:
        """Take queued advice back, to be a draft again. ``undoes``: the seq at which one queued it oneself."""
        await self._feed.call(
            protocol.WithdrawAdvice(
                request=new_ulid(), session=session, advice=advice, to_draft=to_draft, undoes=undoes
            )
        )
        name = self._name(session)
        return f"advice to {name} is a draft again" if to_draft else f"advice {advice} to {name} is taken back"

    async def assign_thread(self, session: str, *, step: int | None = None, thread: str = "") -> str:
        """Say that the conversation of a step is a sub-agent's, or that the one of this name is the main line."""
        call = protocol.AssignThread(request=new_ulid(), session=session, step=step, thread=thread)
        return f"{self._name(session)}: {self._note(await self._feed.call(call))}"

    def _name(self, session: str) -> str:
        return session_name(self._state, session)

    def _note(self, done: protocol.Done) -> str:
        return explain_receipt(done, self._keymap)


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
    "hold": "its next reply is held",
    "drop": "its last reply is left out of the context",
    "shorten": "a summary takes the place of what was said",
    "retry": "sends the same request once more",
}

RECALLED: Final = 30
"""So many earlier pieces of advice are brought back."""


async def read_earlier_advice(feed: Feed, session: str, waiting: Collection[int]) -> list[EarlierText]:
    """What this annotator wrote to the session before, and all that still waits (its numbers), oldest first.

    Nothing if the log cannot say.
    """

    def ask(reader: LogReader) -> list[EarlierText]:
        queued = reader.events(session, kinds={"advice.queued"}, newest_first=True, limit=RECALLED)
        first = min([event.seq for event in queued], default=1)
        edited = reader.events(session, kinds={"advice.edited"}, after=first - 1)
        newest = {event.body.advice: event.body.text for event in edited if isinstance(event.body, ev.AdviceEdited)}
        return [
            EarlierText(newest.get(body.advice, body.text), body.advice if body.advice in waiting else None)
            for event in reversed(queued)
            if isinstance(body := event.body, ev.AdviceQueued) and (event.actor == feed.actor or body.advice in waiting)
        ]

    try:
        return await feed.read(ask)
    except ApolloError:
        return []


async def read_reach(feed: Feed, session: str, number: int) -> ev.Reach | None:
    """How far advice reaches by now; None if nobody said it, or the log cannot say."""

    def ask(reader: LogReader) -> ev.Reach | None:
        record = AdviceBook(reader.events(session, kinds={"advice.queued", "advice.reach"})).get(number)
        return record.reach if record is not None else None

    try:
        return await feed.read(ask)
    except ApolloError:
        return None


async def find_queued(feed: Feed, session: str, number: int) -> ev.Event | None:
    """The event that queued advice ``number``; None if the log cannot say."""

    def ask(reader: LogReader) -> ev.Event | None:
        events = reader.events(session, kinds={"advice.queued"}, newest_first=True)
        return next((e for e in events if isinstance(e.body, ev.AdviceQueued) and e.body.advice == number), None)

    try:
        return await feed.read(ask)
    except ApolloError:
        return None


async def read_advice_text(feed: Feed, session: str, number: int) -> str | None:
    """The newest text of advice, whole; None if the log cannot say."""

    def ask(reader: LogReader) -> str | None:
        kinds = {"advice.queued", "advice.edited"}
        for event in reader.events(session, kinds=kinds, newest_first=True):
            if isinstance(event.body, ev.AdviceQueued | ev.AdviceEdited) and event.body.advice == number:
                return event.body.text
        return None

    try:
        return await feed.read(ask)
    except ApolloError:
        return None
