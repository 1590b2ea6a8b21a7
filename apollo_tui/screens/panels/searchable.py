"""A panel whose choices are narrowed down by typing: a title, a field, the choices, what the keys do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from apollo_tui.screens.panels.base import PanelScreen, text_field
from widgets.models import Choice

FIELD_ROWS: Final = 1


def narrow(choices: Iterable[Choice], typed: str) -> list[Choice]:
    """The choices that hold all typed words, in their text or note; those of which one is the beginning come first."""
    words = typed.lower().split()
    found = [one for one in choices if all(word in f"{one.text} {one.note}".lower() for word in words)]
    if not words:
        return found
    begun = [one for one in found if any(part.startswith(words[0]) for part in one.text.lower().split()[:3])]
    return begun + [one for one in found if one not in begun]


class SearchablePanel(PanelScreen[str]):
    """Answers with the id of the choice."""

    AUTO_FOCUS = "Input"
    more_rows = FIELD_ROWS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,ctrl+n", "move(1)", show=False, priority=True),
        Binding("up,ctrl+p", "move(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
    ]

    def compose_above(self) -> Iterable[Widget]:
        """The field."""
        yield text_field(placeholder="type to narrow it down", id="typed")

    def on_mount(self) -> None:
        """The keys are the field's. The panel stays as high as all choices need while they get fewer."""
        self.choices.can_focus = False

    def on_input_changed(self, message: Input.Changed) -> None:
        """Narrow it down."""
        self.choices.update(narrow(self._choices, message.value))
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
