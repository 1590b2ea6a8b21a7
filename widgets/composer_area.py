"""The text that is written in the composer, and the line above it. Loaded when the composer is first opened."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from widgets import cells
from widgets.models import ComposerTarget, EarlierText, Line, Span
from widgets.paint import Painter, spread
from widgets.sanitise import TAB, clean, clean_line

BURST: Final = 0.03
"""Seconds between two keys below which no person typed both."""
AT_ONCE: Final = 0.02
"""Seconds between the letters of a text that came at once,"""
FEWEST: Final = 3
"""so many of them are one,"""
REST: Final = 0.1
"""and a return this soon after them belongs to it: it may come in pieces."""


class ComposerPrompt(Painter):
    """Whom this goes to, what it is about, and what the keys do."""

    DEFAULT_CSS = "ComposerPrompt { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._left: Line = ()
        self._right: Line = ()

    def show_target(self, target: ComposerTarget, steps: int) -> None:
        """Say whom it goes to, and how far the session has gone since."""
        said: list[Span] = [(f" {target.verb} ", "dim"), (f"{target.address} {clean_line(target.title, 80)}", "accent")]
        if target.verb == "edit" and target.ref is not None:
            said.append((f"  advice {target.ref}", "dim"))
        if target.also:
            said.append((f" and {', '.join(clean_line(name, 40) for name in target.also)}", "accent"))
        if target.about:
            said.append((f"  about {clean_line(target.about, 120)}", "dim"))
        if target.reach:
            said.append((f"  {target.reach}", "strong"))
        moved = f"+{steps} {'step' if steps == 1 else 'steps'} since you began   " if steps else ""
        keys = "enter queues · ctrl+s now"
        if target.verb == "note":
            keys = "enter saves"
        if target.verb == "correct":
            keys = "what it should have done · up: its call · enter saves"
        if target.verb == "answer":
            keys = "enter answers"
        if target.verb == "edit":
            keys = "enter changes it · ctrl+s now"
        if target.reach:
            keys += f" · ctrl+r {'here only' if target.reach == 'general' else 'general'}"
        line: Line = ((moved, "strong"), (keys + " · esc leaves ", "dim"))
        if (tuple(said), line) != (self._left, self._right):
            self._left, self._right = tuple(said), line
            self.refresh()

    def row(self, y: int) -> Line:
        """The prompt; the hints give way first."""
        room = self.size.width - cells.line_width(self._left) - 2
        return spread(
            self._left, self._right if cells.line_width(self._right) <= room else self._right[:1], self.size.width
        )


class ComposerArea(TextArea):
    """The text. Keys that send, leave or scroll are messages; all others write."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,ctrl+t", "send_now", "Now", show=False, priority=True),
        Binding("ctrl+j,shift+enter", "new_line", "New line", show=False),
        Binding("escape,ctrl+g", "leave", "Leave", show=False),
        Binding("ctrl+r", "turn_reach", "Reach", show=False, priority=True),
        Binding("pageup", "scroll_session(-1)", "Scroll up", show=False),
        Binding("pagedown", "scroll_session(1)", "Scroll down", show=False),
        Binding("up", "up", "Earlier", show=False),
        Binding("down", "down", "Later", show=False),
        Binding("tab", "field(1)", "Next field", show=False),
        Binding("shift+tab", "field(-1)", "Field before", show=False),
    ]
    DEFAULT_CSS = """
    ComposerArea {
        height: auto;
        min-height: 1;
        max-height: 6;
        border: none;
        padding: 0 1;
        background: $background;
        &:focus { border: none; }
    }
    """

    class Sent(Message):
        """The text is to be sent."""

        def __init__(self, now: bool) -> None:
            super().__init__()
            self.now = now

    class ReachTurned(Message):
        """What is written reaches further, or not as far, as was said before."""

    class Recalled(Message):
        """A text that was sent before stands here now, or what was being written; ``queued``: the number of advice that
        waits still, which is edited then."""

        def __init__(self, queued: int | None) -> None:
            super().__init__()
            self.queued = queued

    class FieldAsked(Message):
        """The person goes to the next field of a template (1), or the one before (-1); without one, asks for a text."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Escaped(Message):
        """The person leaves."""

    class Paged(Message):
        """The person scrolls the session."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    def __init__(self) -> None:
        super().__init__("", soft_wrap=True, show_line_numbers=False, compact=True, highlight_cursor_line=False)
        self.cursor_blink = False
        self._earlier: Sequence[EarlierText] | None = None
        """None: it is not known yet."""
        self._recalled: int | None = None
        self._early_ups = 0
        """So often ``up`` was pressed before that was known,"""
        self._early_return = False
        """and then ``enter``."""
        self._draft = ""
        self._last_letter = 0.0
        self._letters_at_once = 0
        self._return: Timer | None = None

    def begin(self, draft: str, earlier: Sequence[EarlierText] | None) -> None:
        """Start with this draft; nothing of the last one is left, its undo history neither."""
        self._cancel_return()
        self._earlier, self._recalled, self._draft = earlier, None, draft
        self._early_ups, self._early_return = 0, False
        with self.prevent(TextArea.Changed):
            self.load_text(draft)
        self.move_cursor(self.document.end)

    def remember(self, earlier: Sequence[EarlierText]) -> None:
        """What ``up`` brings back, oldest first; it is done now where it was pressed already."""
        if self._recalled is None:
            self._earlier = earlier
            ups, self._early_ups = self._early_ups, 0
            for _ in range(ups):
                self.action_up()
            if self._early_return:
                self._early_return = False
                self._send_return()

    async def on_key(self, event: events.Key) -> None:
        gap = event.time - self._last_letter
        quick = gap < (REST if self._letters_at_once >= FEWEST else BURST)
        if event.is_printable or event.key == "enter":
            self._last_letter = event.time
            at_once = gap < AT_ONCE or (event.key == "enter" and quick)
            self._letters_at_once = self._letters_at_once + 1 if at_once else 1
        if event.key not in ("up", "enter"):
            self._early_ups = 0  # something else is written: it is not replaced
        if self._return is not None:
            # Something came right after a return: it was text after all.
            self._cancel_return()
            self.insert("\n")
        if event.key == "tab" and quick:
            event.stop()
            event.prevent_default()
            self.insert(" " * (TAB - self.cursor_location[1] % TAB))
            self._last_letter = event.time
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            if quick:
                self.insert("\n")
            else:
                self._return = self.set_timer(BURST, self._send_return)

    async def on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert(clean(event.text))

    def expect_rest(self) -> None:
        """A text was put here: a return that comes at once with it is the rest of it."""
        self._last_letter, self._letters_at_once = monotonic(), FEWEST

    def _send_return(self) -> None:
        self._return = None
        if self._early_ups:
            self._early_return = True
        else:
            self.post_message(self.Sent(False))

    def _cancel_return(self) -> None:
        if self._return is not None:
            self._return.stop()
            self._return = None

    def action_send_now(self) -> None:
        self.post_message(self.Sent(True))

    def action_new_line(self) -> None:
        self.insert("\n")

    def action_turn_reach(self) -> None:
        """General, or here only."""
        self.post_message(self.ReachTurned())

    def action_leave(self) -> None:
        """Leave; the draft stays."""
        self._cancel_return()
        self.post_message(self.Escaped())

    def action_scroll_session(self, pages: int) -> None:
        """Scroll the session that is written to."""
        self.post_message(self.Paged(pages))

    def action_field(self, by: int) -> None:
        """To the next field, or the one before."""
        self.post_message(self.FieldAsked(by))

    def selected_characters(self) -> tuple[int, int]:
        """From where to where the selection goes, in characters; nothing selected: twice the place of the cursor."""
        first, last = sorted((self.selection.start, self.selection.end))
        return self._character_at(first), self._character_at(last)

    def select_characters(self, first: int, last: int) -> None:
        """Select a part of the text: what is typed takes its place."""
        self.selection = Selection(self._place_of(first), self._place_of(last))

    def _character_at(self, place: tuple[int, int]) -> int:
        row, column = place
        return sum(len(line) + 1 for line in self.text.split("\n")[:row]) + column

    def _place_of(self, character: int) -> tuple[int, int]:
        before = self.text[:character].split("\n")
        return len(before) - 1, len(before[-1])

    def action_up(self) -> None:
        """Up a row; from the first one, back through earlier advice."""
        if self.get_cursor_up_location()[0] != self.cursor_location[0] or self.has_row_above:
            self.action_cursor_up()
            return
        if self._earlier is None:
            self._early_ups += 1
            return
        at = len(self._earlier) if self._recalled is None else self._recalled
        if at > 0:
            if self._recalled is None:
                self._draft = self.text
            self._recall(at - 1)

    def action_down(self) -> None:
        """Down a row; from the last one, forward to the draft."""
        if self._recalled is not None and self.cursor_location[0] == self.document.line_count - 1:
            self._recall(self._recalled + 1)
        else:
            self.action_cursor_down()

    @property
    def has_row_above(self) -> bool:
        """Whether there is a row of the same line above the cursor."""
        return self.cursor_location[0] == 0 and self.get_cursor_up_location() != (0, 0) and self.cursor_location[1] > 0

    def _recall(self, at: int) -> None:
        recalled = self._earlier[at] if self._earlier is not None and at < len(self._earlier) else None
        self._recalled = at if recalled is not None else None
        self.post_message(self.Recalled(recalled.queued if recalled is not None else None))
        self.text = recalled.text if recalled is not None else self._draft
        self.move_cursor(self.document.end)
