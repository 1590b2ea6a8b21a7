"""One live pane: what it shows, where it stands, what is selected, and which of its rows differ from those painted.

It knows no widget: ``wall`` gives it a place and paints its rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from textual.geometry import Region
from textual.strip import Strip

from sessions.events.session import NOT_CONTAINED
from widgets import cells
from widgets.entries import fold_runs, with_run
from widgets.glyphs import clock, count, next_running_time, running_time, state_mark
from widgets.live import LIVE_SEQ, live_entries
from widgets.models import Entry, Line, LiveReply, Role, SessionView
from widgets.paint import spread
from widgets.rows import gutter_width, rows_of
from widgets.scroll import ReaderPlace

KEPT: Final = 400
"""Entries that a pane keeps; what is older is on the Session screen, and comes back when it is asked for."""
MOST_ASKED: Final = 4
"""So often a pane asks for older entries to fill its rows: of a night of polls, one row is all there is to see."""
SETTLED: Final = 0.5
"""Seconds that an action must have been on screen before a key without a selection means it."""


class PaneRow(msgspec.Struct, frozen=True):
    """One painted row and the entry that it belongs to."""

    line: Line
    seq: int
    selected: bool


BLANK: Final = PaneRow((), 0, False)


class Pane:
    """The newest entries of one session, and a place in them."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.selected: int | None = None
        self.dirty = True
        self.streamed = False
        """The partial reply grew, and nothing else changed: this may wait a little where many panes stream."""
        self.jump = 1
        """So many rows a full pane moves up at once while a reply streams into it."""
        self.blank = 0
        """Rows that were laid out without anything in them."""
        self.tick_at: int | None = None
        """When (ms) a running time on screen says something else; None if nothing shown is under way."""
        self._entries: dict[int, Entry] = {}
        self._live: LiveReply | None = None
        self._replied = 0
        self._items: list[Entry] = []
        self._seqs: list[int] = []
        self._stale = True
        self._place = ReaderPlace(lambda: self._seqs, self._height)
        self._span: tuple[int, int] | None = None
        self._size = (0, 0)
        self._now = 0
        self._first_shown = 0
        self._asked: list[int] = []
        self._rows: dict[int, tuple[Entry, str, bool, list[Line]]] = {}

    def put(self, entries: Iterable[Entry]) -> None:
        """Take in new and changed entries. A reply that is now in the log ends the partial one."""
        for entry in entries:
            if self._entries.get(entry.seq) == entry:
                continue
            self._entries[entry.seq] = entry
            self._stale = self.dirty = True
            if entry.kind == "reply" and entry.step is not None:
                if entry.name != "interrupted":
                    self._replied = max(self._replied, entry.step)
                if self._live is not None and self._live.step <= entry.step:
                    self._live = None
        if len(self._entries) > 2 * KEPT and self.following:
            seqs = sorted(self._entries)
            first = min(seqs[-KEPT], self._first_shown)  # a run of polls that fills a row is many entries
            for seq in seqs[: bisect_left(seqs, first)]:
                del self._entries[seq]

    def set_live(self, live: LiveReply | None) -> None:
        """The reply that streams now; frames that come after their reply is in the log are late and shown no more."""
        if live is not None and live.step <= self._replied:
            live = None
        if live != self._live:
            self.streamed = True
            # That a reply begins or ends is seen at once, in every pane.
            self.dirty = self.dirty or live is None or self._live is None
            self._live = live
            self._stale = True

    @property
    def streams(self) -> bool:
        """Whether a reply streams into it."""
        return self._live is not None

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
        self.items()
        return self._place.unseen

    @property
    def following(self) -> bool:
        """Whether the pane stays at its newest entry."""
        return self._place.following

    def entry(self, seq: int | None) -> Entry | None:
        return None if seq is None else self._entries.get(seq)

    def row_entry(self, seq: int) -> Entry | None:
        """The entry whose row stands at ``seq``, with the last step of a run that is folded there."""
        entry = self.entry(seq)
        run = next((item for item in self.items() if item.seq == seq and item.members), None)
        return entry and with_run(entry, run)

    def items(self) -> list[Entry]:
        """What is shown, in order: polling folded, routine left out, the streaming reply last."""
        if self._stale:
            kept = [self._entries[seq] for seq in sorted(self._entries)]
            shown = [e for e in fold_runs(kept) if not e.quiet or e.seq == self.selected]
            self._items = shown + (live_entries(self._live, self._now) if self._live else [])
            self._seqs = [entry.seq for entry in self._items]
            self._stale = False
        return self._items

    def lay_out(self, width: int, height: int, now: int) -> list[PaneRow]:
        """The rows to paint: ``height``, or all there are."""
        self._resize(width, height)
        self._now = now
        self._place.jump = self.jump if self._live is not None else 1
        items = self.items()
        places = self._place.places(height)
        self.tick_at = min(
            (next_running_time(since, now) for place in places if (since := items[place.item].since) is not None),
            default=None,
        )
        self.dirty = self.streamed = False
        shown: list[PaneRow] = []
        for index, row in places:
            entry = items[index]
            chosen = self._is_selected(entry) or self._is_in_span(entry)
            shown.append(PaneRow(self._rows_at(index)[row], entry.seq, chosen))
        self._first_shown = shown[0].seq if shown else 0
        self.blank = height - len(shown)
        if len(self._rows) > 4 * max(1, height):
            near = {row.seq for row in shown}
            self._rows = {seq: kept for seq, kept in self._rows.items() if seq in near}
        return shown

    def ask_older(self) -> int:
        """The seq before which entries are wanted because rows are blank; 0: none are, or it was asked already."""
        oldest = self.oldest
        if self.blank <= 0 or oldest <= 1 or oldest in self._asked or len(self._asked) >= MOST_ASKED:
            return 0
        self._asked.append(oldest)
        return oldest

    @property
    def asked(self) -> int:
        """How often older entries were asked for to fill the pane."""
        return len(self._asked)

    def _resize(self, width: int, height: int) -> None:
        if self._size == (width, height):
            return
        self.items()
        rewrapped = bool(self._size[0]) and self._size[0] != width
        old = {seq: len(kept[3]) for seq, kept in self._rows.items()}
        self._size = (width, height)
        self._rows.clear()
        self._place.resize((lambda index: old.get(self._seqs[index], self._height(index))) if rewrapped else None)

    def _height(self, index: int) -> int:
        return len(self._rows_at(index))

    def _rows_at(self, index: int) -> list[Line]:
        entry = self._items[index]
        running = running_time(self._now - entry.since) if entry.since is not None else ""
        selected = self._is_selected(entry)
        known = self._rows.get(entry.seq)
        if known is not None and known[0] is entry and known[1:3] == (running, selected):
            return known[3]
        steps = self._items[-1].step or 0
        rows = rows_of(
            entry, self._size[0], gutter=gutter_width(steps), compact=True, running=running, selected=selected
        )
        self._rows[entry.seq] = (entry, running, selected, rows)
        return rows

    def _is_selected(self, entry: Entry) -> bool:
        return self.selected is not None and (entry.seq == self.selected or self.selected in entry.members)

    def mark_span(self, steps: tuple[int, int] | None) -> None:
        """Show all of these steps, from the first to the last, as selected."""
        if steps != self._span:
            self._span, self.dirty = steps, True

    def _is_in_span(self, entry: Entry) -> bool:
        return self._span is not None and self._span[0] <= (entry.step or 0) <= self._span[1]

    # --- moving -----------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Back to the newest entry, and stay there."""
        self._place.follow()
        self.dirty = True

    def unfollow(self) -> None:
        """Stay here while new entries come."""
        self._place.unfollow()
        self.dirty = True

    def scroll(self, rows: int) -> bool:
        """Move by rows, up if negative; following ends, and begins again at the end. False if nothing moved."""
        self.items()
        moved = self._place.scroll(rows, self._size[1])
        self.dirty = self.dirty or moved
        return moved

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
        at = self._newest_in_sight(items) if at is None else max(0, min(len(items) - 1, at + by))
        if by < 0:
            self.unfollow()
        self.select(items[at].seq)
        return items[at].seq

    def _newest_in_sight(self, items: list[Entry]) -> int:
        places = self._place.places(self._size[1]) if self._size[1] else []
        last = places[-1].item if places else len(items) - 1
        return max(0, min(len(items) - 1, last))

    def reveal(self, seq: int) -> None:
        """Scroll as little as is needed to show the entry."""
        items = self.items()
        index = next((i for i, entry in enumerate(items) if entry.seq == seq or seq in entry.members), None)
        if index is not None and self._size[1]:
            self._place.reveal(index, self._size[1])
            self.dirty = True


