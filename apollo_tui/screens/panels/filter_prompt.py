"""``/`` on the board: words that narrow the list down while they are typed, and what they may become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from apollo_tui.screens.panels.base import line, text_field
from apollo_tui.screens.panels.prompt import CompletionPrompt
from apollo_tui.state.board_filter import FIELDS, FilterValue
from widgets.models import Choice
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

MOST: Final = 8
"""Rows of completions at most."""
WORD: Final = 28
"""Cells of the column of words."""
HINT: Final = " ".join(f"{field}:" for field in FIELDS if field != "text") + " · -word leaves out"


class FilterPrompt(CompletionPrompt):
    """Answers with the words, None if it was left. ``preview`` shows what words mean, and says it; ``complete`` says
    what the last of them may become."""

    def __init__(self, words: str, preview: Callable[[str], str], complete: Callable[[str], list[FilterValue]]) -> None:
        super().__init__()
        self._words = words
        self._preview = preview
        self._known = complete

    def compose(self) -> ComposeResult:
        """The completions, what the words mean, the field."""
        with Vertical(id="command"):
            yield ChoiceList(id="choices")
            yield Static("", id="filter-count", markup=False)
            with Horizontal(id="prompt"):
                yield line("/", "prompt-label")
                yield text_field(self._words, "words · tab completes · enter keeps it · esc leaves it as it was")

    def on_mount(self) -> None:
        """What is set now."""
        field = self.query_one(Input)
        field.cursor_position = len(field.value)
        self._tell(self._words)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Narrow the list down."""
        self._moved = False
        self._tell(message.value)

    def _tell(self, words: str) -> None:
        said = self._preview(words)
        found = self._known(words)
        listing = self.query_one(ChoiceList)
        listing.update(
            [Choice(one.word, f"{one.word:<{WORD}} {one.count:>4}  {one.about}".rstrip()) for one in found[:40]]
        )
        listing.action_to_start()
        listing.styles.height = max(1, min(MOST, len(found), self.app.size.height // 3))
        self.query_one("#filter-count", Static).update(clean_line(f"{said} · {HINT}"))

    def action_complete(self) -> None:
        """Put the completion at the cursor in the place of the last word."""
        chosen = self.query_one(ChoiceList).highlighted
        if chosen is not None:
            field = self.query_one(Input)
            before, _, _ = field.value.rpartition(" ")
            field.value = f"{before} {chosen.id} ".lstrip()
            field.cursor_position = len(field.value)

    def on_input_submitted(self) -> None:
        """Keep what is typed, with the completion that was gone to."""
        if self._moved:
            self.action_complete()
        self.dismiss(self.query_one(Input).value.strip())
