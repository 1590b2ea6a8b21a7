"""What is said of a session besides flags: sign-offs, notes, bookmarks, recovery marks and corrections of annotators,
and what an import could not keep of its file. A fold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from sessions import events as ev
from sessions.annotators import shown_name
from sessions.fold import recording
from sessions.fold.corrections import CorrectionBook
from sessions.fold.recording import RecordingBook

KINDS: Final = frozenset(
    {
        "recovery.marked",
        "session.signed_off",
        "session.note",
        "bookmark.set",
        "correction.written",
        "beginning.purged",
        "session.created",
        "terms.set",
        *recording.KINDS,
    }
)
"""The kinds that this fold takes; others change nothing."""


class Bookmark(msgspec.Struct, frozen=True):
    """A place to come back to. ``at`` in Unix ms."""

    target: ev.Target
    by: str
    note: str
    at: int


class SessionNotes:
    """All remarks on one session that stand."""

    def __init__(self, events: Iterable[ev.Event] = ()) -> None:
        self.recoveries: dict[int, str] = {}
        """Steps with a recovery mark, and who set it."""
        self.sign_offs: dict[str, ev.SignedOff] = {}
        self.notes: dict[str, str] = {}
        """One note per annotator: a newer one takes the place of the older, an empty one takes it away."""
        self._bookmarks: dict[tuple[str, str], Bookmark] = {}
        self.terms = ev.Terms()
        """On which terms it may be used."""
        self.purged: list[ev.BeginningPurged] = []
        """That the session which this one began in is gone."""
        self.corrections = CorrectionBook()
        self.recording = RecordingBook()
        for event in events:
            self.fold(event)

    def fold(self, event: ev.Event) -> None:
        """Take the next event."""
        match event.body:
            case ev.RecoveryMarked(removed=True, at_step=step):
                self.recoveries.pop(step, None)
            case ev.RecoveryMarked(at_step=step):
                self.recoveries[step] = event.actor
            case ev.SignedOff(verdict=None, up_to_step=None):
                self.sign_offs.pop(event.actor, None)
            case ev.SignedOff() as body:
                # What stands is the same whichever way it came to stand.
                self.sign_offs[event.actor] = msgspec.structs.replace(body, undoes=None, bulk="")
            case ev.NoteWritten(text=""):
                self.notes.pop(event.actor, None)
            case ev.NoteWritten(text=text):
                self.notes[event.actor] = text
            case ev.BookmarkSet(removed=True) as body:
                self._bookmarks.pop((event.actor, str(body.target)), None)
            case ev.BookmarkSet() as body:
                self._bookmarks[event.actor, str(body.target)] = Bookmark(body.target, event.actor, body.note, event.at)
            case ev.CorrectionWritten():
                self.corrections.fold(event)
            case ev.SessionCreated(terms=terms):
                self.terms = terms
            case ev.TermsSet():
                self.terms = set_terms(self.terms, event.body)
            case ev.BeginningPurged():
                self.purged.append(event.body)
            case ev.RecordingLoss() | ev.RecordingRead():
                self.recording.fold(event)
            case _:
                pass

    @property
    def bookmarks(self) -> list[Bookmark]:
        """All bookmarks, by step."""
        return sorted(self._bookmarks.values(), key=lambda mark: (mark.target.step, mark.target.call or 0))

    def has_bookmark(self, actor: str, target: ev.Target) -> bool:
        """Whether ``actor`` has a bookmark there."""
        return (actor, str(target)) in self._bookmarks

    def sign_off_lines(self) -> list[str]:
        """The sign-offs, one line each: ``good by ada``, ``judged up to step 40 by ben``."""
        return [f"{sign_off_text(body)} by {shown_name(who)}" for who, body in self.sign_offs.items()]


def set_terms(before: ev.Terms, said: ev.TermsSet) -> ev.Terms:
    """The terms after somebody said some of them anew."""
    new = {name: word for name in ev.Terms.__struct_fields__ if (word := getattr(said, name)) is not None}
    return msgspec.structs.replace(before, **new)


def sign_off_text(body: ev.SignedOff) -> str:
    """A sign-off in words."""
    if body.verdict is None:
        return f"judged up to step {body.up_to_step}"
    return body.verdict + (f" up to step {body.up_to_step}" if body.up_to_step else "")
