"""A panel whose choices are narrowed down by typing: a title, a field, the choices, what the keys do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from apollo_tui.screens.panels.base import BESIDE, FRAME, WIDEST, Modal, line, text_field
from widgets import cells
from widgets.models import Choice
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

FIELD_ROWS: Final = 1
FOOTER_ROWS: Final = 2
LINE_ROWS: Final = 3


def narrow(choices: Iterable[Choice], typed: str) -> list[Choice]:
    """The choices that hold all typed words, in their text or note; those of which one is the beginning come first."""
    words = typed.lower().split()
    found = [one for one in choices if all(word in f"{one.text} {one.note}".lower() for word in words)]
    if not words:
        return found
    begun = [one for one in found if any(part.startswith(words[0]) for part in one.text.lower().split()[:3])]
    return begun + [one for one in found if one not in begun]


class SearchablePanel(Modal[str]):
    """Answers with the id of the choice."""

    AUTO_FOCUS = "Input"
    hang: ClassVar[int | None] = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+g", "back", show=False, id="back"),
        Binding("down,ctrl+n", "move(1)", show=False, priority=True),
        Binding("up,ctrl+p", "move(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], footer: str, lines: Sequence[str] = ()) -> None:
        super().__init__()
        self._title = title
        self._known = list(choices)
        self._footer = footer
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Title, field, choices, footer."""
        with Vertical(id="panel"):
            yield line(self._title, "panel-title")
            for text in self._lines:
                yield line(text, "panel-line")
            yield text_field(placeholder="type to narrow it down", id="typed")
            yield ChoiceList(self._known, hang=self.hang, id="choices")
            yield line(self._footer, "panel-footer")

    def on_mount(self) -> None:
        """As high as all choices need, within the screen; it stays so while they get fewer."""
        self.choices.can_focus = False
        self._fit()

    def on_resize(self) -> None:
        """Another screen, another height."""
        self._fit()

    def _fit(self) -> None:
        width = min(WIDEST, self.app.size.width * 9 // 10) - BESIDE
        said = sum(min(LINE_ROWS, len(cells.wrap(clean_line(text), width))) for text in self._lines)
        footer = min(FOOTER_ROWS, len(cells.wrap(clean_line(self._footer), width))) - 1
        room = self.app.size.height - FRAME - FIELD_ROWS - said - footer
        self.choices.styles.height = max(1, min(self.choices.rows_in(width), room))

    @property
    def choices(self) -> ChoiceList:
        """The list."""
        return self.query_one(ChoiceList)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Narrow it down."""
        self.choices.update(narrow(self._known, message.value))
        self.choices.action_to_start()

    def on_input_submitted(self) -> None:
        """That one."""
        chosen = self.choices.highlighted
        if chosen is not None and not chosen.disabled:
            self.dismiss(chosen.id)

    def action_move(self, by: int) -> None:
        """Another choice."""
        self.choices.action_move(by)

    def action_page(self, by: int) -> None:
        """A page of them."""
        self.choices.action_page(by)

    def action_back(self) -> None:
        """Close without a choice."""
        self.dismiss(None)
