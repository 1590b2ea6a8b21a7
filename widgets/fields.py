"""Which widgets are text fields."""

from __future__ import annotations

from textual.widget import Widget

from widgets.paint import Painter


def is_field(widget: Widget | None) -> bool:
    """Whether a person types text into it: every key goes to it."""
    if widget is None or isinstance(widget, Painter):
        return False
    from textual.widgets import Input, TextArea  # the board is painted without a text area

    return isinstance(widget, Input | TextArea)
