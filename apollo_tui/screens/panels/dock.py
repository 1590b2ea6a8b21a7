"""A panel that takes room from the view instead of covering it: below, or at the side of a wide terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.widgets import Input

from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.panels.base import Modal, line, text_field
from widgets import cells
from widgets.choice_grid import ChoiceGrid
from widgets.models import Choice
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

T = TypeVar("T")

SIDE_COLUMNS: Final = 160
SIDE_ROWS: Final = 44
"""A terminal of this size and more has the panel at its side."""
SIDE_WIDTH: Final = 64
NAME: Final = 20
"""Cells of the column of names where each choice has a row."""
LEAST_LIST: Final = 4
LEAST_VIEW: Final = 6
"""Rows that stay for the view, with its title."""


def find_choices(choices: Sequence[Choice], text: str) -> list[Choice]:
    """The choices that hold every word of ``text``; those whose name begins with it first."""
    words = text.lower().split()

    def said(choice: Choice) -> str:
        return clean_line(f"{choice.text} {choice.group} {choice.note} {choice.value} {choice.id}").lower()

    found = [choice for choice in choices if all(word in said(choice) for word in words)]
    return sorted(found, key=lambda choice: not choice.text.lower().startswith(text.lower().strip()))


class DockedPanel(Modal[T]):
    """A title, lines, choices with a key each, and a footer. ``/`` begins to filter the choices by what is typed; all
    other keys of choices choose at once."""

    AUTO_FOCUS = "ChoiceList"
    fixed_rows: ClassVar[int] = 0
    """Rows that ``compose_more`` takes."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+g,q", "back", show=False, id="back"),
        Binding("slash", "find", show=False, id="panel.find"),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], footer: str, lines: Sequence[str] = ()) -> None:
        super().__init__()
        self._title = title
        self._all = list(choices)
        self._footer = footer
        self._lines = list(lines)

    @property
    def at_side(self) -> bool:
        """Whether there is room for it beside the view."""
        return self.app.size.width >= SIDE_COLUMNS and self.app.size.height >= SIDE_ROWS

    def compose(self) -> ComposeResult:
        """Title, lines, choices, what subclasses add, the field that filters, the footer."""
        with Vertical(id="docked", classes="-side" if self.at_side else ""):
            yield line(self._title, "docked-title")
            for text in self._lines:
                yield line(text, "docked-line")
            yield self.make_list()
            yield from self.compose_more()
            yield text_field("", "", "find")
            yield line(self._footer, "docked-footer")

    def make_list(self) -> ChoiceList:
        """The choices: in columns below the view, at its side one a row."""
        if not self.at_side:
            return ChoiceGrid(self._all, id="choices")
        return ChoiceList(_as_rows(self._all), id="choices")

    def compose_more(self) -> ComposeResult:
        """What stands between the choices and the footer."""
        yield from ()

    @property
    def choices(self) -> ChoiceList:
        """The list."""
        return self.query_one(ChoiceList)

    @property
    def view(self) -> ApolloScreen | None:
        """What it takes room from."""
        return next((one for one in reversed(self.app.screen_stack) if isinstance(one, ApolloScreen)), None)

    def on_mount(self) -> None:
        """Take the room that it needs."""
        self.query_one("#find", Input).display = False
        self.fit()

    def on_resize(self) -> None:
        """Another screen, another room."""
        self.fit()

    def on_unmount(self) -> None:
        """Give the room back."""
        if self.view is not None:
            self.view.make_room()

    def fit(self) -> None:
        """As much as the choices need, and the rest for the view."""
        try:
            choices = self.choices
        except NoMatches:
            return  # it closes, or has not opened
        if self.at_side:
            choices.styles.height = "1fr"
            room = {"right": SIDE_WIDTH}
        else:
            beside = 2 + len(self._lines) + self.fixed_rows
            least, most = LEAST_LIST, self.app.size.height - beside - LEAST_VIEW
            rows = max(least, min(choices.rows_in(self.app.size.width - 2), most))
            choices.styles.height = rows
            room = {"bottom": rows + beside}
        if self.view is not None:
            self.view.make_room(**room)

    # --- finding ----------------------------------------------------------------------------------------------------

    def action_find(self) -> None:
        """Type a part of a name."""
        field = self.query_one("#find", Input)
        field.placeholder = "a part of the name, then enter"
        field.display = True
        self.query_one(".docked-footer").display = False
        self.set_focus(field)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Only what holds it is shown."""
        if message.input.id == "find":
            found = find_choices(self._all, message.value)
            self.choices.update(found if not self.at_side else _as_rows(found))
            if found:
                self.choices.highlight(found[0].id)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """The first that was found."""
        if message.input.id == "find":
            self.choices.action_open()

    def end_finding(self) -> bool:
        """All choices again; False if none was looked for."""
        field = self.query_one("#find", Input)
        if not field.display:
            return False
        field.value, field.display = "", False
        self.query_one(".docked-footer").display = True
        self.choices.update(self._all if not self.at_side else _as_rows(self._all))
        self.set_focus(self.choices)
        return True

    def action_back(self) -> None:
        """End the filter; else close without a choice."""
        if not self.end_finding():
            self.dismiss(None)


def _as_rows(choices: Sequence[Choice]) -> list[Choice]:
    return [
        Choice(
            choice.id,
            f"{cells.pad(clean_line(choice.text), NAME)} {choice.note}",
            choice.key,
            value=choice.value,
            group=choice.group,
            disabled=choice.disabled,
        )
        for choice in choices
    ]


class DockedChoice(DockedPanel[str]):
    """Answers with the id of the choice."""

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """That one."""
        self.dismiss(message.choice.id)