class PaneDiff:
    """The title and rows of a pane as they were painted last. Seconds are of the monotonic clock."""

    def __init__(self) -> None:
        self.rows: list[PaneRow] = []
        self._title: Line = ()
        self._strips: list[Strip] = []
        self._since: dict[int, float] = {}

    def paint(
        self,
        title: Line,
        rows: Sequence[PaneRow],
        region: Region,
        strip: Callable[[Line, int, bool], Strip],
        seconds: float,
    ) -> list[Region]:
        """Take in what should stand in ``region``; ``strip`` paints a line. Returns the rows that differ."""
        self._note(rows, seconds)
        # Most rows of a pane that moved up were painted before.
        known = {id(row.line): at for at, row in enumerate(self.rows) if not row.selected}
        before = self._strips[1:]
        changed: list[Region] = []
        if title != self._title or not self._strips:
            self._title = title
            self._strips[:1] = [strip(title, region.width, False)]
            changed.append(Region(region.x, region.y, region.width, 1))
        for at in range(region.height - 1):
            row = rows[at] if at < len(rows) else BLANK
            if at < len(self.rows) and self.rows[at] == row and at + 1 < len(self._strips):
                continue
            old = None if row.selected else known.get(id(row.line))
            if old is not None and old < len(before):
                painted = before[old]
            else:
                painted = strip(row.line, region.width, row.selected)
            self._strips[at + 1 : at + 2] = [painted]
            changed.append(Region(region.x, region.y + at + 1, region.width, 1))
        self.rows = [*rows, *([BLANK] * (region.height - 1 - len(rows)))]
        return changed

    def strip(self, y: int) -> Strip | None:
        """Row ``y`` as it was painted, the title is 0; None if it never was."""
        return self._strips[y] if y < len(self._strips) else None

    def wipe(self) -> None:
        """Paint everything anew next time: another size, another style."""
        self._title, self._strips, self.rows = (), [], []

    def settled_seqs(self, seconds: float) -> list[int]:
        """The seqs that have stood here long enough to be meant, newest first."""
        return sorted((seq for seq, since in self._since.items() if since <= seconds - SETTLED), reverse=True)

    @property
    def last_seq(self) -> int:
        """The seq of the last entry of the log that stands here, 0 if none does."""
        return max((row.seq for row in self.rows if row.seq < LIVE_SEQ), default=0)

    def _note(self, rows: Sequence[PaneRow], seconds: float) -> None:
        shown = {row.seq for row in rows}
        self._since = {seq: self._since.get(seq, seconds) for seq in shown}


