"""The composer of a view: bound to a session from opening to leaving, its draft on disk within a second."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Final

import msgspec
from textual.worker import Worker, WorkerCancelled

from apollo_tui.acts.annotator_time import Sight
from apollo_tui.acts.drafts import Draft
from apollo_tui.backend.feed import NotDone
from apollo_tui.context import Desk
from apollo_tui.keys import COMPOSER, display_name
from apollo_tui.screens.base import ApolloScreen
from sessions import events as ev
from sessions.errors import ApolloError
from sessions.fold.summary import ADVICE_KEPT
from sessions.hints import Remedy
from sessions.log.reader import LogReader
from sessions.ulid import new_ulid
from widgets.composer import Composer
from widgets.models import ComposerTarget

SAVE_MS: Final = 300
"""A draft is written this long after the first key that is not on disk yet."""
RECALLED: Final = 30
SENDS: Final[dict[str, str]] = {"answer": "answer", "correct": "save", "note": "save"}
"""What enter does where it does not queue, by the composer's verb."""


class Advising(ApolloScreen):
    """Advise and answer; send, keep and bring back drafts."""

    _draft: Draft | None = None
    _unsaved_since: int | None = None
    _bound_step: int = 0
    _about: Worker[ev.Target | None] | None = None
    """Finds out what the advice is about, while it is being written."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.composer = Composer(id="composer")
        """The one text field of the screen."""

    async def subject_entry(self) -> tuple[str, int] | None:
        """(session, seq) of the selected entry that advice would be about; None: about the session."""
        return None

    def in_sight(self) -> dict[str, int]:
        """The sessions on screen, and the last visible event (seq) of each."""
        return {}

    def look(self) -> Sight:
        """Note what is on screen at this moment: a verdict may come before the next tick."""
        self.desk.sight.show(self.in_sight(), self.desk.clock())
        return self.desk.sight

    def extra_hints(self) -> list[tuple[str, str]]:
        """The composer's keys while it has the focus."""
        if not self.typing:
            return []
        found = [(display_name(names.split(", ")[0]), verb) for names, verb, _ in COMPOSER]
        sends = SENDS.get(self.composer.target.verb) if self.composer.target is not None else None
        # What is no advice to a running session has no "now".
        return found if sends is None else [(found[0][0], sends), *found[2:]]

    # --- opening ----------------------------------------------------------------------------------------------------

    def action_advise(self) -> None:
        """Write to this session."""
        if self.session:
            self._open(self.session)

    def put_text(self, text: str) -> None:
        """Begin advice to this session with a text that was pasted, after what its draft says."""
        self.action_advise()
        self.composer.put_after(text)
        if self._draft is not None:
            self.say(f"pasted into a draft to {self.desk.steering.name(self._draft.session)}; nothing is sent yet")

    def action_advise_marked(self) -> None:
        """Write the same advice to all marked sessions."""
        chosen = [session for session in self.desk.state.order() if session in self.desk.marked]
        if chosen:
            self._open(chosen[0], Draft(chosen[0], "", self.desk.clock(), also=tuple(chosen[1:])))

    def action_answer(self) -> None:
        """Answer what the agent asks."""
        if self.session:
            question = self.desk.state.sessions[self.session].summary.question
            draft = Draft(self.session, "", self.desk.clock(), answers=question)
            self._open(self.session, draft)

    def open_draft(self, draft: Draft) -> None:
        """Bring text back into the composer: an undo, or advice that was not sent."""
        self._open(draft.session, draft)

    def _open(self, session: str, wanted: Draft | None = None) -> None:
        """Bind the composer, at once: the next key is for it. What has to be looked up in the log is added then."""
        self.keep_draft()
        draft = joined(
            self.desk.drafts.load(session, wanted.slot if wanted else "advice"),
            wanted or Draft(session, "", self.desk.clock()),
        )
        if wanted is not None and wanted.also != draft.also:
            # The text is kept, but it goes to whom it says now.
            draft = msgspec.structs.replace(draft, also=wanted.also, request="")
        summary = self.desk.state.sessions[session].summary
        self._draft, self._unsaved_since, self._bound_step = draft, None, summary.step
        verb = "answer" if draft.answers is not None else ("edit" if draft.edits is not None else "advise")
        if draft.corrects is not None:
            verb = "correct"
        target = ComposerTarget(
            session=session,
            number=summary.number,
            title=summary.title,
            verb=verb,  # type: ignore[arg-type]  # one of the words above
            about=str(draft.corrects or draft.about or ""),
            ref=draft.answers if draft.answers is not None else draft.edits,
            also=tuple(self.desk.steering.name(other) for other in draft.also),
        )
        self.composer.bind(target, draft=draft.text)
        self._hinted = None
        fresh = wanted is None and draft.about is None and not draft.text
        self._about = self.run_worker(self._look_up(target, about_selection=fresh), group="composer")

    async def _look_up(self, target: ComposerTarget, *, about_selection: bool) -> ev.Target | None:
        """Give the composer what the log knows, and return the selected action, if that is what advice is about."""
        selected = await self.subject_entry() if about_selection else None
        about: ev.Target | None = None
        if selected is not None and selected[0] == target.session:
            with contextlib.suppress(NotDone):
                about = (await self.desk.judging.subject(*selected)).target
        earlier = await self._earlier(target.session)
        if self.composer.target is target:
            if about is not None and self._draft is not None:
                self._draft = msgspec.structs.replace(self._draft, about=about)
                target = msgspec.structs.replace(target, about=str(about))
            self.composer.complete(target, earlier)
        return about

    async def _earlier(self, session: str) -> list[str]:
        def ask(reader: LogReader) -> list[str]:
            events = reader.events(session, kinds={"advice.queued"}, newest_first=True, limit=RECALLED)
            own = [event.body for event in events if event.actor == self.desk.actor]
            return [body.text for body in own if isinstance(body, ev.AdviceQueued)]

        try:
            return (await self.desk.feed.read(ask))[::-1]
        except ApolloError:
            return []

    async def _advice_text(self, session: str, number: int) -> str | None:
        """The newest text of advice, whole; None if the log cannot say."""

        def ask(reader: LogReader) -> str | None:
            kinds = {"advice.queued", "advice.edited"}
            for event in reader.events(session, kinds=kinds, newest_first=True):
                if isinstance(event.body, ev.AdviceQueued | ev.AdviceEdited) and event.body.advice == number:
                    return event.body.text
            return None

        try:
            return await self.desk.feed.read(ask)
        except ApolloError:
            return None

    # --- while it is open -------------------------------------------------------------------------------------------

    def on_composer_draft_changed(self, message: Composer.DraftChanged) -> None:
        """Typed: keep it, on disk within a second."""
        if self._draft is None or message.text == self._draft.text:
            return
        # A changed text is another request: the old id may have been applied by a host that went away.
        self._draft = msgspec.structs.replace(self._draft, text=message.text, request="")
        if self._unsaved_since is None:
            self._unsaved_since = self.desk.clock()

    def on_composer_left(self) -> None:
        """Back to the screen; the draft stays."""
        self._close()

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        """Send. The draft is cleared when the host has acknowledged it, not before."""
        if self._draft is None:
            return
        if not message.text.strip() and self._draft.corrects is None:
            self._close()
            return
        request = self._draft.request or new_ulid()
        draft = msgspec.structs.replace(self._draft, text=message.text, request=request)
        self._draft = draft
        about = self._about
        self._close()
        self.look()
        self.say("sending …")
        self.act(self._send(draft, about, now=message.now))

    async def _send(self, draft: Draft, about: Worker[ev.Target | None] | None, *, now: bool) -> str:
        if about is not None and draft.about is None:
            # Whoever writes fast must not be told that the advice was about nothing.
            with contextlib.suppress(WorkerCancelled):  # the screen was left
                draft = msgspec.structs.replace(draft, about=await about.wait())
        seen = partial(self.desk.sight.seen, now=self.desk.clock())
        try:
            draft = await self.whole(draft)
            if draft.also:
                receipt = await self.desk.steering.send_to_all(draft, now=now, seen=seen)
            else:
                receipt = await self.desk.steering.send(draft, now=now, seen=seen(draft.session))
        except NotDone as problem:
            ways = (*problem.remedies, Remedy("send_draft", "brings the draft back", also=True))
            raise NotDone(f"not sent: {problem}", cut=problem.cut, remedies=ways) from problem
        stored = self.desk.drafts.load(draft.session, draft.slot)
        if stored is not None and stored.request == draft.request:
            self.desk.drafts.clear(draft.session, draft.slot)
        return receipt

    async def whole(self, draft: Draft) -> Draft:
        """The draft with what was still being read for it. Raises NotDone."""
        return draft

    def keep_draft(self) -> None:
        """Write the draft, if the disk does not have it yet."""
        if self._draft is None:
            return
        try:
            self.desk.drafts.save(self._draft)
        except OSError as problem:
            self.say(f"the draft could not be stored: {problem.strerror}", "error")
            return
        self._unsaved_since = None

    def _close(self) -> None:
        self.keep_draft()
        self._draft = None
        self.composer.unbind()
        self.refocus()
        self._hinted = None

    def refocus(self) -> None:
        """Give the focus to where it was before the composer opened."""

    def tick(self, now: int) -> None:
        """Store the draft, and say how far the session went meanwhile."""
        super().tick(now)
        self.look()
        if self._unsaved_since is not None and now - self._unsaved_since >= SAVE_MS:
            self.keep_draft()
        if self._draft is not None:
            step = self.desk.state.sessions[self._draft.session].summary.step
            self.composer.progress(max(0, step - self._bound_step))


