"""The keys that judge, the same on every view: flags, labels, recovery, sign-off, bookmarks, undo, redo, history."""

from __future__ import annotations

from functools import partial

import msgspec

from apollo_tui.acts.drafts import Draft
from apollo_tui.acts.flags import Subject, Word
from apollo_tui.acts.undo import Act
from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.composer import joined
from apollo_tui.screens.corrections import Correcting
from sessions import events as ev
from widgets.models import Entry


class JudgeVerbs(Correcting):
    """What is said of actions and sessions, and taken back."""

    _undo_shown: int | None = None

    def has_action(self) -> bool:
        """Whether ``f`` would take something."""
        return self.subject() is not None

    async def find_subject(self, session: str, entry: Entry) -> Subject:
        """What a verdict on this entry is about."""
        return await self.desk.judging.subject(session, entry.seq)

    def seen(self, session: str) -> ev.Seen | None:
        """What of the session was on the screen when a verdict was given; None: nothing."""
        return self.look().seen(session, self.desk.clock())

    def show_entry(self, session: str, seq: int) -> None:
        """Show an entry of any session, selected."""
        raise NotImplementedError

    # --- flags ------------------------------------------------------------------------------------------------------

    def action_flag(self) -> None:
        """Flag as bad, without a label; or take one's own bare flag back."""
        found = self.subject()
        if found is not None:
            self.act(self._flag(*found))

    async def _flag(self, session: str, entry: Entry) -> str:
        subject = await self.find_subject(session, entry)
        bare = self.desk.judging.own_bare(subject)
        if bare is not None:
            return await self.desk.judging.unflag(subject, bare)
        if self.desk.judging.own(subject) is not None:
            self._pick_label(subject)
            return ""
        return await self.desk.judging.flag(subject, seen=self.seen(session))

    def action_label(self) -> None:
        """Flag with a label and a note."""
        found = self.subject()
        if found is not None:
            self.act(self._label(*found))

    async def _label(self, session: str, entry: Entry) -> str:
        self._pick_label(await self.find_subject(session, entry))
        return ""

    def _pick_label(self, subject: Subject) -> None:
        from apollo_tui.screens.panels.labels import LabelPanel, Picked

        judging = self.desk.judging
        seen = self.seen(subject.session)

        def chosen(picked: Picked | None) -> None:
            if picked is None:
                return
            if picked.remove is not None:
                self.act(judging.unflag(picked.subject, picked.remove))
            elif picked.recovery:
                self.act(judging.mark_recovery(picked.subject))
            elif picked.repeat:
                self.act(self._repeat_on(picked.subject, picked.word, seen))
            else:
                self.act(judging.flag(picked.subject, picked.word, seen=seen))

        self.app.push_screen(LabelPanel(subject, self.desk.labels, judging.standing, self.desk.actor), chosen)

    async def _repeat_on(self, subject: Subject, more: Word, seen: ev.Seen | None) -> str:
        last = await self.desk.judging.last_word()
        word = Word(last.verdict, last.label, more.note, more.severity, more.until_recovery)
        return await self.desk.judging.flag(subject, word, seen=seen)

    def action_repeat_label(self) -> None:
        """The last label once more."""
        found = self.subject()
        if found is not None:
            self.act(self._repeat(*found))

    async def _repeat(self, session: str, entry: Entry) -> str:
        subject = await self.find_subject(session, entry)
        return await self._repeat_on(subject, Word(), self.seen(session))

    def action_good(self) -> None:
        """The action is good."""
        self._say(Word("good"))

    def action_unsure(self) -> None:
        """Nobody can tell yet."""
        self._say(Word("unsure"))

    def _say(self, word: Word) -> None:
        found = self.subject()
        if found is not None:
            self.act(self._word(*found, word))

    async def _word(self, session: str, entry: Entry, word: Word) -> str:
        subject = await self.find_subject(session, entry)
        return await self.desk.judging.flag(subject, word, seen=self.seen(session))

    def action_recovery(self) -> None:
        """From this step on the agent is on its feet again."""
        found = self.subject()
        if found is not None:
            self.act(self._recovery(*found))

    async def _recovery(self, session: str, entry: Entry) -> str:
        return await self.desk.judging.mark_recovery(await self.find_subject(session, entry))

    def action_begin_span(self) -> None:
        """A span begins here."""
        found = self.subject()
        if found is not None:
            self.act(self._begin_span(*found))

    async def _begin_span(self, session: str, entry: Entry) -> str:
        return self.desk.judging.begin_span(await self.find_subject(session, entry))

    # --- the session ------------------------------------------------------------------------------------------------

    def action_sign_off(self) -> None:
        """A word on the whole session."""
        from apollo_tui.screens.panels.signoff import Signed, SignOffPanel

        session = self.session
        if session is None:
            return
        desk = self.desk
        found = self.subject()
        entry = found[1] if found is not None and found[0] == session else None
        step = (entry.step if entry is not None else None) or desk.state.sessions[session].summary.step

        def chosen(signed: Signed | None) -> None:
            if signed is None:
                return
            if signed.note:
                self.write_note(session)
            else:
                self.act(desk.signing.sign_off(session, signed.verdict, signed.up_to))

        name = desk.steering.name(session)
        self.app.push_screen(SignOffPanel(name, step, desk.signing.remarks(session), desk.actor), chosen)

    def write_note(self, session: str) -> None:
        """One's note on the session, in one line."""
        from apollo_tui.screens.panels.prompt import LinePrompt

        before = self.desk.signing.remarks(session).notes.get(self.desk.actor, "")

        def chosen(text: str | None) -> None:
            if text is not None and text.strip() != before:
                self.act(self.desk.signing.note(session, text))

        label = f"note on {self.desk.steering.name(session)}"
        self.app.push_screen(LinePrompt(label, "colleagues see it, the agent does not", before), chosen)

    def action_bookmark(self) -> None:
        """Set or take away a bookmark."""
        found = self.subject()
        if found is not None:
            self.act(self._bookmark(*found))

    async def _bookmark(self, session: str, entry: Entry) -> str:
        return await self.desk.signing.bookmark(await self.find_subject(session, entry))

    def action_bookmarks(self) -> None:
        """All bookmarks, to jump to."""
        from apollo_tui.screens.panels.signoff import BookmarkPanel
        from sessions.fold.notes import Bookmark

        desk = self.desk
        first = [self.session] if self.session else []
        order = [*first, *(one for one in desk.state.order() if one != self.session)]
        marks = [
            (session, desk.steering.name(session), mark)
            for session in order
            for mark in desk.signing.remarks(session).bookmarks
        ]
        if not marks:
            self.say("no bookmark yet: B sets one on the selected entry")
            return

        def chosen(place: tuple[str, Bookmark] | None) -> None:
            if place is not None:
                self.act(self._go_to_target(place[0], place[1].target))

        self.app.push_screen(BookmarkPanel(marks), chosen)

    async def _go_to_target(self, session: str, target: ev.Target) -> str:
        self.show_entry(session, await self.desk.signing.place_of(session, target))
        return ""

    # --- undo, redo, history ----------------------------------------------------------------------------------------

    def action_undo(self) -> None:
        """Undo this annotator's last act; off screen it is shown first."""
        self.act(self._undo())

    async def _undo(self) -> str:
        selected = await self.subject_entry()
        if selected is not None and (withdrawn := await self._withdraw(*selected)):
            return withdrawn
        act = await self.desk.undoing.last()
        if act is None:
            return "nothing of yours can be undone"
        if (act.passed or not self.shows(act.session)) and self._undo_shown != act.event.id:
            self._undo_shown = act.event.id
            return f"u again undoes: {self.desk.undoing.words(act)}"
        self._undo_shown = None
        return await self.desk.undoing.undo(act, lambda advice: self.bring_back(act.session, advice))

    def action_redo(self) -> None:
        """Do again what was undone last; off screen it is shown first."""
        self.act(self._redo())

    async def _redo(self) -> str:
        act = await self.desk.undoing.last_undone()
        if act is None:
            return "nothing of yours to do again"
        if not self.shows(act.session) and self._undo_shown != -act.event.id:
            self._undo_shown = -act.event.id
            return f"U again does again: {self.desk.undoing.words(act)}"
        self._undo_shown = None
        return await self.desk.undoing.redo(act)

    def action_history(self) -> None:
        """Everything that this annotator did on this log."""
        self.act(self._history())

    async def _history(self) -> str:
        from apollo_tui.screens.panels.signoff import HistoryPanel

        def chosen(act: Act | None) -> None:
            if act is not None:
                self.act(self._go_to_act(act))

        acts = await self.desk.undoing.history()
        if not acts:
            self.say("you did nothing on this log yet")
            return ""
        if self.typing:
            raise NotDone("leave the text field first")
        panel = HistoryPanel(acts, self.desk.undoing, self.act, partial(self.bring_back, opened=False))
        self.app.push_screen(panel, chosen)
        return ""

    async def _go_to_act(self, act: Act) -> str:
        if act.target is not None and act.target.part != "span":
            return await self._go_to_target(act.session, act.target)
        step = act.target.step if act.target is not None else None
        seq = await self.desk.signing.place_of(act.session, ev.Target(step)) if step else act.event.seq
        self.show_entry(act.session, seq)
        return ""

    async def _withdraw(self, session: str, seq: int) -> str:
        """On queued advice that is selected, ``u`` means that one; "" if it does not wait."""
        now = self.desk.state.sessions[session]
        number = now.advice.get(seq)
        if number is None or all(advice.advice != number for advice in now.summary.open_advice):
            return ""
        event = await self.desk.feed.read(lambda reader: reader.event(session, seq))
        text = await self._advice_text(session, number)
        own = event is not None and event.actor == self.desk.actor
        receipt = await self.desk.steering.withdraw(session, number, undoes=seq if own else None)
        if event is not None and isinstance(event.body, ev.AdviceQueued):
            self.bring_back(session, msgspec.structs.replace(event.body, text=text or event.body.text))
        return receipt

    def bring_back(self, session: str, advice: ev.AdviceQueued, *, opened: bool = True) -> None:
        """Withdrawn advice is a draft again; in the composer, if its session is on screen and it may be ``opened``."""
        draft = Draft(session, advice.text, advice.drafted_at or self.desk.clock(), about=advice.about)
        draft = joined(self.desk.drafts.load(session), draft)
        self.desk.drafts.save(draft)
        if opened and self.shows(session) and not self.typing:
            self.open_draft(draft)
