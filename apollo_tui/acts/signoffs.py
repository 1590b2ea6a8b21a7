"""A person's word on a whole session: sign-off, note, bookmarks. Each act returns a receipt of one line."""

from __future__ import annotations

from collections.abc import Sequence

from apollo_tui.acts.flags import Judging, Subject
from apollo_tui.backend.feed import NotDone
from sessions import events as ev
from sessions.fold.flags import SessionVerdict
from sessions.fold.notes import SessionNotes, sign_off_text
from sessions.log.reader import LogReader
from sessions.ulid import new_ulid


class Signing:
    """What the keys S and B, and the commands about notes and bookmarks do."""

    def __init__(self, judging: Judging) -> None:
        self.judging = judging

    def remarks(self, session: str) -> SessionNotes:
        """All remarks on the session that stand."""
        return self.judging.state.sessions[session].remarks

    def own(self, session: str) -> ev.SignedOff | None:
        """This annotator's sign-off that stands."""
        return self.remarks(session).sign_offs.get(self.judging.state.actor)

    async def sign_off(self, session: str, verdict: SessionVerdict | None, up_to: int | None = None) -> str:
        """Sign off; without a verdict and a step, one's sign-off is taken back."""
        body = ev.SignedOff(verdict=verdict, up_to_step=up_to)
        if verdict is None and up_to is None and self.own(session) is None:
            raise NotDone(f"you have not signed off {self._name(session)}")
        await self.judging.annotate(session, body, new_ulid())
        if verdict is None and up_to is None:
            return f"{self._name(session)}: your sign-off is taken back · u undoes"
        return f"{self._name(session)}: {sign_off_text(body)} · u undoes"

    async def note(self, session: str, text: str) -> str:
        """Write one's note on the session (colleagues see it, the agent does not); an empty one takes it away."""
        await self.judging.annotate(session, ev.NoteWritten(text=text.strip()), new_ulid())
        return f"{self._name(session)}: note {'written' if text.strip() else 'taken away'} · u undoes"

    async def bookmark(self, subject: Subject, note: str = "") -> str:
        """Set one's bookmark; a second time takes it away."""
        there = self.remarks(subject.session).has_bookmark(self.judging.state.actor, subject.target)
        body = ev.BookmarkSet(target=subject.target, note=note, removed=there and not note)
        await self.judging.annotate(subject.session, body, new_ulid())
        return f"bookmark {'taken away' if body.removed else 'set'}: {subject.words} · u undoes"

    async def place_of(self, session: str, target: ev.Target) -> int:
        """The seq of the entry that ``target`` is about. Raises NotDone if it has none."""
        found = await self.judging.feed.read(lambda reader: seq_of(reader, session, target))
        if found is None:
            raise NotDone(f"{self._name(session)} has no entry {target}")
        return found

    def _name(self, session: str) -> str:
        summary = self.judging.state.sessions[session].summary
        return f"{summary.number} {summary.title}"


def seq_of(reader: LogReader, session: str, target: ev.Target) -> int | None:
    """The seq of the entry that ``target`` is about, None if there is none."""
    if target.part == "summary":
        written: Sequence[ev.Event] = reader.events(session, kinds={"summary.written"})
        return next((e.seq for e in written if isinstance(e.body, ev.SummaryWritten) and e.body.number == target.step),
                    None)  # fmt: skip
    kinds = {"action.started", "action.refused"} if target.part == "call" else {"model.reply"}
    events = reader.events(session, steps=(target.step, target.step), kinds=kinds)
    return next((event.seq for event in events if target.part != "call" or event.call == target.call), None)
