"""The keys that judge and steer, the same on the board, the session and the action."""

from __future__ import annotations

import asyncio

from apollo_tui.drafts import Draft
from apollo_tui.judging import Subject
from apollo_tui.outside import copy_text, copy_to_file, page_text
from apollo_tui.screens.advising import Advising, joined
from apollo_tui.undo import Act
from apollo_tui.whole_action import text_of_entry
from sessions.log import events as ev
from widgets.views import Entry


class Verbs(Advising):
    """Flag, label, undo, pause, interrupt, export, new, leave."""

    _undo_shown: int | None = None

    def subject(self) -> tuple[str, Entry] | None:
        """What ``f`` takes: the selected entry, else the newest action on screen for half a second."""
        return None

    def has_action(self) -> bool:
        """Whether ``f`` would take something."""
        return self.subject() is not None

    async def subject_entry(self) -> tuple[str, int] | None:
        """What advice would be about: only what is selected."""
        return None

    def seen(self, session: str) -> ev.Seen:
        """What was on the screen when a verdict was given."""
        return ev.Seen(self.visible_seq() or self.desk.state.sessions[session].summary.last_seq)

    # --- flags ------------------------------------------------------------------------------------------------------

    def action_flag(self) -> None:
        """Flag as bad, without a label; or take one's own bare flag back."""
        found = self.subject()
        if found is not None:
            self.act(self._flag(*found))

    async def _flag(self, session: str, entry: Entry) -> str:
        subject = await self.desk.judging.subject(session, entry.seq)
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
        self._pick_label(await self.desk.judging.subject(session, entry.seq))
        return ""

    def _pick_label(self, subject: Subject) -> None:
        from apollo_tui.screens.labels import LabelPanel, Verdict

        def chosen(verdict: Verdict | None) -> None:
            if verdict is None:
                return
            if verdict.remove is not None:
                self.act(self.desk.judging.unflag(subject, verdict.remove))
                return
            seen = self.seen(subject.session)
            self.act(
                self.desk.judging.flag(
                    subject, label=verdict.label, note=verdict.note, verdict=verdict.verdict, seen=seen
                )
            )

        self.app.push_screen(
            LabelPanel(subject, self.desk.labels, self.desk.judging.standing(subject), self.desk.actor), chosen
        )

    # --- undo -------------------------------------------------------------------------------------------------------

    def action_undo(self) -> None:
        """Undo this annotator's last act; off screen it is shown first."""
        self.act(self._undo())

    async def _undo(self) -> str:
        selected = await self.subject_entry()
        if selected is not None and (withdrawn := await self._withdraw(*selected)):
            return withdrawn
        act = await self.desk.judging.last()
        if act is None:
            return "nothing of yours can be undone"
        if (act.passed or not self.shows(act.session)) and self._undo_shown != act.event.id:
            self._undo_shown = act.event.id
            return f"u again undoes: {self.desk.judging.words(act)}"
        self._undo_shown = None
        return await self._undo_now(act)

    async def _withdraw(self, session: str, seq: int) -> str:
        """On queued advice that is selected, ``u`` means that one; "" if it does not wait."""
        now = self.desk.state.sessions[session]
        number = now.advice.get(seq)
        if number is None or all(advice.advice != number for advice in now.summary.open_advice):
            return ""
        event = await self.desk.feed.read(lambda reader: reader.event(session, seq))
        receipt = await self.desk.steering.withdraw(session, number)
        if event is not None and isinstance(event.body, ev.AdviceQueued):
            self.bring_back(session, event.body)
        return receipt

    async def _undo_now(self, act: Act) -> str:
        return await self.desk.judging.undo(act, lambda advice: self.bring_back(act.session, advice))

    def bring_back(self, session: str, advice: ev.AdviceQueued) -> None:
        """Withdrawn advice is a draft again; in the composer, if its session is on screen."""
        draft = Draft(session, advice.text, advice.drafted_at or self.desk.clock(), about=advice.about)
        draft = joined(self.desk.drafts.load(session), draft)
        self.desk.drafts.save(draft)
        if self.shows(session) and not self.typing:
            self.open_draft(draft)

    # --- control ----------------------------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Pause at the boundary, or go on."""
        if self.session:
            self.act(self._pause(self.session))

    async def _pause(self, session: str) -> str:
        return await self.desk.steering.control(session, self.desk.steering.pause_verb(session))

    def action_interrupt(self) -> None:
        """Twice: cut the reply under way."""
        if self.session and self.twice(
            "interrupt", f"x again cuts the reply of {self.desk.steering.name(self.session)}"
        ):
            self.act(self.desk.steering.control(self.session, "interrupt"))

    # --- elsewhere --------------------------------------------------------------------------------------------------

    def action_new(self) -> None:
        """Create a session."""
        from apollo_tui.screens.new_session import NewSessionScreen

        self.app.push_screen(NewSessionScreen(self.desk))

    def action_export(self) -> None:
        """Turn sessions into training data."""
        from apollo_tui.screens.export import ExportScreen

        self.app.push_screen(ExportScreen(self.desk, self.session))

    def action_goto(self) -> None:
        """To any session, by its number."""
        from apollo_tui.screens.prompt import LinePrompt

        def chosen(text: str | None) -> None:
            if text:
                self.action_number(text.strip())

        self.app.push_screen(LinePrompt("session", "number"), chosen)

    def action_number(self, text: str) -> None:
        """To the session with this number."""
        session = self.desk.state.numbered(int(text)) if text.isdigit() else None
        if session is None:
            self.say(f"there is no session {text}", "error")
        else:
            self.go_to(session)

    def go_to(self, session: str) -> None:
        """Show another session here."""
        raise NotImplementedError

    # --- taking along -----------------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Copy what is selected, and say where the copy went."""
        found = self.subject()
        if found is not None:
            self.act(self._copy(found[0], found[1].seq, to_file=False))

    def copy_to_file(self) -> None:
        """Copy what is selected to a file."""
        found = self.subject()
        if found is None:
            self.say("select an action first", "error")
        else:
            self.act(self._copy(found[0], found[1].seq, to_file=True))

    async def _copy(self, session: str, seq: int, *, to_file: bool) -> str:
        text = await text_of_entry(self.desk.feed, self.desk.labels, session, seq)
        folder = self.desk.paths.folder
        if to_file:
            return await asyncio.to_thread(copy_to_file, text, folder)
        return await asyncio.to_thread(copy_text, text, folder, self._osc52)

    def _osc52(self, text: str) -> None:
        self.app.call_from_thread(self.app.copy_to_clipboard, text)

    def action_pager(self) -> None:
        """Open what is selected in $PAGER."""
        found = self.subject()
        if found is not None:
            self.act(self._page(found[0], found[1].seq))

    async def _page(self, session: str, seq: int) -> str:
        text = await text_of_entry(self.desk.feed, self.desk.labels, session, seq)
        with self.app.suspend():
            return page_text(text, "action.txt")
