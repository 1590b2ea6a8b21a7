"""What stands on screen for one pane of the wall: which rows differ from it, and since when each entry is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from textual.geometry import Region
from textual.strip import Strip

from widgets.live import LIVE_SEQ
from widgets.pane import PaneRow
from widgets.views import Line

SETTLED: Final = 0.5
"""Seconds that an action must have been on screen before a key without a selection means it."""

BLANK: Final = PaneRow((), 0, False)


class PaneOnScreen:
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
        changed: list[Region] = []
        if title != self._title or not self._strips:
            self._title = title
            self._strips[:1] = [strip(title, region.width, False)]
            changed.append(Region(region.x, region.y, region.width, 1))
        for at in range(region.height - 1):
            row = rows[at] if at < len(rows) else BLANK
            if at < len(self.rows) and self.rows[at] == row and at + 1 < len(self._strips):
                continue
            self._strips[at + 1 : at + 2] = [strip(row.line, region.width, row.selected)]
            changed.append(Region(region.x, region.y + at + 1, region.width, 1))
        self.rows = [*rows, *([BLANK] * (region.height - 1 - len(rows)))]
        return changed

    def strip(self, y: int) -> Strip | None:
        """Row ``y`` as it was painted, the title is 0; None if it never was."""
        return self._strips[y] if y < len(self._strips) else None

    def wipe(self) -> None:
        """Paint everything anew next time: another size, another style."""
        self._title, self._strips, self.rows = (), [], []

    def settled(self, seconds: float) -> list[int]:
        """The seqs that have stood here long enough to be meant, newest first."""
        return sorted((seq for seq, since in self._since.items() if since <= seconds - SETTLED), reverse=True)

    @property
    def last_seq(self) -> int:
        """The seq of the last entry of the log that stands here, 0 if none does."""
        return max((row.seq for row in self.rows if row.seq < LIVE_SEQ), default=0)

    def _note(self, rows: Sequence[PaneRow], seconds: float) -> None:
        shown = {row.seq for row in rows}
        self._since = {seq: self._since.get(seq, seconds) for seq in shown}
