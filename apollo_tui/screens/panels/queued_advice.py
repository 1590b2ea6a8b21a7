"""``:withdraw``: the advice to a session that still waits; each can be edited, or taken back as a draft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType

from apollo_tui.screens.panels.base import PanelScreen
from sessions.fold.summary import OpenAdvice
from widgets.models import Choice
from widgets.picker import ChoiceList


@dataclass(frozen=True, slots=True)
class QueuedChoice:
    """Which advice, by its number, and whether it is taken back; else it is edited."""

    advice: int
    back: bool


class QueuedAdvicePanel(PanelScreen[QueuedChoice]):
    """What waits, the newest last, which is where the cursor stands."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u,delete,backspace", "take_back", show=False, id="queued.take_back"),
    ]

    def __init__(self, name: str, waiting: Sequence[OpenAdvice]) -> None:
        rows = [Choice(str(one.advice), f"{one.advice:>3}  {' '.join(one.text.split())}") for one in waiting]
        footer = "enter edits it · u takes it back, as a draft · esc leaves it"
        super().__init__(f"advice to {name} that still waits", rows, footer)

    def on_mount(self) -> None:
        """The newest is the likeliest."""
        super().on_mount()
        self.choices.action_to_end()

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Edit it."""
        self.dismiss(QueuedChoice(int(message.choice.id), back=False))

    def action_take_back(self) -> None:
        """Take it back."""
        here = self.choices.highlighted
        if here is not None:
            self.dismiss(QueuedChoice(int(here.id), back=True))
