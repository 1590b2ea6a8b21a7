"""What an annotator has read: pure bookkeeping of attention, coalesced into rare ``cursor.moved`` events.

Read = selected, or on the Session or Action screen for at least a second, within a minute of a key press. Only what
was looked at itself: who opens the newest step has not read the night before it. Live panes and idle terminals never
mark anything read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sessions.events import CursorMoved, SeqRange
from sessions.fold.read_ranges import ReadBook
from widgets.models import Anchor

LOOKED_MS: Final = 1_000
AWAKE_MS: Final = 60_000
COALESCE_MS: Final = 5_000


class ReadMarks:
    """Per session: what this annotator has read, and what of it the log does not know yet. Times in ms."""

    def __init__(self) -> None:
        self._books: dict[str, ReadBook] = {}
        self._untold: dict[str, ReadBook] = {}
        self._let_go: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._key_at = -AWAKE_MS
        self._on_screen: tuple[str, dict[SeqRange, int]] = ("", {})

    def book(self, session: str) -> ReadBook:
        """What was read of a session."""
        found = self._books.get(session)
        if found is None:
            found = self._books[session] = ReadBook()
        return found

    def know(self, session: str, moved: CursorMoved) -> None:
        """The log says what this annotator has read."""
        self.book(session).take(moved)

    def learn(self, session: str, book: ReadBook) -> None:
        """The log said all this when the app began to read it."""
        known = self.book(session)
        known.cursor = max(known.cursor, book.cursor)
        if session not in self._let_go:
            known.let_go = book.let_go
        for part in book:
            known.add(part.first, part.last)

    def key(self, now: int) -> None:
        self._key_at = now

    def select(self, session: str, part: SeqRange, now: int) -> None:
        """The annotator selected what these events show."""
        self._read(session, [part], now)

    def show(self, session: str, parts: Sequence[SeqRange], now: int) -> None:
        """The Session or Action screen shows these parts of ``session``; call it again at every tick."""
        known = self._on_screen[1] if self._on_screen[0] == session else {}
        # What stands there already keeps its time; only what is new has to earn its second.
        shown = {part: known.get(part, now) for part in parts}
        self._on_screen = (session, shown)
        if now - self._key_at <= AWAKE_MS:
            self._read(session, [part for part, since in shown.items() if now - since >= LOOKED_MS], now)

    def let_go(self, session: str, seq: int, now: int) -> None:
        """Up to ``seq`` nothing counts as unread any more; it was not read for all that."""
        self.book(session).let_go = seq
        self._let_go[session] = seq
        self._since.setdefault(session, now)

    def _read(self, session: str, parts: Iterable[SeqRange], now: int) -> None:
        book = self.book(session)
        for part in parts:
            if book.add(part.first, part.last):
                book.cursor = max(book.cursor, part.last)
                self._untold.setdefault(session, ReadBook()).add(part.first, part.last)
                self._since.setdefault(session, now)

    def due(self, now: int, *, all_of_it: bool = False) -> dict[str, CursorMoved]:
        """What the log should hear of now, by session; it counts as told."""
        ready = [session for session, since in self._since.items() if all_of_it or now - since >= COALESCE_MS]
        told = {}
        for session in ready:
            del self._since[session]
            parts = tuple(self._untold.pop(session, ()))
            told[session] = CursorMoved(
                read_seq=self.book(session).cursor, read=parts, let_go=self._let_go.pop(session, None)
            )
        return told

    def put_back(self, session: str, moved: CursorMoved, now: int) -> None:
        """The log could not be told: try again later."""
        for part in moved.read:
            self._untold.setdefault(session, ReadBook()).add(part.first, part.last)
        if moved.let_go is not None:
            self._let_go.setdefault(session, moved.let_go)
        self._since.setdefault(session, now)


def parts_of(anchors: Sequence[Anchor], seqs: Iterable[int], quiet: Callable[[int], bool]) -> list[SeqRange]:
    """What the entries ``seqs`` of a transcript show: each with the routine before it, which has no row of its own.

    Ranges of neighbours touch, so that what is read in one go is one range.
    """
    parts = []
    for seq in seqs:
        at = bisect_left(anchors, seq, key=_seq)
        while at > 0 and quiet(anchors[at - 1].seq):
            at -= 1
        parts.append(SeqRange(anchors[at - 1].seq + 1 if at else 1, seq))
    return parts


def _seq(anchor: Anchor) -> int:
    return anchor.seq
