"""Small panels over a screen: a title, a list of choices, a line that says what the keys do. Only a key opens one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from widgets import cells
from widgets.models import Choice
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

T = TypeVar("T")

WIDEST: Final = 104
BESIDE: Final = 4
"""Cells of a panel at most, and those that its frame takes (app.tcss)."""
LINE_ROWS: Final = 3
FOOTER_ROWS: Final = 2
"""Rows that a line and the footer may take."""
FRAME: Final = 9
"""Rows of a panel that are not choices, and of the screen around it."""


class Modal(ModalScreen[T]):
    """Answers once: a key that comes while it closes was meant for it, and closes nothing else."""

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Close with this answer, if it is still open."""
        return super().dismiss(result) if self.is_active else AwaitComplete(asyncio.sleep(0))


class PanelScreen(Modal[T]):
    """A titled list of choices. Subclasses say what a choice means."""

    AUTO_FOCUS = "ChoiceList"
    more_rows: ClassVar[int] = 0
    """Rows that ``compose_above`` takes, and ``compose_more`` beyond the two of a note."""
    hang: ClassVar[int | None] = None
    """Where long texts of choices go on in the next row; None: they are cropped."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+g,q", "back", show=False, id="back")]

    def __init__(self, title: str, choices: Sequence[Choice], footer: str, lines: Sequence[str] = ()) -> None:
        super().__init__()
        self._title = title
        self._choices = list(choices)
        self._footer = footer
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Title, lines, choices, footer."""
        with Vertical(id="panel"):
            yield line(self._title, "panel-title")
            for text in self._lines:
                yield line(text, "panel-line")
            yield from self.compose_above()
            yield ChoiceList(self._choices, hang=self.hang, id="choices")
            yield from self.compose_more()
            yield line(self._footer, "panel-footer")

    def compose_above(self) -> Iterable[Widget]:
        """What stands between the lines and the choices."""
        return ()

    def compose_more(self) -> Iterable[Widget]:
        """What stands between the choices and the footer."""
        return ()

    def on_mount(self) -> None:
        """As high as the choices need, within the screen."""
        self._fit()

    def on_resize(self) -> None:
        """Another screen, another height."""
        self._fit()

    def _fit(self) -> None:
        width = min(WIDEST, self.app.size.width * 9 // 10) - BESIDE
        lines = sum(min(LINE_ROWS, len(cells.wrap(clean_line(text), width))) for text in self._lines)
        footer = min(FOOTER_ROWS, len(cells.wrap(clean_line(self._footer), width))) - 1
        room = self.app.size.height - FRAME - lines - footer - self.more_rows
        self.choices.styles.height = max(1, min(self.choices.rows_in(width), room))

    @property
    def choices(self) -> ChoiceList:
        """The list."""
        return self.query_one(ChoiceList)

    def action_back(self) -> None:
        """Close without a choice."""
        self.dismiss(None)


def line(text: str, classes: str) -> Static:
    """One line of text, foreign or not, never parsed."""
    return Static(clean_line(text), classes=classes, markup=False)


def text_field(value: str = "", placeholder: str = "", id: str | None = None) -> Input:
    """A text field of one line. Its cursor does not blink: an idle screen writes nothing."""
    made = Input(value, placeholder=placeholder, id=id)
    made.cursor_blink = False
    return made


class ChoicePanel(PanelScreen[str]):
    """Answers with the id of the choice."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """That one."""
        self.dismiss(message.choice.id)
