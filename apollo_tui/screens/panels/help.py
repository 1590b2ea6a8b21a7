"""``?``: the keys that work here and now. Enter does what the row says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from apollo_tui import keys
from apollo_tui.screens.panels.base import PanelScreen
from widgets.models import Choice
from widgets.picker import ChoiceList

GROUPS: Final[Mapping[str, str]] = {
    "move": "move",
    "look": "where to look",
    "files": "files",
    "advise": "advise",
    "judge": "judge",
    "control": "control",
    "find": "find and take along",
    "app": "app",
    "export": "export",
    "form": "form",
}


NAMES: Final = 13
"""Cells of the column of key names."""


class HelpPanel(PanelScreen[str]):
    """Answers with the id of the key that was chosen."""

    hang: ClassVar[int | None] = NAMES + 1

    def __init__(self, here: keys.KeyContext, keymap: Mapping[str, str]) -> None:
        super().__init__(
            f"keys that work here ({here.place})",
            choices_of(here, keymap),
            "enter does it · esc closes · in the composer: enter queues, ctrl+s now, ctrl+j new line, esc leaves",
        )

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Close, and do it."""
        self.dismiss(message.choice.id)


def choices_of(here: keys.KeyContext, keymap: Mapping[str, str]) -> list[Choice]:
    """One row per valid key, in the order of the table."""
    found = []
    for key in keys.keys_at(here.place):
        if keys.is_valid(key, here) and key.id not in ("help", "number"):
            names = " ".join(keys.display_name(name) for name in keys.keys_of(key, keymap))
            found.append(Choice(key.id, f"{names:<{NAMES}} {key.help}", group=GROUPS[key.group]))
    order = list(GROUPS.values())
    return sorted(found, key=lambda choice: order.index(choice.group))
