"""A whole session, from its first step: an index of anchors is known, entries are asked for as they come into sight.

No height is summed and nothing is loaded that is not near: 100,000 entries open at their end in constant time.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from textual import events
from textual.message import Message
from textual.strip import Strip

from widgets.cells import slice_line
from widgets.entries import Folds, with_run
from widgets.live import LIVE_SEQ, live_entries
from widgets.models import Anchor, Entry, Line, LiveReply
from widgets.paint import MOVES, Painter
from widgets.rows import SPAN, RowCache, gutter_width
from widgets.scroll import Place, ReaderPlace, back

KEPT: Final = 2000
"""Entries that are kept loaded; the farthest go first."""
AHEAD: Final = 40
"""Entries that are asked for beyond what is in sight."""
SLOW_JUMP: Final = 4
"""Over a slow line, what streams frees one row of so many at once: each move sends the whole screen."""


class Transcript(Painter, can_focus=True):
    """The entries of one session. It asks for them by message and is supplied; it never reads."""

    BINDINGS = MOVES
    DEFAULT_CSS = "Transcript { width: 1fr; height: 1fr; }"

    class EntriesNeeded(Message):
        """These entries (seqs of their anchors) are in sight or near it, and not loaded."""

        def __init__(self, seqs: tuple[int, ...]) -> None:
            super().__init__()
            self.seqs = seqs

    class EntrySelected(Message):
        """A person selected an entry."""

        def __init__(self, seq: int) -> None:
            super().__init__()
            self.seq = seq

    class EntryOpened(Message):
        """A person opened an entry."""

        def __init__(self, seq: int) -> None:
            super().__init__()
            self.seq = seq

    class FollowChanged(Message):
        """The reader follows the end, or has stopped to; ``unseen`` entries are new since."""

        def __init__(self, following: bool, unseen: int) -> None:
            super().__init__()
            self.following = following
            self.unseen = unseen

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._anchors: list[Anchor] = []
        self._seqs: list[int] = []
        self._steps: list[int] = []
        self._keep: Callable[[Anchor], bool] | None = None
        self._routine = False
        self._entries: dict[int, Entry] = {}
        self._folds = Folds()
        self._fold_again = False
        self._asked: set[int] = set()
        self._live: list[Entry] = []
        self._live_step = 0
        self._row_cache = RowCache()
        self._shown: list[tuple[Line, int, bool]] = []
        self._width = 0
        self._now = 0
        self._told = (True, 0)
        self._place = ReaderPlace(self._all_seqs, self._height)
        self.selected: int | None = None
        """The seq of the selected entry; only a person or a jump changes it."""
        self._span: tuple[int, int] | None = None
        self.slow = False
        """Whether the line to the terminal is slow: then what streams does not move the screen row by row."""
        self.rows_repainted = 0

    # --- what it shows ----------------------------------------------------------------------------------------------

    def append(self, anchors: Iterable[Anchor]) -> None:
        """More of the index, in order of seq; repeats are left out."""
        if not self._anchors and self._keep is None:
            self._anchors = list(anchors)
            self._seqs = [anchor[0] for anchor in self._anchors]
            self._update()
            return
        last = self._anchors[-1].seq if self._anchors else 0
        for anchor in anchors:
            if anchor.seq <= last:
                continue
            last = anchor.seq
            self._anchors.append(anchor)
            if self._keep is None or self._keep(anchor):
                self._seqs.append(anchor.seq)
        self._update()

    def clear(self) -> None:
        """Empty, for another session."""
        for held in (self._anchors, self._seqs, self._live, self._shown):
            held.clear()
        for kept in (self._entries, self._asked, self._row_cache.expanded):
            kept.clear()
        self._row_cache.forget()
        self.selected, self._keep, self._routine, self._live_step = None, None, False, 0
        self._folds.clear()
        self._place.follow()
        self._update()

    def supply(self, entries: Iterable[Entry]) -> None:
        """Entries that were asked for, or that changed."""
        for entry in entries:
            runs = entry.polling or entry.kind == "side" or bool(entry.failure)
            self._fold_again = self._fold_again or runs or bool(self._folds)
            self._entries[entry.seq] = entry
            self._asked.discard(entry.seq)
            if entry.kind == "reply" and entry.step is not None and self._live and entry.step >= self._live_step:
                self._live = []
        self._update()

    def live(self, reply: LiveReply | None) -> None:
        """The reply that streams now; painted at the next flush."""
        self._live = live_entries(reply, self._now) if reply is not None else []
        self._live_step = reply.step if reply is not None else 0

    def flush(self, now: int) -> int:
        """Paint what changed; ``now`` in Unix ms. Returns how many rows were painted anew."""
        before = self.rows_repainted
        self._now = now
        self._update()
        return self.rows_repainted - before

    def keep(self, predicate: Callable[[Anchor], bool] | None, *, routine: bool = True) -> None:
        """Show only anchors for which ``predicate`` holds; None: all. The place stays as near as it can.

        ``routine``: what is hidden as routine without a predicate is then shown too.
        """
        self._keep = predicate
        self._routine = predicate is not None and routine
        self._seqs = [anchor.seq for anchor in self._anchors if predicate is None or predicate(anchor)]
        self._fold_again = True
        self._place.settle()
        self._update()

    def highlight(self, pattern: str) -> None:
        """Show matches of a search; "" for none. Where the matches are is the app's to find."""
        self._row_cache.pattern = pattern
        self._update()

    def mark(self, seqs: Iterable[int]) -> None:
        """Entries that are marked in the margin (bookmarks, unread)."""
        self._row_cache.marks = frozenset(seqs)
        self._update()

    def mark_span(self, steps: tuple[int, int] | None) -> None:
        """Show all of these steps, from the first to the last, as selected."""
        if steps != self._span:
            self._span = steps
            self._update()

    # --- reading ----------------------------------------------------------------------------------------------------

    @property
    def anchors(self) -> Sequence[Anchor]:
        return self._anchors

    @property
    def following(self) -> bool:
        return self._place.following

    @property
    def unseen(self) -> int:
        """Entries that came since following ended: "42 new ↓"."""
        return self._place.unseen

    def entry(self, seq: int | None) -> Entry | None:
        return None if seq is None else self._entries.get(seq)

    def row_entry(self, seq: int | None) -> Entry | None:
        """The entry whose row stands at ``seq``, with the last step of a run that is folded there."""
        entry = self.entry(seq)
        return entry and with_run(entry, self._folds.run_at(entry.seq))

    def has_row(self, seq: int) -> bool:
        """Whether the entry has a row of its own: not if it is folded away in a run."""
        return not self._folds.hides(seq)

    def in_sight(self) -> tuple[int, ...]:
        """The seqs in sight, in order; who sees the row of a run sees all of it."""
        sight: dict[int, None] = {}
        for _, seq, _ in self._shown:
            if 0 < seq < LIVE_SEQ:
                run = self._folds.run_at(seq)
                sight |= dict.fromkeys(run.members if run is not None else (seq,))
        return tuple(sight)

    def reveal(self, seq: int, select: bool = True, *, above: float = 0.0) -> None:
        """Show the entry ``seq`` (or the last one before it), and select it. ``above``: with this share of the rows
        before it."""
        index = bisect.bisect_right(self._seqs, seq) - 1
        if index < 0:
            return
        if self._folds.hides(self._seqs[index]):
            self._folds.unfold(self._seqs[index])
        if select:
            self.selected = self._seqs[index]
        rows = max(1, self.size.height)
        self._place.reveal(index, rows)
        if above:
            self._place.unfollow()
            self._place.keep(back(self._height, Place(index, 0), int(rows * above)))
        self._update()

    def follow(self, on: bool = True) -> None:
        """To the end, and stay there; or stay here."""
        if on:
            self._place.follow()
        else:
            self._place.unfollow()
        self._update()

    def scroll_pages(self, pages: float) -> None:
        """Scroll by pages; following ends when it goes up."""
        self._place.scroll(round(pages * max(1, self.size.height - 2)), self.size.height)
        self._update()

    def toggle(self, seq: int | None = None) -> None:
        """Unfold or fold the detail of an entry (default: the selected one)."""
        seq = self.selected if seq is None else seq
        if seq is not None:
            self._row_cache.expanded ^= {seq}
            self._update()

    def action_move(self, by: int) -> None:
        """Select the next or the previous entry that is not hidden; from nothing, the last one in sight."""
        if not self._seqs:
            return
        if self.selected is None:
            sight = self.in_sight()
            index = self._index(sight[-1]) if sight else len(self._seqs) - 1
        else:
            index = self._index(self.selected) + by
            while 0 <= index < len(self._seqs) and self._height(index) == 0:
                index += 1 if by > 0 else -1
        if not 0 <= index < len(self._seqs):
            return
        if by < 0:
            self._place.unfollow()
        self.reveal(self._seqs[index])
        self.post_message(self.EntrySelected(self._seqs[index]))

    def action_page(self, by: int) -> None:
        self.scroll_pages(by)

    def action_to_start(self) -> None:
        if self._seqs:
            self._place.unfollow()
            self._place.keep(Place(0, 0))
            self._update()

    def action_to_end(self) -> None:
        """To the newest entry, and follow."""
        self.follow()

    def action_open(self) -> None:
        """Open the selected entry; a run of polls unfolds."""
        if self.selected is not None and self._folds.unfold(self.selected):
            self._place.unfollow()
            self.reveal(self.selected)
        elif self.selected is not None:
            self.post_message(self.EntryOpened(self.selected))

    def on_click(self, event: events.Click) -> None:
        if event.y < len(self._shown) and 0 < self._shown[event.y][1] < LIVE_SEQ:
            self.selected = self._shown[event.y][1]
            self.post_message(self.EntrySelected(self.selected))
            self._update()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self._place.scroll(-3, self.size.height)
        self._update()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self._place.scroll(3, self.size.height)
        self._update()

    # --- painting ---------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """A new width wraps anew; the reader stays with the entry."""
        if self._width and self._width != self.size.width:
            old = self._row_cache.heights()
            self._row_cache.forget()
            self._width = self.size.width
            self._place.resize(lambda index: old.get(self._seq_at(index), self._height(index)))
        else:
            self._place.resize()
        self._width = self.size.width
        self._shown = []
        self._update()

    def render_line(self, y: int) -> Strip:
        """One row."""
        if y >= len(self._shown):
            return self.strip((), self.size.width)
        line, _, selected = self._shown[y]
        return self.strip(line, self.size.width, selected=selected)

    def _all_seqs(self) -> Sequence[int]:
        return self._seqs if not self._live else [*self._seqs, *(entry.seq for entry in self._live)]

    def _seq_at(self, index: int) -> int:
        return self._seqs[index] if index < len(self._seqs) else self._live[index - len(self._seqs)].seq

    def _index(self, seq: int) -> int:
        return max(0, bisect.bisect_right(self._seqs, seq) - 1)

    def _height(self, index: int) -> int:
        return len(self._rows(index)) if index < len(self._seqs) + len(self._live) else 0

    def _rows(self, index: int) -> list[Line]:
        seq = self._seq_at(index)
        entry = self._entries.get(seq) if seq < LIVE_SEQ else self._live[index - len(self._seqs)]
        selected = seq == self.selected
        if self._folds.hides(seq):
            return []
        entry = self._folds.run_at(seq) or entry
        if entry is None:
            return [(("  …", "dim"),)]
        if entry.quiet and not selected and not self._routine:
            return []
        gutter = gutter_width(self._anchors[-1].step or 0 if self._anchors else 0)
        width = max(16, self.size.width)
        return self._row_cache.rows(seq, entry, width, gutter=gutter, now=self._now, selected=selected)

    def _update(self) -> None:
        """Lay out anew, ask for what is missing, have the rows painted that differ."""
        if not self.is_mounted or self.size.height <= 0:
            return
        if self._fold_again:
            self._fold_again = False
            # A filter shows single entries, so that each can be judged.
            self._folds.build(self._entries if self._keep is None else {}, self._index)
        self._place.jump = max(1, self.size.height // SLOW_JUMP) if self.slow and self._live else 1
        self._place.restore()
        rows: list[tuple[Line, int, bool]] = []
        for item, row in self._place.places(self.size.height):
            seq = self._seq_at(item)
            line, chosen = self._rows(item)[row], seq == self.selected
            if self._span is not None and not chosen and (chosen := self._is_in_span(seq)):
                line = ((SPAN, "accent"), *slice_line(line, 1, 1 << 30))
            rows.append((line, seq, chosen))
        before, self._shown = self._shown, rows
        if all(seq in self._entries for _, seq, _ in rows if seq < LIVE_SEQ):
            self._place.settling = False
        for y in range(self.size.height):
            if (rows[y] if y < len(rows) else None) != (before[y] if y < len(before) else None):
                self.rows_repainted += 1
                self.repaint_row(y)
        self._ask()
        told = (self._place.following, self._place.unseen)
        if told != self._told:
            self._told = told
            self.post_message(self.FollowChanged(*told))

    def _is_in_span(self, seq: int) -> bool:
        entry = self._entries.get(seq)
        return self._span is not None and entry is not None and self._span[0] <= (entry.step or 0) <= self._span[1]

    def _ask(self) -> None:
        if not self._seqs:
            return
        sight = [seq for _, seq, _ in self._shown if seq < LIVE_SEQ]
        first = self._index(sight[0]) if sight else len(self._seqs) - 1
        last = self._index(sight[-1]) if sight else len(self._seqs) - 1
        wanted = self._seqs[max(0, first - AHEAD) : last + AHEAD + 1]
        missing = [seq for seq in wanted if seq not in self._entries and seq not in self._asked]
        in_sight = any(seq not in self._entries for seq in sight)
        # Ask when something in sight is missing, or when what lies ahead runs out; not for every row.
        if missing and (in_sight or len(missing) >= AHEAD // 2 or first == 0 or last == len(self._seqs) - 1):
            self._asked.update(missing)
            self.post_message(self.EntriesNeeded(tuple(missing)))
        if len(self._entries) > KEPT:
            near = {*self._seqs[max(0, first - KEPT // 4) : last + KEPT // 4], self.selected or 0}
            self._entries = {seq: entry for seq, entry in self._entries.items() if seq in near}
            self._row_cache.forget(keep=near)
            self._fold_again = True
