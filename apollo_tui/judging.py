"""Verdicts: flag, label, take back, undo. What a key means is decided from the log; each act returns a receipt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from apollo_tui.feed import Feed, NotDone
from apollo_tui.state import BoardState
from apollo_tui.undo import UNDOABLE, Act, last_act, undo_request
from sessions.host import protocol
from sessions.labels import UNSPECIFIED, Taxonomy
from sessions.log import events as ev
from sessions.log.reader import LogReader
from sessions.ulid import new_ulid

LOOK_BACK: Final = 300
"""How many of a session's newest acts ``u`` looks through."""

Verdict = Literal["bad", "good", "unsure"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a verdict is about: one entry of one session, as its anchor event says."""

    session: str
    number: int
    title: str
    target: ev.Target
    name: str

    @property
    def words(self) -> str:
        """``1 tune-lr · 40.1 job_kill``: for receipts."""
        return f"{self.number} {self.title} · {self.target} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Standing:
    """A flag that is in force on a subject."""

    flag: str
    actor: str
    body: ev.FlagSet


class Judging:
    """What the keys f, F and u do."""

    def __init__(self, feed: Feed, state: BoardState, labels: Taxonomy) -> None:
        self.feed = feed
        self.state = state
        self.labels = labels

    async def subject(self, session: str, seq: int) -> Subject:
        """What a verdict on the entry at ``seq`` is about. Raises NotDone for entries that cannot be judged."""
        event = await self.feed.read(lambda reader: reader.event(session, seq))
        found = target_of(event) if event else None
        if event is None or found is None:
            raise NotDone("only replies, actions and summaries can be flagged")
        summary = self.state.sessions[session].summary
        return Subject(session, summary.number, summary.title, found, name_of(event))

    def standing(self, subject: Subject) -> list[Standing]:
        """The flags in force on exactly this subject, oldest first."""
        flags = self.state.sessions[subject.session].flags
        return [Standing(flag, who, body) for flag, (who, body) in flags.items() if body.target == subject.target]

    def own_bare(self, subject: Subject) -> Standing | None:
        """This annotator's flag without label and note, which ``f`` may take back."""
        for flag in self.standing(subject):
            bare = flag.body.label == UNSPECIFIED and flag.body.verdict == "bad" and not flag.body.note
            if flag.actor == self.state.actor and bare:
                return flag
        return None

    def own(self, subject: Subject) -> Standing | None:
        """This annotator's newest flag on the subject."""
        return next((flag for flag in reversed(self.standing(subject)) if flag.actor == self.state.actor), None)

    async def flag(
        self, subject: Subject, *, label: str = UNSPECIFIED, note: str = "", verdict: Verdict = "bad", seen: ev.Seen
    ) -> str:
        """Set a flag, in place of one's own earlier one, and return the receipt."""
        before = self.own(subject)
        body = ev.FlagSet(flag=new_ulid(), target=subject.target, verdict=verdict, label=label, note=note, seen=seen)
        await self._annotate(subject.session, body, new_ulid())
        if before is not None:
            await self._annotate(subject.session, ev.FlagRemoved(flag=before.flag), new_ulid())
        words = "good" if verdict == "good" else ("unsure" if verdict == "unsure" else self.labels.name(label))
        return f"⚑ {subject.words}: {words} · u undoes"

    async def unflag(self, subject: Subject, flag: Standing) -> str:
        """Take one's own flag back and return the receipt."""
        await self._annotate(subject.session, ev.FlagRemoved(flag=flag.flag), new_ulid())
        return f"flag taken back: {subject.words} · u undoes"

    # --- undo ---------------------------------------------------------------------------------------------------

    async def last(self) -> Act | None:
        """The act that ``u`` would undo now."""
        actor = self.state.actor
        sessions = list(self.state.sessions)

        def own(reader: LogReader) -> list[ev.Event]:
            found: list[ev.Event] = []
            for session in sessions:
                acts = reader.events(session, kinds=UNDOABLE, newest_first=True, limit=LOOK_BACK)
                found += [event for event in acts if event.actor == actor]
            return found

        events = await self.feed.read(own)
        waiting = {
            session: {advice.advice for advice in now.summary.open_advice}
            for session, now in self.state.sessions.items()
        }
        return last_act(events, waiting)

    def words(self, act: Act) -> str:
        """What would be undone, and where."""
        summary = self.state.sessions[act.session].summary
        where = f"{summary.number} {summary.title}"
        match act.event.body:
            case ev.FlagSet() as body:
                return f"flag {self.labels.name(body.label)} on {where} · {body.target}"
            case ev.FlagRemoved():
                return f"taking back a flag on {where}"
            case ev.AdviceQueued() as body:
                return f"advice to {where}: {body.text}"
            case other:
                return f"{other.kind} on {where}"

    async def undo(self, act: Act, restore: Callable[[ev.AdviceQueued], None]) -> str:
        """Undo ``act``; advice comes back as a draft through ``restore``. Returns the receipt."""
        request = undo_request(act.event)
        match act.event.body:
            case ev.FlagSet():
                await self._annotate(act.session, ev.FlagRemoved(flag=act.flag), request)
            case ev.FlagRemoved(flag=removed):
                body = await self._flag_body(act.session, removed)
                await self._annotate(act.session, msgspec.structs.replace(body, flag=new_ulid()), request)
            case ev.AdviceQueued(advice=number) as advice:
                await self.feed.call(
                    protocol.WithdrawAdvice(request=request, session=act.session, advice=number, to_draft=True)
                )
                restore(advice)
            case _:
                raise NotDone("that cannot be undone")
        return f"undone: {self.words(act)}"

    async def _flag_body(self, session: str, flag: str) -> ev.FlagSet:
        def ask(reader: LogReader) -> ev.FlagSet | None:
            for event in reader.events(session, kinds={"flag.set"}, newest_first=True):
                if isinstance(event.body, ev.FlagSet) and event.body.flag == flag:
                    return event.body
            return None

        found = await self.feed.read(ask)
        if found is None:
            raise NotDone("the flag is not in the log")
        return found

    async def _annotate(self, session: str, body: ev.Body, request: str) -> None:
        plain = msgspec.to_builtins(body)
        await self.feed.call(protocol.Annotate(request=request, session=session, kind=body.kind, body=plain))


def target_of(event: ev.Event) -> ev.Target | None:
    """What a verdict on the entry of this anchor event is about, None if it cannot be judged."""
    match event.body:
        case ev.ActionStarted() | ev.ActionRefused() if event.step and event.call:
            return ev.Target(event.step, "call", event.call)
        case ev.ModelReplied() if event.step:
            return ev.Target(event.step)
        case ev.SummaryWritten(number=number):
            return ev.Target(number, "summary")
    return None


def name_of(event: ev.Event) -> str:
    """What the entry is called in receipts."""
    match event.body:
        case ev.ActionStarted(name=name) | ev.ActionRefused(name=name):
            return name
        case ev.ModelReplied():
            return "reply"
        case _:
            return ""
