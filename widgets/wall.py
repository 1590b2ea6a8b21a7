"""All live panes in one widget: only rows that changed are painted again, and nothing between two flushes.

The app owns the one timer (at most 10 Hz) and calls ``flush``. A pane is full as long as there is anything to show in
it: it moves up row by row, by a few rows at once where replies stream into many panes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from time import monotonic, time_ns
from typing import Final

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from widgets.grid import grid
from widgets.models import Entry, Line, LiveReply, SessionView
from widgets.paint import MOVES, Painter
from widgets.pane import Pane, PaneDiff, pane_title
from widgets.sanitise import clean_line

STREAM_MS: Final = ((1, 0), (4, 200), (16, 400))
"""Up to so many panes: how long text that streams may wait, half as long in the pane that has the focus. Rows of the
terminal are shared by the panes side by side, so those are painted together, and one band of them after the other."""
TICK_MS: Final = 100
"""The app flushes this often: nothing is painted more often, however much arrives; keys paint at once."""
JUMPS: Final = ((2, 1), (4, 2), (16, 3))
"""While replies stream into up to so many panes: by how many rows a full one moves up at once."""


class Wall(Painter, can_focus=True):
    """Live panes of one or more sessions; one of them has the focus."""

    BINDINGS = MOVES
    DEFAULT_CSS = "Wall { width: 1fr; height: 1fr; }"

    class PaneFocused(Message):
        """Another pane has the focus."""

        def __init__(self, session: str) -> None:
            super().__init__()
            self.session = session

    class EntrySelected(Message):
        """A person selected an entry."""

        def __init__(self, session: str, seq: int) -> None:
            super().__init__()
            self.session = session
            self.seq = seq

    class EntryOpened(Message):
        """A person wants to see more: of the entry ``seq``, or of the session if it is None."""

        def __init__(self, session: str, seq: int | None) -> None:
            super().__init__()
            self.session = session
            self.seq = seq

    class HistoryNeeded(Message):
        """Entries older than ``before`` are wanted: the reader is at the oldest one that the pane has, or they do not
        fill it. ``times``: how often the latter was so."""

        def __init__(self, session: str, before: int, times: int = 0) -> None:
            super().__init__()
            self.session = session
            self.before = before
            self.times = times

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._panes: dict[str, Pane] = {}
        self._views: dict[str, SessionView] = {}
        self._shown: tuple[str, ...] = ()
        self._why_none = ""
        self._regions: dict[str, Region] = {}
        self._focused = ""
        self._on_screen: dict[str, PaneDiff] = {}
        self._now = 0
        self._streamed_at: dict[int, int] = {}
        self._focus_streamed_at = 0
        self.rows_repainted = 0
        """Rows painted anew since the start: what the wall costs, in the unit that matters."""

    # --- what it shows ----------------------------------------------------------------------------------------------

    def show(self, ids: Sequence[str]) -> None:
        """Show these sessions, in this order; as many as there is useful room for."""
        if tuple(ids) == self._shown:
            return
        self._shown = tuple(ids)
        if self._focused not in ids:
            self._focused = ids[0] if ids else ""
        self._arrange()

    def say_why_none(self, said: str) -> None:
        """What stands here where no session has a pane."""
        if said != self._why_none:
            self._why_none = said
            self.refresh()

    @property
    def session_ids(self) -> tuple[str, ...]:
        """The sessions that have a pane on screen."""
        return tuple(self._regions) or self._shown

    @property
    def chosen(self) -> tuple[str, ...]:
        """The sessions that are to have a pane, also those that there is no room for now."""
        return self._shown

    def set_session(self, view: SessionView) -> None:
        """What the title of a pane says."""
        if self._views.get(view.id) != view:
            self._views[view.id] = view
            if view.id in self._panes:
                self._panes[view.id].dirty = True

    def put(self, session: str, entries: Iterable[Entry]) -> None:
        """New and changed entries of a session; painted at the next flush."""
        self._pane(session).put(entries)

    def live(self, session: str, reply: LiveReply | None) -> None:
        """The reply that streams now, None when there is none."""
        self._pane(session).set_live(reply)

    def forget(self, session: str) -> None:
        """Drop what is kept of a session that is shown no more."""
        self._panes.pop(session, None)
        self._views.pop(session, None)

    def flush(self, now: int) -> int:
        """Have the rows painted that differ from what stands there; returns how many. ``now`` in Unix ms."""
        self._now = now
        changed: list[Region] = []
        wait = next((wait for panes, wait in STREAM_MS if len(self._regions) <= panes), STREAM_MS[-1][1])
        due = self._bands_due(now, wait)
        focus_due = not 0 <= now - self._focus_streamed_at < wait // 2
        if focus_due:
            self._focus_streamed_at = now
        streams = sum(self._pane(session).streams for session in self._regions)
        jump = next((rows for panes, rows in JUMPS if streams <= panes), JUMPS[-1][1])
        for session, region in self._regions.items():
            pane = self._pane(session)
            pane.jump = jump
            streamed = pane.streamed and (region.y in due or (session == self._focused and focus_due))
            if pane.dirty or streamed or (pane.tick_at is not None and now >= pane.tick_at):
                changed.extend(self._paint_pane(session, pane, region))
        if changed:
            self.rows_repainted += len(changed)
            self.refresh(*changed)
        return len(changed)

    def _bands_due(self, now: int, wait: int) -> frozenset[int]:
        """The bands (panes side by side, by their first row) that text may stream into now: one after the other, each
        after ``wait`` ms, so that no key waits for all of them."""
        bands = {region.y for region in self._regions.values()}
        self._streamed_at = {band: self._streamed_at.get(band, 0) for band in bands}
        late = [band for band in bands if not 0 <= now - self._streamed_at[band] < wait]
        most = ceil(len(bands) * TICK_MS / wait) if wait else len(bands)
        due = frozenset(sorted(late, key=lambda band: (self._streamed_at[band], band))[:most])
        self._streamed_at |= dict.fromkeys(due, now)
        return due

    # --- focus, selection, reading ----------------------------------------------------------------------------------

    @property
    def focused_session(self) -> str:
        """The session of the pane that has the focus, "" if there is no pane."""
        return self._focused

    @property
    def selected(self) -> tuple[str, int] | None:
        """(session, seq) of the selected entry in the focused pane."""
        pane = self._panes.get(self._focused)
        return (self._focused, pane.selected) if pane is not None and pane.selected is not None else None

    def following(self, session: str) -> bool:
        """Whether the pane of ``session`` stays at the newest entry."""
        return self._pane(session).following

    def focus_pane(self, session: str) -> None:
        """Give a pane the focus (the widget's own focus is the app's business)."""
        if session == self._focused or session not in self._shown:
            return
        for one in (self._focused, session):
            self._pane(one).dirty = True
        self._focused = session
        if session not in self._regions:
            self._arrange()
        self.post_message(self.PaneFocused(session))
        self._flush_now()

    def next_pane(self, by: int = 1) -> None:
        """Give the next or the previous pane the focus."""
        order = self.session_ids
        if order:
            at = order.index(self._focused) if self._focused in order else 0
            self.focus_pane(order[(at + by) % len(order)])

    def select(self, session: str, seq: int | None) -> None:
        """Select an entry, or nothing, without a message: a jump, an undo."""
        self._pane(session).select(seq)
        self._flush_now()

    def mark_span(self, session: str, steps: tuple[int, int] | None) -> None:
        """Show these steps of one session as selected, and none of any other; painted at the next flush."""
        for shown, pane in self._panes.items():
            pane.mark_span(steps if shown == session else None)

    def candidate(self, session: str = "") -> Entry | None:
        """What a key means: the selected entry, else in a pane that follows the newest action on screen for 0.5 s."""
        pane = self._panes.get(session or self._focused)
        if pane is None:
            return None
        if pane.selected is not None:
            return pane.row_entry(pane.selected)
        if not pane.following:
            return None
        on_screen = self._on_screen.get(pane.session)
        for seq in on_screen.settled_seqs(monotonic()) if on_screen is not None else ():
            entry = pane.row_entry(seq)
            if entry is not None and entry.kind == "action":
                return entry
        return None

    def last_visible(self, session: str) -> int:
        """The seq of the last entry that stands on screen, 0 if none does."""
        on_screen = self._on_screen.get(session)
        return on_screen.last_seq if on_screen is not None else 0

    def scroll_pages(self, session: str, pages: float) -> None:
        """Scroll a pane by pages (from within a composer, say); following ends when it moves up."""
        pane = self._pane(session)
        region = self._regions.get(session)
        if region is None:
            return
        if not pane.scroll(round(pages * max(1, region.height - 2))) and pages < 0:
            self.post_message(self.HistoryNeeded(session, pane.oldest))
        self._flush_now()

    def follow(self, session: str = "", on: bool = True) -> None:
        """Follow the newest entry, or stay."""
        pane = self._pane(session or self._focused)
        if on:
            pane.follow()
        else:
            pane.unfollow()
        self._flush_now()

    # --- keys and mouse ---------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Select the next or the previous entry."""
        if not self._focused:
            return
        pane = self._pane(self._focused)
        before = pane.selected
        seq = pane.move(by)
        if seq is not None:
            self.post_message(self.EntrySelected(self._focused, seq))
        if seq == before and by < 0:
            self.post_message(self.HistoryNeeded(self._focused, pane.oldest))
        self._flush_now()

    def action_page(self, by: int) -> None:
        self.scroll_pages(self._focused, by)

    def action_to_start(self) -> None:
        """To the oldest entry that the pane has."""
        self._pane(self._focused).scroll(-1_000_000)
        self.post_message(self.HistoryNeeded(self._focused, self._pane(self._focused).oldest))
        self._flush_now()

    def action_to_end(self) -> None:
        """To the newest entry, and follow."""
        self.follow()

    def action_open(self) -> None:
        """Open the selected entry, or the session."""
        if self._focused:
            self.post_message(self.EntryOpened(self._focused, self._pane(self._focused).selected))

    def on_click(self, event: events.Click) -> None:
        """Focus the pane under the pointer and select what is there."""
        for session, region in self._regions.items():
            if region.contains(event.x, event.y):
                self.focus_pane(session)
                rows = self._on_screen[session].rows
                at = event.y - region.y - 1
                if 0 <= at < len(rows) and self._pane(session).entry(rows[at].seq) is not None:
                    self._pane(session).select(rows[at].seq)
                    self.post_message(self.EntrySelected(session, rows[at].seq))
                self._flush_now()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, -3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 3)

    def _wheel(self, event: events.MouseEvent, rows: int) -> None:
        for session, region in self._regions.items():
            if region.contains(event.x, event.y):
                event.stop()
                self._pane(session).scroll(rows)
                self._flush_now()

    # --- painting ---------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """A new size: lay everything out anew, at the same reading places."""
        self._arrange()

    def on_focus(self) -> None:
        """The title of the focused pane shows that keys go there."""
        self._repaint_all()

    def on_blur(self) -> None:
        """Keys go elsewhere."""
        self._repaint_all()

    def drop_styles(self) -> None:
        """Paint everything with the new styles."""
        self._repaint_all()

    def _repaint_all(self) -> None:
        for on_screen in self._on_screen.values():
            on_screen.wipe()
        for pane in self._panes.values():
            pane.dirty = True
        self._flush_now()
        self.refresh()

    def _pane(self, session: str) -> Pane:
        pane = self._panes.get(session)
        if pane is None:
            pane = self._panes[session] = Pane(session)
        return pane

    def _arrange(self) -> None:
        order = list(self._shown)
        regions = grid(len(order), self.size.width, self.size.height)
        if self._focused in order and order.index(self._focused) >= len(regions) > 0:
            # There is not room for all: the focused one takes the last place.
            order.remove(self._focused)
            order.insert(len(regions) - 1, self._focused)
        self._regions = dict(zip(order, regions, strict=False))
        for session in self._on_screen.keys() - self._regions.keys():
            del self._on_screen[session]  # what has no pane is not in sight: no key may mean it
        self._repaint_all()

    def _flush_now(self) -> None:
        """After a key, do not wait for the timer."""
        if self.is_mounted and self._regions:
            self.flush(self._now or time_ns() // 1_000_000)

    def _paint_pane(self, session: str, pane: Pane, region: Region) -> list[Region]:
        rows = pane.lay_out(region.width, max(0, region.height - 1), self._now)
        if wanted := pane.ask_older():
            self.post_message(self.HistoryNeeded(session, wanted, pane.asked))
        focused = session == self._focused
        title = pane_title(self._views.get(session), pane, region.width, focused, focused and self.has_focus)
        on_screen = self._on_screen.setdefault(session, PaneDiff())
        return on_screen.paint(title, rows, region, self._strip, monotonic())

    def _strip(self, line: Line, width: int, selected: bool) -> Strip:
        return self.strip(line, width, selected=selected)

    def render_line(self, y: int) -> Strip:
        """One row of the screen: the panes' rows side by side."""
        width = self.size.width
        if not self._regions:
            said = self._why_none if y == 0 and not self._shown else ""
            return self.strip(((f" {clean_line(said)}", "dim"),), width)
        segments: list[Segment] = []
        at = 0
        for session, region in self._regions.items():
            if not region.y <= y < region.bottom:
                continue
            if region.x > at:
                segments.append(Segment("│" * (region.x - at), self.style_of("rule")))
            on_screen = self._on_screen.get(session)
            painted = on_screen.strip(y - region.y) if on_screen is not None else None
            segments.extend(painted if painted is not None else self.strip((), region.width))
            at = region.right
        if at < width:
            segments.append(Segment(" " * (width - at), self.style_of("text")))
        return Strip(segments, width)
