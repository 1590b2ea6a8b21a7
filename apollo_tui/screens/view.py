"""The keys of every view besides those that judge: control, going elsewhere, taking along."""

from __future__ import annotations

import asyncio

from apollo_tui.screens.attention_keys import Attending
from apollo_tui.screens.flag_keys import JudgeVerbs
from apollo_tui.state.action_details import read_entry_text
from apollo_tui.terminal.clipboard import copy_text, copy_to_file
from apollo_tui.terminal.pager import edit_text, page_text


class Verbs(JudgeVerbs, Attending):
    """All verbs of a view: those that judge, and pause, interrupt, export, new, going elsewhere, taking along."""

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
        self.apollo.open.new_session()

    def action_review(self) -> None:
        """One queue over all sessions."""
        self.apollo.open.review()

    def action_export(self) -> None:
        """Turn sessions into training data."""
        self.apollo.open.export(self.session)

    def action_find(self) -> None:
        """Search all sessions."""
        from apollo_tui.screens.panels.prompt import LinePrompt

        def chosen(text: str | None) -> None:
            if text and text.strip():
                self.find_everywhere(text)

        last = self.desk.searches[-1] if self.desk.searches else ""
        hint = 'words, "a phrase", tool:run label:impatience state:paused session:3'
        self.app.push_screen(LinePrompt("find", hint, last), chosen)

    def find_everywhere(self, text: str) -> None:
        """Search all sessions for this."""
        from apollo_tui.screens.panels.search_results import find_everywhere

        find_everywhere(self, text)

    def action_goto(self) -> None:
        """To any session, by its number."""
        from apollo_tui.screens.panels.prompt import LinePrompt

        def chosen(text: str | None) -> None:
            if text:
                self.action_number(text.strip())

        self.app.push_screen(LinePrompt("session", "number"), chosen)

    def action_number(self, text: str) -> None:
        """To the session with this number."""
        session = self.desk.state.find_by_number(int(text)) if text.isdigit() else None
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
        text = await read_entry_text(self.desk.feed, self.desk.labels, session, seq)
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

    def open_in_editor(self) -> None:
        """Open what is selected in $EDITOR."""
        found = self.subject()
        if found is None:
            self.say("select an action first", "error")
        else:
            self.act(self._edit(found[0], found[1].seq))

    async def _edit(self, session: str, seq: int) -> str:
        text = await read_entry_text(self.desk.feed, self.desk.labels, session, seq)
        with self.app.suspend():
            return edit_text(text, "action.txt")

    async def _page(self, session: str, seq: int) -> str:
        text = await read_entry_text(self.desk.feed, self.desk.labels, session, seq)
        with self.app.suspend():
            return page_text(text, "action.txt")
