"""Corrections: what the agent should have done instead, written in the composer on the selected reply or action."""

from __future__ import annotations

from functools import partial
from typing import Final

from textual.worker import Worker

from apollo_tui import keys
from apollo_tui.acts.drafts import Draft
from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.composer import Editing
from sessions import events as ev
from sessions.errors import ApolloError
from sessions.events.messages import CallPart, TextPart
from sessions.fold.corrections import broken_call, call_text
from sessions.hints import Remedy
from sessions.log.reader import LogReader
from widgets.models import Entry

HINTS: Final = [
    ("enter", "save"),
    ("up", "its call"),
    ("ctrl+j", "new line"),
    (keys.display_name("pageup"), "scroll"),
    (keys.display_name("escape"), "leave"),
]


class Correcting(Editing):
    """``C`` on what is selected."""

    def subject(self) -> tuple[str, Entry] | None:
        """What ``f`` and ``C`` take: the selected entry, else the newest action on screen for half a second."""
        return None

    def action_correct(self) -> None:
        """Bind the composer at once, with one's word on it so far; saved empty, that is taken back."""
        found = self.subject()
        if found is None:
            return
        session, entry = found
        if entry.step is None or entry.kind not in ("action", "reply"):
            self.say("only replies and actions can be corrected", "error")
            return
        target = ev.Target(entry.step, "call", entry.call) if entry.call else ev.Target(entry.step)
        self.open_draft(Draft(session, self._standing(session, target), self.desk.clock(), corrects=target))

    def _standing(self, session: str, target: ev.Target) -> str:
        return self.desk.state.sessions[session].remarks.corrections.own(self.desk.actor, target)

    def extra_hints(self) -> list[tuple[str, str]]:
        """Here enter saves and nothing is sent."""
        correcting = self.typing and self._draft is not None and self._draft.corrects is not None
        return HINTS if correcting else super().extra_hints()

    def keep_draft(self) -> None:
        """What stands in the log already is no draft."""
        draft = self._draft
        if draft is None or draft.corrects is None or draft.text != self._standing(draft.session, draft.corrects):
            super().keep_draft()
            return
        self._unsaved_since = None
        self.desk.drafts.clear(draft.session, draft.slot)

    async def _earlier(self, session: str) -> list[str]:
        """``up`` brings what the agent did, to be changed."""
        if self._draft is None or self._draft.corrects is None:
            return await super()._earlier(session)
        try:
            done = await self.desk.feed.read(partial(text_of, session=session, target=self._draft.corrects))
        except ApolloError:
            return []
        return [done] if done else []

    async def _send(self, draft: Draft, about: Worker[ev.Target | None] | None, *, now: bool) -> str:
        if draft.corrects is None:
            return await super()._send(draft, about, now=now)
        text = draft.text.strip()
        try:
            receipt = await self.desk.judging.correct(draft.session, draft.corrects, text, draft.request)
        except NotDone as problem:
            ways = (*problem.remedies, Remedy("send_correction", "brings it back", also=True))
            raise NotDone(f"not saved: {problem}", cut=problem.cut, remedies=ways) from problem
        stored = self.desk.drafts.load(draft.session, draft.slot)
        if stored is not None and stored.request == draft.request:
            self.desk.drafts.clear(draft.session, draft.slot)
        return receipt + _words_only(text) + self._still_trained(draft.session, draft.corrects) if text else receipt

    def _still_trained(self, session: str, target: ev.Target) -> str:
        """A correction masks nothing: that is what a flag is for."""
        flags = self.desk.state.sessions[session].flags.values()
        if any(flag.target.step <= target.step <= (flag.target.to_step or flag.target.step) for _, flag in flags):
            return ""
        flag = keys.key_name("flag", self.desk.config.keys)
        return f" · it masks nothing: {flag} flags what the agent did"


def _words_only(text: str) -> str:
    """What looks like a call and is none makes no pair, which nobody would see."""
    name = broken_call(text)
    return f" · kept as words: {name} is followed by no whole JSON object, or by more than calls" if name else ""


def text_of(reader: LogReader, session: str, target: ev.Target) -> str:
    """What the agent did at ``target``, as a correction would say it: its call, or its text and all its calls."""
    replies = reader.events(session, steps=(target.step, target.step), kinds={"model.reply"}, newest_first=True)
    reply = next((event.body for event in replies if isinstance(event.body, ev.ModelReplied)), None)
    parts = reply.parts if reply is not None else ()
    calls = [call_text(part.name, part.arguments) for part in parts if isinstance(part, CallPart)]
    if target.part == "call":
        return calls[(target.call or 1) - 1] if len(calls) >= (target.call or 1) else ""
    said = "".join(part.text for part in parts if isinstance(part, TextPart)).strip()
    return "\n".join(filter(None, (said, *calls)))
