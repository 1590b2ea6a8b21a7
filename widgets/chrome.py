"""The rows above and below a screen: title bar, receipt line, hints of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from textual import events

from sessions.terminal_text import say_count
from widgets import cells
from widgets.glyphs import money
from widgets.models import HeaderView, Hint, Line, Role, Span
from widgets.paint import Painter, spread
from widgets.sanitise import clean_line

Level = Literal["info", "done", "warning", "error"]

LEAST_NEED: Final = 52
"""Cells that who needs you gets before any count."""
SIGN: Final = " · "
LEAST_PLACE: Final = 12
"""Cells that the name of the screen has in any case."""
LEAST_TROUBLE: Final = 28
"""Cells that what is wrong has beside who needs you; a receipt says it whole."""
LEAST_REASON: Final = 12
"""Cells below which a reason says nothing."""
MOST_HINTS: Final = 8
RECEIPT_ROWS: Final = 3
"""Of a receipt at most; a refusal ends with what to do about it, which must not be cut."""
RECEIPT_CHARACTERS: Final = 600
"""So much of a receipt is shown at most."""
INDENT: Final = 3

_MARKS: dict[Level, tuple[str, Role]] = {
    "info": ("·", "dim"),
    "done": ("✓", "text"),
    "warning": ("!", "need"),
    "error": ("✗", "need"),
}


class TitleBar(Painter):
    """Who needs you first, then counts; trouble with link or log only when there is some. One row, always visible."""

    DEFAULT_CSS = "TitleBar { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._view = HeaderView()

    def update(self, view: HeaderView) -> None:
        """Show these counts; nothing is painted if they are the same."""
        if view != self._view:
            self._view = view
            self.refresh()

    def row(self, y: int) -> Line:
        """``Apollo   4 sessions · 1 needs you: tune-lr killed a healthy job (2 min)      to judge 12 · $0.84``."""
        view = self._view
        left: list[Span] = [(" Apollo ", "accent")]
        needs = bool(view.need_you or view.can_wait)
        trouble: list[Span] = []
        if view.trouble:
            wanted = cells.width(self._need(view, LEAST_NEED)[0]) if needs else 0
            most = max(LEAST_TROUBLE, self._room(left, ()) - wanted - 2)
            trouble = [("  ", "text"), (cells.crop(clean_line(view.trouble), most), "need")]
        bare = cells.width(self._need(view, 0)[0]) if needs else 0
        if view.place:
            place = max(LEAST_PLACE, self._room(left, trouble) - bare - 2)
            left.append((f" {cells.crop(clean_line(view.place, 120), place)} ", "strong"))
        said = "no session" if not view.sessions else say_count(view.sessions, "session")
        said += f" + {say_count(view.children, 'sub-agent')}" if view.children else ""
        if not view.place or self._room((*left, (f" {said}", "dim")), trouble) >= bare:
            left.append((f" {said}", "dim"))
        room = self._room(left, trouble)
        judge = f"to judge {view.to_judge}" if view.to_judge else ""
        counts = [text for text in (judge, money(view.cost), clean_line(view.who, 40)) if text]
        # What is wrong or needs you says more than counts do: the last ones go first.
        least = cells.width(self._need(view, LEAST_NEED)[0]) if needs else 0
        while counts and cells.width(" · ".join(counts)) + 2 + least > room:
            counts.pop()
        right: Line = ((" · ".join(counts) + " ", "dim"),) if counts else ()
        if needs:
            # A cell stays free before what is flush right.
            left += [(SIGN, "dim"), self._need(view, room - cells.line_width(right) - len(right))]
        return spread((*left, *trouble), right, self.size.width)

    def _room(self, left: Sequence[Span], trouble: Sequence[Span]) -> int:
        """Cells for who needs you, with the sign before it, and for the counts."""
        return self.size.width - cells.line_width(tuple(left)) - cells.line_width(tuple(trouble)) - len(SIGN)

    def _need(self, view: HeaderView, room: int) -> Span:
        """How many, and the first one's reason and age; the reason gives way, and with it what it is about."""
        verb = "needs" if view.need_you == 1 else "need"
        said = f"! {view.need_you} {verb} you" if view.need_you else f"{view.can_wait} to look at"
        age = f" ({clean_line(view.first_age, 20)})" if view.first_age else ""
        reason = clean_line(view.first_need)
        left = room - cells.width(said) - cells.width(age) - 2
        if reason and left >= min(LEAST_REASON, cells.width(reason)):
            said = f"{said}: {cells.crop(reason, left)}{age}"
        return said, "need" if view.need_you else "text"


class ReceiptLine(Painter):
    """The newest receipt stays until the next one, or until the app clears it. One row, more for long words only."""

    DEFAULT_CSS = "ReceiptLine { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._text = ""
        self._level: Level = "info"
        self._rows: list[str] = []

    def show(self, text: str, level: Level = "info") -> None:
        """Say ``text``; it may hold foreign words, so it is cleaned."""
        text = clean_line(text, RECEIPT_CHARACTERS)
        if (text, level) != (self._text, self._level):
            self._text, self._level = text, level
            self._wrap(self.size.width)
            self.refresh()

    def clear(self) -> None:
        self.show("")

    @property
    def text(self) -> str:
        return self._text

    def on_resize(self, event: events.Resize) -> None:
        """Other words fit into a row."""
        self._wrap(event.size.width)

    def row(self, y: int) -> Line:
        """Mark and text; the text goes on below itself."""
        if not self._text or y >= len(self._rows):
            return ()
        glyph, role = _MARKS[self._level]
        mark = f" {glyph} " if y == 0 else " " * INDENT
        return ((mark, role), (self._rows[y], "text" if role == "dim" else role))

    def _wrap(self, width: int) -> None:
        room = max(1, width - INDENT)
        rows = cells.wrap(self._text, room) if self._text and width else [self._text]
        if len(rows) > RECEIPT_ROWS:
            rows[RECEIPT_ROWS - 1 :] = [cells.crop(" ".join(rows[RECEIPT_ROWS - 1 :]), room)]
        self._rows = rows
        height = max(1, len(rows))
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height


class HintBar(Painter):
    """One row of hints."""

    DEFAULT_CSS = "HintBar { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._hints: tuple[Hint, ...] = ()

    def update(self, hints: Sequence[Hint]) -> None:
        """Show the first eight; ``?`` should be the last of them."""
        if tuple(hints) != self._hints:
            self._hints = tuple(hints)
            self.refresh()

    def row(self, y: int) -> Line:
        """Those that fit, whole; the last one stays."""
        shown = list(self._hints[:MOST_HINTS])
        while len(shown) > 1 and sum(len(h.key) + len(h.verb) + 3 for h in shown) > self.size.width:
            shown.pop(-2)
        line: list[Span] = []
        for hint in shown:
            line += [(" " if not line else "  ", "text"), (hint.key, "strong"), (f" {hint.verb}", "dim")]
        return tuple(line)
