"""One live pane: what it shows, where it stands, what is selected. It paints nothing and knows no widget."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from widgets.entries import fold_polls
from widgets.live import LIVE_SEQ, live_entries
from widgets.rows import gutter_width, rows_of
from widgets.viewport import Place, back, forward, scaled, tail, window
from widgets.views import Entry, Line, LiveReply

KEPT: Final = 400
"""Entries that a pane keeps; what is older is on the Session screen, and comes back when it is asked for."""


@dataclass(frozen=True, slots=True)
class PaneRow:
    """One painted row and the entry that it belongs to."""

    line: Line
    seq: int
    selected: bool


class Pane:
    """The newest entries of one session, and a place in them."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.following = True
        self.selected: int | None = None
        self.dirty = True
        self.tick_at: int | None = None
        """When (ms) a running time on screen changes its minute; None if nothing shown is under way."""
        self._entries: dict[int, Entry] = {}
        self._live: LiveReply | None = None
        self._replied = 0
        self._items: list[Entry] = []
        self._seqs: list[int] = []
        self._stale = True
        self._top: tuple[int, int] | None = None
        self._top_newest = 0
        self._left_at = 0
        self._size = (0, 0)
        self._now = 0
        self._rows: dict[int, tuple[Entry, int, bool, list[Line]]] = {}

    def put(self, entries: Iterable[Entry]) -> None:
        """Take in new and changed entries. A reply that is now in the log ends the partial one."""
        for entry in entries:
            self._entries[entry.seq] = entry
            if entry.kind == "reply" and entry.step is not None:
                if entry.name != "interrupted":
                    self._replied = max(self._replied, entry.step)
                if self._live is not None and self._live.step <= entry.step:
                    self._live = None
        if len(self._entries) > 2 * KEPT and self.following:
            for seq in sorted(self._entries)[:-KEPT]:
                del self._entries[seq]
        self._stale = self.dirty = True

    def set_live(self, live: LiveReply | None) -> None:
        """The reply that streams now; frames that come after their reply is in the log are late and shown no more."""
        if live is not None and live.step <= self._replied:
            live = None
        if live != self._live:
            self._live = live
            self._stale = self.dirty = True

    @property
    def newest(self) -> int:
        """The seq of the newest entry, 0 if there is none."""
        return max(self._entries, default=0)

    @property
    def oldest(self) -> int:
        """The seq of the oldest entry that is kept, 0 if there is none."""
        return min(self._entries, default=0)

    @property
    def unseen(self) -> int:
        """How many entries came since the reader stopped following."""
        return 0 if self.following else sum(1 for e in self.items() if self._left_at < e.seq < LIVE_SEQ)

    def entry(self, seq: int | None) -> Entry | None:
        """An entry by its seq."""
        return None if seq is None else self._entries.get(seq)

    def items(self) -> list[Entry]:
        """What is shown, in order: polling folded, routine left out, the streaming reply last."""
        if self._stale:
            kept = [self._entries[seq] for seq in sorted(self._entries)]
            shown = [e for e in fold_polls(kept) if not e.quiet or e.seq == self.selected]
            self._items = shown + (live_entries(self._live, self._now) if self._live else [])
            self._seqs = [entry.seq for entry in self._items]
            self._stale = False
        return self._items

    def lay_out(self, width: int, height: int, now: int) -> list[PaneRow]:
        """The rows to paint, at most ``height``. While following, a full pane jumps by half its height."""
        self._resize(width, height)
        self._now = now
        items = self.items()
        places = self._places(height)
        self.tick_at = min(
            (self._next_minute(items[place.index], now) for place in places if items[place.index].since is not None),
            default=None,
        )
        self.dirty = False
        shown: list[PaneRow] = []
        for index, row in places:
            entry = items[index]
            shown.append(PaneRow(self._rows_at(index)[row], entry.seq, self._is_selected(entry)))
        if len(self._rows) > 4 * max(1, height):
            near = {row.seq for row in shown}
            self._rows = {seq: kept for seq, kept in self._rows.items() if seq in near}
        return shown

    def _places(self, height: int) -> list[Place]:
        count = len(self._items)
        top = self._place()
        if top is None:
            top = tail(self._height, count, height)
        places = window(self._height, count, top, height + 1)
        if len(places) > height:
            if self.following:
                top = tail(self._height, count, max(1, height // 2))
                places = window(self._height, count, top, height)
            else:
                places = places[:height]
        self._keep(top)
        return places

    def _place(self) -> Place | None:
        """Where the first row stands now: entries may have come before it or been folded into another."""
        if self._top is None or not self._items:
            return None
        seq, row = self._top
        index = bisect.bisect_right(self._seqs, seq) - 1
        if seq >= LIVE_SEQ and (index < 0 or self._seqs[index] != seq):
            # What streamed is in the log now: it begins after the entries that were there then.
            index = min(len(self._seqs) - 1, bisect.bisect_right(self._seqs, self._top_newest))
        index = max(0, index)
        tall = self._height(index)
        return Place(index, max(0, min(row, tall - 1)))

    def _keep(self, top: Place) -> None:
        if top.index < len(self._items):
            self._top, self._top_newest = (self._seqs[top.index], top.row), self.newest

    def _resize(self, width: int, height: int) -> None:
        if self._size == (width, height):
            return
        before = self._size
        if self.following:
            self._top = None
        elif self._top is not None and before[0] and before[0] != width:
            place = self._place()
            if place is not None:
                old = self._height(place.index)
                self._size = (width, height)
                self._rows.clear()
                self._top = (self._seqs[place.index], scaled(place.row, old, self._height(place.index)))
        self._size = (width, height)
        self._rows.clear()
        self._stale = True

    def _height(self, index: int) -> int:
        return len(self._rows_at(index))

    def _rows_at(self, index: int) -> list[Line]:
        entry = self._items[index]
        minutes = max(0, self._now - entry.since) // 60_000 if entry.since is not None else 0
        selected = self._is_selected(entry)
        known = self._rows.get(entry.seq)
        if known is not None and known[0] is entry and known[1:3] == (minutes, selected):
            return known[3]
        steps = self._items[-1].step or 0
        rows = rows_of(
            entry, self._size[0], gutter=gutter_width(steps), compact=True, minutes=minutes, selected=selected
        )
        self._rows[entry.seq] = (entry, minutes, selected, rows)
        return rows

    def _is_selected(self, entry: Entry) -> bool:
        return self.selected is not None and (entry.seq == self.selected or self.selected in entry.members)

    @staticmethod
    def _next_minute(entry: Entry, now: int) -> int:
        since = entry.since or now
        return since + ((now - since) // 60_000 + 1) * 60_000

    # --- moving -----------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Back to the newest entry, and stay there."""
        self.following, self._top, self.dirty = True, None, True

    def unfollow(self) -> None:
        """Stay here while new entries come."""
        if self.following:
            self.following, self._left_at, self.dirty = False, self.newest, True

    def scroll(self, rows: int) -> bool:
        """Move by rows, up if negative; following ends, and begins again at the end. False if nothing moved."""
        self.items()
        top = self._place()
        if top is None:
            return False
        height = self._size[1]
        if rows < 0:
            moved = back(self._height, top, -rows)
        else:
            moved = forward(self._height, len(self._items), top, rows)
            last = tail(self._height, len(self._items), height)
            if moved >= last:
                self.follow()
                return True
        if moved == top:
            return False
        self.unfollow()
        self._keep(moved)
        self.dirty = True
        return True

    def select(self, seq: int | None) -> None:
        """Select an entry by its seq, and show it."""
        if seq != self.selected:
            self.selected, self._stale, self.dirty = seq, True, True
        if seq is not None:
            self.reveal(seq)

    def move(self, by: int) -> int | None:
        """Select the entry ``by`` further; from nothing, the newest that is shown. Returns its seq."""
        items = [entry for entry in self.items() if not entry.live]
        if not items:
            return None
        at = next((i for i, entry in enumerate(items) if self._is_selected(entry)), None)
        at = self._newest_shown(items) if at is None else max(0, min(len(items) - 1, at + by))
        if by < 0:
            self.unfollow()
        self.select(items[at].seq)
        return items[at].seq

    def _newest_shown(self, items: list[Entry]) -> int:
        places = self._places(self._size[1]) if self._size[1] else []
        last = places[-1].index if places else len(items) - 1
        return max(0, min(len(items) - 1, last))

    def reveal(self, seq: int) -> None:
        """Scroll as little as is needed to show the entry."""
        items = self.items()
        index = next((i for i, entry in enumerate(items) if entry.seq == seq or seq in entry.members), None)
        height = self._size[1]
        if index is None or not height:
            return
        places = self._places(height)
        shown = [place for place in places if place.index == index]
        if len(shown) == self._height(index):
            return
        if not places or Place(index, 0) < places[0] or self._height(index) >= height:
            self.unfollow()
            self._keep(Place(index, 0))
        elif not self.following:
            self._keep(back(self._height, Place(index, self._height(index)), height))
        self.dirty = True
