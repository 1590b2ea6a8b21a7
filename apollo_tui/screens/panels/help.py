"""``?``: the keys that work here and now, what one does most first. Typing narrows it down, enter does the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from apollo_tui import keys
from apollo_tui.screens.panels.searchable import SearchablePanel
from widgets.models import Choice

MOST: Final = "what one does here"
GROUPS: Final[Mapping[str, str]] = {
    "files": "files",
    "advise": "advise",
    "judge": "judge",
    "look": "where to look",
    "control": "control",
    "find": "find and take along",
    "move": "move",
    "app": "app",
    "export": "export",
    "form": "form",
}


NAMES: Final = 13
"""Cells of the column of key names."""


class HelpPanel(SearchablePanel):
    """Answers with the id of the key that was chosen."""

    hang: ClassVar[int | None] = NAMES + 1

    def __init__(self, here: keys.KeyContext, keymap: Mapping[str, str]) -> None:
        super().__init__(
            f"keys that work here ({here.place})",
            choices_of(here, keymap),
            "enter does it · esc closes · in the composer: enter queues, ctrl+s now, ctrl+j new line, esc leaves",
        )


def choices_of(here: keys.KeyContext, keymap: Mapping[str, str]) -> list[Choice]:
    """One row per valid key: those that the footer would show if it had room, then all others by what they are for."""
    valid = [
        key for key in keys.keys_at(here.place) if keys.is_valid(key, here) and key.id not in ("help", "number", "back")
    ]
    first = sorted((key for key in valid if key.footer), key=lambda key: key.footer)
    order = list(GROUPS)
    rest = sorted((key for key in valid if not key.footer), key=lambda key: order.index(key.group))
    return [_row(key, MOST, keymap) for key in first] + [_row(key, GROUPS[key.group], keymap) for key in rest]


def _row(key: keys.Key, group: str, keymap: Mapping[str, str]) -> Choice:
    names = " ".join(keys.display_name(name) for name in keys.keys_of(key, keymap))
    return Choice(key.id, f"{names:<{NAMES}} {key.help}", group=group)
