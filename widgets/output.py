"""The output of a command while it runs: it follows the end, or stays where the reader is while more comes.

It is given lines with the bytes that they begin at, and asks for those beside them when the reader comes near the edge.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from textual import events
from textual.message import Message

from widgets import cells
from widgets.document import Document
from widgets.models import Line, OutputHead, OutputLine
from widgets.paint import Painter, spread
from widgets.sanitise import clean_line
from widgets.scroll import Place, tail

COMMAND_LEAST: Final = 12
"""Cells of a command below which it says nothing."""


class OutputView(Document):
    """Lines of an output; while ``following`` the newest stand at the bottom."""

    class FollowChanged(Message):
        """The reader follows the end, or has stopped to."""

        def __init__(self, following: bool) -> None:
            super().__init__()
            self.following = following

    class EdgeReached(Message):
        """The reader is near the first line (``by`` -1) or the last one (1) of those that are here."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class StartWanted(Message):
        """The reader wants to see how it began."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.following = True
        self._offsets: list[int] = []
        self._more_before = self._more_after = False

    def show(self, lines: Sequence[OutputLine], *, more_before: bool, more_after: bool) -> None:
        """Show these in place of the others; who does not follow stays at the same bytes."""
        top, cursor = self._offset_of(self._top.item), self._offset_of(self._cursor)
        row = self._top.row
        self._offsets = [line.at for line in lines]
        self._more_before, self._more_after = more_before, more_after
        self.set_lines((((line.text, line.role),) for line in lines), keep_place=True, cleaned=True)
        if self.following:
            self._stand_at_end()
        else:
            self._top, self._cursor = Place(self._piece_at(*top), row), self._piece_at(*cursor)
            self._look_ahead()
        self.refresh()

    def go_to_offset(self, offset: int) -> None:
        """Put the cursor on the line at this byte, in the middle of the screen; following ends."""
        self._set_following(False)
        piece = self._piece_at(offset, 0)
        rows = max(1, self.size.height)
        self._top = Place(max(0, piece - rows // 2), 0)
        self.go_to_piece(piece)
        self._look_ahead()

    def highlight(self, pattern: str) -> None:
        """Show all matches of ``pattern``, without going to one; "" for none."""
        self._pattern = pattern
        self._cache.clear()
        self.refresh()

    @property
    def cursor_offset(self) -> int:
        """The byte at which the line under the cursor begins."""
        return self._offset_of(self._cursor)[0]

    def follow(self) -> None:
        """To the end, and stay there while more comes."""
        self._set_following(True)
        self._stand_at_end()
        self.refresh()

    def stay(self) -> None:
        """Stay here while more comes."""
        self._set_following(False)

    # --- moving -----------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """A line up or down; at the very end it follows."""
        self._begin_move(by)
        super().action_move(by)
        self._end_move(by)

    def action_page(self, by: int) -> None:
        """A page up or down; at the very end it follows."""
        self._begin_move(by)
        super().action_page(by)
        self._end_move(by)

    def action_to_start(self) -> None:
        """To the beginning of the output, which may have to be read."""
        self._set_following(False)
        super().action_to_start()
        if self._more_before:
            self.post_message(self.StartWanted())

    def action_to_end(self) -> None:
        """To the end, and follow."""
        self.follow()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        self._begin_move(-1)
        super().on_mouse_scroll_up(event)
        self._end_move(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        super().on_mouse_scroll_down(event)
        self._end_move(1)

    def on_resize(self) -> None:
        """Who follows stays at the end."""
        super().on_resize()
        if self.following:
            self._stand_at_end()
        else:
            self._look_ahead()

    def _begin_move(self, by: int) -> None:
        if by < 0:
            self._set_following(False)

    def _end_move(self, by: int) -> None:
        if by > 0 and not self.following and self._at_end():
            self.follow()
        else:
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Ask for more where a page further would be the edge."""
        rows = max(1, self.size.height)
        if self._more_before and self._top.item <= rows and not self.following:
            self.post_message(self.EdgeReached(-1))
        if self._more_after and self._top.item + 2 * rows >= len(self._pieces) and not self.following:
            self.post_message(self.EdgeReached(1))

    def _set_following(self, on: bool) -> None:
        if on != self.following:
            self.following = on
            self.post_message(self.FollowChanged(on))

    def _stand_at_end(self) -> None:
        self._cursor = max(0, len(self._pieces) - 1)
        self._top = tail(self._height, len(self._pieces), max(1, self.size.height))

    @property
    def end_in_sight(self) -> bool:
        """Whether the last line is shown, wherever the cursor is."""
        return not self._more_after and self._top >= tail(self._height, len(self._pieces), max(1, self.size.height))

    def _at_end(self) -> bool:
        return self.end_in_sight and self._cursor >= len(self._pieces) - 1

    def _offset_of(self, piece: int) -> tuple[int, int]:
        """The byte at which the line of a piece begins, and which piece of it that is."""
        if not 0 <= piece < len(self._line_of):
            return 0, 0
        line = self._line_of[piece]
        return (self._offsets[line] if line < len(self._offsets) else 0), piece - self._starts[line]

    def _piece_at(self, offset: int, piece: int) -> int:
        """The piece that ``_offset_of`` told, or the nearest that is here now."""
        if not self._offsets:
            return 0
        line = max(0, bisect_right(self._offsets, offset) - 1)
        last = self._starts[line + 1] - 1 if line + 1 < len(self._starts) else len(self._pieces) - 1
        return min(self._starts[line] + piece, last)


class OutputTitle(Painter):
    """One row over an output: which job, its command, and how it stands."""

    DEFAULT_CSS = "OutputTitle { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._head = OutputHead("")

    def update(self, head: OutputHead) -> None:
        """Say this; nothing is painted if it is the same."""
        if head != self._head:
            self._head = head
            self.refresh()

    def row(self, y: int) -> Line:
        """``▸ job 3  python train.py ── 42 new lines ↓  pid 4711  … running 12 s``; facts give way, then that."""
        head = self._head
        width = self.size.width
        name: Line = ((" ▸ ", "accent"), (clean_line(head.name, 60), "title-on"))
        place: Line = ((f"{clean_line(head.place, 60)}  ", "accent"),) if head.place else ()
        state: Line = ((clean_line(head.state, 60), head.role), (" ", "text"))
        facts = [clean_line(fact, 60) for fact in head.facts]

        def right() -> Line:
            return (*place, *((f"{fact}  ", "dim") for fact in facts), *state)

        while facts and cells.line_width((*name, *right())) + COMMAND_LEAST > width:
            facts.pop()
        command = " ".join(clean_line(head.command, 400).split())
        left = (*name, (f"  {command} ", "text"))
        gap = width - cells.line_width(left) - cells.line_width(right()) - 1
        return (*left, ("─" * gap, "rule"), (" ", "text"), *right()) if gap > 0 else spread(left, right(), width)