def joined(stored: Draft | None, wanted: Draft) -> Draft:
    """What the composer opens with: nothing that was typed is lost, and nothing of another question is reused."""
    if stored is None or (stored.answers, stored.edits) != (wanted.answers, wanted.edits):
        return wanted
    if not wanted.text or wanted.text == stored.text or wanted.edits is not None or wanted.corrects is not None:
        return stored
    return msgspec.structs.replace(stored, text=f"{stored.text}\n{wanted.text}", request="")


class Editing(Advising):
    """``enter`` on advice that waits."""

    _fill: Worker[str | None] | None = None
    """Reads the queued text where the summary holds only its beginning; None once the composer has it."""

    def edit_advice(self, session: str, seq: int) -> bool:
        """Open queued advice for editing; False if it is not waiting any more."""
        now = self.desk.state.sessions[session]
        number = now.advice.get(seq)
        waiting = next((advice for advice in now.summary.open_advice if advice.advice == number), None)
        if waiting is None:
            return False
        whole = len(waiting.text) < ADVICE_KEPT
        draft = Draft(session, waiting.text if whole else "", self.desk.clock(), edits=waiting.advice)
        self.open_draft(draft)
        self._fill = None
        if not self.composer.text:
            self._fill = self.run_worker(self._read_whole(draft), group="fill")
        return True

    async def _read_whole(self, draft: Draft) -> str | None:
        """The queued text, put before what was typed; None if the log cannot be read."""
        text = await self._advice_text(draft.session, draft.edits or 0)
        if text is None:
            self.say("the queued advice could not be read: nothing is changed", "error")
            return None
        if self._draft is not None and (self._draft.session, self._draft.edits) == (draft.session, draft.edits):
            self.composer.put_before(text)
            self._fill = None
            return text
        # It was left before this came: what was typed is kept as the draft, after the text that it belongs to.
        stored = self.desk.drafts.load(draft.session, draft.slot)
        if stored is not None and stored.edits == draft.edits and not stored.request:
            with contextlib.suppress(OSError):
                self.desk.drafts.save(msgspec.structs.replace(stored, text=text + stored.text))
        return text

    async def whole(self, draft: Draft) -> Draft:
        """With the queued text, where it had not come when the draft was sent."""
        fill, self._fill = self._fill, None
        if fill is None or draft.edits is None:
            return draft
        with contextlib.suppress(WorkerCancelled):
            text = await fill.wait()
            if text is not None:
                draft = msgspec.structs.replace(draft, text=text + draft.text)
                with contextlib.suppress(OSError):
                    self.desk.drafts.save(draft)
                return draft
        raise NotDone("the queued advice could not be read")
