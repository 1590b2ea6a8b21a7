"""A list of choices, each with a key of its own that never changes: labels, sessions, formats, ways to leave."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from widgets import cells
from widgets.moves import MOVES
from widgets.paint import Painter, spread
from widgets.rows import SELECTED
from widgets.sanitise import clean_line
from widgets.views import Choice, Line, Span


class ChoiceList(Painter, can_focus=True):
    """Choices under their group headings. A choice's own key picks it at once; ``enter`` picks the one at the cursor.

    Keys of choices win over movement keys: with a choice on ``j``, the arrows move.
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

    def __init__(self, choices: Sequence[Choice] = (), *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._choices: tuple[Choice, ...] = ()
        self._lines: list[Choice | str] = []
        self._at = 0
        self._top = 0
        self._ticked: frozenset[str] = frozenset()
        self.update(choices)

    def update(self, choices: Sequence[Choice]) -> None:
        """Show these; the cursor stays on its choice."""
        here = self.highlighted.id if self.highlighted is not None else ""
        self._choices = tuple(choices)
        self._lines = []
        group = ""
        for choice in choices:
            if choice.group != group:
                group = choice.group
                self._lines.append(group)
            self._lines.append(choice)
        self._at = next((i for i, choice in enumerate(self._choices) if choice.id == here), 0)
        self._into_view()
        self.refresh()

    def tick(self, ids: frozenset[str]) -> None:
        """Mark choices that are taken, where several may be."""
        self._ticked = ids
        self.refresh()

    @property
    def highlighted(self) -> Choice | None:
        """The choice at the cursor."""
        return self._choices[self._at] if self._at < len(self._choices) else None

    @property
    def line_count(self) -> int:
        """Rows that all choices and headings take."""
        return len(self._lines)

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
        """To the next or the previous choice."""
        self._go(self._at + by)

    def action_page(self, by: int) -> None:
        """A page further."""
        self._go(self._at + by * max(1, self.size.height - 1))

    def action_to_start(self) -> None:
        """To the first choice."""
        self._go(0)

    def action_to_end(self) -> None:
        """To the last choice."""
        self._go(len(self._choices) - 1)

    def action_open(self) -> None:
        """Pick the choice at the cursor."""
        if self.highlighted is not None:
            self._pick(self.highlighted, False)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the choice under the pointer."""
        at = self._top + event.y
        if at < len(self._lines) and isinstance(choice := self._lines[at], Choice):
            self.highlight(choice.id)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._into_view()

    def row(self, y: int) -> Line:
        """A heading, or key, text, value and note of a choice."""
        at = self._top + y
        if at >= len(self._lines):
            return ()
        line = self._lines[at]
        if isinstance(line, str):
            return ((f" {clean_line(line)}", "dim"),)
        here = line is self.highlighted
        spans: list[Span] = [(f"{SELECTED if here else ' '} ", "accent"), (cells.pad(line.key, 2), "strong")]
        if self._ticked:
            spans.append(("[x] " if line.id in self._ticked else "[ ] ", "text"))
        spans.append((clean_line(line.text), "dim" if line.disabled else "text"))
        if line.value:
            spans.append((f"  {clean_line(line.value)}", "accent"))
        note = clean_line(line.disabled or line.note)
        return spread(tuple(spans), ((note + " ", "dim"),) if note else (), self.size.width)

    def row_selected(self, y: int) -> bool:
        """Whether the cursor is on row ``y``."""
        at = self._top + y
        return at < len(self._lines) and self._lines[at] is self.highlighted

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
        line = next(i for i, one in enumerate(self._lines) if one is self.highlighted)
        # The heading of the first choice of a group belongs to it.
        first = line - 1 if line and isinstance(self._lines[line - 1], str) else line
        self._top = max(line - self.size.height + 1, min(self._top, first))
