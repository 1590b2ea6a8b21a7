"""A person's word on a whole session: sign-off, note, bookmarks. Each act returns a receipt of one line."""

from __future__ import annotations

from collections.abc import Sequence

from apollo_tui.acts.control import session_name
from apollo_tui.acts.flags import Subject
from apollo_tui.acts.requests import send_annotation
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.fold.flags import SessionVerdict
from sessions.fold.notes import sign_off_text
from sessions.log.reader import LogReader


async def sign_off(
    feed: Feed, state: BoardState, session: str, verdict: SessionVerdict | None, up_to: int | None = None
) -> str:
    """Sign off; without a verdict and a step, one's sign-off is taken back."""
    name = session_name(state, session)
    body = ev.SignedOff(verdict=verdict, up_to_step=up_to)
    back = verdict is None and up_to is None
    if back and state.actor not in state.sessions[session].remarks.sign_offs:
        raise NotDone(f"you have not signed off {name}")
    await send_annotation(feed, session, body)
    return f"{name}: {'your sign-off is taken back' if back else sign_off_text(body)} · u undoes"


async def write_note(feed: Feed, state: BoardState, session: str, text: str) -> str:
    """Write one's note on the session (colleagues see it, the agent does not); an empty one takes it away."""
    await send_annotation(feed, session, ev.NoteWritten(text=text.strip()))
    return f"{session_name(state, session)}: note {'written' if text.strip() else 'taken away'} · u undoes"


async def toggle_bookmark(feed: Feed, state: BoardState, subject: Subject) -> str:
    """Set one's bookmark; a second time takes it away."""
    there = state.sessions[subject.session].remarks.has_bookmark(state.actor, subject.target)
    await send_annotation(feed, subject.session, ev.BookmarkSet(target=subject.target, removed=there))
    return f"bookmark {'taken away' if there else 'set'}: {subject.words} · u undoes"


async def find_entry(feed: Feed, state: BoardState, session: str, target: ev.Target) -> int:
    """The seq of the entry that ``target`` is about. Raises NotDone if it has none."""
    found = await feed.read(lambda reader: seq_of(reader, session, target))
    if found is None:
        raise NotDone(f"{session_name(state, session)} has no entry {target}")
    return found


def seq_of(reader: LogReader, session: str, target: ev.Target) -> int | None:
    """The seq of the entry that ``target`` is about, None if there is none."""
    if target.part == "summary":
        written: Sequence[ev.Event] = reader.events(session, kinds={"summary.written"})
        return next((e.seq for e in written if isinstance(e.body, ev.SummaryWritten) and e.body.number == target.step),
                    None)  # fmt: skip
    kinds = {"action.started", "action.refused"} if target.part == "call" else {"model.reply"}
    events = reader.events(session, steps=(target.step, target.step), kinds=kinds)
    return next((event.seq for event in events if target.part != "call" or event.call == target.call), None)
