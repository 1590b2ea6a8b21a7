"""Which events of OpenHands its model still sees: a condensation takes some away and puts a summary in their place."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sessions.events import MessageRef
from sessions.importers.builder import SessionBuilder

_SUMMARY = "-summary"
"""What OpenHands adds to the id of a condensation to name its summary."""


class EventView:
    """The events in view, in order, each with the seqs of what was made of it in the log."""

    def __init__(self, builder: SessionBuilder) -> None:
        self.builder = builder
        self._rows: list[tuple[str, frozenset[int]]] = []

    def add(self, name: str, seqs: Collection[int]) -> None:
        """The next event that the model reads."""
        self._rows.append((name, frozenset(seqs)))

    def condense(
        self,
        name: str,
        forgotten: Collection[str],
        summary: str,
        offset: int | None,
        at: int | None,
        *,
        one_summary: bool = False,
    ) -> None:
        """Forget these events and put the summary where the condensation ``name`` says.

        ``one_summary``: only the newest one is ever in view.
        """
        self._rows = [
            row for row in self._rows if row[0] not in forgotten and not (one_summary and row[0].endswith(_SUMMARY))
        ]
        kept = frozenset().union(*(seqs for _, seqs in self._rows))
        # A message is of the newest event that it came from; the system prompt stands before all of them anyhow.
        refs = [ref for ref in self.builder.context if ref.role != "system" and max(ref.sources, default=0) in kept]
        context: list[dict[str, Any] | MessageRef] = list(refs)
        place = len(self._rows) if offset is None else min(offset, len(self._rows))
        if summary:
            later = frozenset().union(*(seqs for _, seqs in self._rows[place:]))
            at_ref = next((n for n, ref in enumerate(refs) if max(ref.sources, default=0) in later), len(refs))
            context.insert(at_ref, {"role": "user", "content": summary})
        before = len(self.builder.events)
        self.builder.add_compaction(summary, context, at)
        if summary:
            self._rows.insert(place, (f"{name}{_SUMMARY}", frozenset(range(before + 1, len(self.builder.events) + 1))))