def pane_title(view: SessionView | None, pane: Pane, width: int, focused: bool, has_keys: bool) -> Line:
    """``▌1 tune-lr ──── ● running  step 41  2h12  18.2k/128k``; what does not fit goes from the right, and last that
    nothing contains its commands.

    ``focused`` is the pane that keys would go to, ``has_keys`` says that they do go to the wall.
    """
    role: Role = "title-on" if focused else "title"
    mark: Line = (("▌" if has_keys else " ", "accent"),)
    if view is None:
        return (*mark, ("…", role))
    state = state_mark(view.state, view.state_words)
    reading = ""
    if not pane.following:
        reading = f" {pane.unseen} new ↓ " if pane.unseen else " not following "
    left: Line = (*mark, (f"{view.address} {view.title} ", role))
    known: Line = ((reading, "accent"), (f" {state.text}", state.role))
    more = [f"  step {view.step}", *([f"  {clock(view.active_ms)}"] if view.has_times else [])]
    if view.context_limit:
        more.append(f"  {count(view.context_tokens)}/{count(view.context_limit)}")
    warning: Line = ((f"  {NOT_CONTAINED}", "need"),) if view.not_contained else ()
    if cells.line_width((*left, *known, *warning)) < width:
        known += warning
    while more and cells.line_width((*left, *known)) + sum(map(len, more)) + 1 > width:
        more.pop()
    right: Line = (*known, ("".join(more), "dim"))
    gap = width - cells.line_width(left) - cells.line_width(right)
    return (*left, ("─" * gap, "rule"), *right) if gap > 0 else spread(left, right, width)
