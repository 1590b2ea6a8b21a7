"""The rows of entries as they stand on a screen, kept until something about an entry or its look changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from widgets.cells import restyle, slice_line, text_of
from widgets.rows import rows_of
from widgets.search import matches
from widgets.views import Entry, Line

MINUTE_MS: Final = 60_000


class PaintedRows:
    """Entries by seq as rows, with what a reader did to them: unfolded details, a search, marks in the margin."""

    def __init__(self) -> None:
        self.expanded: set[int] = set()
        self.pattern = ""
        self.marks: frozenset[int] = frozenset()
        self._kept: dict[int, tuple[object, list[Line]]] = {}

    def rows(self, seq: int, entry: Entry, width: int, *, gutter: int, now: int, selected: bool) -> list[Line]:
        """The rows of ``entry`` in ``width`` cells; ``now`` in Unix ms, for what is still running."""
        minutes = max(0, now - entry.since) // MINUTE_MS if entry.since is not None else 0
        unfolded, marked = seq in self.expanded, seq in self.marks
        key = (entry, selected, unfolded, minutes, self.pattern, marked)
        known = self._kept.get(seq)
        if known is not None and known[0] == key:
            return known[1]
        rows = rows_of(entry, width, gutter=gutter, expanded=unfolded, minutes=minutes, selected=selected)
        if self.pattern:
            rows = [restyle(row, matches(text_of(row), self.pattern), "match") for row in rows]
        if marked and rows and not selected:
            rows[0] = (("•", "accent"), *slice_line(rows[0], 1, 1 << 30))
        self._kept[seq] = (key, rows)
        return rows

    def heights(self) -> dict[int, int]:
        """How many rows each entry took that was painted last."""
        return {seq: len(rows) for seq, (_, rows) in self._kept.items()}

    def forget(self, keep: Collection[int] = ()) -> None:
        """Let go of the rows of all entries but these: after a new width, or of what lies far away."""
        self._kept = {seq: kept for seq, kept in self._kept.items() if seq in keep}
