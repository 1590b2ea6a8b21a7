"""The movement keys that every painter with a cursor shares. Rebind them by id with ``App.set_keymap``."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

MOVES: Final[list[BindingType]] = [
    Binding("down,j", "move(1)", "Down", show=False, id="move.down"),
    Binding("up,k", "move(-1)", "Up", show=False, id="move.up"),
    Binding("space,pagedown", "page(1)", "Page down", show=False, id="move.page_down"),
    Binding("pageup,b", "page(-1)", "Page up", show=False, id="move.page_up"),
    Binding("g,home", "to_start", "To the start", show=False, id="move.start"),
    Binding("G,end", "to_end", "To the end, follow", show=False, id="move.end"),
    Binding("enter", "open", "Open", show=False, id="move.open"),
]
