"""A long text to read, search and take lines from: an action, help, a preview. A line of a megabyte costs nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from widgets import cells
from widgets.models import RULE, Line, Role, TextRow
from widgets.paint import MOVES, Painter
from widgets.sanitise import clean, is_clean
from widgets.scroll import Place, back, forward, scale_row, tail, window
from widgets.search import has_match, matches

PIECE: Final = 2000
"""Characters of a line that are wrapped at a time; a longer line is kept in pieces of this length."""
MOST_MATCHES: Final = 10_000
"""In a text that is shown otherwise than it was written."""


class Document(Painter, can_focus=True):
    """Lines of (text, role). One line has the cursor; ``v`` begins a choice of lines that ends at the cursor."""

    BINDINGS = MOVES
    DEFAULT_CSS = "Document { width: 1fr; height: 1fr; }"

    class Moved(Message):
        """The cursor is on another line (from 0)."""

        def __init__(self, line: int) -> None:
            super().__init__()
            self.line = line

    class Opened(Message):
        """Enter was pressed on a line (from 0)."""

        def __init__(self, line: int) -> None:
            super().__init__()
            self.line = line

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._pieces: list[Line] = []
        self._dress: Callable[[int], Line] | None = None
        self._line_of: list[int] = []
        self._starts: list[int] = []
        self._cache: dict[int, list[Line]] = {}
        self._top = Place(0, 0)
        self._cursor = 0
        self._mark: int | None = None
        self._pattern = ""
        self._found: list[int] = []
        self._raw: dict[int, TextRow] = {}
        """The lines that stand for another text than they show."""
        self._found_raw: set[int] = set()
        """Pieces of lines whose own text alone has a match."""
        self._shown: list[Place] = []
        self._wrapped_at = 0

    # --- what it shows ----------------------------------------------------------------------------------------------

    def set_text(self, text: str, role: Role = "text") -> None:
        """Show a plain text; it is cleaned here."""
        self.set_lines([((row, role),) for row in clean(text).split("\n")])

    def set_lines(
        self,
        lines: Iterable[Line],
        *,
        keep_place: bool = False,
        cleaned: bool = False,
        dress: Callable[[int], Line] | None = None,
    ) -> None:
        """Show lines; spans that were not ``cleaned`` are cleaned here. ``keep_place`` is for more of the same text.

        ``dress``: the line of this number (from 0) with other roles and the same text, asked when it comes into sight.
        """
        self._dress = dress
        self._pieces, self._line_of, self._starts, self._raw = [], [], [], {}
        for number, line in enumerate(lines):
            self._starts.append(len(self._pieces))
            for piece in _pieces(line if cleaned else _with_clean_text(line)):
                self._pieces.append(piece)
                self._line_of.append(number)
        self._cache.clear()
        if not keep_place:
            self._top, self._cursor, self._mark = Place(0, 0), 0, None
        self._cursor = min(self._cursor, max(0, len(self._pieces) - 1))
        if self._top.item >= len(self._pieces):
            self._top = Place(0, 0)
        self._find()
        self.refresh()

    def set_rows(self, rows: Sequence[TextRow], *, keep_place: bool = False) -> None:
        """Show rows of texts: a search finds what they stand for."""
        self.set_lines((row.line for row in rows), keep_place=keep_place)
        goes_on = False
        for at, row in enumerate(rows):
            if goes_on or not row.ends or row.raw != cells.text_of(row.line):
                self._raw[at] = row
            goes_on = not row.ends
        self._find()

    @property
    def line_count(self) -> int:
        """Lines of the text, however they are wrapped."""
        return len(self._starts)

    @property
    def cursor(self) -> int:
        """The line (from 0) that has the cursor."""
        return self._line_of[self._cursor] if self._line_of else 0

    @property
    def first_line(self) -> int:
        """The line (from 0) at the top of the screen."""
        return self._line_of[self._top.item] if self._top.item < len(self._line_of) else 0

    # --- search and choice ------------------------------------------------------------------------------------------

    def search(self, pattern: str) -> int:
        """Show all matches of ``pattern`` and go to the next one from the cursor; returns how many lines have one."""
        self._pattern = pattern
        self._find()
        self._cache.clear()
        if self._found and self._cursor not in self._found:
            self.next_match(1)
        self.refresh()
        return len(self._found)

    def next_match(self, by: int = 1) -> int | None:
        """To the next or the previous line with a match, around the end; its place among them (from 1)."""
        if not self._found:
            return None
        later = [index for index in self._found if (index > self._cursor if by > 0 else index < self._cursor)]
        target = (later[0] if by > 0 else later[-1]) if later else (self._found[0] if by > 0 else self._found[-1])
        self.go_to_piece(target)
        return self._found.index(target) + 1

    def go_to(self, line: int) -> None:
        """Put the cursor on a line (from 0)."""
        if self._starts:
            self.go_to_piece(self._starts[max(0, min(len(self._starts) - 1, line))])

    def choose(self) -> None:
        """Begin a choice of lines at the cursor, or end it."""
        self._mark = None if self._mark is not None else self._cursor
        self.refresh()

    def selected_text(self) -> str:
        """The chosen lines, else the line of the cursor; as they were written, without wrapping."""
        if not self._pieces:
            return ""
        first, last = sorted((self._cursor, self._cursor if self._mark is None else self._mark))
        first_line, last_line = self._line_of[first], self._line_of[last]
        return "\n".join(self._line_text(number) for number in range(first_line, last_line + 1))

    def text(self) -> str:
        return "\n".join(self._line_text(number) for number in range(len(self._starts)))

    def _line_text(self, number: int) -> str:
        if number in self._raw:
            return self._raw[number].raw
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self._pieces)
        return "".join(cells.text_of(piece) for piece in self._pieces[self._starts[number] : end])

    def _find(self) -> None:
        pattern = self._pattern
        found = [i for i in range(len(self._pieces)) if pattern and has_match(self._with_next(i), pattern)]
        self._found_raw = set(self._find_raw(pattern)).difference(found) if pattern else set()
        self._found = sorted({*found, *self._found_raw}) if self._found_raw else found

    def _find_raw(self, pattern: str) -> Iterator[int]:
        """The first pieces of the lines in whose own text the pattern begins; a line of it may stand on many rows."""
        texts: list[str] = []
        lines: list[int] = []
        for line, row in self._raw.items():
            joined = lines and line == lines[-1] + 1 and not self._raw[lines[-1]].ends
            if not joined:
                yield from self._places_of(pattern, texts, lines)
                texts, lines = [], []
            texts.append(row.raw)
            lines.append(line)
        yield from self._places_of(pattern, texts, lines)

    def _places_of(self, pattern: str, texts: Sequence[str], lines: Sequence[int]) -> Iterator[int]:
        begins = list(accumulate(map(len, texts), initial=0))[:-1]
        for start, _ in matches("".join(texts), pattern, limit=MOST_MATCHES):
            line = lines[bisect_right(begins, start) - 1]
            if not has_match(cells.text_of(self._raw[line].line), pattern):
                yield self._starts[line]

    def _with_next(self, index: int) -> str:
        """A piece and the beginning of the next one of the same line, so that no match is lost between them."""
        text = cells.text_of(self._pieces[index])
        if index + 1 < len(self._pieces) and self._line_of[index + 1] == self._line_of[index]:
            text += cells.text_of(self._pieces[index + 1])[: len(self._pattern) - 1]
        return text

    # --- moving -----------------------------------------------------------------------------------------------------

    def go_to_piece(self, index: int) -> None:
        """Put the cursor on a piece of a line and show it."""
        self._cursor = max(0, min(len(self._pieces) - 1, index))
        rows = max(1, self.size.height)
        shown = window(self._height, len(self._pieces), self._top, rows)
        inside = sum(place.item == self._cursor for place in shown)
        if inside < min(self._height(self._cursor), rows):
            if not shown or Place(self._cursor, 0) < shown[0] or self._height(self._cursor) >= rows:
                self._top = Place(self._cursor, 0)
            else:
                self._top = back(self._height, Place(self._cursor, self._height(self._cursor)), rows)
        self.post_message(self.Moved(self.cursor))
        self.refresh()

    def action_move(self, by: int) -> None:
        """The cursor up or down a line; through a tall one row by row."""
        if not self._pieces:
            return
        rows = max(1, self.size.height)
        if self._height(self._cursor) > rows:
            shown = window(self._height, len(self._pieces), self._top, rows)
            end = Place(self._cursor, self._height(self._cursor) - 1)
            if by > 0 and shown and shown[-1] < end:
                self._scroll(1)
                return
            if by < 0 and self._top > Place(self._cursor, 0):
                self._scroll(-1)
                return
        self.go_to_piece(self._cursor + by)

    def action_page(self, by: int) -> None:
        """A page further; the cursor comes along."""
        self._scroll(by * max(1, self.size.height - 1))
        shown = window(self._height, len(self._pieces), self._top, max(1, self.size.height))
        if shown:
            self._cursor = max(shown[0].item, min(shown[-1].item, self._cursor))
            if by < 0 and self._top == Place(0, 0):
                self._cursor = 0

    def action_to_start(self) -> None:
        self.go_to_piece(0)

    def action_to_end(self) -> None:
        """To the last line."""
        self._cursor = max(0, len(self._pieces) - 1)
        self._top = tail(self._height, len(self._pieces), max(1, self.size.height))
        self.refresh()

    def action_open(self) -> None:
        """What lies deeper than a line is the screen's business."""
        self.post_message(self.Opened(self.cursor))

    def _scroll(self, by: int) -> None:
        rows = max(1, self.size.height)
        count = len(self._pieces)
        if by < 0:
            self._top = back(self._height, self._top, -by)
        else:
            last = tail(self._height, count, rows)
            self._top = min(forward(self._height, count, self._top, by), max(last, self._top))
        self.refresh()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self._scroll(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self._scroll(3)

    # --- painting ---------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Wrap anew; the first line on screen stays the first."""
        if self._wrapped_at and self._wrapped_at != self.size.width and self._top.item < len(self._pieces):
            before = len(self._cache.get(self._top.item, ()))
            self._cache.clear()
            self._top = Place(self._top.item, scale_row(self._top.row, before, self._height(self._top.item)))
        self._wrapped_at = self.size.width
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lay out once per painting."""
        self._shown = window(self._height, len(self._pieces), self._top, self.size.height)
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One row."""
        if y >= len(self._shown):
            return self.strip((), self.size.width)
        item, row = self._shown[y]
        low, high = sorted((self._cursor, self._cursor if self._mark is None else self._mark))
        selected = low <= item <= high
        mark: Line = ((("›" if selected and row == 0 else " "), "accent"),)
        return self.strip((*mark, *self._rows(item)[row]), self.size.width, selected=selected)

    def _is_whole(self, index: int) -> bool:
        """Whether the piece is all of its line."""
        number = self._line_of[index]
        return not any(
            self._line_of[near] == number for near in (index - 1, index + 1) if 0 <= near < len(self._pieces)
        )

    def _height(self, index: int) -> int:
        return len(self._rows(index)) if index < len(self._pieces) else 0

    def _rows(self, index: int) -> list[Line]:
        rows = self._cache.get(index)
        if rows is None:
            line = self._pieces[index]
            if self._dress is not None and self._is_whole(index):
                line = self._dress(self._line_of[index])
            room = max(8, self.size.width - 1)
            if line and line[-1] == RULE:
                line = (*line[:-1], (RULE[0] * max(1, room - cells.line_width(line[:-1])), RULE[1]))
            if index in self._found_raw:
                line = tuple((text, "match") for text, _ in line)
            elif self._pattern:
                line = cells.restyle(line, matches(cells.text_of(line), self._pattern), "match")
            rows = cells.wrap_line(line, room) or [()]
            if len(self._cache) > 4096:
                self._cache.clear()
            self._cache[index] = rows
        return rows


def _with_clean_text(line: Line) -> Line:
    if all(is_clean(text) and "\n" not in text for text, _ in line):
        return line
    return tuple((clean(text).replace("\n", " ⏎ "), role) for text, role in line)


def _pieces(line: Line) -> Iterable[Line]:
    size = sum(len(text) for text, _ in line)
    if size <= PIECE:
        return [line]
    return [cells.slice_line(line, start, start + PIECE) for start in range(0, size, PIECE)]
