"""The rows of a span that is being chosen stand out in a pane as the selected one does."""

from __future__ import annotations

from widget_events import START, Told

from widgets.entries import EntryBook
from widgets.pane import Pane


def test_the_rows_of_a_span_are_painted_as_selected_and_the_selection_moves_as_before() -> None:
    told = Told()
    for step in range(1, 6):
        told.reply(step)
        told.action(step, command=f"ls {step}")
    book = EntryBook()
    book.add(told.events)
    pane = Pane("s")
    pane.put(book.entries())
    pane.lay_out(60, 20, START)

    def chosen() -> list[int]:
        rows = pane.lay_out(60, 20, START)
        return [entry.step or 0 for row in rows if row.selected and (entry := pane.entry(row.seq)) is not None]

    actions = [entry.seq for entry in book.entries() if entry.kind == "action"]
    pane.select(actions[3])
    assert chosen() == [4]
    pane.mark_span((2, 4))
    assert pane.dirty and chosen() == [2, 3, 4]
    pane.move(-1)
    assert pane.selected == actions[2] and chosen() == [2, 3, 4]
    pane.mark_span(None)
    assert chosen() == [3]
