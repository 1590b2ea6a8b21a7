"""Editing queued advice: the composer is bound at once, and the queued text comes before what is typed meanwhile."""

from __future__ import annotations

import contextlib

import msgspec
from textual.worker import Worker, WorkerCancelled

from apollo_tui.drafts import Draft
from apollo_tui.feed import NotDone
from apollo_tui.screens.advising import Advising
from sessions.fold.summary import ADVICE_KEPT


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
