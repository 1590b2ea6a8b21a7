"""A list of choices, each with a key of its own that never changes: labels, sessions, formats, ways to leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from textual import events
from textual.message import Message

from widgets import cells
from widgets.models import Choice, Line, Span
from widgets.paint import MOVES, Painter, spread
from widgets.rows import SELECTED
from widgets.sanitise import clean_line

KEY_CELLS: Final = 2
TICK_CELLS: Final = 4
"""Cells of the box of a choice that may be one of several."""
MORE_CELLS: Final = 12
"""Cells of the sign that there are more choices."""
LEAST_NOTE: Final = 6
"""Cells below which a note says nothing."""
WHOLE: Final = "↳ "
WHOLE_MOST: Final = 3
"""Rows that say the choice at the cursor whole where choices are cropped."""
LIST_LEAST: Final = 3
"""Rows of choices that stay however little room there is."""


class _Row(NamedTuple):
    """One row: a heading, or the part of a choice's text with this number."""

    text: str
    choice: Choice | None = None
    part: int = 0


class ChoiceList(Painter, can_focus=True):
    """Choices under their group headings. A choice's own key picks it at once; ``enter`` picks the one at the cursor.

    Keys of choices win over movement keys: with a choice on ``j``, the arrows move. Where choices are cropped, the last
    rows say the one at the cursor whole.
    """

    BINDINGS = MOVES
    DEFAULT_CSS = "ChoiceList { width: 1fr; height: 1fr; }"

    class Picked(Message):
        """A choice was made; ``by_key`` if by its own key."""

        def __init__(self, sender: ChoiceList, choice: Choice, by_key: bool) -> None:
            super().__init__()
            self.sender = sender
            self.choice = choice
            self.by_key = by_key

        @property
        def control(self) -> ChoiceList:
            """The list, for ``@on`` selectors."""
            return self.sender

    class Highlighted(Message):
        """The cursor is on another choice."""

        def __init__(self, sender: ChoiceList, choice: Choice) -> None:
            super().__init__()
            self.sender = sender
            self.choice = choice

        @property
        def control(self) -> ChoiceList:
            """The list, for ``@on`` selectors."""
            return self.sender

    def __init__(
        self,
        choices: Sequence[Choice] = (),
        *,
        hang: int | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """``hang``: long texts go on in rows below, from this cell of the text on; None: they are cropped."""
        super().__init__(id=id, classes=classes)
        self._choices: tuple[Choice, ...] = ()
        self._hang = hang
        self._lines: list[_Row] = []
        self._at = 0
        self._top = 0
        self._foot = 0
        """Rows at the end that say the choice at the cursor whole."""
        self._ticked: frozenset[str] = frozenset()
        self.update(choices)

    def update(self, choices: Sequence[Choice]) -> None:
        """Show these; the cursor stays on its choice."""
        here = self.highlighted.id if self.highlighted is not None else ""
        self._choices = tuple(choices)
        self._at = next((i for i, choice in enumerate(self._choices) if choice.id == here), 0)
        self._lay_out()
        self.refresh()

    def tick(self, ids: frozenset[str]) -> None:
        """Mark choices that are taken, where several may be."""
        self._ticked = ids
        self._lay_out()
        self.refresh()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What is shown."""
        return self._choices

    @property
    def highlighted(self) -> Choice | None:
        return self._choices[self._at] if self._at < len(self._choices) else None

    @property
    def line_count(self) -> int:
        """Rows that all choices and headings take at this width."""
        return len(self._lines)

    @property
    def _list_height(self) -> int:
        """Rows in which choices are shown."""
        return self.size.height - self._foot

    def rows_in(self, width: int) -> int:
        """Rows that all choices and headings take in ``width`` cells, with those that say one whole."""
        return len(self._rows_in(width)) + self._foot_in(width)

    def highlight(self, id: str) -> None:
        """Put the cursor on a choice."""
        found = next((i for i, choice in enumerate(self._choices) if choice.id == id), None)
        if found is not None:
            self._go(found)

    def on_key(self, event: events.Key) -> None:
        """A choice's own key picks it."""
        choice = next((c for c in self._choices if c.key and c.key == (event.character or event.key)), None)
        if choice is not None:
            event.stop()
            event.prevent_default()
            self._pick(choice, True)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Keys of choices come before bindings."""
        return any(choice.key and choice.key == (character or key) for choice in self._choices)

    def action_move(self, by: int) -> None:
        self._go(self._at + by)

    def action_page(self, by: int) -> None:
        self._go(self._at + by * max(1, self._list_height - 1))

    def action_to_start(self) -> None:
        self._go(0)

    def action_to_end(self) -> None:
        self._go(len(self._choices) - 1)

    def action_open(self) -> None:
        if self.highlighted is not None:
            self._pick(self.highlighted, False)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the choice under the pointer."""
        at = self._top + event.y
        if event.y < self._list_height and at < len(self._lines) and (choice := self._lines[at].choice) is not None:
            self.highlight(choice.id)

    def on_resize(self) -> None:
        """Break the texts anew; keep the cursor in sight."""
        self._lay_out()
        self.refresh()

    def row(self, y: int) -> Line:
        """A heading, or key, text, value and note of a choice; at the edges, how many more there are."""
        if y >= self._list_height:
            return self._whole(y - self._list_height)
        at = self._top + y
        if at >= len(self._lines):
            return ()
        more = self._more(y)
        width = self.size.width - (cells.width(more) + 1 if more else 0)
        shown = self._row_line(self._lines[at], width)
        return spread(shown, ((more, "accent"),), self.size.width) if more else shown

    def _row_line(self, row: _Row, width: int) -> Line:
        choice = row.choice
        if choice is None:
            return ((f" {clean_line(row.text)}", "dim"),)
        here, first = choice is self.highlighted, row.part == 0
        spans: list[Span] = [
            (f"{SELECTED if here and first else ' '} ", "accent"),
            (cells.pad(choice.key if first else "", KEY_CELLS), "strong"),
        ]
        if self._ticked:
            spans.append(((("[x] " if choice.id in self._ticked else "[ ] ") if first else " " * TICK_CELLS), "text"))
        spans.append((row.text, "dim" if choice.disabled else "text"))
        if not first:
            return tuple(spans)
        if choice.value:
            spans.append((f"  {clean_line(choice.value)}", "accent"))
        # The note gives way: which choice this is must be whole.
        room = width - cells.line_width(tuple(spans)) - 1
        said = f"{clean_line(choice.disabled or choice.note)} "
        below = self._foot and choice is self.highlighted and cells.width(said) > room
        note = cells.crop(said, room) if room >= LEAST_NOTE and not below else ""
        return spread(tuple(spans), ((note, "dim"),) if note.strip() else (), width)

    def _more(self, y: int) -> str:
        """At the first and the last row: how many choices are out of sight there."""
        signs = []
        if y == 0 and (above := _choices_in(self._lines[: self._top])):
            signs.append(f"↑ {above} more")
        if y == self._list_height - 1 and (below := _choices_in(self._lines[self._top + self._list_height :])):
            signs.append(f"↓ {below} more")
        return "  ".join(signs) + " " if signs else ""

    def _lay_out(self) -> None:
        width, height = self.size
        self._lines = self._rows_in(width)
        self._foot = max(0, min(self._foot_in(width), height - min(LIST_LEAST, len(self._lines))))
        if self._hang is not None and len(self._lines) > height:
            # Whole texts leave room for the sign that there are more.
            self._lines = self._rows_in(width - MORE_CELLS)
        self._into_view()

    def _rows_in(self, width: int) -> list[_Row]:
        """Headings and choices as rows."""
        rows: list[_Row] = []
        group = ""
        for choice in self._choices:
            if choice.group != group:
                group = choice.group
                rows.append(_Row(group))
            rows.extend(
                _Row(text, choice, part) for part, text in enumerate(self._break_text(clean_line(choice.text), width))
            )
        return rows

    def _break_text(self, text: str, width: int) -> list[str]:
        if self._hang is None or width <= 0:
            return [text]
        lead, rest = text[: self._hang], text[self._hang :]
        room = max(8, width - KEY_CELLS - 2 - self._hang)
        parts = cells.wrap(rest, room) if cells.width(rest) > room else [rest]
        return [lead + parts[0], *(" " * self._hang + part for part in parts[1:])]

    def row_selected(self, y: int) -> bool:
        """Whether the cursor is on row ``y``."""
        at = self._top + y
        return (
            at < len(self._lines) and self._lines[at].choice is not None and self._lines[at].choice is self.highlighted
        )

    def _pick(self, choice: Choice, by_key: bool) -> None:
        self.highlight(choice.id)
        if not choice.disabled:
            self.post_message(self.Picked(self, choice, by_key))

    def _go(self, at: int) -> None:
        at = max(0, min(len(self._choices) - 1, at))
        if at != self._at and self._choices:
            self._at = at
            self._into_view()
            self.refresh()
            self.post_message(self.Highlighted(self, self._choices[at]))

    def _into_view(self) -> None:
        if self.highlighted is None or not self.size.height:
            return
        first = next(i for i, row in enumerate(self._lines) if row.choice is self.highlighted)
        last = max(i for i, row in enumerate(self._lines) if row.choice is self.highlighted)
        if first and self._lines[first - 1].choice is None:
            first -= 1  # the heading of the first choice of a group belongs to it
        self._top = max(last - self._list_height + 1, min(self._top, first, len(self._lines) - self._list_height), 0)

    # --- what is cropped --------------------------------------------------------------------------------------------

    def _cells_of(self, choice: Choice) -> int:
        """Cells that a choice takes when nothing of it is cropped."""
        taken = (
            len(SELECTED) + 1 + KEY_CELLS + (TICK_CELLS if self._ticked else 0) + cells.width(clean_line(choice.text))
        )
        taken += 2 + cells.width(clean_line(choice.value)) if choice.value else 0
        note = clean_line(choice.disabled or choice.note)
        return taken + (2 + cells.width(note) if note else 0)

    def _foot_in(self, width: int) -> int:
        """Rows that the longest of the cropped choices takes whole; 0 if none is cropped, or texts go on below."""
        if self._hang is not None or width <= 0:
            return 0
        cropped = [choice for choice in self._choices if self._cells_of(choice) > width]
        return max((len(_whole_rows(choice, width)) for choice in cropped), default=0)

    def _whole(self, part: int) -> Line:
        """Row ``part`` of the choice at the cursor, whole, if its own row may be cropped."""
        choice, width = self.highlighted, self.size.width
        if choice is None or self._cells_of(choice) <= width - MORE_CELLS:
            return ()
        rows = _whole_rows(choice, width)
        if part >= len(rows):
            return ()
        return ((f" {WHOLE if not part else ' ' * len(WHOLE)}", "accent"), (rows[part], "text"))


def _whole_rows(choice: Choice, width: int) -> list[str]:
    """All that a choice says, wrapped; columns become words. What its row says whole is not said again."""
    lead = len(SELECTED) + 1 + KEY_CELLS + TICK_CELLS + MORE_CELLS + 2
    fits = lead + sum(cells.width(clean_line(text)) + 2 for text in (choice.text, choice.value) if text) <= width
    note = choice.disabled or choice.note
    texts = (note,) if fits and note else (choice.text, choice.value, note)
    said = [" ".join(clean_line(text).split()) for text in texts]
    room = max(8, width - len(WHOLE) - 2)
    rows = cells.wrap(" · ".join(filter(None, said)), room)
    if len(rows) > WHOLE_MOST:
        rows[WHOLE_MOST - 1 :] = [cells.crop(" ".join(rows[WHOLE_MOST - 1 :]), room)]
    return rows


def _choices_in(rows: Sequence[_Row]) -> int:
    return sum(row.choice is not None and row.part == 0 for row in rows)
